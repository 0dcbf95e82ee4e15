"""What counts of a device's report: its own balancers, revisions it was given, totals that can be; pure.

And what it comes to, laid over the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sekisho.model.balancer import DirectorReport, Statistics
from sekisho.model.errors import Conflict, Malformed

# Octavia's database holds no larger number.
MOST: Final = (1 << 63) - 1


def of_its_own(
    report: DirectorReport, pair: str, newest: int, whose: Callable[[str], str | None]
) -> tuple[DirectorReport, int]:
    """Give what a device of a pair tells of its own, and how much of what another pair carries.

    `newest` is the last revision that the pair was given, `whose` names the pair that carries an object.
    Raises Conflict for a later revision: what the device carries is another keeper's. Raises Malformed for
    totals that nobody can count.
    """
    _need_given(report, newest)
    _need_counted(report)
    told = (*report.operating, *report.problems, *(s.listener for s in report.statistics))
    others = sum(whose(i) not in (pair, None) for i in told)
    own = replace(
        report,
        operating={i: how for i, how in report.operating.items() if whose(i) == pair},
        problems={b: said for b, said in report.problems.items() if not b or whose(b) == pair},
        statistics=tuple(s for s in report.statistics if whose(s.listener) == pair),
    )
    return own, others


def laid_over(before: DirectorReport | None, news: DirectorReport) -> DirectorReport:
    """Make a report whole, but for statistics: those are what has changed.

    Raises Conflict where it was made over one that is not the one before.
    """
    if not news.over:
        return news
    if before is None or before.number != news.over:
        raise Conflict(
            f"{news.director} tells what has changed since its report {news.over}; tell all.",
            f"{news.director} reports over its report {news.over}, which is not the last taken here; "
            "it tells everything the next time.",
        )
    gone = set(news.gone)
    had = {i: how for i, how in before.operating.items() if i not in gone} if gone else before.operating
    return replace(news, operating={**had, **news.operating}, over=0, gone=())


def _need_given(report: DirectorReport, newest: int) -> None:
    if report.revision > newest:
        raise Conflict(
            f"{report.director} tells of revision {report.revision}, and the newest is {newest}.",
            f"{report.director} carries what another keeper told it, or a later ledger than this one; "
            "it is given everything anew.",
        )


def _need_counted(report: DirectorReport) -> None:
    odd = next((s.listener for s in report.statistics if not _is_total(s)), None)
    if odd is not None:
        problems = (f"statistics: {odd}: totals are 0 to {MOST}.",)
        raise Malformed(f"{report.director} tells what cannot have been counted.", problems=problems)


def _is_total(of: Statistics) -> bool:
    counts = (of.active, of.total, of.bytes_in, of.bytes_out, of.errors)
    return min(counts) >= 0 and max(counts) <= MOST

"""What a play came to, from what the VMs tried and what the switch told: nothing is asked of ourselves."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sekisho.lab.record import Attempt, Volume
    from sekisho.lab.watch import RuleEvent

# A probe that was on its way while a rule came or went proves nothing.
SLACK = 0.3


@dataclass(frozen=True, slots=True)
class Span:
    """Rules of one kind about one port, first laid to last gone (monotonic; inf: still there)."""

    began: float
    ended: float


@dataclass(slots=True)
class Result:
    """What a play came to. `problems` says a sentence for everything that was not as it should be."""

    seconds_to_rule: list[float] = field(default_factory=list)
    false_positives: int = 0
    freed: bool = True
    problems: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, object]:
        """Give the one line for machines; seconds rounded to milliseconds."""
        runs = sorted(self.seconds_to_rule)
        median = round(statistics.median(runs), 3) if runs else None
        most = round(runs[-1], 3) if runs else None
        return {
            "seconds_to_rule": {
                "median": median,
                "max": most,
                "runs": len(runs),
            },
            "false_positives": self.false_positives,
            "freed": self.freed,
            "problems": self.problems,
        }


def crossing(attempts: Iterable[Attempt], line: float, spread: int, window: float) -> float | None:
    """Find when the connection began with which more than `line` fell into `window` seconds.

    At the same moment they must have gone to at least `spread` addresses. None if that never was.
    """
    inside: deque[Attempt] = deque()
    to: Counter[str] = Counter()
    for attempt in sorted(attempts, key=lambda a: a.began):
        inside.append(attempt)
        to[attempt.address] += 1
        while inside[0].began < attempt.began - window:
            gone = inside.popleft()
            to[gone.address] -= 1
        if len(inside) >= line and sum(n > 0 for n in to.values()) >= spread:
            return attempt.began
    return None


def spans(events: Sequence[RuleEvent], in_port: int, word: str) -> list[Span]:
    """Find when rules about a port stood whose match has `word` among its words."""
    standing: dict[str, float] = {}
    found: list[Span] = []
    for event in about(events, in_port, word):
        if event.what == "ADDED":
            standing.setdefault(event.match, event.mono)
        elif event.what == "DELETED" and event.match in standing:
            found.append(Span(standing.pop(event.match), event.mono))
    found += [Span(began, float("inf")) for began in standing.values()]
    return _joined(sorted(found, key=lambda s: s.began))


def about(events: Sequence[RuleEvent], in_port: int, word: str) -> list[RuleEvent]:
    """Pick the events of rules about a port with a word in their match; those that only tell are left out."""
    return [
        e
        for e in events
        if e.in_port == in_port and word in e.match.split(",") and "tcp_flags" not in e.match
    ]


def _joined(found: Sequence[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in found:
        if joined and span.began <= joined[-1].ended + SLACK:
            joined[-1] = Span(joined[-1].began, max(joined[-1].ended, span.ended))
        else:
            joined.append(span)
    return joined


def inside(moment: float, given: Iterable[Span]) -> bool | None:
    """Tell whether a moment is within one of the spans; None where it is too near an edge to tell."""
    for span in given:
        if span.began + SLACK <= moment <= span.ended - SLACK:
            return True
        if span.began - SLACK <= moment <= span.ended + SLACK:
            return None
    return False


def wrong_tries(attempts: Iterable[Attempt], blocked: Sequence[Span]) -> list[Attempt]:
    """List what got through while it was blocked, and what failed though it was not."""
    wrong = []
    for attempt in attempts:
        # Blocked is judged by when it began, free by the whole of it.
        during = inside(attempt.began, blocked)
        after = inside(attempt.ended, blocked)
        if (during and after and attempt.ok) or (during is False and after is False and not attempt.ok):
            wrong.append(attempt)
    return wrong


def rate(volumes: Iterable[Volume], began: float, ended: float) -> float:
    """Average bit/s of what came between two moments."""
    inside_it = [v for v in volumes if began <= v.ended - v.seconds and v.ended <= ended]
    seconds = sum(v.seconds for v in inside_it)
    return sum(v.octets for v in inside_it) * 8 / seconds if seconds else 0.0

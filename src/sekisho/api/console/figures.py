"""Numbers as people read them: rates, counts, times, the heights of bars."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sekisho.model import wording

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sekisho.model.restriction import Finding, Restriction

PREFIXES: Final = ("", "k", "M", "G", "T", "P")


def scaled(number: float, unit: str) -> str:
    """Write a number with three digits and an SI prefix: 12.3 Mbit/s."""
    size = 0
    while abs(number) >= 999.5 and size < len(PREFIXES) - 1:
        number, size = number / 1000, size + 1
    digits = 0 if abs(number) >= 100 or number == int(number) else 1 if abs(number) >= 10 else 2
    return f"{number:.{digits}f} {PREFIXES[size]}{unit}"


def bps(number: float) -> str:
    """Write bit/s."""
    return scaled(number, "bit/s")


def pps(number: float) -> str:
    """Write packets per second."""
    return scaled(number, "pps")


def size(number: float) -> str:
    """Write bytes."""
    return scaled(number, "B")


def count(number: float) -> str:
    """Write a whole number with its thousands."""
    return f"{number:,.0f}"


def in_unit(number: float, unit: str) -> str:
    """Write a number in the unit of a distribution; "" is a plain count."""
    if unit in ("bit/s", "pps", "B"):
        return scaled(number, unit)
    return (
        f"{number:.3g}{unit}"
        if number < 1
        else f"{number:,.4g}{unit}"
        if number < 1000
        else f"{number:,.0f}{unit}"
    )


def percent(share: float) -> str:
    """Write a share: nothing is 0 %, and a little is not nothing."""
    return "0 %" if share <= 0 else "< 0.01 %" if share < 0.0001 else f"{share * 100:.2g} %"


def iso(moment: float) -> str:
    """Write a moment for machines, and for people without scripts."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp(moment: float) -> str:
    """Write a moment in UTC, until the reader's browser writes it in the reader's own zone."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def short_id(name: str) -> str:
    """Cut a long id for a table; its whole stands in the link and the title."""
    return name if len(name) <= 24 else f"{name[:8]}…{name[-4:]}"


def estimate(finding: Finding) -> str:
    """Write what was measured."""
    return wording.amount(finding, finding.estimate)


def lower(finding: Finding) -> str:
    """Write what it was at the very least."""
    return wording.amount(finding, finding.lower)


def line(finding: Finding) -> str:
    """Write the line that was crossed."""
    return wording.amount(finding, finding.threshold)


def is_measured(restriction: Restriction) -> bool:
    """Tell whether a restriction's reason says no more than its evidence, so that it can be translated."""
    evidence = restriction.evidence
    return evidence is not None and restriction.reason.rstrip(".") == wording.crossings(evidence)


def share(number: float, of: float) -> float:
    """Give the length of a bar, 0 to 100."""
    return max(0.0, min(100.0, 100 * number / of)) if of > 0 and math.isfinite(number) else 0.0


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "bps": bps,
    "pps": pps,
    "size": size,
    "count": count,
    "in_unit": in_unit,
    "percent": percent,
    "iso": iso,
    "stamp": stamp,
    "short_id": short_id,
    "estimate": estimate,
    "lower_bound": lower,
    "line": line,
    "is_measured": is_measured,
    "share": share,
    "window": wording.window,
}

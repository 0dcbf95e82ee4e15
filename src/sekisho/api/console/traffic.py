"""A subject's traffic with what bound it: where the numbers come from, and the spans a chart shades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sekisho.model.restriction import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.api.keeper import Keeper
    from sekisho.model.archived import Series
    from sekisho.model.restriction import Restriction


class Traffic(Protocol):
    """Whoever kept what subjects sent: the archive, or the keeper itself for the last day."""

    def series(self, subject: str, since: float, until: float, step: float) -> Series:
        """Give a subject's traffic per step, the whole cloud's where none is named."""
        ...


# What can be looked at: how far back, and into how many seconds each point is summed up.
RANGES: Final = {
    "15m": (900.0, 5.0),
    "1h": (3600.0, 10.0),
    "6h": (6 * 3600.0, 60.0),
    "24h": (86400.0, 120.0),
    "7d": (7 * 86400.0, 1200.0),
}
# So many points a chart has at most, whatever is asked for.
POINTS: Final = 720
# What has bound somebody at some time.
BOUND: Final = (State.ACTIVE, State.LIFTED, State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Span:
    """A restriction on a chart: shaded from when it was in force until it ended or will end."""

    id: str
    since: float
    until: float
    state: State
    label: str
    binds: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """Rates in bit/s, one for each step from `since` on, and what bound the subject meanwhile.

    None is a step of which nobody reported: a gap, and no silence of the subject's. Where there are such
    because no archive told, `lacking` says so (`none` or `away`).
    """

    subject: str
    since: float
    until: float
    step: float
    now: float
    egress: tuple[float | None, ...]
    ingress: tuple[float | None, ...]
    spans: tuple[Span, ...] = ()
    lacking: str = ""


def window(reach: str, since: float, until: float, now: float) -> tuple[float, float, float]:
    """Give since, until and step of what is asked for: a named range that ends now, or two moments."""
    if since:
        until = max(until or now, since + 60)
        step = max(5.0, -(-(until - since) // POINTS))
    else:
        until = now
        length, step = RANGES[reach]
        since = now - length
    return since - since % step, until, step


def chart(
    keeper: Keeper, traffic: Traffic, subject: str, asked: tuple[float, float, float], now: float
) -> Chart:
    """Put a subject's traffic and its restrictions together; the whole cloud's traffic has none."""
    since, until, step = asked
    series = traffic.series(subject, since, until, step)
    found = keeper.restrictions(subject, "", BOUND, 200, "").items if subject else ()
    egress = _rates(series, series.egress_bytes)
    return Chart(
        subject,
        since,
        until,
        step,
        now,
        egress,
        _rates(series, series.ingress_bytes),
        tuple(spans(found, since, until)),
        series.lacking if None in egress[: max(1, int((now - since) // step))] else "",
    )


def _rates(series: Series, sent: tuple[float, ...]) -> tuple[float | None, ...]:
    heard = series.heard or (True,) * len(sent)
    return tuple(n * 8 / series.step if told else None for n, told in zip(sent, heard, strict=True))


def spans(found: Iterable[Restriction], since: float, until: float) -> Iterable[Span]:
    """Give what of some restrictions falls into a window of time, oldest first."""
    for r in sorted(found, key=lambda each: each.created):
        ends = r.ended or r.until
        if r.created < until and ends > since:
            yield Span(r.id, r.in_force or r.created, ends, r.state, r.policy or r.reason, bool(r.actions))

"""What every meter must do: the fake Gnocchi, the real one, and port counters pass the same checks.

A rig plays the traffic; each check gives cumulative bytes at moments, as whoever polls sees them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sekisho.model.inventory import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sekisho.metering.readings import Volumes

DAY: Final = 86400.0
STEP: Final = 300.0
TOLERANCE: Final = 0.01


class Rig(Protocol):
    """One meter and what it reads."""

    now: float

    def play(self, polled: Mapping[Subject, Mapping[float, tuple[int, int]]]) -> None:
        """Let each subject's counters be seen at these moments, egress and ingress; then read the meter."""
        ...

    def volumes(self, window: float) -> Volumes:
        """Give what the meter says now."""
        ...


def subject(number: int) -> Subject:
    """Make a subject whose id is a port's of Neutron's."""
    return Subject(f"{number:08x}-5e15-4000-8000-00000000{number:04x}", "h1", server=f"{number:032x}")


def one(rig: Rig, who: Subject, way: int, window: float = DAY) -> float:
    """Give one subject's bytes, after making sure that its bounds are in order."""
    told = rig.volumes(window)
    row = told.subjects.index(who.id)
    lower, estimate, upper = (float(c[way, row]) for c in (told.lower, told.estimate, told.upper))
    assert lower <= estimate <= upper
    return estimate


def near(found: float, wanted: float) -> bool:
    """Tell whether a volume is what it should be, within a hundredth."""
    return abs(found - wanted) <= TOLERANCE * wanted


def steady(
    rig: Rig, egress: int, ingress: int, periods: int = 289, base: int = 10**9
) -> dict[float, tuple[int, int]]:
    """Poll a port that sends and gets the same in each period, up to now."""
    first = rig.now - (periods - 1) * STEP
    return {first + i * STEP: (base + i * egress, base + i * ingress) for i in range(periods)}


def a_day_of_steady_traffic_both_ways(rig: Rig) -> None:
    """A port's day is what it sent in it, egress and ingress apart."""
    who = subject(1)
    rig.play({who: steady(rig, 10_000, 50_000)})
    assert near(one(rig, who, 0), 288 * 10_000)
    assert near(one(rig, who, 1), 288 * 50_000)


def each_port_has_its_own(rig: Rig) -> None:
    """Two ports are never mixed up."""
    first, second = subject(1), subject(2)
    rig.play({first: steady(rig, 1_000, 0), second: steady(rig, 7_000, 0)})
    assert near(one(rig, first, 0), 288 * 1_000)
    assert near(one(rig, second, 0), 288 * 7_000)


def a_counter_that_begins_anew(rig: Rig) -> None:
    """Nothing goes back, and what was sent since the reset counts."""
    who = subject(1)
    told = steady(rig, 10_000, 10_000)
    for i, moment in enumerate(sorted(told)):
        if i >= 150:
            told[moment] = ((i - 149) * 10_000, (i - 149) * 10_000)
    rig.play({who: told})
    assert near(one(rig, who, 0), 288 * 10_000)


def missing_polls(rig: Rig) -> None:
    """What was sent in a gap is the difference between its ends."""
    who = subject(1)
    told = steady(rig, 10_000, 10_000)
    kept = {m: v for i, (m, v) in enumerate(sorted(told.items())) if not 100 < i < 160}
    rig.play({who: kept})
    assert near(one(rig, who, 0), 288 * 10_000)


def a_port_that_is_new_has_only_its_own_time(rig: Rig) -> None:
    """A port of two hours has two hours' bytes."""
    who = subject(1)
    rig.play({who: steady(rig, 10_000, 0, periods=25, base=0)})
    assert near(one(rig, who, 0), 24 * 10_000)


CHECKS: Final[tuple[Callable[[Rig], None], ...]] = (
    a_day_of_steady_traffic_both_ways,
    each_port_has_its_own,
    a_counter_that_begins_anew,
    missing_polls,
    a_port_that_is_new_has_only_its_own_time,
)

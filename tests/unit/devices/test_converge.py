"""Desired minus actual is changes, carried out in order until none is left."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from sekisho.devices.converge import Changes, converge, diff
from sekisho.model.errors import Conflict, Unavailable


@dataclass
class Shelf:
    """A device: names and numbers. `conflicts` is how often it says that it changed meanwhile."""

    things: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    stubborn: bool = False
    away: bool = False
    applied: int = 0

    def read(self) -> dict[str, int]:
        if self.away:
            raise Unavailable("away")
        return dict(self.things)

    def same(self, desired: tuple[str, int], actual: int) -> bool:
        return desired[1] == actual

    def apply(self, changes: Changes[tuple[str, int], int]) -> str:
        self.applied += 1
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("changed")
        if not self.stubborn:
            gone = {k for k, v in self.things.items() if v in changes.remove}
            self.things = {k: v for k, v in self.things.items() if k not in gone}
            self.things |= dict((*changes.add, *(d for d, _ in changes.alter)))
        return f"{len(changes)} done"


def wanted(**things: int) -> dict[str, tuple[str, int]]:
    return {k: (k, v) for k, v in things.items()}


def test_the_difference_is_what_to_add_alter_and_remove() -> None:
    changes = diff(wanted(a=1, b=2, c=3), {"b": 2, "c": 4, "d": 5}, Shelf().same)
    assert changes == Changes(add=(("a", 1),), alter=((("c", 3), 4),), remove=(5,))
    assert len(changes) == 3


def test_converged_twice_changes_nothing_the_second_time() -> None:
    shelf = Shelf({"old": 1})
    first = converge(shelf, wanted(a=1))
    assert (len(first.changes), first.unchanged, first.receipts) == (2, False, ("2 done",))
    assert first.actual == {"a": 1}
    second = converge(shelf, wanted(a=1))
    assert second.unchanged
    assert (shelf.applied, not second.left) == (1, True)


def test_a_device_that_changed_meanwhile_is_read_again() -> None:
    shelf = Shelf(conflicts=2)
    assert converge(shelf, wanted(a=1)).actual == {"a": 1}
    assert shelf.applied == 3


def test_a_device_that_never_stops_changing_is_a_conflict() -> None:
    with pytest.raises(Conflict):
        converge(Shelf(conflicts=99), wanted(a=1))


def test_what_does_not_take_is_told() -> None:
    shelf = Shelf(stubborn=True)
    result = converge(shelf, wanted(a=1))
    assert result.left == Changes(add=(("a", 1),))
    assert shelf.applied == 3


def test_what_the_driver_raises_comes_through() -> None:
    with pytest.raises(Unavailable):
        converge(Shelf(away=True), {})

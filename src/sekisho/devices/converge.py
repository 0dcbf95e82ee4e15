"""The one engine for every kind of device: desired minus actual is changes, carried out until none is left.

A device is a mapping from keys to what stands there. What a key, a desired and an actual thing are is
the driver's own business; this file only decides what to add, alter and remove, and in which order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from sekisho.model.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

K = TypeVar("K", bound="Hashable")
D = TypeVar("D")
A = TypeVar("A")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Changes(Generic[D, A]):
    """What must happen on a device, to be carried out in this order: nobody slips through in between.

    `alter` pairs what should stand with what stands; altering is in place, never remove and add.
    """

    add: tuple[D, ...] = ()
    alter: tuple[tuple[D, A], ...] = ()
    remove: tuple[A, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.alter or self.remove)

    def __len__(self) -> int:
        return len(self.add) + len(self.alter) + len(self.remove)


class Driver(Protocol[K, D, A, R_co]):
    """Speaks one device's dialect; raises Conflict when the device changed since it was read."""

    def read(self) -> Mapping[K, A]:
        """Tell what of ours stands on the device now; raises Unavailable or Refused."""
        ...

    def same(self, desired: D, actual: A) -> bool:
        """Tell whether what stands is as good as what should stand."""
        ...

    def apply(self, changes: Changes[D, A]) -> R_co:
        """Carry out changes: add, then alter, then remove. Raises Conflict, Unavailable or Refused."""
        ...


@dataclass(frozen=True, slots=True)
class Converged(Generic[K, D, A, R]):
    """What a convergence did. No changes is a result of its own: the device was as it should be.

    `actual` is what stood at the last reading; `left` what still differs then, because someone
    else works against us or the device says other things than it was told.
    """

    changes: Changes[D, A]
    actual: Mapping[K, A]
    receipts: tuple[R, ...] = ()
    left: Changes[D, A] = Changes()

    @property
    def unchanged(self) -> bool:
        """Tell whether there was nothing to do."""
        return not self.changes


def diff(desired: Mapping[K, D], actual: Mapping[K, A], same: Callable[[D, A], bool]) -> Changes[D, A]:
    """Compare what should stand with what stands; the order of `desired` and `actual` is kept."""
    return Changes(
        add=tuple(d for k, d in desired.items() if k not in actual),
        alter=tuple((d, actual[k]) for k, d in desired.items() if k in actual and not same(d, actual[k])),
        remove=tuple(a for k, a in actual.items() if k not in desired),
    )


def converge(driver: Driver[K, D, A, R], desired: Mapping[K, D], rounds: int = 3) -> Converged[K, D, A, R]:
    """Read, compare and apply until nothing differs, at most `rounds` times.

    A Conflict is answered by reading again; the last one is raised, as are the driver's other errors.
    """
    first: Changes[D, A] | None = None
    receipts: list[R] = []
    for turn in range(rounds + 1):
        actual = driver.read()
        changes = diff(desired, actual, driver.same)
        first = first or changes
        if not changes or turn == rounds:
            break
        try:
            receipts.append(driver.apply(changes))
        except Conflict:
            if turn == rounds - 1:
                raise
    return Converged(first or changes, actual, tuple(receipts), changes)

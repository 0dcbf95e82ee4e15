"""What listeners have carried, summed over the devices that carried it and over their restarts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from sekisho.ledger.balancers import Key, Total
from sekisho.model.balancer import Statistics


class Totals:
    """Not thread-safe. Totals only ever grow: a device that counts from nothing again is counted on."""

    def __init__(self, known: Mapping[Key, Total]) -> None:
        self._totals = dict(known)
        self._devices: defaultdict[str, set[str]] = defaultdict(set)
        for device, listener in known:
            self._devices[listener].add(device)
        self._unwritten: set[Key] = set()
        self._changed: dict[str, int] = {}
        self._number = 0
        self._given = 0
        self._told = 0

    def take(self, device: str, told: Iterable[Statistics]) -> None:
        """Take what a device counted."""
        for each in told:
            key = (device, each.listener)
            before = self._totals.get(key)
            after = _counted(before, each)
            if after == before:
                continue
            self._totals[key] = after
            self._devices[each.listener].add(device)
            self._unwritten.add(key)
            self._number += 1
            self._changed[each.listener] = self._number

    def of(self, listener: str) -> Statistics | None:
        """Sum up a listener; None if no device has counted it."""
        devices = self._devices.get(listener)
        if not devices:
            return None
        found = Statistics(listener)
        for total in (self._totals[device, listener] for device in devices):
            found = _sum(_sum(found, total.base), total.last)
        return found

    def waiting(self) -> bool:
        """Tell whether something counted is not told."""
        return self._number > self._told

    def page(self) -> tuple[Statistics, ...]:
        """Give the totals that are not told."""
        self._given = self._number
        names = [n for n, number in self._changed.items() if number > self._told]
        return tuple(s for s in map(self.of, names) if s is not None)

    def acknowledge(self) -> None:
        """Take down that the last page is told."""
        self._told = self._given
        self._changed = {n: number for n, number in self._changed.items() if number > self._told}

    def forget(self, listeners: Iterable[str]) -> None:
        """Forget listeners that are no more."""
        for listener in listeners:
            self._changed.pop(listener, None)
            for device in self._devices.pop(listener, ()):
                del self._totals[device, listener]
                self._unwritten.discard((device, listener))

    def unwritten(self) -> dict[Key, Total]:
        """Give what changed since this was asked last, to be written."""
        found = {key: self._totals[key] for key in self._unwritten}
        self._unwritten.clear()
        return found


def _counted(before: Total | None, now: Statistics) -> Total:
    if before is None:
        return Total(now, Statistics(now.listener))
    last = before.last
    if now.total < last.total or now.bytes_in < last.bytes_in:
        return Total(now, replace(_sum(before.base, last), active=0))
    return Total(now, before.base)


def _sum(one: Statistics, other: Statistics) -> Statistics:
    return Statistics(
        one.listener,
        one.active + other.active,
        one.total + other.total,
        one.bytes_in + other.bytes_in,
        one.bytes_out + other.bytes_out,
        one.errors + other.errors,
    )

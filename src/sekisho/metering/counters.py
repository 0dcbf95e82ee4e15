"""Port counters of switches in, volumes per port out: metering where there is no Ceilometer.

Hosts tell how many bytes each of their ports has sent and got since its counters began. Here a total
that never goes back is kept of each subject, whatever host it is on, and a reading of it each period.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sekisho.metering.meter import Round
from sekisho.metering.readings import Readings, Volumes
from sekisho.metering.store import CounterStore
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sekisho.metering.settings import CounterSettings
    from sekisho.model.inventory import Subject
    from sekisho.model.report import PortCounter


@dataclass(slots=True)
class _Total:
    """One subject: bytes by direction since it was first told, and where each of its counters stood.

    `counters`: by host and interface, egress and ingress; a port that moves has two for a while.
    """

    egress: int = 0
    ingress: int = 0
    time: float = 0.0
    counters: dict[str, tuple[int, int, float]] = field(default_factory=dict)

    def take(self, key: str, counter: PortCounter, now: float, recent: float) -> None:
        """Add what a counter has grown by.

        One that is new on a port that was counted just now began with the port's move or its new plug:
        all it shows is new. One of a port nobody has counted lately may be of last year.
        """
        before = self.counters.get(key)
        if before is None:
            base = (0, 0) if self.counters and self.time >= recent else (counter.egress, counter.ingress)
        else:
            base = before[:2]
        self.egress += counter.egress - base[0] if counter.egress >= base[0] else counter.egress
        self.ingress += counter.ingress - base[1] if counter.ingress >= base[1] else counter.ingress
        self.counters[key] = (counter.egress, counter.ingress, now)
        self.time = now


class Counters:
    """A meter fed by hosts; `take` from any thread, the rest from one."""

    def __init__(self, settings: CounterSettings, path: Path, window: float = 86400.0) -> None:
        self._settings = settings
        self._window = window
        self._readings = Readings(settings.step, window)
        self._lock = threading.Lock()
        self._totals: dict[str, _Total] = {}
        self._store = CounterStore(path)
        self._written = 0
        self._recall()

    def take(self, host: str, counters: Sequence[PortCounter], now: float) -> None:
        """Take what one host told."""
        recent = now - self._settings.stale
        with self._lock:
            for counter in counters:
                total = self._totals.setdefault(counter.subject, _Total())
                total.take(f"{host}/{counter.interface}", counter, now, recent)

    def read(self, subjects: Sequence[Subject], now: float) -> Round:
        """Take a reading of every total; once a period write it down."""
        period = self._readings.period(now)
        with self._lock:
            self._readings.advance(now)
            self._forget(now)
            begun = period * self._settings.step
            told = {name: t for name, t in self._totals.items() if t.time >= begun}
            self._begin(period - 1, [name for name in told if name not in self._readings])
            self._put(period, tuple(told), np.array([[t.egress, t.ingress] for t in told.values()]).T)
            fresh = {n for n, t in self._totals.items() if t.time >= now - self._settings.stale}
        problems = self._write(period - 1) if period - 1 != self._written else ()
        missing = sum(s.id not in fresh for s in subjects)
        told_of = (f"no host has told the counters of {missing} ports lately",) if missing else ()
        return Round(len(fresh), missing, 0, (*problems, *told_of))

    def volumes(self, window: float, now: float) -> Volumes:
        """Sum up every subject that was told lately."""
        with self._lock:
            fresh = [n for n, t in self._totals.items() if t.time >= now - self._settings.stale]
        return self._readings.volumes(fresh, fresh, now - window, now)

    def close(self, now: float) -> tuple[str, ...]:
        """Write down where everything stands; gives what went wrong."""
        # The period's own row first: its place in the ring has one of a day ago until it is taken.
        problems = self.read((), now).problems
        return problems or self._write(self._readings.period(now))

    def _begin(self, period: int, names: Sequence[str]) -> None:
        """Let those nobody has read before begin with nothing."""
        self._put(period, names, np.zeros((2, len(names))))

    def _put(self, period: int, names: Sequence[str], totals: Any) -> None:
        if names:
            slots = self._readings.slots(names)
            columns = np.asarray(totals, np.float64)
            self._readings.put(slots, np.full(len(names), period), columns[0], columns[1])

    def _forget(self, now: float) -> None:
        """Let go who has left the window, and counters that have."""
        oldest = now - self._window - 2 * self._settings.step
        gone = [name for name, t in self._totals.items() if t.time < oldest]
        for name in gone:
            del self._totals[name]
        self._readings.forget(gone)
        for total in self._totals.values():
            if len(total.counters) > 1:
                total.counters = {
                    k: c for k, c in total.counters.items() if c[2] >= max(oldest, total.time - 3600.0)
                }

    def _write(self, period: int) -> tuple[str, ...]:
        with self._lock:
            ports = self._readings.keys
            totals = self._readings.column(period)[:, self._readings.slots(ports)]
            state = {
                n: [t.egress, t.ingress, t.time, {k: list(c) for k, c in t.counters.items()}]
                for n, t in self._totals.items()
            }
        try:
            self._store.write(period, ports, totals, state, period - self._readings.periods)
        except Unavailable as error:
            return (error.fixer,)
        self._written = period
        return ()

    def _recall(self) -> None:
        """Go on from where an earlier keeper was."""
        state, periods = self._store.read()
        for number, ports, totals in periods:
            self._readings.advance((number + 0.5) * self._settings.step)
            self._put(number, ports, totals)
        for name, (egress, ingress, time, counters) in (state or {}).items():
            kept = {k: (int(c[0]), int(c[1]), float(c[2])) for k, c in counters.items()}
            self._totals[name] = _Total(egress, ingress, time, kept)

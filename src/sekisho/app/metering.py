"""The keeper's metering: reads a meter, judges the policies by its volumes, tells what it found."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sekisho.metering.counters import Counters
from sekisho.metering.door import reach
from sekisho.metering.gnocchi import Gnocchi
from sekisho.metering.judge import Judge, is_metered
from sekisho.model.access import Principal, Role

if TYPE_CHECKING:
    import threading

    from sekisho.app.keeper import Keeper
    from sekisho.metering.meter import Meter, Round
    from sekisho.metering.settings import MeteringSettings

log = logging.getLogger("sekisho.metering")

# The keeper takes so many pieces of evidence in one request.
CHUNK: Final = 500


class Metering:
    """One source of volumes and who is over which line by it; used from one thread."""

    def __init__(self, settings: MeteringSettings, keeper: Keeper, meter: Meter) -> None:
        self._settings = settings
        self._keeper = keeper
        self._meter = meter
        self._judge = Judge(settings.repeat)
        self._who = Principal(f"meter:{settings.source}", Role.AGENT)
        self._last: Round | None = None
        keeper.notices.append(self.notices)

    def round(self, now: float) -> int:
        """Read, judge and tell, once; gives how many pieces of evidence there were.

        Without a policy that is judged by volumes nothing is read.
        """
        policies = self._keeper.policies().policies
        if not any(is_metered(p) for p in policies.policies):
            self._last = None
            return 0
        subjects = {s.id: s for s in self._keeper.inventory().subjects}
        self._last = self._meter.read(tuple(subjects.values()), now)
        self._count(self._last)
        found = self._judge.judge(
            policies, subjects, lambda window: self._meter.volumes(window, now), now, self._settings.source
        )
        for i in range(0, len(found), CHUNK):
            for verdict in self._keeper.evidence(self._who, tuple(found[i : i + CHUNK])):
                log.info("%s %s: %s %s", verdict.subject, verdict.policy, verdict.outcome, verdict.reason)
        return len(found)

    def look(self, now: float, stop: threading.Event) -> None:
        """Do one round, and pause."""
        self.round(now)
        stop.wait(self._settings.every)

    def close(self, now: float) -> None:
        """Write down what would be lost; only when no round is under way any more."""
        for problem in self._meter.close(now) if isinstance(self._meter, Counters) else ():
            log.warning("the counters could not be written down at the end: %s", problem)

    def notices(self) -> tuple[str, ...]:
        """Say what needs a person, a sentence each."""
        if self._last is None or not (self._last.problems or self._last.failed):
            return ()
        failed = f"{self._last.failed} ports could not be read" if self._last.failed else "reading fails"
        return (f"metering by {self._settings.source}: {failed}: {'; '.join(self._last.problems)}",)

    def _count(self, told: Round) -> None:
        totals = self._keeper.totals
        totals["metering_ports"] = float(told.read)
        for name, n in (
            ("rounds", 1),
            ("failed", told.failed),
            ("calls", told.calls),
            ("problems", len(told.problems)),
        ):
            key = f"metering_{name}_total"
            totals[key] = totals.get(key, 0.0) + n


def meter(settings: MeteringSettings, state: Path) -> Meter:
    """Build the meter that the settings name."""
    if settings.source == "gnocchi":
        return Gnocchi(settings.gnocchi, reach(settings.gnocchi), settings.window)
    return Counters(settings.counters, state / "counters.db", settings.window)

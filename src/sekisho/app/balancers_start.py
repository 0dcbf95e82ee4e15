"""Starts what keeps load balancers: who looks for what is overdue, and a thread for each driven pair."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.app.balancers import Balancers
from sekisho.app.balancers_drive import Drive
from sekisho.host.tasks import Troubles, spawn
from sekisho.model.errors import SekishoError

if TYPE_CHECKING:
    from sekisho.app.balancers_settings import BalancersSettings
    from sekisho.host.clock import Clock
    from sekisho.ledger.ledger import Ledger

log = logging.getLogger("sekisho.balancers")

# How often what is overdue is looked for, seconds.
TICK: Final = 0.5


@dataclass(frozen=True, slots=True)
class Running:
    """Load balancers that are kept, and who does it."""

    balancers: Balancers
    drives: tuple[Drive, ...]
    threads: tuple[threading.Thread, ...]

    def close(self, patience: float) -> None:
        """Wait for what is under way, once it was told to stop; write down what was counted."""
        for drive in self.drives:
            drive.wake()
        for thread in self.threads:
            thread.join(patience / len(self.threads))
        try:
            self.balancers.write()
        except SekishoError as error:
            log.warning("what listeners counted last is not written: %s", error.fixer)


def start(
    settings: BalancersSettings, ledger: Ledger, clock: Clock, stop: threading.Event, troubles: Troubles
) -> Running:
    """Go on with what an earlier keeper left open, until told to stop."""
    balancers = Balancers(settings, ledger, clock)
    driven = [name for name, pair in settings.pairs.items() if pair.provider != "lvs"]
    drives = tuple(Drive(name, balancers, clock) for name in driven)

    def tick() -> None:
        balancers.tick()
        stop.wait(TICK)

    threads = [spawn(stop, troubles, "load balancers", tick)]
    threads += [
        spawn(stop, troubles, f"driving {name}", lambda drive=drive: drive.run(stop))  # type: ignore[misc] # bound now
        for name, drive in zip(driven, drives, strict=True)
    ]
    return Running(balancers, drives, tuple(threads))

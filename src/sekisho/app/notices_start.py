"""Starts what tells people: one thread gathers, each channel has its own, so that none waits for another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.app.notices import Notices
from sekisho.host.tasks import spawn

if TYPE_CHECKING:
    import threading

    from sekisho.app.keeper import Keeper
    from sekisho.host.clock import Clock
    from sekisho.host.tasks import Troubles
    from sekisho.ledger.ledger import Ledger
    from sekisho.notify.settings import NotifySettings

# How often what has happened is looked for, seconds.
TICK: Final = 1.0


@dataclass(frozen=True, slots=True)
class Telling:
    """People are told, by these threads."""

    notices: Notices
    threads: tuple[threading.Thread, ...]

    def close(self, patience: float) -> None:
        """Wait for letters that are under way, once all was told to stop."""
        self.notices.ring()
        for thread in self.threads:
            thread.join(patience / len(self.threads))


def start(
    settings: NotifySettings,
    ledger: Ledger,
    keeper: Keeper,
    clock: Clock,
    stop: threading.Event,
    troubles: Troubles,
) -> Telling | None:
    """Begin to tell people, where the settings name anybody; raises Malformed where their words are amiss."""
    if not settings.on:
        return None
    notices = Notices(settings, ledger, keeper, clock.now)
    keeper.notices.append(notices.sentences)
    keeper.numbers.append(notices.metrics)

    def gather() -> None:
        notices.gather(clock.now())
        stop.wait(TICK)

    threads = [spawn(stop, troubles, "gathering notices", gather)]
    threads += [
        spawn(stop, troubles, f"telling {name}", lambda name=name: notices.carry(name, stop))  # type: ignore[misc] # bound now
        for name in notices.channels
    ]
    return Telling(notices, tuple(threads))

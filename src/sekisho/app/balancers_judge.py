"""When a change of a load balancer has come to its end: carried, impossible, or not answered in time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sekisho.model.balancer import Operating, Provisioning

if TYPE_CHECKING:
    from sekisho.app.balancers_book import Book
    from sekisho.app.balancers_devices import Devices, Heard
    from sekisho.host.clock import Clock
    from sekisho.ledger.balancers import Kept
    from sekisho.model.balancer import DirectorReport

log = logging.getLogger("sekisho.balancers")

# So many balancers are ended in one transaction: what is written together is told together.
TOGETHER: Final = 50
# Seconds that devices have to be heard of after a keeper has started.
GRACE: Final = 15.0
_NEVER: Final = float("inf")


class Judge:
    """Ends what is open in the book; not thread-safe. `ended` is called when something is to be told."""

    def __init__(
        self, book: Book, devices: Devices, clock: Clock, patience: float, ended: Callable[[], None]
    ) -> None:
        self._book = book
        self._devices = devices
        self._clock = clock
        self._patience = patience
        self._ended = ended
        self._turning: dict[str, str] = {}  # balancers that fail over, to the director that shall be active
        self._until = {b: clock.passed() + self._left(b) for b in book.open if self._pending(b)}

    def _left(self, balancer: str) -> float:
        """Tell how long a change that an earlier keeper left may still take."""
        begun = self._book.kept[balancer].changed
        return min(self._patience, max(GRACE, begun + self._patience - self._clock.now()))

    def begin(self, balancer: str) -> None:
        """Give a change its time."""
        self._until[balancer] = self._clock.passed() + self._patience

    def turn(self, balancer: str, target: str) -> None:
        """Wait for a failover: until that director is active, or until told ("" for a driven pair)."""
        self._turning[balancer] = target

    def turned(self, balancer: str, problem: str) -> None:
        """Take down that a driven pair has failed over, or why it has not."""
        self._turning.pop(balancer, None)
        if problem and balancer in self._book.open:
            self._fail({balancer: problem})
        self.look((balancer,))

    def look(self, balancers: Iterable[str]) -> None:
        """End what is wanted of balancers if devices have carried it, cannot, or do not answer."""
        carried: list[Kept] = []
        failed: dict[str, str] = {}
        for balancer in balancers:
            if balancer in self._book.open:
                kept = self._book.kept[balancer]
                problem = self._verdict(kept)
                if problem == "":
                    carried.append(kept)
                elif problem is not None:
                    failed[balancer] = problem
        for pair in {k.pair: None for k in carried}:
            own = [k for k in carried if k.pair == pair]
            for start in range(0, len(own), TOGETHER):
                self._settle(pair, own[start : start + TOGETHER])
        if failed:
            self._fail(failed)

    def _verdict(self, kept: Kept) -> str | None:
        """Say what is wrong, "" if a balancer is carried, None if there is nothing to be said yet."""
        balancer = kept.balancer.id
        speaking = self._devices.speaking(kept.pair)
        if self._answered(kept, speaking):
            problem = _problem(balancer, speaking)
            news = not problem or problem != kept.problem or self._pending(balancer)
            return problem if news else None
        if self._clock.passed() >= self._until.get(balancer, _NEVER):
            self._turning.pop(balancer, None)
            return self._overdue(kept)
        return None

    def troubles(self, pair: str, report: DirectorReport) -> None:
        """Take down what is wrong, or no more, with balancers that were carried."""
        concerned = {b for b in report.problems if b in self._book.kept} | self._book.ailing
        told = {b: report.problems.get(b, "") for b in concerned - self._book.open}
        kept = self._book.kept
        news = {b: p for b, p in told.items() if kept[b].pair == pair and kept[b].problem != p}
        for balancer, problem in news.items():
            log.warning("load balancer %s: %s", balancer, problem or "it is well again")
        if news:
            self._book.trouble(news, self._clock.now())

    def _answered(self, kept: Kept, speaking: Mapping[str, Heard]) -> bool:
        """Tell whether those whose word counts have carried a balancer as it is wanted, or tried to."""
        if kept.balancer.id in self._turning:
            target = self._turning[kept.balancer.id]
            if not target or self._devices.active(kept.pair) != target:
                return False
        if kept.gone and not self._devices.names(kept.pair):
            return True  # the pair was taken out of the settings: nobody is left who could say it
        return bool(speaking) and all(h.report.revision >= kept.revision for h in speaking.values())

    def _settle(self, pair: str, carried: Sequence[Kept]) -> None:
        operating: dict[str, Operating] = {}
        speaking = self._devices.speaking(pair)
        for heard in speaking.values():
            operating |= heard.report.operating
        done = {k.balancer.id: {"revision": k.revision, "devices": sorted(speaking)} for k in carried}
        self._book.settle(done, operating, self._clock.now())
        for balancer in done:
            self._until.pop(balancer, None)
            self._turning.pop(balancer, None)
        self._ended()

    def _fail(self, problems: Mapping[str, str]) -> None:
        for balancer, problem in problems.items():
            log.warning("load balancer %s: %s", balancer, problem)
        self._book.fail(problems, self._clock.now())
        for balancer in problems:
            self._until.pop(balancer, None)
        self._ended()

    def _pending(self, balancer: str) -> bool:
        return any(s.provisioning is Provisioning.PENDING for s in self._book.rows(balancer))

    def _overdue(self, kept: Kept) -> str:
        silence = self._devices.silence(kept.pair)
        if silence:
            return f"Nothing carried it within {self._patience:.0f} s: {silence}"
        return f"The pair {kept.pair} has not carried it within {self._patience:.0f} s; it goes on trying."


def _problem(balancer: str, speaking: Mapping[str, Heard]) -> str:
    return next((p for h in speaking.values() if (p := h.report.problems.get(balancer, ""))), "")

"""Drives devices without an agent of ours: what a pair must carry goes in, what its driver says comes out."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sekisho import plugins
from sekisho.app.balancers_settings import BalancersSettings, PairSettings
from sekisho.model.balancer import DirectorReport
from sekisho.model.errors import Malformed, NotFound, SekishoError

if TYPE_CHECKING:
    from sekisho.app.balancers import Balancers
    from sekisho.devices.balancer.driver import BalancerDriver, Outcome
    from sekisho.host.clock import Clock

log = logging.getLogger("sekisho.balancers")

# Seconds between two tries while the device does not answer, at first; it doubles up to `look`.
_FIRST: Final = 0.5


def connect(pair: PairSettings) -> BalancerDriver:
    """Make the driver that a pair names, with the password it points to; raises SekishoError."""
    try:
        made = plugins.load("balancers", pair.driver)
    except NotFound as error:
        raise Malformed(f"keeper.balancers.pairs: driver: {error.asker}") from error
    driver: BalancerDriver = made(pair.options, _secret(pair.password_file))
    return driver


def _secret(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed("A load balancer's password file cannot be read.", f"{path}: {error}.") from error


class Drive:
    """One pair's driver, in one thread. `wake` may be called from any other."""

    def __init__(
        self,
        pair: str,
        keeper: Balancers,
        clock: Clock,
        connecting: Callable[[PairSettings], BalancerDriver] = connect,
    ) -> None:
        self._pair = pair
        self._keeper = keeper
        self._settings: BalancersSettings = keeper.settings
        self._clock = clock
        self._connect = connecting
        self._news = threading.Event()
        self._turns: deque[str] = deque()
        self._driver: BalancerDriver | None = None
        self._carried = -1  # the revision that the driver has carried
        self._outcome: Outcome | None = None
        self._drift_due = clock.passed() + self._settings.drift
        self._pause = _FIRST
        keeper.turns[pair] = self.turn
        keeper.listen(self._hear)

    def _hear(self, topic: str) -> None:
        if topic == f"pair:{self._pair}":
            self.wake()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._news.set()

    def turn(self, balancer: str) -> None:
        """Let the other device of the pair take over, and tell how that went under this balancer's name."""
        self._turns.append(balancer)
        self.wake()

    def run(self, stop: threading.Event) -> None:
        """Drive until told to stop; whoever sets `stop` wakes too."""
        while not stop.is_set():
            self._news.clear()
            self._news.wait(self.step())
        self._drop()

    def step(self) -> float:
        """Do what there is to do; gives the seconds until it must be looked again."""
        try:
            self._fail_over()
            self._carry()
            self._look()
        except Exception as error:  # a thread that dies in silence is worse than any bug it met
            log.debug("%s", self._pair, exc_info=True)
            return self._failed(error)
        self._pause = _FIRST
        return self._settings.look

    def _fail_over(self) -> None:
        while self._turns:
            balancer = self._turns[0]
            problem = ""
            try:
                self._reached().failover()
            except SekishoError as error:
                problem = error.fixer
            self._turns.popleft()
            self._keeper.turned(balancer, problem)

    def _carry(self) -> None:
        revision, balancers = self._keeper.wanted(self._pair)
        again = self._outcome is not None and self._outcome.problems
        if revision == self._carried and not again and not self._drifted():
            return
        self._outcome = self._reached().carry(balancers)
        self._carried = revision
        if self._outcome.changes:
            log.info("%s: %d changes at revision %d", self._pair, self._outcome.changes, revision)

    def _drifted(self) -> bool:
        """Look for what others changed, if it is time; tell whether it is to be carried anew."""
        if not self._settings.drift or self._clock.passed() < self._drift_due:
            return False
        self._drift_due = self._clock.passed() + self._settings.drift
        found = self._reached().drift()
        self._keeper.drifted(self._pair, found)
        return bool(found) and self._settings.repair

    def _look(self) -> None:
        health = self._reached().health()
        problems = self._outcome.problems if self._outcome is not None else {}
        report = DirectorReport(
            self._pair,
            self._carried,
            active=True,
            operating=health.operating,
            problems=problems,
            statistics=health.statistics,
        )
        self._keeper.take(self._pair, report)

    def _failed(self, error: Exception) -> float:
        said = error.fixer if isinstance(error, SekishoError) else f"{type(error).__name__}: {error}"
        log.warning("%s: %s", self._pair, said)
        self._keeper.unreached(self._pair, said)
        self._carried = -1  # nobody knows what it did before it failed
        self._drop()
        pause, self._pause = self._pause, min(self._settings.look, self._pause * 2)
        return pause

    def _reached(self) -> BalancerDriver:
        if self._driver is None:
            self._driver = self._connect(self._settings.pairs[self._pair])
        return self._driver

    def _drop(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(SekishoError):
                driver.close()

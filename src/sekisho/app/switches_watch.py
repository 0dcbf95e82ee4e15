"""Looks at every switch again and again: what differs from its file, since when, by whom; keeps backups."""

from __future__ import annotations

import json
import logging
import queue
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from sekisho.app import switches_plans as plans
from sekisho.app.switches_threads import workers
from sekisho.devices.switch import drift
from sekisho.devices.switch.plan import plan
from sekisho.devices.switch.said import clean
from sekisho.devices.switch.telling import logged
from sekisho.model.errors import Conflict, Refused, SekishoError, Unavailable, Unsupported
from sekisho.model.switch import Accord, DriftPolicy, DriftView, SwitchView

if TYPE_CHECKING:
    from sekisho.app.switches_backups import Backups
    from sekisho.app.switches_folder import Folder
    from sekisho.app.switches_identity import Identities
    from sekisho.app.switches_reach import Reach
    from sekisho.devices.switch.document import Switch
    from sekisho.devices.switch.driver import Account, SwitchDriver
    from sekisho.devices.switch.intent import Intent, State
    from sekisho.devices.switch.plan import Plan
    from sekisho.host.clock import Clock
    from sekisho.ledger.ledger import Ledger

log = logging.getLogger("sekisho.switches")

# How often is looked whose turn it is.
TICK: Final = 1.0
# The first looks after a start are spread over so many seconds.
SPREAD: Final = 60.0
# So far the clock of a switch may be behind ours.
SKEW: Final = 300.0
# Of a switch that was never seen in accord, so much of its record is asked for.
BACK: Final = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds between two looks at a switch (0 is never), and the share of it by which pauses differ."""

    every: float = 900.0
    jitter: float = 0.1
    parallel: int = 8
    wait: float = 60.0


@dataclass(slots=True)
class Seen:
    """What is known of one switch."""

    view: SwitchView
    drift: DriftView
    due: float = 0.0
    looking: bool = False


@dataclass(slots=True)
class Watch:
    """Knows what the switches were when they were last looked at; thread-safe.

    `policy` says what is done about a switch's drift, and `act` does it. `intent` is what a switch should
    be: its file's with what the cloud brings. `secret` is the key of fingerprints and digests.
    """

    folder: Folder
    reach: Reach
    backups: Backups
    ledger: Ledger
    clock: Clock
    pauses: Pauses
    policy: Callable[[str], DriftPolicy]
    intent: Callable[[Switch, SwitchDriver], Intent]
    act: Callable[[Switch, Plan, DriftView, SwitchDriver], None]
    secret: bytes
    identities: Identities
    failures: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    _seen: dict[str, Seen] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- again and again --------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Look at whoever's turn it is until told to stop."""
        if not self.pauses.every:
            stop.wait()
            return
        waiting: queue.SimpleQueue[Switch] = queue.SimpleQueue()
        workers(self._look_again, waiting, self.pauses.parallel, stop)
        while not stop.wait(TICK):
            for switch in self.due():
                waiting.put(switch)

    def due(self) -> list[Switch]:
        """Take those whose turn it is; each is given once, until it has been looked at."""
        now = self.clock.passed()
        found = []
        switches = self.folder.good()
        with self._lock:
            for name in self._seen.keys() - switches.keys():
                del self._seen[name]
            for switch in switches.values():
                known = self._known(switch)
                if known.due <= now and not known.looking:
                    known.looking = True
                    found.append(switch)
        return found

    def _look_again(self, switch: Switch) -> None:
        try:
            self.look(switch, 0.0, active=True)
        except Exception:  # a thread that dies looks at nobody more
            log.exception("%s: looking at it met a fault of ours", switch.name)
        finally:
            span = self.pauses.every * (1 + self.pauses.jitter * random.uniform(-1, 1))  # noqa: S311 - no secret
            with self._lock:
                known = self._known(switch)
                known.looking, known.due = False, self.clock.passed() + span

    # --- one look ---------------------------------------------------------------------------------

    def look(self, switch: Switch, wait: float, *, active: bool = False) -> DriftView:
        """Read a switch and compare it with its file; `active` also does what the policy says."""
        try:
            with self.reach.hold(switch, wait) as line:
                return self._read(switch, line.driver(), active=active)
        except Conflict as error:  # somebody reads or changes it
            return replace(self.drift(switch), problem=error.asker)
        except SekishoError as error:
            return self._missed(switch, error)
        except Exception as error:  # a switch that says what nobody foresaw hinders no other
            log.exception("%s: looking at it met a fault of ours", switch.name)
            return self._missed(switch, plans.foreign(switch.name, error))

    def _read(self, switch: Switch, driver: SwitchDriver, *, active: bool) -> DriftView:
        state, now = driver.read(), self.clock.now()
        self.identities.check(switch, state)
        self._met(switch, state, now)
        self.backups.keep(switch.name, driver.running(), now)
        found = plan(self.intent(switch, driver), state, driver.abilities(), self.secret)
        kept = self._recall(switch.name)
        if not found:
            return self._in_accord(switch, plans.intent_digest(switch.intent, self.secret), now)
        accord = Accord.DRIFT if self.settled(switch) else Accord.PENDING
        since = float(kept.get("since", 0.0))
        record = _record(driver, (since or now - BACK) - SKEW)
        theirs = drift.touches(record, switch.connection.username, since)
        told = drift.blame(found.steps, theirs)
        named = {t for d in told for t in d.by}
        seen = DriftView(
            switch.name,
            accord,
            now,
            since,
            found.fingerprint,
            told,
            tuple(t for t in theirs if t not in named)[: drift.OTHERS],
            self.policy(switch.name),
        )
        self._put(switch, seen)
        if active and accord is Accord.DRIFT:
            try:
                self.act(switch, found, seen, driver)
            except SekishoError as error:  # it is being changed at this moment, or the ledger is away
                log.warning(
                    "%s: nothing is done about its drift: %s", switch.name, logged(error, switch.name)
                )
        return seen

    def _in_accord(self, switch: Switch, intent: str, now: float) -> DriftView:
        self.settle(switch.name, intent, now)
        seen = DriftView(switch.name, Accord.ACCORD, now, now, policy=self.policy(switch.name))
        self._put(switch, seen)
        return seen

    def _met(self, switch: Switch, state: State, now: float) -> None:
        with self._lock:
            self.looks += 1
            known = self._known(switch)
            f = state.facts
            hostname, model, serial, version = map(clean, (f.hostname, f.model, f.serial, f.version))
            known.view = replace(
                known.view, hostname=hostname, model=model, serial=serial, version=version, read=now
            )

    def _missed(self, switch: Switch, error: SekishoError) -> DriftView:
        said = plans.said(error)
        with self._lock:
            self.failures[switch.name] = self.failures.get(switch.name, 0) + 1
            known = self._known(switch)
            known.view = replace(known.view, problem=said)
            known.drift = replace(known.drift, problem=said, away=isinstance(error, Unavailable))
            seen = known.drift
        how = log.info if isinstance(error, Unavailable) else log.warning
        how("%s: cannot be compared with its file: %s", switch.name, logged(error, switch.name))
        return seen

    def _put(self, switch: Switch, seen: DriftView) -> None:
        with self._lock:
            known = self._known(switch)
            count = len(seen.differences)
            known.view = replace(known.view, accord=seen.accord, differences=count, problem="")
            known.drift = seen

    # --- what is known ----------------------------------------------------------------------------

    def settle(self, name: str, intent: str, now: float) -> None:
        """Remember that a switch is as its file says; an empty `intent` that it is to differ."""
        told = json.dumps({"intent": intent, "since": now if intent else 0.0})
        self.ledger.remember(f"switch:{name}", told)

    def settled(self, switch: Switch) -> bool:
        """Tell whether a switch was ever as its file says now, so that what differs was done by hand."""
        kept = str(self._recall(switch.name).get("intent", ""))
        return plans.is_intent(switch.intent, kept, self.secret)

    def again(self, name: str) -> None:
        """Look at a switch soon: it was changed."""
        with self._lock:
            if name in self._seen:
                self._seen[name].due = 0.0

    def view(self, switch: Switch) -> SwitchView:
        """Tell what is known of a switch."""
        with self._lock:
            return self._known(switch).view

    def drift(self, switch: Switch) -> DriftView:
        """Tell what differed when it was last looked at."""
        with self._lock:
            return self._known(switch).drift

    def _known(self, switch: Switch) -> Seen:
        c = switch.connection
        policy = self.policy(switch.name)
        fresh = Seen(SwitchView(switch.name), DriftView(switch.name), due=self._first())
        known = self._seen.setdefault(switch.name, fresh)
        known.view = replace(known.view, driver=c.driver, address=c.address, peer=switch.peer, policy=policy)
        known.drift = replace(known.drift, policy=policy)
        return known

    def _first(self) -> float:
        """Spread the first looks, so that hundreds of switches are not asked in the same second."""
        return self.clock.passed() + random.uniform(0, min(self.pauses.every, SPREAD))  # noqa: S311 - no secret

    def _recall(self, name: str) -> Mapping[str, Any]:
        try:
            kept: Mapping[str, Any] = json.loads(self.ledger.recall(f"switch:{name}") or "{}")
        except ValueError:
            return {}
        return kept


def _record(driver: SwitchDriver, since: float) -> tuple[Account, ...]:
    """Ask who changed what; a switch that does not say has still drifted."""
    try:
        return driver.accounts(since)
    except (Refused, Unsupported) as error:
        log.info("nobody tells who changed it: %s", logged(error))
        return ()

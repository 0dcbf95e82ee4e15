"""The keeper's side of the switches: files, plans, changes, drift and backups, introduced to each other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from sekisho.app import figures
from sekisho.app import switches_plans as plans
from sekisho.app.switches_backups import Backups, diff
from sekisho.app.switches_changes import Changing, Progress, Purpose, Task
from sekisho.app.switches_folder import Folder
from sekisho.app.switches_reach import Reach, connect
from sekisho.app.switches_watch import Pauses, Watch
from sekisho.devices.switch.change import Outcome, Pace
from sekisho.devices.switch.export import export
from sekisho.devices.switch.plan import plan
from sekisho.devices.switch.rollout import Wave
from sekisho.devices.switch.work import Former, Intended, Restored
from sekisho.ledger.switches import Changes
from sekisho.model.access import Principal
from sekisho.model.errors import Conflict, Malformed, NotFound, SekishoError
from sekisho.model.switch import (
    Accord,
    BackupView,
    ChangeState,
    ChangeView,
    DriftPolicy,
    DriftView,
    PlanView,
    RolloutView,
    SwitchView,
    Verb,
    Wanted,
)

if TYPE_CHECKING:
    from sekisho.devices.switch.document import Connection, Switch
    from sekisho.devices.switch.driver import SwitchDriver
    from sekisho.devices.switch.intent import Intent
    from sekisho.devices.switch.plan import Plan
    from sekisho.host.clock import Clock
    from sekisho.ledger.ledger import Ledger
    from sekisho.ledger.switches import Kept
    from sekisho.model.report import Page

T = TypeVar("T")
Make: TypeAlias = Callable[[ChangeView], Purpose]

log = logging.getLogger("sekisho.switches")

# The name of what the keeper does by itself, in the journal.
DRIFT: Final = "drift"
# The same drift is not repaired twice within so many seconds: somebody works against us.
AGAIN: Final = 3600.0


@dataclass(frozen=True, slots=True)
class SwitchesSettings:
    """The switches. `folder` holds a file for each; a folder that is not there is no switches.

    `every` is how many seconds pass between two looks at a switch (0 never looks), `jitter` the share by
    which that differs. `drift` is what is done about drift (report, propose, repair); `propose` and `repair`
    name switches for which it is another. `parallel` switches are read at once. Seconds: `timer` until a
    switch goes back by itself, where it can; `settle` for a changed switch to become what it should be; `retry`
    between two tries to bring a switch back; `wait` for a switch that is busy. `backups` are kept of each.
    """

    folder: str = "/etc/sekisho/switches"
    every: float = 900.0
    jitter: float = 0.1
    drift: Literal["report", "propose", "repair"] = "report"
    propose: tuple[str, ...] = ()
    repair: tuple[str, ...] = ()
    parallel: int = 8
    timer: float = 300.0
    settle: float = 20.0
    retry: float = 5.0
    wait: float = 60.0
    backups: int = 200


class Switches:
    """Implements `api.switches.Switches`; thread-safe.

    `overlays` change what a switch should be beyond its file, in their order: each is given the switch, the
    intent so far and the switch's driver.
    """

    def __init__(
        self,
        settings: SwitchesSettings,
        ledger: Ledger,
        clock: Clock,
        state: Path,
        connecting: Callable[[Connection], SwitchDriver] = connect,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._stop = threading.Event()
        self._listeners: list[Callable[[str], None]] = []
        self._repaired: dict[str, tuple[str, float]] = {}
        self._totals: dict[str, float] = {}
        self.overlays: list[Callable[[Switch, Intent, SwitchDriver], Intent]] = []
        self.folder = Folder(settings.folder)
        self.reach = Reach(connecting)
        self._journal = Changes(ledger.store)
        self._backups = Backups(state / "backups", settings.backups)
        pace = Pace(settings.timer, settings.settle, retry=settings.retry)
        self._changing = Changing(
            self.folder,
            self.reach,
            self._backups,
            self._journal,
            clock,
            self._stop,
            Progress(self._tell),
            pace,
            self._ended,
        )
        self._watch = Watch(
            self.folder,
            self.reach,
            self._backups,
            ledger,
            clock,
            Pauses(settings.every, settings.jitter, settings.parallel, settings.wait),
            self.policy,
            self.intent,
            self._about_drift,
        )
        self._lock = threading.Lock()

    # --- life -------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Go on with what an earlier keeper left open."""
        self._changing.recover()

    def run(self, stop: threading.Event) -> None:
        """Look for drift until told to stop."""
        self._watch.run(stop)

    def close(self, patience: float = 5.0) -> None:
        """Begin nothing more, and wait for what is under way; what is not done is gone on with later."""
        self._stop.set()
        self._changing.close(patience)

    def listen(self, callback: Callable[[str], None]) -> None:
        """Call back, from any thread, with ``rollout:ID`` when something of a rollout changed."""
        self._listeners.append(callback)

    def _tell(self, topic: str) -> None:
        for callback in self._listeners:
            callback(topic)

    # --- looking ----------------------------------------------------------------------------------

    def switches(self) -> tuple[SwitchView, ...]:
        """List all switches as they were when last looked at."""
        switches = self.folder.switches()
        open_now = {k.change.switch: k.change.id for k in self._journal.open_now()}
        doubts = self._journal.doubts()
        return tuple(
            replace(self._watch.view(s), changing=open_now.get(n, ""), doubt=doubts.get(n, ""))
            for n, s in sorted(switches.items())
        )

    def switch(self, switch: str) -> SwitchView:
        """Tell of one switch; raises NotFound."""
        self.folder.switch(switch)
        return next(v for v in self.switches() if v.name == switch)

    def plan(self, names: Sequence[str]) -> tuple[PlanView, ...]:
        """Read switches (none named is all) and say what would change; whom nobody can read has a problem."""
        return self._side_by_side(self._plan, self._whole(names))

    def _plan(self, switch: Switch) -> PlanView:
        try:
            with self.reach.hold(switch, self._settings.wait) as line:
                driver = line.driver()
                state = driver.read()
                found = plan(self.intent(switch, driver), state, driver.abilities())
                return plans.view(driver, found)
        except SekishoError as error:
            log.info("%s: no plan: %s", switch.name, error.fixer)
            return plans.without(switch.name, error)

    def drift(self, names: Sequence[str], *, fresh: bool) -> tuple[DriftView, ...]:
        """Say what differs on switches (none named is all); `fresh` reads them now."""
        switches = self._named(names)
        if not fresh:
            return tuple(map(self._watch.drift, switches))
        return self._side_by_side(lambda s: self._watch.look(s, self._settings.wait), switches)

    def export(self, switch: str) -> str:
        """Write a switch as it is as the text of its file; it holds the switch's secrets."""
        found = self.folder.switch(switch)
        with self.reach.hold(found, self._settings.wait) as line:
            return export(line.driver().read(), found.connection)

    # --- changing ---------------------------------------------------------------------------------

    def want(self, who: Principal, wanted: Wanted) -> RolloutView:
        """Make switches what their files say; both of a pair as one. Gives the rollout as it begins."""
        switches = self._whole(wanted.switches) if wanted.switches else []
        _need(switches, wanted)
        purposes = {
            s.name: partial(self._intended, s, wanted.plans.get(s.name, ""), wanted.allow) for s in switches
        }
        wave = Wave(wanted.canary, wanted.parallel, wanted.budget)
        return self._start(who.name, Verb.APPLY, wanted.reason, switches, purposes, wave)

    def converge(self, author: str, reason: str, intents: Mapping[str, Intent]) -> RolloutView:
        """Make switches what is given, and nothing else of them; forbidden risks are refused."""
        switches = [self.folder.switch(name) for name in intents]
        purposes = {s.name: partial(self._given, intents[s.name]) for s in switches}
        everyone = Wave(0, self._settings.parallel, len(switches))
        return self._start(author, Verb.APPLY, reason, switches, purposes, everyone)

    def approve(self, who: Principal, change: str, reason: str, allow: Sequence[str] = ()) -> RolloutView:
        """Carry a proposal out, if its plan is still the same."""
        found = self._journal.change(change).change
        if found.state is not ChangeState.PROPOSED:
            raise Conflict(f"{change} is no proposal any more: it is {found.state.value}.")
        switch = self.folder.switch(found.switch)
        purpose = partial(self._intended, switch, found.plan.fingerprint, tuple(allow))
        return self._start(who.name, Verb.REPAIR, reason, [switch], {switch.name: purpose}, Wave())

    def reject(self, who: Principal, change: str, reason: str) -> ChangeView:
        """Put a proposal aside."""
        return self._journal.reject(change, who.name, reason, self._clock.now())

    def rollback(self, who: Principal, switch: str, change: str, reason: str) -> RolloutView:
        """Make a switch, and its pair, what it was before its newest change (or the one that is named)."""
        self.folder.switch(switch)
        newest = self._journal.last_applied(switch)
        kept = self._journal.change(change) if change else newest
        if kept.change.switch != switch or kept.change.state is not ChangeState.APPLIED:
            raise Conflict(f"{kept.change.id} is not in force on {switch}.")
        mine = [c for c in self._journal.rollout(kept.change.rollout) if c.unit == kept.change.unit]
        undone = [self._journal.change(c.id) for c in mine if c.state is ChangeState.APPLIED]
        purposes = {each.change.switch: partial(self._former, each) for each in undone}
        switches = [self.folder.switch(each.change.switch) for each in undone]
        return self._start(who.name, Verb.ROLLBACK, reason, switches, purposes, Wave())

    def restore(self, who: Principal, switch: str, backup: str, reason: str) -> RolloutView:
        """Make a switch what a backup says."""
        found = self.folder.switch(switch)
        text = self._backups.text(switch, backup)
        purposes: Mapping[str, Make] = {switch: lambda _change: Restored(text)}
        return self._start(who.name, Verb.RESTORE, reason, [found], purposes, Wave())

    def rollout(self, rollout: str) -> RolloutView:
        """Tell how far a rollout is; raises NotFound."""
        return self._changing.view(rollout)

    def changes(self, switch: str, limit: int, marker: str) -> Page[ChangeView]:
        """List changes, newest first."""
        return self._journal.page(switch, limit, marker)

    # --- backups ----------------------------------------------------------------------------------

    def backups(self, switch: str) -> tuple[BackupView, ...]:
        """List the kept running-configs of a switch, newest first."""
        self.folder.switch(switch)
        return self._backups.list(switch)

    def backup(self, switch: str) -> BackupView:
        """Keep the running-config of this moment, if it is not kept already."""
        found = self.folder.switch(switch)
        with self.reach.hold(found, self._settings.wait) as line:
            name = self._backups.keep(switch, line.driver().running(), self._clock.now())
        return next(b for b in self._backups.list(switch) if b.name == name)

    def backup_text(self, switch: str, backup: str) -> str:
        """Give a kept running-config; it holds secrets."""
        self.folder.switch(switch)
        return self._backups.text(switch, backup)

    def backup_diff(self, switch: str, backup: str, other: str) -> str:
        """Compare a kept running-config with another one, or with what runs now where none is named."""
        found = self.folder.switch(switch)
        if other:
            return self._backups.diff(switch, backup, other)
        text = self._backups.text(switch, backup)
        with self.reach.hold(found, self._settings.wait) as line:
            return diff(text, line.driver().running(), backup, "running")

    # --- how it goes ------------------------------------------------------------------------------

    def notices(self) -> tuple[str, ...]:
        """Say what needs a person, a sentence each."""
        found = [f"switches: {p}" for p in self.folder.problems()]
        for name, switch in sorted(self.folder.good().items()):
            view = self._watch.view(switch)
            if view.problem:
                found.append(f"switch {name}: {view.problem}")
            elif view.accord is Accord.DRIFT:
                found.append(f"switch {name}: {view.differences} things are not as its file says")
        found += [f"switch {s}: nobody knows what {c} left on it" for s, c in self._journal.doubts().items()]
        found += [f"switch {c.switch}: {c.id} waits for a yes" for c in self._journal.proposals()]
        return tuple(found)

    def metrics(self) -> dict[str, float]:
        """Give gauges and totals, named as Prometheus wants them."""
        switches = self.folder.good()
        views = [self._watch.view(s) for s in switches.values()]
        told: dict[str, float] = {"sekisho_switches": float(len(views))}
        told["sekisho_switch_looks_total"] = float(self._watch.looks)
        told["sekisho_switch_files_bad"] = float(len(self.folder.problems()))
        told["sekisho_switch_doubts"] = float(len(self._journal.doubts()))
        told["sekisho_switch_changes_open"] = float(len(self._journal.open_now()))
        for view in views:
            told[figures.metric("switch_differences", switch=view.name)] = float(view.differences)
            told[figures.metric("switch_read_seconds", switch=view.name)] = view.read
            told[figures.metric("switch_unreadable", switch=view.name)] = float(bool(view.problem))
        for name, n in tuple(self._watch.failures.items()):
            told[figures.metric("switch_failures_total", switch=name)] = float(n)
        return told | dict(self._totals)

    # --- what the parts ask of each other ---------------------------------------------------------

    def policy(self, switch: str) -> DriftPolicy:
        """Say what is done about a switch's drift."""
        if switch in self._settings.repair:
            return DriftPolicy.REPAIR
        return DriftPolicy.PROPOSE if switch in self._settings.propose else DriftPolicy(self._settings.drift)

    def intent(self, switch: Switch, driver: SwitchDriver) -> Intent:
        """Say what a switch should be: its file's intent with what is laid over it."""
        found = switch.intent
        for overlay in self.overlays:
            found = overlay(switch, found, driver)
        return found

    def _intended(self, switch: Switch, seen: str, allow: Sequence[str], change: ChangeView) -> Purpose:
        return _Late(lambda driver: self._purpose(self.intent(switch, driver), seen, allow, change))

    def _given(self, intent: Intent, change: ChangeView) -> Purpose:
        return self._purpose(intent, "", (), change)

    def _former(self, undone: Kept, _change: ChangeView) -> Purpose:
        then = undone.change
        text = partial(self._backups.text, then.switch, then.backup)
        return Former(then.checkpoint, undone.before, text)

    def _purpose(self, intent: Intent, seen: str, allow: Sequence[str], change: ChangeView) -> Intended:
        def planned(driver: SwitchDriver, found: Plan) -> None:
            if found:
                self._journal.planned(change.id, plans.view(driver, found))

        return Intended(intent, seen, tuple(allow), planned)

    def _start(
        self,
        author: str,
        verb: Verb,
        reason: str,
        switches: Sequence[Switch],
        purposes: Mapping[str, Make],
        wave: Wave,
    ) -> RolloutView:
        def task(switch: Switch, unit: str) -> Task:
            draft = ChangeView("", "", switch.name, verb, ChangeState.WAITING, author, reason, unit=unit)
            return Task(switch, draft, purposes[switch.name])

        units = []
        for names in _units(switches):
            joined = "+".join(s.name for s in names)
            units.append([task(s, joined) for s in names])
        return self._changing.start(units, wave)

    def _ended(self, task: Task, outcome: Outcome) -> None:
        name, now = task.switch.name, self._clock.now()
        key = figures.metric("switch_changes_total", verb=task.change.verb, state=outcome.state)
        with self._lock:
            self._totals[key] = self._totals.get(key, 0.0) + 1
        if outcome.state is ChangeState.APPLIED:
            made = task.change.verb in (Verb.APPLY, Verb.REPAIR)
            self._watch.settle(name, plans.intent_digest(task.switch.intent) if made else "", now)
        self._watch.again(name)

    def _about_drift(self, switch: Switch, found: Plan, seen: DriftView, driver: SwitchDriver) -> None:
        """Do what the policy says; what may not be repaired by itself is proposed."""
        if seen.policy is DriftPolicy.REPORT:
            return
        shown = plans.view(driver, found)
        draft = ChangeView(
            "", "", switch.name, Verb.REPAIR, ChangeState.PROPOSED, DRIFT, _why(seen), plan=shown
        )
        if seen.policy is DriftPolicy.REPAIR and self._may_repair(switch.name, found):
            purpose = partial(self._intended, switch, found.fingerprint, ())
            self._start(DRIFT, Verb.REPAIR, draft.reason, [switch], {switch.name: purpose}, Wave())
        else:
            self._journal.propose(draft, self._clock.now())

    def _may_repair(self, name: str, found: Plan) -> bool:
        if found.forbidden() or name in self._journal.doubts():
            return False
        before, now = self._repaired.get(name), self._clock.passed()
        if before is not None and before[0] == found.fingerprint and now - before[1] < AGAIN:
            return False
        self._repaired[name] = (found.fingerprint, now)
        return True

    # --- names ------------------------------------------------------------------------------------

    def _named(self, names: Sequence[str]) -> list[Switch]:
        known = self.folder.switches()
        unknown = [n for n in names if n not in known]
        if unknown:
            raise NotFound(f"There is no switch {unknown[0]!r}: it has no file in {self._settings.folder}.")
        return [known[n] for n in sorted(set(names) or known)]

    def _whole(self, names: Sequence[str]) -> list[Switch]:
        """Give the switches that are named, and whoever is of a pair with one of them."""
        known = self.folder.switches()
        wanted = {s.name: s for s in self._named(names)}
        wanted |= {s.peer: known[s.peer] for s in tuple(wanted.values()) if s.peer in known}
        return [wanted[n] for n in sorted(wanted)]

    def _side_by_side(self, ask: Callable[[Switch], T], switches: Sequence[Switch]) -> tuple[T, ...]:
        if len(switches) == 1:
            return (ask(switches[0]),)
        with ThreadPoolExecutor(self._settings.parallel, "sekisho-reading") as pool:
            return tuple(pool.map(ask, switches))


@dataclass(frozen=True, slots=True)
class _Late:
    """A purpose that is known only once the switch can be asked."""

    make: Callable[[SwitchDriver], Purpose]

    def prepare(self, driver: SwitchDriver, state: Any, abilities: Any) -> Any:
        return self.make(driver).prepare(driver, state, abilities)


def _units(switches: Sequence[Switch]) -> list[list[Switch]]:
    """Put the two of a pair together."""
    named = {s.name: s for s in switches}
    units: list[list[Switch]] = []
    taken: set[str] = set()
    for switch in switches:
        if switch.name not in taken:
            unit = [switch, *([named[switch.peer]] if switch.peer in named else [])]
            taken.update(s.name for s in unit)
            units.append(unit)
    return units


def _need(switches: Sequence[Switch], wanted: Wanted) -> None:
    """Refuse to change what nobody named, or what somebody who looked at plans has not looked at."""
    if not wanted.switches:
        raise Malformed("Name the switches to be changed.")
    unseen = [s.name for s in switches if wanted.plans and s.name not in wanted.plans]
    if unseen:
        raise Malformed(
            f"There is no plan for {', '.join(unseen)}: it is changed together with its pair. Plan both."
        )


def _why(seen: DriftView) -> str:
    by = sorted({t.user for d in seen.differences for t in d.by})
    who = f" by {', '.join(by)}" if by else ""
    return f"{len(seen.differences)} things were changed{who}."

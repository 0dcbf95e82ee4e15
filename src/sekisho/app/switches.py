"""The keeper's side of the switches: files, plans, changes, drift and backups, introduced to each other."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sekisho.app import switches_plans as plans
from sekisho.app.switches_backups import Backups, diff
from sekisho.app.switches_changes import Changing, Progress, Purpose, Task
from sekisho.app.switches_figures import Figures
from sekisho.app.switches_folder import Folder
from sekisho.app.switches_identity import Identities
from sekisho.app.switches_key import own_key
from sekisho.app.switches_reach import Reach, connect
from sekisho.app.switches_repair import Repair
from sekisho.app.switches_settings import SwitchesSettings
from sekisho.app.switches_threads import side_by_side
from sekisho.app.switches_wanted import Along, Late, Same, named, need, units, whole
from sekisho.app.switches_watch import Pauses, Watch
from sekisho.devices.switch.change import Outcome, Pace
from sekisho.devices.switch.export import export
from sekisho.devices.switch.plan import plan
from sekisho.devices.switch.rollout import Wave
from sekisho.devices.switch.telling import logged
from sekisho.devices.switch.work import Former, Intended, Restored
from sekisho.ledger.switches import Changes
from sekisho.model.access import Principal
from sekisho.model.errors import Conflict, SekishoError
from sekisho.model.switch import (
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
    from sekisho.devices.switch.plan import Ends, Plan
    from sekisho.host.clock import Clock
    from sekisho.ledger.ledger import Ledger
    from sekisho.ledger.switches import Kept
    from sekisho.model.report import Page

Make: TypeAlias = Callable[[ChangeView], Purpose]

log = logging.getLogger("sekisho.switches")


__all__ = ["Switches", "SwitchesSettings"]


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
        self.overlays: list[Callable[[Switch, Intent, SwitchDriver], Intent]] = []
        self.folder = Folder(settings.folder)
        self.reach = Reach(connecting)
        self._key = own_key(state)
        self.identities = Identities(ledger, self._key)
        self._journal = Changes(ledger.store)
        self._backups = Backups(state / "backups", settings.backups, self._key)
        pace = Pace(settings.timer, settings.settle, retry=settings.retry)
        self._changing = Changing(
            self.folder,
            self.reach,
            self._backups,
            self._journal,
            clock,
            self._stop,
            Progress(self._tell, int(clock.now() * 1000)),
            pace,
            self._key,
            self._ended,
        )
        self._repairs = Repair(self._journal, clock, self._repair)
        self._watch = Watch(
            self.folder,
            self.reach,
            self._backups,
            ledger,
            clock,
            Pauses(settings.every, settings.jitter, settings.parallel, settings.wait),
            settings.policy,
            self.intent,
            self._repairs,
            self._key,
            self.identities,
        )
        self._figures = Figures(self.folder, self._watch, self._journal)
        self.notices = self._figures.notices
        self.metrics = self._figures.metrics

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
        switches = self.folder.good() or self.folder.switches()
        open_now = {k.change.switch: k.change.id for k in self._journal.open_now()}
        doubts = self._journal.doubts()
        return tuple(
            replace(self._watch.view(s), changing=open_now.get(n, ""), doubt=doubts.get(n, ""))
            for n, s in sorted(switches.items())
        )

    def switch(self, switch: str) -> SwitchView:
        """Tell of one switch; raises NotFound."""
        self.folder.known(switch)
        return next(v for v in self.switches() if v.name == switch)

    def plan(self, names: Sequence[str]) -> tuple[PlanView, ...]:
        """Read switches (none named is all) and say what would change; whom nobody can read has a problem."""
        switches = whole(self.folder.switches(), names)
        found = side_by_side(self._plan, switches, self._settings.parallel)
        return plans.paired(found, {s.name: s.peer for s in switches})

    def _plan(self, switch: Switch) -> tuple[PlanView, Ends | None]:
        try:
            with self.reach.hold(switch, self._settings.wait) as line:
                driver = line.driver()
                ends = self.intent(switch, driver), driver.read(), driver.abilities()
                self.identities.check(switch, ends[1])
                return plans.view(driver, plan(*ends, self._key)), ends
        except SekishoError as error:
            log.info("%s: no plan: %s", switch.name, logged(error, switch.name))
            return plans.without(switch.name, error), None
        except Exception as error:  # a switch that says what nobody foresaw hinders no other
            log.exception("%s: no plan", switch.name)
            return plans.without(switch.name, plans.foreign(switch.name, error)), None

    def drift(self, names: Sequence[str], *, fresh: bool) -> tuple[DriftView, ...]:
        """Say what differs on switches (none named is all); `fresh` reads them now."""
        switches = named(self.folder.good() or self.folder.switches(), names)
        if not fresh:
            return tuple(map(self._watch.drift, switches))
        look = partial(self._watch.look, wait=self._settings.wait)
        return side_by_side(look, switches, self._settings.parallel)

    def export(self, switch: str) -> str:
        """Write a switch as it is as the text of its file; it holds the switch's secrets."""
        found = self.folder.known(switch)
        with self.reach.hold(found, self._settings.wait) as line:
            return export(line.driver().read(), found.connection)

    # --- changing ---------------------------------------------------------------------------------

    def want(self, who: Principal, wanted: Wanted) -> RolloutView:
        """Make switches what their files say; both of a pair as one. Gives the rollout as it begins."""
        switches = whole(self.folder.switches(), wanted.switches) if wanted.switches else []
        need(switches, wanted)
        pairs: defaultdict[frozenset[str], list[Ends]] = defaultdict(list)

        def purpose(switch: Switch) -> Make:
            seen, beside = wanted.plans.get(switch.name, ""), pairs[frozenset((switch.name, switch.peer))]
            return partial(self._intended, switch, seen, wanted.allow, beside=beside)

        purposes = {s.name: purpose(s) for s in switches}
        wave = Wave(wanted.canary, wanted.parallel, wanted.budget)
        return self._start(who.name, Verb.APPLY, wanted.reason, switches, purposes, wave)

    def converge(
        self, author: str, reason: str, intents: Mapping[str, Intent], allow: Sequence[str] = ()
    ) -> RolloutView:
        """Make switches what is given, and nothing else; forbidden risks are refused unless in `allow`."""
        switches = [self.folder.switch(name) for name in intents]
        purposes = {s.name: partial(self._given, intents[s.name], allow) for s in switches}
        everyone = Wave(0, self._settings.parallel, len(switches))
        return self._start(author, Verb.ATTACH, reason, switches, purposes, everyone)

    def approve(self, who: Principal, change: str, reason: str, allow: Sequence[str] = ()) -> RolloutView:
        """Carry a proposal out, if its plan is still the same, and with it what is proposed for its pair."""
        found = self._journal.change(change).change
        if found.state is not ChangeState.PROPOSED:
            raise Conflict(f"{change} is no proposal any more: it is {found.state.value}.")
        switch = self.folder.switch(found.switch)
        asked = replace(found, author=who.name, reason=reason)
        # Both of a pair are changed as one: what is proposed for the other one is carried out with it.
        agreed = {c.plan.fingerprint for c in self._journal.proposals() if c.switch == switch.peer}
        return self._repaired(switch, found.plan.fingerprint, asked, allow, agreed)

    def reject(self, who: Principal, change: str, reason: str) -> ChangeView:
        """Put a proposal aside."""
        return self._journal.reject(change, who.name, reason, self._clock.now())

    def rollback(self, who: Principal, switch: str, change: str, reason: str) -> RolloutView:
        """Make a switch, and its pair, what it was before its newest change (or the one that is named)."""
        self.folder.known(switch)
        newest = self._journal.last_applied(switch)
        kept = self._journal.change(change) if change else newest
        if kept.change.switch != switch or kept.change.state is not ChangeState.APPLIED:
            raise Conflict(f"{kept.change.id} is not in force on {switch}.")
        mine = [c for c in self._journal.rollout(kept.change.rollout) if c.unit == kept.change.unit]
        undone = [self._journal.change(c.id) for c in mine if c.state is ChangeState.APPLIED]
        purposes = {each.change.switch: partial(self._former, each) for each in undone}
        switches = [self.folder.known(each.change.switch) for each in undone]
        return self._start(who.name, Verb.ROLLBACK, reason, switches, purposes, Wave())

    def restore(self, who: Principal, switch: str, backup: str, reason: str) -> RolloutView:
        """Make a switch what a backup says."""
        found = self.folder.known(switch)
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
        self.folder.known(switch)
        return self._backups.list(switch)

    def backup(self, switch: str) -> BackupView:
        """Keep the running-config of this moment, if it is not kept already."""
        found = self.folder.known(switch)
        with self.reach.hold(found, self._settings.wait) as line:
            name = self._backups.keep(switch, line.driver().running(), self._clock.now())
        return next(b for b in self._backups.list(switch) if b.name == name)

    def backup_text(self, switch: str, backup: str) -> str:
        """Give a kept running-config; it holds secrets."""
        self.folder.known(switch)
        return self._backups.text(switch, backup)

    def backup_diff(self, switch: str, backup: str, other: str) -> str:
        """Compare a kept running-config with another one, or with what runs now where none is named."""
        found = self.folder.known(switch)
        if other:
            return self._backups.diff(switch, backup, other)
        text = self._backups.text(switch, backup)
        with self.reach.hold(found, self._settings.wait) as line:
            return diff(text, line.driver().running(), backup, "running")

    # --- what the parts ask of each other ---------------------------------------------------------

    def intent(self, switch: Switch, driver: SwitchDriver) -> Intent:
        """Say what a switch should be: its file's intent with what is laid over it."""
        found = switch.intent
        for overlay in self.overlays:
            found = overlay(switch, found, driver)
        return found

    def _intended(
        self,
        switch: Switch,
        seen: str,
        allow: Sequence[str],
        change: ChangeView,
        beside: list[Ends] | None = None,
    ) -> Purpose:
        def made(driver: SwitchDriver) -> Purpose:
            purpose = self._purpose(self.intent(switch, driver), seen, allow, change)
            return purpose if beside is None else replace(purpose, beside=beside)

        return Late(made)

    def _given(self, intent: Intent, allow: Sequence[str], change: ChangeView) -> Purpose:
        return self._purpose(intent, "", allow, change)

    def _former(self, undone: Kept, _change: ChangeView) -> Purpose:
        then = undone.change
        text = partial(self._backups.text, then.switch, then.backup)
        return Former(then.checkpoint, undone.before, text, self._key)

    def _purpose(self, intent: Intent, seen: str, allow: Sequence[str], change: ChangeView) -> Intended:
        def planned(driver: SwitchDriver, found: Plan) -> None:
            if found:
                self._journal.planned(change.id, plans.view(driver, found))

        return Intended(intent, seen, tuple(allow), planned, secret=self._key)

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
            made = purposes[switch.name]
            # Whoever restores a backup means the switch that is there, a replaced one, too.
            return Task(switch, draft, made if verb is Verb.RESTORE else partial(self._same, switch, made))

        tasks = []
        for unit in units(switches):
            joined = "+".join(s.name for s in unit)
            tasks.append([task(s, joined) for s in unit])
        return self._changing.start(tasks, wave)

    def _same(self, switch: Switch, made: Make, change: ChangeView) -> Purpose:
        return Same(made(change), partial(self.identities.check, switch))

    def _ended(self, task: Task, outcome: Outcome) -> None:
        name, verb = task.switch.name, task.change.verb
        self._figures.ended(verb, outcome.state)
        if outcome.state is ChangeState.APPLIED and verb is not Verb.ATTACH:
            made = verb in (Verb.APPLY, Verb.REPAIR)
            intent = plans.intent_digest(task.switch.intent, self._key) if made else ""
            self._watch.settle(name, intent, self._clock.now())
        self._watch.again(name)

    def _repair(self, switch: Switch, seen: str, asked: ChangeView, allow: Sequence[str] = ()) -> RolloutView:
        """Repair a switch by a plan that was seen; its pair comes along, so that both are changed or none."""
        return self._repaired(switch, seen, asked, allow, frozenset())

    def _repaired(
        self, switch: Switch, seen: str, asked: ChangeView, allow: Sequence[str], agreed: Collection[str]
    ) -> RolloutView:
        beside: list[Ends] = []
        mine = partial(self._intended, switch, seen, tuple(allow), beside=beside)
        purposes: dict[str, Make] = {switch.name: mine}
        unit = [switch]
        peer = self.folder.good().get(switch.peer)
        if peer is not None:
            purposes[peer.name] = partial(self._along, peer, switch.name, tuple(allow), agreed, beside)
            unit.append(peer)
        return self._start(asked.author, Verb.REPAIR, asked.reason, unit, purposes, Wave())

    def _along(
        self,
        switch: Switch,
        first: str,
        allow: Sequence[str],
        agreed: Collection[str],
        beside: list[Ends],
        change: ChangeView,
    ) -> Purpose:
        def may(fingerprint: str) -> bool:
            if fingerprint in agreed:
                return True
            repairs = self._settings.policy(switch.name) is DriftPolicy.REPAIR and self._watch.settled(switch)
            return repairs and self._repairs.along(switch.name, fingerprint)

        def made(driver: SwitchDriver) -> Purpose:
            purpose = self._purpose(self.intent(switch, driver), "", allow, change)
            return Along(replace(purpose, beside=beside), first, may)

        return Late(made)

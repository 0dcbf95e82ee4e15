"""Changes of switches while they go on: what somebody wants in, transactions carried out, each step told.

What must survive a crash is in the ledger before it happens; how far each switch is, is told from memory.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from sekisho.devices.switch.change import Before, Member, Outcome, Pace, Stopped
from sekisho.devices.switch.rollout import Rollout, Verdict, Wave
from sekisho.devices.switch.telling import logged
from sekisho.devices.switch.transaction import End, Transaction
from sekisho.model.errors import Malformed, NotFound, SekishoError, Unavailable
from sekisho.model.switch import BAD, ChangeState, ChangeView, Phase, RolloutView

if TYPE_CHECKING:
    from sekisho.app.switches_backups import Backups
    from sekisho.app.switches_folder import Folder
    from sekisho.app.switches_reach import Line, Reach
    from sekisho.devices.switch.change import Work
    from sekisho.devices.switch.document import Switch
    from sekisho.devices.switch.driver import Abilities, SwitchDriver
    from sekisho.devices.switch.intent import State
    from sekisho.host.clock import Clock
    from sekisho.ledger.switches import Changes, Kept

log = logging.getLogger("sekisho.switches")

# Seconds that a change waits for somebody who reads its switch at the moment.
WAIT: Final = 120.0


class Purpose(Protocol):
    """What a change is to make of a switch; `devices/switch/work.py` has them."""

    def prepare(self, driver: SwitchDriver, state: State, abilities: Abilities) -> Work:
        """See what there is to do; raises what speaks against it."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """One switch's change, and what it is for; the purpose is made once the change has its id."""

    switch: Switch
    change: ChangeView
    purpose: Callable[[ChangeView], Purpose]


Unit: TypeAlias = tuple[Task, ...]


@dataclass(slots=True)
class Progress:
    """How far the open changes are; thread-safe. Revisions go on from `first`, past any earlier keeper's."""

    tell: Callable[[str], None]
    first: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _phases: dict[str, tuple[Phase, int, int, str]] = field(default_factory=dict)
    _revisions: dict[str, int] = field(default_factory=dict)

    def put(self, change: ChangeView, phase: Phase, done: int, of: int, problem: str) -> None:
        """Take down what is being done, and tell whoever waits for it."""
        with self._lock:
            self._phases[change.id] = (phase, done, of, problem)
        self.touch(change.rollout)

    def touch(self, rollout: str) -> None:
        """Say that something of a rollout changed."""
        with self._lock:
            self._revisions[rollout] = self._revisions.get(rollout, 0) + 1
        self.tell(f"rollout:{rollout}")

    def revision(self, rollout: str) -> int:
        """Tell how many events of a rollout there were."""
        with self._lock:
            return self.first + self._revisions.get(rollout, 0)

    def over(self, found: Sequence[ChangeView], rollout: str, revision: int) -> RolloutView:
        """Lay what is being done over what was written, read after `revision`."""
        with self._lock:
            phases = dict(self._phases)
        shown = []
        for change in found:
            phase, done, of, problem = phases.get(change.id, (Phase.WAITING, 0, 0, ""))
            if change.ended:
                phase = Phase.ENDED
            shown.append(replace(change, phase=phase, done=done, of=of, error=change.error or problem))
        return RolloutView(rollout, tuple(shown), revision)

    def forget(self, changes: Sequence[str]) -> None:
        """Let go of what has ended."""
        with self._lock:
            for change in changes:
                self._phases.pop(change, None)


@dataclass(frozen=True, slots=True)
class Record:
    """What one transaction writes down: its switches by name, their changes in the ledger."""

    changes: Mapping[str, ChangeView]
    journal: Changes
    backups: Backups
    progress: Progress
    clock: Clock
    pause: Callable[[float], bool]
    alarm: Callable[[], None] = lambda: None

    def phase(self, switch: str, phase: Phase, done: int = 0, of: int = 0, problem: str = "") -> None:
        """Tell what is being done."""
        if phase is Phase.ROLLING_BACK:
            self.alarm()
        self.progress.put(self.changes[switch], phase, done, of, problem)

    def backup(self, switch: str, text: str) -> str:
        """Keep a running-config."""
        return self.backups.keep(switch, text, self.clock.now())

    def begun(self, before: Mapping[str, Before]) -> None:
        """Write that these switches are about to be changed."""
        told = {self.changes[s].id: (b.checkpoint, b.backup, b.digest) for s, b in before.items()}
        self.journal.begun(told, self.clock.now())
        self._touch()

    def verified(self, after: Mapping[str, str]) -> None:
        """Write that they are as they should be."""
        self.journal.verified({self.changes[s].id: digest for s, digest in after.items()})

    def ended(self, outcomes: Mapping[str, Outcome]) -> None:
        """Write how it ended; a ledger that cannot write at the moment is waited for."""
        told = {self.changes[s].id: (o.state, o.receipt, o.error) for s, o in outcomes.items()}
        while True:
            try:
                self.journal.end(told, self.clock.now())
                break
            except Unavailable as error:
                log.warning("the end of a change is not written yet: %s", error.fixer)
                if self.pause(error.retry_after):
                    raise Stopped from error
        self.progress.forget(tuple(told))
        self._touch()

    def _touch(self) -> None:
        for rollout in {c.rollout for c in self.changes.values()}:
            self.progress.touch(rollout)


@dataclass(slots=True)
class Changing:
    """Carries changes out in threads of its own; thread-safe.

    `ended` is told each switch whose change has ended, and how; `secret` is the key of digests.
    """

    folder: Folder
    reach: Reach
    backups: Backups
    journal: Changes
    clock: Clock
    stop: threading.Event
    progress: Progress
    pace: Pace = field(default_factory=Pace)
    secret: bytes = b""
    ended: Callable[[Task, Outcome], None] = lambda _task, _outcome: None
    _threads: list[threading.Thread] = field(default_factory=list)

    # --- asked for --------------------------------------------------------------------------------

    def start(self, units: Sequence[Sequence[Task]], wave: Wave) -> RolloutView:
        """Write the changes down and begin; the tasks' changes are drafts. Raises Conflict, Unavailable."""
        drafts = [task.change for unit in units for task in unit]
        made = {c.switch: c for c in self.journal.open(drafts, self.clock.now())}
        known = [tuple(replace(task, change=made[task.switch.name]) for task in unit) for unit in units]
        self._spawn(f"rollout {drafts[0].verb}", lambda: self._roll(known, wave))
        changes = tuple(made.values())
        return self.progress.over(changes, changes[0].rollout, 0)

    def view(self, rollout: str) -> RolloutView:
        """Tell how far a rollout is; raises NotFound."""
        # First: who is told this revision must have heard of all that it counts, or waits for ever.
        revision = self.progress.revision(rollout)
        return self.progress.over(self.journal.rollout(rollout), rollout, revision)

    def close(self, patience: float) -> None:
        """Wait for what is under way, once `stop` is set."""
        until = self.clock.passed() + patience
        for thread in tuple(self._threads):
            thread.join(max(0.0, until - self.clock.passed()))

    # --- carried out ------------------------------------------------------------------------------

    def _roll(self, units: Sequence[Unit], wave: Wave) -> None:
        rolling: Rollout[Unit] = Rollout(units, lambda unit: self._one(rolling, unit), wave)
        left = rolling.run()
        for unit in left:
            why = "The keeper stopped." if self.stop.is_set() else "Others failed."
            outcome = Outcome(ChangeState.LEFT, "Nothing was sent.", f"Left alone: {why}")
            self._end(unit, dict.fromkeys((t.switch.name for t in unit), outcome))

    def _one(self, rolling: Rollout[Unit], unit: Unit) -> Verdict:
        if self.stop.is_set():
            rolling.stop()
        record = self._record(unit, lambda: rolling.alarm(unit))
        try:
            with ExitStack() as lines:
                members = [self._member(t, self._hold(lines, t.switch)) for t in _sorted(unit)]
                outcomes = Transaction(members, record, self._time(), self.pace, self.secret).run()
                # Before others may look at them: who does is to know already how it ended.
                self._tell(unit, outcomes)
        except Stopped:
            return Verdict.FAILED  # it stays open in the ledger, and is gone on with at the next start
        except SekishoError as error:  # a line that was not free
            log.warning("%s: %s", _names(unit), logged(error, _names(unit)))
            outcome = Outcome(ChangeState.REFUSED, "Nothing was sent.", error.asker)
            outcomes = self._end(unit, dict.fromkeys((t.switch.name for t in unit), outcome))
            self._tell(unit, outcomes)
        return _verdict(outcomes)

    def _member(self, task: Task, line: Line) -> Member:
        save = task.switch.connection.save
        prepare = task.purpose(task.change).prepare
        # The driver marks it as ours; the change's id is new on every switch.
        return Member(task.switch.name, task.change.id, line.driver, line.drop, prepare, save)

    def _hold(self, lines: ExitStack, switch: Switch) -> Line:
        return lines.enter_context(self.reach.hold(switch, WAIT))

    def _end(self, unit: Sequence[Task], outcomes: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
        try:
            self._record(unit).ended(outcomes)
        except (SekishoError, Stopped) as error:
            log.warning("%s: the end is not written: %r", _names(unit), error)
        return outcomes

    def _tell(self, unit: Sequence[Task], outcomes: Mapping[str, Outcome]) -> None:
        for task in unit:
            outcome = outcomes[task.switch.name]
            why = " ".join(outcome.error.split()).removeprefix(f"{task.switch.name}: ")
            log.info("%s: %s: %s %s", task.change.id, task.switch.name, outcome.state, why)
            try:
                self.ended(task, outcome)
            except SekishoError as error:
                log.warning(
                    "%s: its accord is not written: %s", task.switch.name, logged(error, task.switch.name)
                )

    def _record(self, unit: Sequence[Task], alarm: Callable[[], None] = lambda: None) -> Record:
        changes = {t.switch.name: t.change for t in unit}
        return Record(changes, self.journal, self.backups, self.progress, self.clock, self.stop.wait, alarm)

    def _time(self) -> _Time:
        return _Time(self.clock, self.stop)

    def _spawn(self, name: str, act: Callable[[], None]) -> None:
        self._threads = [t for t in self._threads if t.is_alive()]
        thread = threading.Thread(target=_guarded, args=(act,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    # --- after a crash ----------------------------------------------------------------------------

    def recover(self) -> None:
        """Go on with what an earlier keeper left open: what was waiting is left, the rest undone."""
        units: dict[tuple[str, str], list[Kept]] = {}
        for kept in self.journal.open_now():
            units.setdefault((kept.change.rollout, kept.change.unit), []).append(kept)
        for found in units.values():
            running = [k for k in found if k.change.state is ChangeState.RUNNING]
            waiting = {k.change.id for k in found} - {k.change.id for k in running}
            if waiting:
                told = (ChangeState.LEFT, "Nothing was sent.", "Left alone: the keeper stopped.")
                self.journal.end(dict.fromkeys(waiting, told), self.clock.now())
            if running:
                self._spawn("recovering switches", partial(self._recover, running))

    def _recover(self, found: Sequence[Kept]) -> None:
        names = "+".join(k.change.switch for k in found)
        log.warning("%s: a change was under way when the keeper ended: going on with it", names)
        record = Record(
            {k.change.switch: k.change for k in found},
            self.journal,
            self.backups,
            self.progress,
            self.clock,
            self.stop.wait,
        )
        try:
            with ExitStack() as lines:
                ends = [self._found(lines, kept) for kept in sorted(found, key=lambda k: k.change.switch)]
                members = [end.member for end in ends]
                after = {k.change.switch: k.after for k in found}
                Transaction(members, record, self._time(), self.pace, self.secret).resume(ends, after)
        except Stopped:
            return
        except SekishoError as error:
            log.warning("%s: cannot be brought back: %s", names, logged(error, names))
            outcome = Outcome(ChangeState.IN_DOUBT, "", f"It was never reached again: {error.asker}")
            record.ended({k.change.switch: outcome for k in found})

    def _found(self, lines: ExitStack, kept: Kept) -> End:
        change = kept.change
        while True:  # whose file is wrong, or away, for a while is not gone
            try:
                switch = self.folder.switch(change.switch)
                break
            except (NotFound, Malformed) as error:
                log.warning("%s: waits for its file: %s", change.id, error.fixer)
                self.progress.put(change, Phase.WAITING, 0, 0, error.asker)
                if self.stop.wait(self.pace.retry):
                    raise Stopped from error
        line = self._hold(lines, switch)
        member = Member(
            switch.name, change.checkpoint, line.driver, line.drop, _never, switch.connection.save
        )
        try:
            text = self.backups.text(change.switch, change.backup)
        except NotFound:
            text = ""
        before = Before(change.checkpoint, change.backup, kept.before)
        return End(member, before, text, armed=True, saved=bool(kept.after))


@dataclass(frozen=True, slots=True)
class _Time:
    clock: Clock
    stop: threading.Event

    def passed(self) -> float:
        return self.clock.passed()

    def pause(self, seconds: float) -> bool:
        return self.stop.wait(seconds)


def _never(driver: SwitchDriver, state: State, abilities: Abilities) -> Work:
    raise AssertionError(driver, state, abilities)


def _guarded(act: Callable[[], None]) -> None:
    try:
        act()
    except Exception:  # a thread that dies in silence is worse than any bug it met
        log.exception("a change of switches met a fault of ours")


def _sorted(unit: Unit) -> list[Task]:
    """Hold two switches always in the same order, so that nobody waits for somebody who waits for him."""
    return sorted(unit, key=lambda t: t.switch.name)


def _names(unit: Sequence[Task]) -> str:
    return "+".join(t.switch.name for t in unit)


def _verdict(outcomes: Mapping[str, Outcome]) -> Verdict:
    states = {o.state for o in outcomes.values()}
    if states & set(BAD):
        return Verdict.FAILED
    return Verdict.CHANGED if ChangeState.APPLIED in states else Verdict.NOTHING

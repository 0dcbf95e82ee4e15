"""Sees to it that switches carry what the cloud wants: one by one, as soon as they answer.

Each switch has a turn of its own. One that does not answer is tried again, by threads of its kind only, so
that it delays nobody else; when it answers again it gets what it missed, which is what is wanted by then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from sekisho.app.attachments import Attachments
from sekisho.devices.switch.attach import cloud_only, spared
from sekisho.devices.switch.plan import plan
from sekisho.devices.switch.risk import RiskKind
from sekisho.devices.switch.telling import logged
from sekisho.host.tasks import Troubles
from sekisho.model.errors import NotFound, SekishoError, Unavailable
from sekisho.model.switch import ChangeState

if TYPE_CHECKING:
    from sekisho.app.attachments import Memory
    from sekisho.app.keeper import Keeper
    from sekisho.app.switches import Switches
    from sekisho.app.switches_reach import Line
    from sekisho.devices.switch.attach import Demand
    from sekisho.devices.switch.document import Switch
    from sekisho.devices.switch.driver import Abilities
    from sekisho.devices.switch.intent import Intent, State
    from sekisho.model.switch import RolloutView

log = logging.getLogger("sekisho.attachments")

AUTHOR: Final = "cloud"
# Uplinks may carry all of the cloud's ids; what is in one of them by itself is spared.
ALLOWED: Final = (RiskKind.VLAN_WITH_PORTS,)
# Seconds: the first pause after a failure, doubled up to the longest.
RETRY: Final = 2.0
LONGEST: Final = 60.0
# Seconds between two looks at a switch whose neighbours tell where hosts are; sooner while one is missing.
LOOK: Final = 300.0
MISSING: Final = 30.0
# Seconds to wait for a switch that is being read or changed by others.
BUSY: Final = 30.0
# Switches that are changed at once, and as many of those that have failed.
LANES: Final = 8
# How long the thread sleeps at most, and how often an open change is asked after, in seconds.
NAP: Final = 1.0
GOOD: Final = (ChangeState.APPLIED, ChangeState.UNCHANGED)


class Room(Protocol):
    """The keeper's switches, as far as they are needed here."""

    def known(self) -> Mapping[str, Switch]:
        """Give the switches by name."""
        ...

    def hold(self, switch: Switch, wait: float) -> AbstractContextManager[Line]:
        """Give a switch's line, alone; raises Conflict."""
        ...

    def check(self, switch: Switch, state: State) -> None:
        """Refuse what reads as another switch than before; raises Unavailable."""
        ...

    def converge(
        self, author: str, reason: str, intents: Mapping[str, Intent], allow: Sequence[str]
    ) -> RolloutView:
        """Begin to make switches what is given; `allow` names risks that are taken."""
        ...

    def rollout(self, rollout: str) -> RolloutView:
        """Tell how far that is."""
        ...


@dataclass(slots=True)
class _Turn:
    """One switch: how often it had news, up to which of them it has been brought, when it is due again.

    `slow` tells that it had failed when its turn began.
    """

    wanted: int = 1
    carried: int = 0
    due: float = 0.0
    pause: float = 0.0
    busy: bool = False
    slow: bool = False
    problem: str = ""


@dataclass(slots=True)
class Following:
    """Brings switches up to what is wanted; `passed` is seconds that only grow."""

    attachments: Attachments
    room: Room
    passed: Callable[[], float]
    stop: threading.Event
    differs: Callable[[Intent, State, Abilities], bool] = lambda i, s, a: bool(plan(i, s, a))
    lanes: int = LANES
    _turns: dict[str, _Turn] = field(default_factory=dict)
    _files: Mapping[str, Switch] = field(default_factory=dict)
    _some: threading.Condition = field(default_factory=threading.Condition)
    _troubles: Troubles = field(default_factory=lambda: Troubles(log))

    def changed(self, switches: Iterable[str]) -> None:
        """Hear that something else is wanted of switches."""
        with self._some:
            for name in switches:
                turn = self._turns.setdefault(name, _Turn(0))
                turn.wanted += 1
                if not turn.pause:
                    turn.due = 0.0
            self._some.notify_all()

    def fares(self, switch: str) -> tuple[bool, str]:
        """Tell whether a switch carries all that is wanted, and if not, what went wrong."""
        with self._some:
            turn = self._turns.get(switch, _Turn())
            return turn.carried == turn.wanted, turn.problem

    def notices(self) -> tuple[str, ...]:
        """Say what needs a person, a sentence each."""
        with self._some:
            found = {n: t.problem for n, t in self._turns.items() if t.problem}
        lost = self.attachments.lost()
        told = [f"switch {n}: the cloud's VLANs are not carried: {p}" for n, p in sorted(found.items())]
        for name, hosts in sorted(self.attachments.contested().items()):
            told.append(
                f"switch {name}: {', '.join(hosts[:5])} is heard in more than one place, or beside another "
                "host; where it was not before gets nothing: write under [attach.hosts] where it is"
            )
        if lost:
            told.append(
                f"hosts {', '.join(lost[:5])}{' ...' * (len(lost) > 5)}: no switch is known to have them"
            )
        return tuple(told)

    # --- the thread -------------------------------------------------------------------------------

    def look(self) -> None:
        """Begin what is due, and wait for more; to be called again and again."""
        known = self.room.known()
        there = {n for n, s in known.items() if s.attach.vlans}
        self.changed(self._edited(known) & there)
        with self._some:
            for gone in self._turns.keys() - there:
                if not self._turns[gone].busy:
                    del self._turns[gone]
            for name in there:
                self._turns.setdefault(name, _Turn())
            for name in self._due():
                self._begin(name)
            if not self.stop.is_set():
                self._some.wait(NAP)

    def _edited(self, known: Mapping[str, Switch]) -> set[str]:
        """Name the switches whose files changed since the last look, and whom that may concern."""
        before, self._files = self._files, dict(known)
        found = {n for n, s in known.items() if n in before and before[n] is not s and before[n] != s}
        found |= known.keys() ^ before.keys()
        if not found or not before:
            return set()
        pairs = {s.peer for files in (before, known) for n, s in files.items() if n in found}
        # A host that a file names is looked for nowhere else, and one that none names any more, everywhere.
        return found | pairs | {n for n, s in known.items() if s.attach.lldp}

    def _due(self) -> list[str]:
        """Name the switches whose turn it is, the longest waiting first, as far as their lane has room."""
        now = self.passed()
        room = {
            slow: self.lanes - sum(t.busy and t.slow is slow for t in self._turns.values())
            for slow in (False, True)
        }
        found = []
        for name, turn in sorted(self._turns.items(), key=lambda item: item[1].due):
            if not turn.busy and turn.due <= now and room[bool(turn.pause)] > 0:
                room[bool(turn.pause)] -= 1
                found.append(name)
        return found

    def _begin(self, name: str) -> None:
        turn = self._turns[name]
        turn.busy, turn.slow = True, bool(turn.pause)
        threading.Thread(target=self._carry, args=(name,), name=f"attach {name}", daemon=True).start()

    # --- one switch -------------------------------------------------------------------------------

    def _carry(self, name: str) -> None:
        with self._some:
            wanted = self._turns[name].wanted
        problem = ""
        try:
            problem = self._bring(name)
        except SekishoError as error:
            problem = error.asker
            self._troubles.begin(f"switch {name}", logged(error, name))
        except Exception as error:  # whatever it is, the switch is tried again
            problem = "An unexpected error; the keeper's log has it."
            log.exception("switch %s", name)
            self._troubles.begin(f"switch {name}", repr(error))
        else:
            (self._troubles.begin if problem else self._no_trouble)(f"switch {name}", problem)
        self._done(name, wanted, problem)

    def _no_trouble(self, name: str, _: str) -> None:
        self._troubles.end(name)

    def _done(self, name: str, wanted: int, problem: str) -> None:
        with self._some:
            turn, now = self._turns[name], self.passed()
            turn.busy, turn.problem = False, problem
            if problem:
                turn.pause = min(LONGEST, turn.pause * 2 or RETRY)
                turn.due = now + turn.pause
            else:
                turn.carried, turn.pause = wanted, 0.0
                turn.due = 0.0 if turn.wanted > wanted else now + self._rest(name)
            self._some.notify_all()

    def _rest(self, name: str) -> float:
        switch = self.room.known().get(name)
        if switch is None or not switch.attach.lldp:
            return float("inf")
        return MISSING if self.attachments.lost() else LOOK

    def _bring(self, name: str) -> str:
        """Bring one switch to what is wanted of it now; what went wrong, "" when nothing did."""
        switch = self.room.known().get(name)
        if switch is None:
            return ""
        with self.room.hold(switch, BUSY) as line:
            demand, intent, different = self._compare(switch, line)
        problem = self._change(switch, intent, demand) if different else ""
        if not problem:
            self.attachments.cleared(switch, demand)
        return problem

    def _compare(self, switch: Switch, line: Line) -> tuple[Demand, Intent, bool]:
        driver = line.driver()
        state = driver.read()
        # First: nobody learns where hosts are from a switch that stands in another's place.
        self.room.check(switch, state)
        neighbours = driver.neighbours() if switch.attach.lldp else ()
        self.attachments.learn(switch, neighbours, state.parts.values())
        demand = self.attachments.demand(switch)
        intent = spared(cloud_only(switch.intent, switch.attach, demand), state.parts.values())
        return demand, intent, self.differs(intent, state, driver.abilities())

    def _change(self, switch: Switch, intent: Intent, demand: Demand) -> str:
        hosts = sorted(demand.places)
        reason = f"The VLANs of {', '.join(hosts[:5])}{' ...' * (len(hosts) > 5)}, as the cloud says."
        rollout = self.room.converge(AUTHOR, reason, {switch.name: intent}, ALLOWED)
        while not rollout.ended:
            if self.stop.wait(0.1):
                raise Unavailable("The keeper stops.")
            rollout = self.room.rollout(rollout.id)
        for change in rollout.changes:
            if change.switch == switch.name:
                return "" if change.state in GOOD else change.error or f"The change was {change.state.value}."
        raise NotFound(f"Nobody knows what became of {rollout.id}.")


@dataclass(frozen=True, slots=True)
class _Switches:
    """The keeper's own switches as a Room."""

    switches: Switches

    def known(self) -> Mapping[str, Switch]:
        return self.switches.folder.good()

    def hold(self, switch: Switch, wait: float) -> AbstractContextManager[Line]:
        return self.switches.reach.hold(switch, wait)

    def check(self, switch: Switch, state: State) -> None:
        self.switches.identities.check(switch, state)

    def converge(
        self, author: str, reason: str, intents: Mapping[str, Intent], allow: Sequence[str]
    ) -> RolloutView:
        return self.switches.converge(author, reason, intents, allow)

    def rollout(self, rollout: str) -> RolloutView:
        return self.switches.rollout(rollout)


def follow(
    switches: Switches, keeper: Keeper, memory: Memory, passed: Callable[[], float], stop: threading.Event
) -> Following:
    """Let the keeper's switches carry what the cloud wants, until `stop`."""
    attachments = Attachments(memory, switches.folder.good)
    following = Following(attachments, _Switches(switches), passed, stop)
    attachments.changed, attachments.fares = following.changed, following.fares
    switches.overlays.append(attachments.overlay)
    keeper.notices.append(following.notices)
    return following

"""A switch in memory that keeps the rules of real ones and fails where it is told to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sekisho.devices.switch.driver import Abilities, Account, Neighbour, Pair, Sent
from sekisho.devices.switch.intent import KINDS, Facts, Part, State, parts
from sekisho.devices.switch.words import sentence
from sekisho.model.errors import NotFound, SekishoError, Unavailable, Unsupported
from sekisho.model.plain import from_plain, to_plain
from sekisho.testing.switch_rules import carry_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.devices.switch.driver import Step
    from sekisho.devices.switch.intent import Key

ALL_KINDS: Final = Abilities(kinds=frozenset(KINDS))
NOBODY: Final = Facts("switch", "memory", "0", "1")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the `number`-th call of a method, from 1, instead of its work.

    `done` steps of an `apply` are carried out before. With `gone` the switch answers nothing more until
    `come_back`; with `after` the call does all its work and the answer is lost.
    """

    call: str
    error: SekishoError
    number: int = 1
    done: int = 0
    gone: bool = False
    after: bool = False


@dataclass(slots=True)
class MemorySwitch:
    """A SwitchDriver over a state in memory; it refuses what real switches refuse.

    `calls` lists the methods that were called, `history` the state after each stage. `backwards` carries
    the steps of a stage out from the last to the first: their order must not matter.
    """

    state: State = field(default_factory=lambda: State(NOBODY))
    can: Abilities = ALL_KINDS
    faults: tuple[Fault, ...] = ()
    backwards: bool = False
    beside: tuple[Neighbour, ...] = ()
    paired: Pair | None = None
    gone: bool = False
    calls: list[str] = field(default_factory=list)
    history: list[State] = field(default_factory=list)
    book: list[Account] = field(default_factory=list)
    kept: dict[str, State] = field(default_factory=dict)
    saved: State | None = None
    armed: State | None = None

    def __post_init__(self) -> None:
        self.saved = self.saved or self.state

    def come_back(self) -> None:
        """Answer again after a fault with `gone`."""
        self.gone = False

    def reboot(self) -> None:
        """Forget what was not saved; checkpoints are lost."""
        self.state, self.armed, self.gone = self.saved or self.state, None, False
        self.kept.clear()

    def expire(self) -> None:
        """Let the time of `arm` run out: the switch goes back by itself."""
        if self.armed is not None:
            self.state, self.armed = self.armed, None

    def by_hand(self, account: Account, *steps: Step) -> None:
        """Change the switch as somebody else would, beside us."""
        self._carry_out(steps)
        self.book.append(account)

    def abilities(self) -> Abilities:
        """See SwitchDriver."""
        self._call("abilities")
        return self.can

    def read(self) -> State:
        """See SwitchDriver."""
        self._call("read")
        return self.state

    def render(self, steps: Sequence[Step]) -> tuple[Sent, ...]:
        """See SwitchDriver."""
        return tuple(Sent("memory", repr(step), sentence(step)) for step in steps)

    def apply(self, steps: Sequence[Step]) -> None:
        """See SwitchDriver."""
        ordered = tuple(reversed(steps)) if self.backwards else tuple(steps)
        fault = self._call("apply", hold=True)
        self._carry_out(ordered if fault is None or fault.after else ordered[: fault.done])
        self.history.append(self.state)
        if fault is not None:
            raise fault.error

    def running(self) -> str:
        """See SwitchDriver."""
        self._call("running")
        return _text(self.state.parts)

    def restore(self, text: str) -> None:
        """See SwitchDriver."""
        fault = self._call("restore", hold=True)
        if fault is None or fault.after:
            self._change(_parts(text))
        if fault is not None:
            raise fault.error

    def checkpoint(self, name: str) -> None:
        """See SwitchDriver."""
        self._call("checkpoint")
        self.kept[name] = self.state

    def checkpoints(self) -> tuple[str, ...]:
        """See SwitchDriver."""
        self._call("checkpoints")
        return tuple(self.kept)

    def rollback(self, name: str) -> None:
        """See SwitchDriver."""
        fault = self._call("rollback", hold=True)
        if name not in self.kept:
            raise NotFound(f"The switch has no checkpoint {name} any more.")
        if fault is None or fault.after:
            self._change(self.kept[name].parts)
        if fault is not None:
            raise fault.error

    def forget(self, name: str) -> None:
        """See SwitchDriver."""
        self._call("forget")
        self.kept.pop(name, None)

    def arm(self, seconds: float) -> None:
        """See SwitchDriver."""
        self._call("arm")
        if not self.can.timer:
            raise Unsupported(f"This switch cannot go back by itself after {seconds:g} seconds.")
        self.armed = self.state

    def disarm(self) -> None:
        """See SwitchDriver."""
        self._call("disarm")
        self.armed = None

    def save(self) -> None:
        """See SwitchDriver."""
        self._call("save")
        self.saved = self.state

    def accounts(self, since: float) -> tuple[Account, ...]:
        """See SwitchDriver."""
        self._call("accounts")
        return tuple(a for a in self.book if a.time >= since)

    def pair(self) -> Pair | None:
        """See SwitchDriver."""
        self._call("pair")
        return self.paired

    def neighbours(self) -> tuple[Neighbour, ...]:
        """See SwitchDriver."""
        self._call("neighbours")
        return self.beside

    def close(self) -> None:
        """See SwitchDriver."""
        self.calls.append("close")

    def _carry_out(self, steps: Sequence[Step]) -> None:
        now = dict(self.state.parts)
        try:
            carry_out(steps, now, self.can)
        finally:  # a refused stage is half done
            self._change(now)

    def _change(self, now: Mapping[Key, Part]) -> None:
        self.state = replace(self.state, parts=now)

    def _call(self, call: str, *, hold: bool = False) -> Fault | None:
        """Note a call and raise the fault that is due; with `hold` the caller raises it at its time."""
        self.calls.append(call)
        if self.gone:
            raise Unavailable(f"{self.state.facts.hostname} does not answer.")
        number = self.calls.count(call)
        fault = next((f for f in self.faults if f.call == call and f.number == number), None)
        if fault is not None:
            self.gone = fault.gone
            if not hold:
                raise fault.error
        return fault


def _text(standing: Mapping[Key, Part]) -> str:
    return "\n".join(json.dumps(to_plain(standing[key])) for key in sorted(standing)) + "\n"


def _parts(text: str) -> Mapping[Key, Part]:
    rows = [json.loads(line) for line in text.splitlines()]
    return parts(*from_plain(tuple[Part, ...], rows))

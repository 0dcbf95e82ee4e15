"""A switch in memory that keeps the rules of real ones and fails where it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sekisho.devices.switch.driver import Abilities, Account, Neighbour, Pair, Sent
from sekisho.devices.switch.intent import KINDS, Facts, State
from sekisho.model.errors import NotFound, SekishoError, Unavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.devices.switch.driver import Step

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

    `calls` lists the methods that were called, `history` the state after each stage.
    """

    state: State = field(default_factory=lambda: State(NOBODY))
    can: Abilities = ALL_KINDS
    faults: tuple[Fault, ...] = ()
    calls: list[str] = field(default_factory=list)
    history: list[State] = field(default_factory=list)
    book: list[Account] = field(default_factory=list)
    beside: tuple[Neighbour, ...] = ()
    paired: Pair | None = None
    saved: State | None = None
    gone: bool = False

    def come_back(self) -> None:
        """Answer again after a fault with `gone`."""
        self.gone = False

    def reboot(self) -> None:
        """Forget what was not saved; checkpoints are lost."""
        raise NotImplementedError

    def abilities(self) -> Abilities:
        """See SwitchDriver."""
        raise NotImplementedError

    def read(self) -> State:
        """See SwitchDriver."""
        raise NotImplementedError

    def render(self, steps: Sequence[Step]) -> tuple[Sent, ...]:
        """See SwitchDriver."""
        raise NotImplementedError

    def apply(self, steps: Sequence[Step]) -> None:
        """See SwitchDriver."""
        raise NotImplementedError

    def running(self) -> str:
        """See SwitchDriver."""
        raise NotImplementedError

    def restore(self, text: str) -> None:
        """See SwitchDriver."""
        raise NotImplementedError

    def checkpoint(self, name: str) -> None:
        """See SwitchDriver."""
        raise NotImplementedError

    def checkpoints(self) -> tuple[str, ...]:
        """See SwitchDriver."""
        raise NotImplementedError

    def rollback(self, name: str) -> None:
        """See SwitchDriver."""
        raise NotFound(name)

    def forget(self, name: str) -> None:
        """See SwitchDriver."""
        raise NotImplementedError

    def arm(self, seconds: float) -> None:
        """See SwitchDriver."""
        raise Unsupported(str(seconds))

    def disarm(self) -> None:
        """See SwitchDriver."""
        raise Unavailable("")

    def save(self) -> None:
        """See SwitchDriver."""
        raise NotImplementedError

    def accounts(self, since: float) -> tuple[Account, ...]:
        """See SwitchDriver."""
        raise NotImplementedError

    def pair(self) -> Pair | None:
        """See SwitchDriver."""
        raise NotImplementedError

    def neighbours(self) -> tuple[Neighbour, ...]:
        """See SwitchDriver."""
        raise NotImplementedError

    def close(self) -> None:
        """See SwitchDriver."""
        raise NotImplementedError

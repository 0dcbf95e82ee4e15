"""What a change of switches is made of: what is to be done to each, what it was before, how it ended."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sekisho.devices.switch.driver import Abilities, SwitchDriver
    from sekisho.devices.switch.intent import Key, Part, State
    from sekisho.model.switch import ChangeState, Phase


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: until the switch goes back by itself, to settle after a change, between looks and tries."""

    timer: float = 300.0
    settle: float = 20.0
    look: float = 1.0
    retry: float = 5.0


class Time(Protocol):
    """What a transaction knows of time."""

    def passed(self) -> float:
        """Tell seconds that only grow."""
        ...

    def pause(self, seconds: float) -> bool:
        """Wait; True when the keeper is to stop."""
        ...


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done to one switch: stages in their order, and what is not as it should be afterwards.

    No stages is nothing to do. `faults` may ask the switch more than the state tells. `loosens` says that
    the pair may be worse off afterwards, because somebody allowed it.
    """

    stages: tuple[Callable[[SwitchDriver], None], ...]
    faults: Callable[[SwitchDriver, State], tuple[str, ...]]
    loosens: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One switch of a change.

    `reach` gives its connection, a new one after `drop`. `prepare` makes the work from what the switch is,
    and raises what speaks against it. `checkpoint` is the name for what it was before. Without `save` a
    change is not kept over a restart of the switch.
    """

    switch: str
    checkpoint: str
    reach: Callable[[], SwitchDriver]
    drop: Callable[[], None]
    prepare: Callable[[SwitchDriver, State, Abilities], Work]
    save: bool = True


@dataclass(frozen=True, slots=True)
class Before:
    """What a switch was: its checkpoint, its kept running-config by name, and its parts' digest."""

    checkpoint: str
    backup: str
    digest: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a change of one switch ended, and how that is known."""

    state: ChangeState
    receipt: str = ""
    error: str = ""


class Record(Protocol):
    """Where a transaction writes down what it is about to do; each call is one write for all its switches."""

    def phase(self, switch: str, phase: Phase, done: int = 0, of: int = 0, problem: str = "") -> None:
        """Tell what is being done; lost with the process."""
        ...

    def backup(self, switch: str, text: str) -> str:
        """Keep a running-config; gives its name."""
        ...

    def begun(self, before: Mapping[str, Before]) -> None:
        """Write that these switches are about to be changed."""
        ...

    def verified(self, after: Mapping[str, str]) -> None:
        """Write that all is as it should be, by digest, and about to be saved."""
        ...

    def ended(self, outcomes: Mapping[str, Outcome]) -> None:
        """Write how it ended."""
        ...


class Stopped(Exception):
    """The keeper is to stop while a switch is not proven to be anything yet."""


def digest(parts: Mapping[Key, Part], secret: bytes = b"") -> str:
    """Name what a switch is, so that two readings can be compared and nothing secret is kept.

    `secret` is the key under which it is named: a plain hash would let passwords and communities be guessed.
    """
    return named((repr(parts[name]) for name in sorted(parts)), secret)


def named(said: Iterable[str], secret: bytes) -> str:
    """Name what is said; a name that was made under a key begins with k, which no other one does."""
    told = hmac.new(secret, digestmod=hashlib.sha256) if secret else hashlib.sha256()
    for each in said:
        told.update(each.encode())
    return f"k{told.hexdigest()[:31]}" if secret else told.hexdigest()[:32]


def is_named(parts: Mapping[Key, Part], name: str, secret: bytes) -> bool:
    """Tell whether a switch is what a name of `digest` says; keepers of before made names without a key."""
    return digest(parts, secret if name.startswith("k") else b"") == name

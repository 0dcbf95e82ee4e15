"""What a kind of switch must be able to do to be planned for, changed and rolled back.

A driver speaks one switch's dialect and holds one connection; it is used by one thread at a time. It
raises only the error tree: Unavailable (nobody answered), Refused (the switch said no), Conflict (somebody
else holds the configuration), Unsupported (this kind cannot), Unauthenticated (wrong name or password).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.devices.switch.intent import Part, State


@dataclass(frozen=True, slots=True)
class Step:
    """One part's way from `before` to `after`, both whole, never halves; None is not being there."""

    before: Part | None
    after: Part | None


@dataclass(frozen=True, slots=True)
class Sent:
    """What is sent for some steps, exactly: `how` names the door (``dme``, ``cli``), `text` what passes it.

    `shown` is the same without secrets, for people, plans and the journal.
    """

    how: str
    text: str
    shown: str


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a driver's switch can: which kinds of part it has, and whether it goes back by itself.

    `timer` tells that `arm` works: the switch itself rolls back when nobody confirms in time.
    """

    kinds: frozenset[str]
    timer: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """One line of the switch's own record of who changed what; `time` is unix seconds by its clock."""

    time: float
    user: str
    origin: str  # an address, a terminal, or "" if not told
    command: str


@dataclass(frozen=True, slots=True)
class Pair:
    """How the two switches of a pair see each other; `inconsistent` names parameters that differ."""

    peer_up: bool
    keepalive_up: bool
    inconsistent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Who is at the other end of an interface, as LLDP tells it (IEEE 802.1AB)."""

    port: str
    system: str
    remote_port: str


class SwitchDriver(Protocol):
    """Speaks to one switch; see the module's first lines for errors."""

    def abilities(self) -> Abilities:
        """Tell what this switch can; may ask it for its version."""
        ...

    def read(self) -> State:
        """Tell everything that the switch has, of all kinds in `abilities`."""
        ...

    def render(self, steps: Sequence[Step]) -> tuple[Sent, ...]:
        """Say what `apply` would send for these steps; asks nobody. Raises Unsupported."""
        ...

    def apply(self, steps: Sequence[Step]) -> None:
        """Carry out one stage: steps whose order among each other does not matter.

        Returns when the switch has taken all. Raises Refused with the switch's own words if it did not take
        one; the others may then be done or not.
        """
        ...

    def running(self) -> str:
        """Give the whole running configuration as text, for backups and comparison; it holds secrets."""
        ...

    def restore(self, text: str) -> None:
        """Make a text of `running` the whole running configuration."""
        ...

    def checkpoint(self, name: str) -> None:
        """Keep the running configuration on the switch under a name, replacing an older one of that name."""
        ...

    def checkpoints(self) -> tuple[str, ...]:
        """List the names of the checkpoints on the switch that we made."""
        ...

    def rollback(self, name: str) -> None:
        """Make a checkpoint the running configuration again; raises NotFound if the switch has it no more."""
        ...

    def forget(self, name: str) -> None:
        """Remove a checkpoint; one that is not there is no error."""
        ...

    def arm(self, seconds: float) -> None:
        """Let the switch go back by itself unless `disarm` comes in time; raises Unsupported if it cannot."""
        ...

    def disarm(self) -> None:
        """Keep what was changed since `arm`."""
        ...

    def save(self) -> None:
        """Keep the running configuration over a restart."""
        ...

    def accounts(self, since: float) -> tuple[Account, ...]:
        """Tell who changed what since a time, unix seconds; empty where the switch keeps no such record."""
        ...

    def pair(self) -> Pair | None:
        """Tell how the pair is; None for a switch that is in none."""
        ...

    def neighbours(self) -> tuple[Neighbour, ...]:
        """List who is at the other end of the interfaces."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...

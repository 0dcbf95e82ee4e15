"""What a kind of load balancer must be able to do; the engine that drives it is `devices/converge`.

A driver raises only the error tree: Unavailable (nobody answered), Refused (the device said no), Conflict (it
changed meanwhile, or is another's), Unsupported (this kind cannot).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.model.balancer import Balancer, Operating, Statistics


@dataclass(frozen=True, slots=True)
class Outcome:
    """What carrying a program came to: how many things were changed, and what is wrong, by balancer id."""

    changes: int
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """How things do now: operating status by object id (balancers, listeners, pools, members)."""

    operating: Mapping[str, Operating]
    statistics: tuple[Statistics, ...] = ()


class BalancerDriver(Protocol):
    """Speaks to one device, a director's own kernel or an ADX pair; used by one thread at a time."""

    def carry(self, balancers: Sequence[Balancer]) -> Outcome:
        """Make the device carry these and nothing else of ours; what others configured is left alone.

        A balancer that cannot be carried is told in the outcome and keeps no other from being carried.
        Work is done for what differs only. Raises when the device as a whole cannot be driven.
        """
        ...

    def health(self) -> Health:
        """Tell how what is carried does, and its totals."""
        ...

    def drift(self) -> tuple[str, ...]:
        """Say, a sentence each, what stands on the device under our names and is not as last carried."""
        ...

    def failover(self) -> None:
        """Let the other one of a pair take over; raises Unsupported where there is none."""
        ...

    def close(self) -> None:
        """Let the connection go; what is carried stays."""
        ...


class Connect(Protocol):
    """What an entry point of `sekisho.balancers` is: makes a driver, and asks the device nothing yet."""

    def __call__(self, options: Mapping[str, Any], secret: str) -> BalancerDriver:
        """Make a driver of a device's `options` in the settings and its password; raises Malformed."""
        ...


class Provider(Protocol):
    """What a kind of balancer cannot do, said before anything is written; pure."""

    def unsupported(self, balancer: Balancer) -> str:
        """Say in one sentence what of it cannot be carried and what to do instead, "" when all can."""
        ...

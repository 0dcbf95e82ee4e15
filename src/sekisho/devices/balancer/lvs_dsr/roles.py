"""What the driver needs of others: who checks members, who holds the VIPs, what is remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sekisho.devices.balancer.lvs_dsr.services import Key
    from sekisho.model.balancer import Monitor
    from sekisho.model.balancer import Protocol as Takes


@dataclass(frozen=True, slots=True)
class Target:
    """A member to be asked: where its check goes, and the VIP and port it must answer to as well."""

    member: str
    address: str  # what its check asks
    port: int
    monitor: Monitor
    server: str  # the member's own address, whose MAC frames for the VIP go to
    vip: str
    takes: Takes
    vip_port: int = 0  # 0 where nothing listens on the VIP yet


class Checks(Protocol):
    """Asks members how they are and says so when that changes; thread-safe."""

    def watch(self, balancer: str, targets: Sequence[Target]) -> None:
        """Ask these of a balancer from now on and no others; none ends it. What goes on keeps its count."""
        ...

    def close(self) -> None:
        """Ask nobody any more."""
        ...


class Vips(Protocol):
    """Holds the VIPs' addresses, here or on the other director of a pair."""

    def carry(self, addresses: Collection[str]) -> bool:
        """Make these the VIPs, and tell whether something changed; raises Unavailable or Refused."""
        ...

    def active(self) -> bool:
        """Tell whether they are here."""
        ...

    def failover(self) -> None:
        """Let the other director have them; raises Unsupported where there is none."""
        ...


class Places(Protocol):
    """Knows which addresses are the director's own."""

    def own(self, addresses: Iterable[str]) -> frozenset[str]:
        """Give those that are; raises Unavailable."""
        ...

    def routed(self, addresses: Iterable[str]) -> frozenset[str]:
        """Give those that a router is on the way to; raises Unavailable."""
        ...


class Gate(Protocol):
    """Keeps away from services who may not ask them."""

    held: Mapping[Key, tuple[str, ...]]  # what it keeps to now

    def carry(self, allowed: Mapping[Key, tuple[str, ...]], vips: frozenset[str] = frozenset()) -> bool:
        """Let only these networks ask these services, and anybody all others; tell whether that changed.

        At these `vips` nobody reaches anything but services, whatever else the director has listening.
        Raises SekishoError where it cannot; what it holds to then is in `held`: as before, or as asked where
        it is the VIPs alone that cannot be closed.
        """
        ...

    def missing(self) -> bool:
        """Tell whether somebody else opened it; the next `carry` closes it again."""
        ...


class Book(Protocol):
    """Remembers over restarts which addresses are ours: IPVS has no place to write it."""

    def load(self) -> frozenset[str]:
        """Give the addresses."""
        ...

    def save(self, addresses: frozenset[str]) -> None:
        """Keep them; when this returns they are safe."""
        ...


class NoPlaces:
    """For whoever has no address of its own."""

    def own(self, addresses: Iterable[str]) -> frozenset[str]:
        """Give none."""
        del addresses
        return frozenset()

    def routed(self, addresses: Iterable[str]) -> frozenset[str]:
        """Give none."""
        del addresses
        return frozenset()


class NoGate:
    """For whoever lets everybody ask."""

    held: Mapping[Key, tuple[str, ...]] = {}

    def carry(self, allowed: Mapping[Key, tuple[str, ...]], vips: frozenset[str] = frozenset()) -> bool:
        """Refuse to keep anybody away."""
        del vips
        if allowed:
            raise Unsupported("This director keeps nobody away from its VIPs.")
        return False

    def missing(self) -> bool:
        """Say that there is nothing to be opened."""
        return False


class NoVips:
    """For directors whose VIPs somebody else sets up."""

    def carry(self, addresses: Collection[str]) -> bool:
        """Do nothing."""
        del addresses
        return False

    def active(self) -> bool:
        """Say that they are here: nobody else is known."""
        return True

    def failover(self) -> None:
        """Say that this cannot be."""
        raise Unsupported("This director has no other to take over; set up [director.vrrp].")


class NoChecks:
    """For whoever trusts every member."""

    def watch(self, balancer: str, targets: Sequence[Target]) -> None:
        """Ask nobody."""
        del balancer, targets

    def close(self) -> None:
        """Do nothing."""


class ForgetfulBook:
    """For whoever never restarts."""

    def __init__(self, known: Mapping[str, object] | frozenset[str] = frozenset()) -> None:
        self._known = frozenset(known)

    def load(self) -> frozenset[str]:
        """Give the addresses."""
        return self._known

    def save(self, addresses: frozenset[str]) -> None:
        """Keep them as long as this lives."""
        self._known = addresses

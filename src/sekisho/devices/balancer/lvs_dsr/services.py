"""What stands in the kernel's IPVS table: services and where each sends its connections.

Names and numbers are those of include/uapi/linux/ip_vs.h and ipvsadm(8).
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PERSISTENT: Final = 0x1  # IP_VS_SVC_F_PERSISTENT
HASHED: Final = 0x2  # the kernel's own mark, never asked for
FALLBACK: Final = 0x8  # IP_VS_SVC_F_SCHED1: sh-fallback and mh-fallback
WITH_PORT: Final = 0x10  # IP_VS_SVC_F_SCHED2: sh-port and mh-port

PROTOCOLS: Final = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP, "SCTP": socket.IPPROTO_SCTP}


class Key(NamedTuple):
    """What names a service. `address` is written as `ipaddress` writes it."""

    protocol: int
    address: str
    port: int

    def __str__(self) -> str:
        name = next((n for n, p in PROTOCOLS.items() if p == self.protocol), str(self.protocol))
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{name} {host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Service:
    """A VIP's port: who chooses (`scheduler`), and how long a source of `netmask` bits stays (seconds)."""

    key: Key
    scheduler: str
    flags: int = 0
    persistence: int = 0
    netmask: int = 0  # bits; 0 is a single address

    @property
    def bits(self) -> int:
        """Tell how many bits of a source's address count."""
        return self.netmask or ip_address(self.key.address).max_prefixlen


@dataclass(frozen=True, slots=True)
class Dest:
    """A server of a service, always in direct return and on the service's own port."""

    address: str
    port: int
    weight: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What passed: connections ever and bytes from clients, and connections now."""

    total: int = 0
    bytes_in: int = 0
    active: int = 0
    inactive: int = 0


@dataclass(frozen=True, slots=True)
class Stand:
    """A service with its servers by address; `other` are servers that we would never have written."""

    service: Service
    dests: Mapping[str, Dest] = field(default_factory=dict)
    counts: Counts = Counts()
    loads: Mapping[str, Counts] = field(default_factory=dict)  # by address
    other: tuple[Dest, ...] = ()


class Verb(Enum):
    """What one message does; the values are the command numbers of IPVS' netlink family."""

    NEW_SERVICE = 1
    SET_SERVICE = 2
    DEL_SERVICE = 3
    NEW_DEST = 5
    SET_DEST = 6
    DEL_DEST = 7


@dataclass(frozen=True, slots=True)
class Step:
    """One message to the kernel."""

    verb: Verb
    service: Service
    dest: Dest | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """Connections told by multicast on `interface`, under a number that the pair shares (1-255)."""

    interface: str
    id: int


class Kernel(Protocol):
    """An IPVS table; what nobody of ours made is in it too. Raises Unavailable, Refused or Unsupported."""

    def services(self) -> Mapping[Key, tuple[Service, Counts]]:
        """Tell every service by address and port."""
        ...

    def stand(self, key: Key) -> Stand | None:
        """Tell one service with its servers; None when it is not there."""
        ...

    def apply(self, steps: Sequence[Step]) -> Sequence[str]:
        """Carry out steps in their order; for each "" or what the kernel said. A failure stops none."""
        ...

    def sync(self, wanted: Sync | None) -> bool:
        """Send and take connections, or neither with None; tells whether something had to change."""
        ...

    def close(self) -> None:
        """Let go."""
        ...

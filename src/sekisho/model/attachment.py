"""Which VLANs a host's servers are in, as the cloud says, and which switch ports carry them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# How many VLANs there are (IEEE 802.1Q): no host can be in more.
MOST: Final = 4094


@dataclass(frozen=True, slots=True)
class HostVlan:
    """A VLAN that a host's servers are in: its id, and the cloud's name and id of the network."""

    id: int
    name: str = ""
    network: str = ""


@dataclass(frozen=True, slots=True)
class HostVlans:
    """All VLANs of one host; none when its last server has left."""

    vlans: tuple[HostVlan, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is on a switch: by settings or LLDP, no port if only the pair's other switch has it.

    `carried` tells that the switch has been read to carry exactly the host's VLANs; else `problem` says why
    not, "" while it is under way.
    """

    switch: str
    ports: tuple[str, ...] = ()
    carried: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A host, its VLANs, and its places; without places no switch is known to have it."""

    host: str
    vlans: tuple[HostVlan, ...] = ()
    places: tuple[Place, ...] = ()

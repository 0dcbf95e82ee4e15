"""Load balancers as customers ask for them, after Octavia's own objects, and what is told of them.

An object is one thing that Octavia's API makes, changes and deletes by itself; a Balancer is a load balancer
with all that belongs to it. Octavia API v2, https://docs.openstack.org/api-ref/load-balancer/v2/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias


class Kind(StrEnum):
    """What an object is; the values are the keys of Octavia's status messages."""

    BALANCER = "loadbalancers"
    LISTENER = "listeners"
    POOL = "pools"
    MEMBER = "members"
    MONITOR = "healthmonitors"


class Provisioning(StrEnum):
    """Whether an object is on the device as asked; Octavia's provisioning status.

    Only `PENDING` is not an end: every object comes to one of the others.
    """

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"
    DELETED = "DELETED"


class Operating(StrEnum):
    """How an object does; Octavia's operating status."""

    ONLINE = "ONLINE"
    DRAINING = "DRAINING"
    OFFLINE = "OFFLINE"
    DEGRADED = "DEGRADED"
    ERROR = "ERROR"
    NO_MONITOR = "NO_MONITOR"


class Protocol(StrEnum):
    """What a listener takes; TCP stands for Octavia's HTTPS too, passed through unread."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


class Algorithm(StrEnum):
    """How a pool chooses a member."""

    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_CONNECTIONS = "LEAST_CONNECTIONS"
    SOURCE_IP = "SOURCE_IP"
    SOURCE_IP_PORT = "SOURCE_IP_PORT"


class Check(StrEnum):
    """How a member is asked whether it lives."""

    TCP = "TCP"
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TLS_HELLO = "TLS-HELLO"
    PING = "PING"
    UDP_CONNECT = "UDP-CONNECT"
    SCTP = "SCTP"


@dataclass(frozen=True, slots=True)
class Vip:
    """Where a balancer is reached: `port` is Neutron's port, `mac` that port's address."""

    address: str
    subnet: str = ""
    network: str = ""
    port: str = ""
    mac: str = ""
    cidr: str = ""
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class Monitor:
    """How a pool's members are checked: every `delay` seconds, each answer within `timeout` seconds.

    A member is down after `fall` failures in a row and up after `rise` successes. `expected` are HTTP codes
    as Octavia writes them: "200", "200,202" or "200-204".
    """

    id: str
    check: Check
    delay: int = 5
    timeout: int = 5
    rise: int = 3
    fall: int = 3
    method: str = "GET"
    path: str = "/"
    expected: str = "200"
    domain: str = ""
    http_version: str = ""
    enabled: bool = True
    kind: Literal["healthmonitors"] = "healthmonitors"


@dataclass(frozen=True, slots=True)
class Member:
    """A server; `weight` 0 gets nothing new. `backup` serves only while no other does."""

    id: str
    address: str
    port: int
    weight: int = 1
    backup: bool = False
    subnet: str = ""
    monitor_address: str = ""
    monitor_port: int = 0
    enabled: bool = True
    name: str = ""
    kind: Literal["members"] = "members"


@dataclass(frozen=True, slots=True)
class Pool:
    """Servers behind listeners. A source stays with its member for `persistence` seconds, 0 for not at all.

    `granularity` is the netmask (IPv4) or prefix length (IPv6) of what is one source then, "" for the single
    address.
    """

    id: str
    protocol: Protocol
    algorithm: Algorithm = Algorithm.ROUND_ROBIN
    members: tuple[Member, ...] = ()
    monitor: Monitor | None = None
    persistence: int = 0
    granularity: str = ""
    enabled: bool = True
    name: str = ""
    kind: Literal["pools"] = "pools"


@dataclass(frozen=True, slots=True)
class Listener:
    """A port of the VIP; `pool` is the id of its default pool, "" for none.

    `cidrs` may ask, all if none is named; `limit` is how many connections at once, -1 for any number.
    """

    id: str
    protocol: Protocol
    port: int
    pool: str = ""
    limit: int = -1
    cidrs: tuple[str, ...] = ()
    enabled: bool = True
    name: str = ""
    kind: Literal["listeners"] = "listeners"


Object: TypeAlias = Listener | Pool | Member | Monitor


@dataclass(frozen=True, slots=True)
class Balancer:
    """A load balancer, whole. `flavor` are the flavor's options, `zone` the availability zone's name."""

    id: str
    provider: str  # "lvs" or "adx"
    vip: Vip
    project: str = ""
    name: str = ""
    listeners: tuple[Listener, ...] = ()
    pools: tuple[Pool, ...] = ()
    flavor: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """How one object stands, as Octavia is told it.

    `only_operating` says that nothing but the operating status is news: to tell the provisioning status too
    would end a change that Octavia has begun meanwhile.
    """

    kind: Kind
    id: str
    provisioning: Provisioning
    operating: Operating = Operating.OFFLINE
    only_operating: bool = False


@dataclass(frozen=True, slots=True)
class Statistics:
    """A listener's totals since it was made. `bytes_out` is 0 where replies do not pass the device."""

    listener: str
    active: int = 0
    total: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What is to be told to Octavia: `revision` is given back once it has been."""

    revision: int
    statuses: tuple[ObjectStatus, ...] = ()
    statistics: tuple[Statistics, ...] = ()


@dataclass(frozen=True, slots=True)
class BalancerProgram:
    """All that one director must carry.

    `prefer` is the director of the pair that shall hold the VIPs, "" for whichever does. With `since`, which
    only the wire has, it is what changed after that revision: `gone` are ids of balancers that are carried no
    more; the client lays it over what it had, and whoever asks it gets all.
    """

    director: str
    revision: int
    balancers: tuple[Balancer, ...] = ()
    prefer: str = ""
    since: int = 0
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ailment:
    """What is wrong with balancers: on which device, with which one ("" for all there), and what."""

    device: str
    balancer: str
    sentence: str


@dataclass(frozen=True, slots=True)
class DirectorReport:
    """What a director tells: the program it has made right, how objects do, what went wrong with which.

    `problems` are sentences by balancer id, `ailments` faults that it looked for and found around it, which
    end no change. `active` says that it holds the VIPs now (VRRP master).

    Reports have a `number` each, where 0 is none. With `over`, the number of the last one that the keeper
    took, `operating` and `statistics` are what is otherwise since that one, and `gone` are objects that it
    names no more; with 0 they are all.
    """

    director: str
    revision: int
    active: bool
    operating: Mapping[str, Operating] = field(default_factory=dict)  # by object id
    problems: Mapping[str, str] = field(default_factory=dict)
    statistics: tuple[Statistics, ...] = ()
    ailments: tuple[Ailment, ...] = ()
    number: int = 0
    over: int = 0
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BalancerView:
    """A balancer as it is shown: where it is carried, how it stands, when it was made right."""

    balancer: Balancer
    provisioning: Provisioning
    operating: Operating
    devices: tuple[str, ...] = ()
    active: str = ""  # the device that holds the VIP
    problem: str = ""
    changed: float = 0.0
    in_force: float = 0.0
    statuses: tuple[ObjectStatus, ...] = ()
    statistics: tuple[Statistics, ...] = ()


@dataclass(frozen=True, slots=True)
class PairView:
    """A pair of devices as it is shown: who carries, which of them holds the VIPs, how many balancers.

    `problem` says why nothing of it is heard, "" where something is. `zones` are availability zones that it
    serves.
    """

    name: str
    provider: str
    devices: tuple[str, ...]
    zones: tuple[str, ...] = ()
    active: str = ""
    balancers: int = 0
    problem: str = ""


PROVIDERS: Final = ("lvs", "adx")

"""Who is here: subjects (virtual ports), the hosts they live on, and the whole inventory."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Subject:
    """One virtual port: whom we judge and bind.

    `id` is Neutron's port id (OVSDB `external_ids:iface-id`), or ``host/interface`` on a bare
    switch. `ifindex` and `ofport` are 0 while the switch has given none. `vlan` is the local tag of
    its access port, 0 for none. `mac` is lower case with colons. `flavor` is its server's, `qos` the
    id, the name and the tags of the QoS policy in effect on it (its own, else its network's),
    `project_created` when its project came to be (unix seconds, 0 where nobody knows). All may be stale
    but `id`.
    """

    id: str
    host: str
    project: str = ""
    server: str = ""
    network: str = ""
    mac: str = ""
    addresses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    interface: str = ""
    bridge: str = ""
    ifindex: int = 0
    ofport: int = 0
    vlan: int = 0
    flavor: str = ""
    qos: tuple[str, ...] = ()
    project_created: float = 0.0


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What one bridge of a host exports, so that its records find their subjects.

    `domain` is the observation domain (IPFIX) or sub-agent (sFlow) of the bridge's own sampling,
    `exact_domain` the domain of its exact telemetry, `sampling` the N of 1:N. Open vSwitch exports
    no sampling rate with IPFIX, so `sampling` says it here.
    """

    bridge: str
    protocol: str = "none"  # sflow, ipfix, netflow5, none
    sampling: int = 1
    domain: int = 0
    exact_domain: int = 0


@dataclass(frozen=True, slots=True)
class Host:
    """One hypervisor: the name its agent reports under and the addresses its datagrams come from."""

    name: str
    addresses: tuple[str, ...] = ()
    telemetry: tuple[Telemetry, ...] = ()


@dataclass(frozen=True, slots=True)
class HostReport:
    """What a host's agent tells the keeper: the host and every subject on it, whole."""

    host: Host
    subjects: tuple[Subject, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """A snapshot of all hosts and subjects; replaced whole, never changed. `version` only grows."""

    version: int = 0
    hosts: tuple[Host, ...] = ()
    subjects: tuple[Subject, ...] = field(default=())

"""Cases for switches that have every kind of part, each part whole: for `contract_switch`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sekisho.devices.switch.intent import (
    Ace,
    Acl,
    Community,
    Dns,
    Feature,
    Lacp,
    Ntp,
    Port,
    PortMode,
    Route,
    Storm,
    Svi,
    Syslog,
    System,
    Trap,
    User,
    Vlan,
    Vpc,
    Vrf,
)
from sekisho.testing.contract_switch import Case, ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.devices.switch.intent import State

VXLAN: Final = Feature("vxlan", enabled=True)
LACP: Final = Feature("lacp", enabled=True)
SVI: Final = Feature("svi", enabled=True)
VPC: Final = Feature("vpc", enabled=True)
WEB: Final = Vlan(10, "web", 0)
RED: Final = Vrf("red", "customers")
GUARD: Final = Acl(4, "guard", (Ace(10, permit=True, protocol="ip"),))
SIX: Final = Acl(6, "guard6", (Ace(10, permit=True, protocol="ipv6"),))
CHANNEL: Final = Port(
    "port-channel10", "to a server", enabled=True, mtu=1500, speed=0, mode=PortMode.TRUNK, access=1, native=1,
    allowed="10,20-29", edge=False, bpdu_guard=False, storm=Storm(10000, 10000, 10000), lacp=Lacp.ACTIVE,
    vpc=0, peer_link=False, acl4_in="", acl4_out="", acl6_in="", acl6_out="",
)  # fmt: skip


def whole_cases(state: State) -> tuple[Case, ...]:
    """Give cases of every kind for a switch with at least four interfaces that do nothing yet."""
    return (*_layer2(state), *_layer3(), *_lists(), *_services(), *_people(state))


def _layer2(state: State) -> Iterator[Case]:
    trunk, access, listed, member = ports(state)[:4]
    yield Case(Feature("lldp", enabled=True), Feature("lldp", enabled=False))
    yield Case(WEB, Vlan(10, "front", 0))
    yield Case(Vlan(20, "overlay", 10020), Vlan(20, "overlay", 0), (VXLAN,))
    # Ids go and come in the middle of a range, and all of them at last.
    first = replace(trunk, description="to leaf-2", mode=PortMode.TRUNK, allowed="10,20-29", native=10)
    yield Case(first, replace(first, allowed="1-19,25-4094", enabled=False, mtu=9216))
    yield Case(
        replace(trunk, mode=PortMode.TRUNK, allowed=""), replace(trunk, mode=PortMode.TRUNK, edge=True)
    )
    storm = Storm(500, 10000, 75)
    second = replace(access, access=10, edge=True, bpdu_guard=True, storm=storm)
    yield Case(second, replace(second, bpdu_guard=False, storm=replace(storm, broadcast=1000)), (WEB,))
    bound = replace(listed, acl4_in=GUARD.name, acl6_in=SIX.name)
    yield Case(bound, replace(bound, acl4_in=""), (GUARD, SIX))
    channel = replace(CHANNEL, members=(member.name,))
    touches = frozenset({("port", member.name)})
    yield Case(channel, replace(channel, description="", allowed="20-30", mtu=9216), (LACP,), touches=touches)
    pair = Vpc(10, "10.9.0.2", "10.9.0.1", "management", 100, peer_gateway=True)
    yield Case(pair, replace(pair, priority=200, peer_gateway=False), (VPC,))


def _layer3() -> Iterator[Case]:
    yield Case(RED, replace(RED, description=""))
    for vrf, needs in (("default", ()), ("red", (RED,))):
        route = Route(vrf, "10.9.0.0/16", ("10.0.0.253",), 1)
        yield Case(route, replace(route, via=("10.0.0.252", "10.0.0.254"), preference=5), needs)
    yield Case(
        Route("default", "10.8.0.0/16", ("10.0.0.254",), 1), Route("default", "10.8.0.0/16", ("discard",), 1)
    )
    six = Route("default", "2001:db8:9::/48", ("2001:db8::1",), 1)
    yield Case(six, replace(six, preference=77))
    svi = Svi(
        10, "web", enabled=True, mtu=9216, vrf="default", addresses=("10.10.0.1/24", "2001:db8:10::1/64")
    )
    svi = replace(svi, acl4_in=GUARD.name, acl4_out="", acl6_in="", acl6_out="")
    yield Case(svi, replace(svi, enabled=False, addresses=("10.11.0.1/24",), acl4_in=""), (SVI, WEB, GUARD))


def _lists() -> Iterator[Case]:
    entries = (
        Ace(10, permit=True, protocol="tcp", destination="10.0.0.0/24", destination_port="80-443"),
        Ace(20, permit=False, protocol="udp", source="10.1.0.0/16", source_port="53", log=True),
        Ace(30, permit=True, protocol="tcp", established=True),
    )
    later = (Ace(5, permit=False, protocol="ip", source="10.0.0.1/32"), *entries[1:])
    yield Case(Acl(4, "web", entries), Acl(4, "web", (*later, Ace(40, permit=True, protocol="icmp"))))
    six = Ace(10, permit=True, protocol="tcp", source="2001:db8::/32", destination_port="22")
    yield Case(Acl(6, "web6", (six,)), Acl(6, "web6", (replace(six, permit=False), Ace(20, True, "ipv6"))))


def _services() -> Iterator[Case]:
    yield Case(Ntp("10.9.9.9", "management", prefer=False), Ntp("10.9.9.9", "management", prefer=True))
    yield Case(Dns("default", "10.9.9.8"))
    yield Case(Syslog("10.9.9.7", "default", 5, 514), Syslog("10.9.9.7", "management", 3, 514))
    yield Case(Community("hushhush", write=False), Community("hushhush", write=True), secrets=("hushhush",))
    trap = Trap("10.9.9.6", "2c", "whisper", "default")
    yield Case(trap, replace(trap, community="murmur"), secrets=("whisper", "murmur"))


def _people(state: State) -> Iterator[Case]:
    hashes = [p.password for p in state.parts.values() if isinstance(p, User) and p.password]
    user = User("ops", "network-operator", hashes[0])
    yield Case(user, replace(user, role="network-admin"), secrets=(hashes[0] or "",))
    system = next(p for p in state.parts.values() if isinstance(p, System))
    named = replace(system, hostname="leaf-9", domain="example.org", contact="noc", location="row 3")
    yield Case(named, replace(named, location="row 4", contact=""))

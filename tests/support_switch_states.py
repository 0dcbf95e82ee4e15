"""Whole configurations of a small switch, drawn at random: each is one that a real switch could have.

Hypothesis draws a seed and how full the switch is; a state has some hundred choices, which it would draw
one by one for seconds. An example that fails shrinks by becoming emptier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import (
    Ace,
    Acl,
    Community,
    Dns,
    Facts,
    Feature,
    Lacp,
    Ntp,
    Part,
    Port,
    PortMode,
    Route,
    State,
    Storm,
    Svi,
    Syslog,
    System,
    Trap,
    User,
    Vlan,
    Vpc,
    Vrf,
    parts,
)
from sekisho.devices.switch.overlay import MIRRORED, needs

T = TypeVar("T")

FACTS: Final = Facts("leaf-1", "model", "SERIAL", "1")
PHYSICAL: Final = tuple(f"Ethernet1/{n}" for n in range(1, 7))
CHANNELS: Final = tuple(f"port-channel{n}" for n in (10, 20, 30))
VLANS: Final = (10, 20, 30, 40, 50)
FEATURES: Final = ("lacp", "vpc", "svi", "vxlan")
NETWORKS: Final = (*(f"10.0.{n}.1/24" for n in range(4)), "2001:db8::1/64")
HOPS: Final = ("10.0.0.254", "10.0.1.254", "10.0.2.254")
NAMES: Final = ("", "rack 1", 'a "quoted" one', "x ! y", "größe")
LINES: Final = (
    Ace(10, permit=True, protocol="tcp", destination_port="80-443"),
    Ace(20, permit=False, protocol="tcp", source_port="22", established=True),
    Ace(30, permit=True, protocol="47", log=True),
)


def states() -> st.SearchStrategy[State]:
    """Draw whole configurations."""
    return st.builds(state, st.integers(0, 2**32), st.integers(0, 10))


def state(seed: int, size: int = 10) -> State:
    """Give one configuration; `size` from 0 to 10 is how much there is of everything."""
    return _Draw(Random(seed), size / 10).state()


def vlan_sets() -> st.SearchStrategy[str]:
    """Draw sets of VLAN ids."""
    return st.sets(st.integers(1, 40)).map(vlans.of) | st.sampled_from((vlans.ALL, vlans.NONE))


@dataclass(slots=True)
class _Draw:
    random: Random
    size: float
    vrfs: tuple[str, ...] = ()
    acls: tuple[Acl, ...] = ()
    paired: bool = False

    def flag(self) -> bool:
        return self.random.random() < self.size / 2

    def one(self, *choices: T) -> T:
        return self.random.choice(choices) if self.random.random() < self.size else choices[0]

    def some(self, choices: Sequence[T]) -> tuple[T, ...]:
        return tuple(c for c in choices if self.flag())

    def mixed(self, choices: Sequence[T]) -> list[T]:
        return self.random.sample(choices, len(choices))

    def state(self) -> State:
        self.vrfs = self.some(("blue", "red"))
        self.paired = self.flag()
        self.acls = tuple(
            Acl(family, name, self.some(LINES))
            for family, name in self.some(((4, "ssh"), (4, "web"), (6, "six")))
        )
        found: list[Part] = [
            System("leaf-1", "example.net", self.one(*NAMES), self.one(*NAMES)),
            *self.vlans(),
            *(Vrf(name, self.one(*NAMES)) for name in self.vrfs),
            *self.acls,
            *self.ports(),
            *((self.domain(),) if self.paired else ()),
            *self.svis(),
            *self.routes(),
            *self.servers(),
        ]
        needed = {need for part in found for need in needs(part)}
        found += [Feature(name, enabled=name in needed or self.flag()) for name in FEATURES]
        return State(FACTS, parts(*found))

    def vlans(self) -> list[Vlan]:
        called = self.mixed(("web", "db", "mail", "backup", "spare"))
        vnis = self.mixed((0, 0, 10010, 10020, 10030))
        chosen = self.some(VLANS)
        return [
            Vlan(1, "default", 0),
            *(Vlan(v, n, i if self.flag() else 0) for v, n, i in zip(chosen, called, vnis, strict=False)),
        ]

    def ports(self) -> list[Port]:
        channels = self.some(CHANNELS)
        vpcs = self.mixed((0, 10, 20, 30))
        peer = self.one("", *channels) if self.paired else ""
        homes = {name: self.one("", *channels) for name in PHYSICAL}
        found = {}
        for name in channels:
            members = tuple(p for p in PHYSICAL if homes[p] == name)
            vpc = vpcs.pop() if self.paired and name != peer else 0
            lacp = self.one(Lacp.ON, Lacp.ACTIVE, Lacp.PASSIVE)
            port = self.port(name)
            if name == peer:  # a switch stands behind it
                port = replace(port, mode=PortMode.TRUNK, edge=False)
            found[name] = replace(port, members=members, lacp=lacp, vpc=vpc, peer_link=name == peer)
        for name in PHYSICAL:
            port = self.port(name)
            mirrored: dict[str, Any] = (
                {f: getattr(found[homes[name]], f) for f in MIRRORED} if homes[name] else {}
            )
            found[name] = replace(port, channel=homes[name], **mirrored)
        return list(found.values())

    def port(self, name: str) -> Port:
        return Port(
            name,
            description=self.one(*NAMES),
            enabled=self.one(True, True, False),
            mtu=self.one(1500, 9216),
            speed=self.one(0, 10000),
            mode=self.one(PortMode.TRUNK, PortMode.TRUNK, PortMode.ACCESS, PortMode.ROUTED),
            access=self.one(1, *VLANS),
            native=self.one(1, *VLANS),
            allowed=self.one("1-4094", "", *(vlans.of(self.some((1, *VLANS, 60))) for _ in range(4))),
            edge=self.flag(),
            bpdu_guard=self.flag(),
            storm=Storm(10000, self.one(10000, 500), self.one(10000, 75)),
            **self.bound(),
        )

    def bound(self) -> dict[str, Any]:
        names = {f: ("", *(a.name for a in self.acls if a.family == f)) for f in (4, 6)}
        return {f: self.one(*names[int(f[3])]) for f in ("acl4_in", "acl4_out", "acl6_in", "acl6_out")}

    def domain(self) -> Vpc:
        vrf = self.one("management", *self.vrfs)
        return Vpc(self.one(10, 11), "10.9.0.2", "10.9.0.1", vrf, self.one(100, 200), self.flag())

    def svis(self) -> list[Svi]:
        networks = self.mixed(NETWORKS)
        found = []
        for vlan in self.some((1, *VLANS))[:3]:
            mine = tuple(sorted(networks.pop() for _ in range(self.one(0, 1, 2)) if networks))
            vrf = self.one("default", *self.vrfs)
            found.append(Svi(vlan, self.one(*NAMES), self.flag(), 1500, vrf, mine, **self.bound()))
        return found

    def routes(self) -> list[Route]:
        found = []
        for vrf in ("default", *self.vrfs):
            for prefix in self.some(("0.0.0.0/0", "10.8.0.0/16")):
                via = self.some(HOPS) or ("discard",)
                found.append(Route(vrf, prefix, via, self.one(1, 200)))
        return found

    def servers(self) -> tuple[Part, ...]:
        anywhere = ("default", "management", *self.vrfs)
        every: tuple[Part, ...] = (
            Ntp("10.9.9.1", self.one(*anywhere), self.flag()),
            Ntp("10.9.9.2", self.one(*anywhere), self.flag()),
            Dns(self.one(*anywhere), "10.9.9.3"),
            Syslog("10.9.9.4", self.one(*anywhere), self.one(*range(8)), 514),
            Community("s3cret", self.flag()),
            Trap("10.9.9.5", "2c", self.one("one", "two"), self.one(*anywhere)),
            User("admin", "network-admin", "$5$hash"),
            User("eve", self.one("network-operator", "network-admin"), "$5$other"),
        )
        return self.some(every)

"""Steps of every kind, and the commands that each of them is on a Nexus."""

from __future__ import annotations

from dataclasses import replace

from sekisho.devices.switch.intent import (
    Ace,
    Acl,
    Community,
    Dns,
    Feature,
    Lacp,
    Ntp,
    Part,
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
from sekisho.devices.switch.nexus import defaults

PORT = defaults.port("Ethernet1/1")
TRUNK = replace(PORT, mode=PortMode.TRUNK)
CHANNEL = defaults.port("port-channel10")

COMMANDS: list[tuple[Part | None, Part | None, list[str]]] = [
    (None, Feature("vxlan", enabled=True), ["feature vn-segment-vlan-based"]),
    (Feature("svi", enabled=True), Feature("svi", enabled=False), ["no feature interface-vlan"]),
    (None, Vlan(10, "web", 10010), ["vlan 10", "vlan 10", "name web", "vn-segment 10010"]),
    (Vlan(10, "web", 10010), Vlan(10, "web", 0), ["vlan 10", "no vn-segment"]),
    (Vlan(10, "web", 0), Vlan(10, "VLAN0010", 0), ["vlan 10", "no name"]),
    (Vlan(10, "web", 0), None, ["no vlan 10"]),
    (None, Vrf("red", "customers"), ["vrf context red", "description customers"]),
    (Vrf("red", ""), None, ["no vrf context red"]),
    (PORT, replace(PORT, enabled=False), ["interface Ethernet1/1", "shutdown"]),
    (PORT, replace(PORT, description="to leaf-2"), ["interface Ethernet1/1", "description to leaf-2"]),
    (
        PORT,
        replace(TRUNK, native=10, allowed="10,20-29"),
        [
            "interface Ethernet1/1",
            "switchport trunk native vlan 10",
            "switchport trunk allowed vlan remove 1-9,11-19,30-4094",
            "switchport mode trunk",
        ],
    ),
    (
        replace(TRUNK, allowed="10,20"),
        replace(TRUNK, allowed="20,30"),
        [
            "interface Ethernet1/1",
            "switchport trunk allowed vlan add 30",
            "switchport trunk allowed vlan remove 10",
        ],
    ),
    (TRUNK, replace(TRUNK, allowed=""), ["interface Ethernet1/1", "switchport trunk allowed vlan none"]),
    (
        TRUNK,
        replace(TRUNK, edge=True, bpdu_guard=True),
        ["interface Ethernet1/1", "spanning-tree port type edge trunk", "spanning-tree bpduguard enable"],
    ),
    (
        PORT,
        replace(PORT, storm=Storm(500, 10000, 75)),
        [
            "interface Ethernet1/1",
            "storm-control broadcast level 5.00",
            "storm-control unicast level 0.75",
        ],
    ),
    (
        TRUNK,
        defaults.bare(replace(PORT, mode=PortMode.ROUTED, acl4_out="web")),
        ["interface Ethernet1/1", "no switchport", "ip access-group web out", "no shutdown"],
    ),
    (
        replace(PORT, acl4_in="web", acl6_in="six"),
        replace(PORT, acl4_in="ssh"),
        ["interface Ethernet1/1", "ip port access-group ssh in", "no ipv6 port traffic-filter six in"],
    ),
    (
        None,
        replace(CHANNEL, members=("Ethernet1/1", "Ethernet1/2"), lacp=Lacp.ACTIVE, vpc=10),
        [
            "interface port-channel10",
            "vpc 10",
            "interface Ethernet1/1",
            "channel-group 10 force mode active",
            "interface Ethernet1/2",
            "channel-group 10 force mode active",
        ],
    ),
    (
        replace(CHANNEL, members=("Ethernet1/1",)),
        replace(CHANNEL, members=("Ethernet1/1",), lacp=Lacp.PASSIVE),
        [
            "interface Ethernet1/1",
            "no channel-group",
            "interface Ethernet1/1",
            "channel-group 10 force mode passive",
        ],
    ),
    (
        replace(CHANNEL, members=("Ethernet1/1",)),
        None,
        ["interface Ethernet1/1", "no channel-group", "no interface port-channel10"],
    ),
    (CHANNEL, replace(CHANNEL, peer_link=True), ["interface port-channel10", "vpc peer-link"]),
    (
        None,
        Vpc(10, "10.9.0.2", "10.9.0.1", "management", 100, peer_gateway=True),
        [
            "vpc domain 10",
            "role priority 100",
            "peer-keepalive destination 10.9.0.2 source 10.9.0.1 vrf management",
            "peer-gateway",
        ],
    ),
    (
        None,
        Acl(
            4,
            "web",
            (
                Ace(10, permit=True, protocol="tcp", destination="10.0.0.0/24", destination_port="80-443"),
                Ace(20, permit=False, protocol="udp", source_port="53", log=True),
                Ace(30, permit=True, protocol="tcp", established=True),
            ),
        ),
        [
            "ip access-list web",
            "10 permit tcp any 10.0.0.0/24 range 80 443",
            "20 deny udp any eq 53 any log",
            "30 permit tcp any any established",
        ],
    ),
    (
        Acl(6, "six", (Ace(10, permit=True, protocol="icmpv6"), Ace(20, permit=True, protocol="ipv6"))),
        Acl(6, "six", (Ace(10, permit=False, protocol="icmpv6"),)),
        ["ipv6 access-list six", "no 20", "no 10", "10 deny icmp any any"],
    ),
    (None, Route("default", "0.0.0.0/0", ("10.0.0.254",), 1), ["ip route 0.0.0.0/0 10.0.0.254"]),
    (
        Route("red", "2001:db8::/32", ("discard",), 1),
        Route("red", "2001:db8::/32", ("2001:db8::1",), 200),
        [
            "vrf context red",
            "ipv6 route 2001:db8::/32 2001:db8::1 200",
            "no ipv6 route 2001:db8::/32 Null0",
        ],
    ),
    (
        None,
        Svi(10, "web", enabled=True, mtu=9216, vrf="red", addresses=("10.0.0.1/24", "2001:db8::1/64")),
        [
            "interface Vlan10",
            "description web",
            "mtu 9216",
            "vrf member red",
            "ip address 10.0.0.1/24",
            "ipv6 address 2001:db8::1/64",
            "no shutdown",
        ],
    ),
    (
        replace(defaults.svi(10), addresses=("10.0.0.1/24", "10.0.1.1/24")),
        replace(defaults.svi(10), addresses=("10.0.0.1/24", "10.0.2.1/24")),
        ["interface Vlan10", "ip address 10.0.2.1/24 secondary", "no ip address 10.0.1.1/24 secondary"],
    ),
    (
        replace(defaults.svi(10), addresses=("10.0.0.1/24",)),
        replace(defaults.svi(10), addresses=("10.0.0.2/24",)),
        ["interface Vlan10", "ip address 10.0.0.2/24"],  # never without an address
    ),
    (None, Ntp("10.9.9.9", "management", prefer=True), ["ntp server 10.9.9.9 prefer use-vrf management"]),
    (None, Dns("default", "10.9.9.3"), ["ip name-server 10.9.9.3"]),
    (Dns("red", "10.9.9.3"), None, ["vrf context red", "no ip name-server 10.9.9.3"]),
    (
        None,
        Syslog("10.9.9.4", "management", 6, 5514),
        ["logging server 10.9.9.4 6 port 5514 use-vrf management"],
    ),
    (None, Community("c0mm", write=True), ["snmp-server community c0mm group network-admin"]),
    (
        None,
        Trap("10.9.9.5", "2c", "c0mm", "management"),
        [
            "snmp-server host 10.9.9.5 traps version 2c c0mm",
            "snmp-server host 10.9.9.5 use-vrf management",
        ],
    ),
    (
        User("eve", "network-operator", "$5$a$b"),
        User("eve", "network-admin", "$5$c$d"),
        ["username eve password 5 $5$c$d role network-admin", "no username eve role network-operator"],
    ),
    (
        System("leaf-1", "example.net", "", ""),
        System("leaf-2", "", "noc", ""),
        ["hostname leaf-2", "no ip domain-name", "snmp-server contact noc"],
    ),
]

CASES: list[tuple[Part | None, Part | None]] = [(before, after) for before, after, _ in COMMANDS]

"""Configurations as switches write them, and the answers of show commands, read."""

from __future__ import annotations

from sekisho.devices.switch.driver import Neighbour, Pair
from sekisho.devices.switch.intent import (
    Ace,
    Acl,
    Community,
    Dns,
    Feature,
    Lacp,
    Ntp,
    Part,
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
from sekisho.devices.switch.nexus import answers, config_text, text_acl

TEXT = """\
!Command: show running-config
!Time: Thu Nov 26 05:00:00 2026

version 9.3(10) Bios:version 07.69
hostname leaf-1
vdc leaf-1 id 1
  limit-resource vlan minimum 16 maximum 4094

feature nxapi
feature interface-vlan
feature lacp
feature vpc
feature vn-segment-vlan-based

no password strength-check
username admin password 5 $5$abc$def  role network-admin
username eve password 5 $5$ghi$jkl  role network-operator
username eve role vdc-operator
ip domain-lookup
ip domain-name example.net
ip name-server 10.9.9.3 10.9.9.4
ip access-list web
  statistics per-entry
  5 remark the web
  10 permit tcp any 10.0.0.0/24 range www 443
  20 deny udp 10.1.0.0 0.0.255.255 host 10.0.0.9 eq domain log
  30 permit tcp any any established
  40 permit tcp any any dscp ef
ipv6 access-list six
  10 permit icmp any any
  20 permit ipv6 2001:db8::/32 any
snmp-server contact The NOC, 24/7
snmp-server community c0mm group network-operator
snmp-server host 10.9.9.5 traps version 2c c0mm
snmp-server host 10.9.9.5 use-vrf management
ntp server 10.9.9.1 prefer use-vrf management
ntp server 10.9.9.2 use-vrf default
logging server 10.9.9.6 6 port 5514 use-vrf management facility local7

ip route 0.0.0.0/0 10.0.0.254 name out 50
ip route 10.8.0.0/16 Null0
ip route 10.9.0.0/16 Vlan10 10.0.0.7 tag 5 20
vlan 1,10,20,30-32
vlan 10
  name web
  vn-segment 10010
vlan 20
  name "db"

vrf context red
  description customers
  ip name-server 10.9.9.7
  ip route 10.8.0.0/16 10.1.0.254
  ip route 10.8.0.0/16 10.1.0.253
vrf context management
  ip route 0.0.0.0/0 10.255.0.1
vpc domain 10
  role priority 100
  peer-keepalive destination 10.255.0.2 source 10.255.0.3
  peer-gateway

interface Vlan1

interface Vlan10
  description gateway
  no shutdown
  vrf member red
  ip access-group web in
  ip address 10.0.0.1/24
  ip address 10.0.1.1/24 secondary
  ipv6 address 2001:db8::1/64

interface port-channel10
  description to server 1
  switchport mode trunk
  switchport trunk native vlan 10
  switchport trunk allowed vlan 10,20
  switchport trunk allowed vlan add 30-32
  spanning-tree port type edge trunk
  spanning-tree bpduguard enable
  mtu 9216
  storm-control broadcast level 5.00
  vpc 10

interface port-channel100
  switchport mode trunk
  spanning-tree port type network
  vpc peer-link

interface Ethernet1/1
  description a "quoted" one ! yes
  switchport access vlan 20
  speed 10000
  shutdown
  ip port access-group web in

interface Ethernet1/2
  switchport mode trunk
  channel-group 10 mode active

interface Ethernet1/10
  switchport mode trunk
  channel-group 10 mode active

interface Ethernet1/3
  no switchport
  ip access-group web out
  no shutdown

interface Ethernet1/4
  no switchport

interface Ethernet1/3.100
  encapsulation dot1q 100

interface mgmt0
  vrf member management
  ip address 10.255.0.3/24
line console
line vty
boot nxos bootflash:/nxos.9.3.10.bin
"""
FOUND = config_text.parts(TEXT)


def part(*key: str) -> Part:
    return FOUND[key]


def test_features_are_on_or_off() -> None:
    assert part("feature", "svi") == Feature("svi", enabled=True)
    assert part("feature", "lldp") == Feature("lldp", enabled=False)


def test_vlans_of_a_summary_and_of_blocks() -> None:
    vlans = [found for key, found in FOUND.items() if key[0] == "vlan"]

    assert vlans == [
        Vlan(1, "default", 0),
        Vlan(10, "web", 10010),
        Vlan(20, '"db"', 0),
        *(Vlan(n, f"VLAN{n:04d}", 0) for n in (30, 31, 32)),
    ]


def test_a_port_channel_and_its_members() -> None:
    channel = part("port", "port-channel10")

    assert isinstance(channel, Port)
    assert channel.members == ("Ethernet1/2", "Ethernet1/10")
    assert channel.lacp is Lacp.ACTIVE
    assert (channel.vpc, channel.peer_link, channel.mtu) == (10, False, 9216)
    assert (channel.native, channel.allowed) == (10, "10,20,30-32")
    assert (channel.edge, channel.bpdu_guard, channel.storm) == (True, True, Storm(500, 10000, 10000))
    member = part("port", "Ethernet1/2")
    assert isinstance(member, Port)
    assert (member.channel, member.allowed, member.mtu) == ("port-channel10", "10,20,30-32", 9216)


def test_a_peer_link_allows_all() -> None:
    link = part("port", "port-channel100")

    assert isinstance(link, Port)
    assert (link.peer_link, link.allowed, link.edge, link.enabled) == (True, "1-4094", False, True)


def test_a_physical_interface() -> None:
    port = part("port", "Ethernet1/1")

    assert isinstance(port, Port)
    assert port.description == 'a "quoted" one ! yes'
    assert (port.mode, port.access, port.speed, port.enabled) == (PortMode.ACCESS, 20, 10000, False)
    assert (port.acl4_in, port.channel, port.members) == ("web", "", None)


def test_a_routed_interface_is_down_until_said_otherwise() -> None:
    up, down = part("port", "Ethernet1/3"), part("port", "Ethernet1/4")

    assert isinstance(up, Port)
    assert isinstance(down, Port)
    assert (up.mode, up.enabled, up.acl4_out) == (PortMode.ROUTED, True, "web")
    assert (down.mode, down.enabled) == (PortMode.ROUTED, False)


def test_a_switch_whose_ports_are_down_by_default() -> None:
    found = config_text.parts("system default switchport shutdown\n" + TEXT)
    port = found["port", "Ethernet1/1"]

    assert config_text.parts("interface Ethernet1/9\n")["port", "Ethernet1/9"].enabled is True  # type: ignore[union-attr]
    assert isinstance(port, Port)
    closed = config_text.parts("system default switchport shutdown\ninterface Ethernet1/9\n")
    assert closed["port", "Ethernet1/9"].enabled is False  # type: ignore[union-attr]


def test_what_is_no_part_is_passed_over() -> None:
    assert ("port", "mgmt0") not in FOUND
    assert ("port", "Ethernet1/3.100") not in FOUND
    assert ("vrf", "management") not in FOUND
    assert ("svi", "1") not in FOUND


def test_an_svi_with_its_addresses() -> None:
    assert part("svi", "10") == Svi(
        10,
        "gateway",
        enabled=True,
        mtu=1500,
        vrf="red",
        addresses=("10.0.0.1/24", "10.0.1.1/24", "2001:db8::1/64"),
        acl4_in="web",
        acl4_out="",
        acl6_in="",
        acl6_out="",
    )


def test_access_lists() -> None:
    assert part("acl", "4", "web") == Acl(
        4,
        "web",
        (
            Ace(10, permit=True, protocol="tcp", destination="10.0.0.0/24", destination_port="80-443"),
            Ace(
                20,
                permit=False,
                protocol="udp",
                source="10.1.0.0/16",
                destination="10.0.0.9/32",
                destination_port="53",
                log=True,
            ),
            Ace(30, permit=True, protocol="tcp", established=True),
            Ace(40, permit=True, protocol="tcp any any dscp ef"),
        ),
    )
    assert part("acl", "6", "six") == Acl(
        6,
        "six",
        (
            Ace(10, permit=True, protocol="icmpv6"),
            Ace(20, permit=True, protocol="ipv6", source="2001:db8::/32"),
        ),
    )


def test_a_line_that_says_more_than_we_can_is_kept_as_it_is() -> None:
    from sekisho.devices.switch.nexus.cli import ace_line

    for line in (
        "40 permit tcp any any dscp ef",
        "50 deny udp any gt 1023 any",
        "60 permit ip addrgroup A any",
    ):
        found = text_acl.entry(line, 4)
        assert found is not None
        assert ace_line(found) == line


def test_routes_vrfs_and_the_pair() -> None:
    assert part("route", "default", "0.0.0.0/0") == Route("default", "0.0.0.0/0", ("10.0.0.254",), 50)
    assert part("route", "default", "10.8.0.0/16") == Route("default", "10.8.0.0/16", ("discard",), 1)
    assert part("route", "default", "10.9.0.0/16") == Route(
        "default", "10.9.0.0/16", ("Vlan10 10.0.0.7",), 20
    )
    assert part("route", "red", "10.8.0.0/16") == Route("red", "10.8.0.0/16", ("10.1.0.253", "10.1.0.254"), 1)
    assert part("route", "management", "0.0.0.0/0") == Route("management", "0.0.0.0/0", ("10.255.0.1",), 1)
    assert part("vrf", "red") == Vrf("red", "customers")
    assert part("vpc") == Vpc(10, "10.255.0.2", "10.255.0.3", "management", 100, peer_gateway=True)


def test_services() -> None:
    assert part("ntp", "10.9.9.1") == Ntp("10.9.9.1", "management", prefer=True)
    assert part("ntp", "10.9.9.2") == Ntp("10.9.9.2", "default", prefer=False)
    assert part("dns", "default", "10.9.9.4") == Dns("default", "10.9.9.4")
    assert part("dns", "red", "10.9.9.7") == Dns("red", "10.9.9.7")
    assert part("syslog", "10.9.9.6") == Syslog("10.9.9.6", "management", 6, 5514)
    assert part("community", "c0mm") == Community("c0mm", write=False)
    assert part("trap", "10.9.9.5") == Trap("10.9.9.5", "2c", "c0mm", "management")
    assert part("user", "eve") == User("eve", "network-operator", "$5$ghi$jkl")
    assert part("system") == System("leaf-1", "example.net", "The NOC, 24/7", "")


def test_a_configuration_of_twenty_thousand_lines_is_read() -> None:
    ports = "".join(
        f"interface Ethernet{slot}/{port}\n  description d\n  switchport mode trunk\n"
        f"  switchport trunk allowed vlan 10-20\n  mtu 9216\n"
        for slot in range(1, 9)
        for port in range(1, 401)
    )
    vlans = "".join(f"vlan {n}\n  name n{n}\n" for n in range(2, 3968))
    text = TEXT + ports + vlans
    assert text.count("\n") > 20_000

    found = config_text.parts(text)

    assert sum(key[0] == "port" for key in found) > 3200
    assert sum(key[0] == "vlan" for key in found) == 3967


def test_the_accounting_log() -> None:
    text = (
        "Thu Nov 26 05:00:00 2026:type=start:id=10.0.0.5@pts/0:user=admin:cmd=\n"
        "Thu Nov 26 05:00:01 2026:type=update:id=10.0.0.5@pts/0:user=admin:cmd="
        "configure terminal ; vlan 10 (SUCCESS)\n"
        "Thu Nov 26 05:00:02 2026:type=update:id=2001:db8::5@pts/1:user=eve:cmd="
        "snmp-server community hush (FAILURE)\n"
        "Thu Nov 26 05:00:03.120 2026:type=update:id=console0:user=admin:cmd=reload\n"
    )

    found = list(answers.accounts(text, since=1_795_669_201.0))

    assert [(a.user, a.origin, a.command) for a in found] == [
        ("admin", "10.0.0.5@pts/0", "configure terminal ; vlan 10"),
        ("eve", "2001:db8::5@pts/1", "snmp-server community *** (FAILURE)"),
        ("admin", "console0", "reload"),
    ]
    assert found[0].time == 1_795_669_201.0
    assert len(list(answers.accounts(text, since=1_795_669_202.0))) == 2


def test_checkpoints_are_listed_in_their_order() -> None:
    text = (
        "User Checkpoint Summary\n"
        "-------\n"
        "1) sekisho-b:\nCreated by admin\nCreated at Thu, 05:00:00 26 Nov 2026\nSize is 5,123 bytes\n"
        "Description: None\n\n"
        "2) theirs:\nCreated by admin\n\nSystem Checkpoint Summary\n-------\n3) system-fm-vpc:\n"
    )

    assert answers.checkpoints(text) == ("sekisho-b", "theirs", "system-fm-vpc")


def test_a_table_is_a_row_or_rows_or_nothing() -> None:
    one, two = {"a": "1"}, {"a": "2"}

    assert answers.rows({"TABLE_x": {"ROW_x": one}}, "x") == [one]
    assert answers.rows({"TABLE_x": {"ROW_x": [one, two]}}, "x") == [one, two]
    assert answers.rows({"TABLE_x": [{"ROW_x": one}, {"ROW_x": [two]}]}, "x") == [one, two]
    assert answers.rows({}, "x") == []


def test_how_the_pair_is() -> None:
    brief = {
        "vpc-domain-id": "10",
        "vpc-peer-status": "peer-ok",
        "vpc-peer-keepalive-status": "peer-alive",
    }
    row = {"vpc-param-name": "MTU", "vpc-param-local-val": "1500", "vpc-param-peer-val": "9216"}

    assert answers.pair(brief, {}, {}) == Pair(peer_up=True, keepalive_up=True)
    assert answers.pair(brief, {"TABLE_vpc_consistency": {"ROW_vpc_consistency": row}}, {}) == Pair(
        peer_up=True, keepalive_up=True, inconsistent=("MTU",)
    )
    only = row | {"vpc-param-name": "Allowed VLANs", "vpc-param-type": "-"}
    assert answers.pair(brief, {"TABLE_vpc_consistency": {"ROW_vpc_consistency": only}}, {}) == Pair(
        peer_up=True, keepalive_up=True
    )
    assert answers.pair({"vpc-domain-id": "<domain id>"}, {}, {}) is None


def test_neighbours() -> None:
    row = {
        "l_port_id": "Eth1/1",
        "sys_name": "compute-1",
        "port_id": "ens1f0",
        "chassis_id": "52:54:00:00:00:01",
    }

    found = list(answers.neighbours({"TABLE_nbor_detail": {"ROW_nbor_detail": row}}))

    assert found == [Neighbour("Ethernet1/1", "compute-1", "ens1f0")]


def test_versions_are_ordered() -> None:
    given = ["7.0(3)I7(10)", "9.3(1)", "9.3(10)", "10.2(5)", "10.6(3)"]

    assert sorted(given, key=answers.version) == given
    assert answers.version("none") == (0, 0, 0)

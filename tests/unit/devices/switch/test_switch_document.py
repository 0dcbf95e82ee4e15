"""What people write of their switches: what it comes to, and every mistake by file, line and path."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.devices.switch import ace, vlans
from sekisho.devices.switch.document import Attach, Connection, load
from sekisho.devices.switch.intent import (
    Ace,
    Acl,
    Dns,
    Feature,
    Intent,
    Port,
    PortMode,
    Route,
    Storm,
    Svi,
    Vlan,
    Vpc,
    parts,
)
from sekisho.model.errors import Malformed
from support_switch_states import LINES

ON_BOTH = "on both sides of a pair it is the same."

CONNECT = '[connect]\ndriver = "nexus"\naddress = "10.0.0.1"\n'


def intent(text: str, **others: str) -> Intent:
    folder = {"leaf-1.toml": CONNECT + text} | {f"common/{n}.toml": t for n, t in others.items()}
    return load(folder)["leaf-1"].intent


def problems(text: str, **others: str) -> tuple[str, ...]:
    with pytest.raises(Malformed) as told:
        load({"leaf-1.toml": text} | {f"common/{n}.toml": t for n, t in others.items()})
    assert told.value.fixer == "\n".join(told.value.problems)
    return told.value.problems


def test_a_connection_has_what_is_written_and_the_rest_as_usual() -> None:
    folder = {
        "a.toml": CONNECT,
        "b.toml": '[connect]\ndriver = "frr"\naddress = "r1"\nport = 22\nusername = "ops"\n'
        'password_file = "/s"\n'
        'ca_file = "/ca"\nverify = false\ntransport = "ssh"\ntimeout = 5\nsave = false\n',
    }
    loaded = load(folder)
    assert loaded["a"].connection == Connection("nexus", "10.0.0.1")
    assert loaded["b"].connection == Connection(
        "frr", "r1", 22, "ops", "/s", "/ca", verify=False, transport="ssh", timeout=5.0, save=False
    )
    assert loaded["b"].intent.management == {("user", "ops")}


def test_every_kind_of_part_can_be_written() -> None:
    text = """
        [vlan.10]
        name = "web"
        [vlan."20-22,30"]
        [port."Ethernet1/1"]
        mode = "trunk"
        allowed = "20-22, 10"
        storm = { broadcast = 1.5 }
        [port.port-channel1]
        members = ["Ethernet1/10", "Ethernet1/9"]
        [acl.ipv6]
        six = ["20 deny ipv6 any any", "10 permit tcp any 2001:DB8::/32 443"]
        [route.red]
        "10.0.0.0/8" = ["10.0.0.2", "10.0.0.1"]
        "10.1.0.0/16" = { via = ["discard"], preference = 200 }
        [svi.10]
        addresses = ["2001:DB8::1/64", "10.0.0.1/24"]
        [dns.default."10.0.0.9"]
        [feature.lacp]
    """
    assert intent(text).parts == parts(
        Vlan(10, "web"),
        *(Vlan(n) for n in (20, 21, 22, 30)),
        Port("Ethernet1/1", mode=PortMode.TRUNK, allowed="10,20-22", storm=Storm(broadcast=150)),
        Port("port-channel1", members=("Ethernet1/9", "Ethernet1/10")),
        Acl(
            6,
            "six",
            (
                Ace(10, True, "tcp", destination="2001:db8::/32", destination_port="443"),
                Ace(20, False, "ipv6"),
            ),
        ),
        Route("red", "10.0.0.0/8", ("10.0.0.1", "10.0.0.2")),
        Route("red", "10.1.0.0/16", ("discard",), 200),
        Svi(10, addresses=("10.0.0.1/24", "2001:db8::1/64")),
        Dns("default", "10.0.0.9"),
        Feature("lacp", enabled=True),
    )


def test_absent_exclusive_and_protected_things_are_marked() -> None:
    found = intent(
        '[vlan."30-31"]\nabsent = true\n[port.port-channel7]\nabsent = true\n[acl.ipv4.old]\nabsent = true\n'
        '[protect]\nuplinks = ["Ethernet1/49"]\n'
        'management = ["svi 10", "route default 0.0.0.0/0", "acl ipv4 x", '
        '"port Ethernet1/48", "vlan 10", "user ops", "dns default 10.0.0.9"]\n'
    )
    assert found.absent == {("vlan", "30"), ("vlan", "31"), ("port", "port-channel7"), ("acl", "4", "old")}
    assert found.uplinks == {"Ethernet1/49"}
    assert found.management == {
        ("svi", "10"),
        ("route", "default", "0.0.0.0/0"),
        ("acl", "4", "x"),
        ("port", "Ethernet1/48"),
        ("vlan", "10"),
        ("user", "ops"),
        ("dns", "default", "10.0.0.9"),
    }
    folder = {"leaf-1.toml": 'exclusive = ["vlans", "communities"]\n' + CONNECT}
    assert load(folder)["leaf-1"].intent.exclusive == {"vlan", "community"}


def test_what_is_shared_is_laid_under_the_own_document_field_by_field() -> None:
    one = (
        'exclusive = ["vlans"]\n[connect]\nusername = "ops"\naddress = "none"\n'
        '[vlan.10]\nname = "one"\nvni = 5\n'
        '[vlan.20]\n[vlan.40]\nabsent = true\n[port."Ethernet1/1"]\nstorm = { unicast = 5 }\nacl4_in = "x"\n'
    )
    two = '[vlan.10]\nname = "two"\n[vlan.30]\nabsent = true\n[attach.hosts]\nc1 = ["Ethernet1/1"]\n'
    own = (
        'use = ["one", "two"]\n' + CONNECT + "[vlan.20]\nabsent = true\n[vlan.30]\n"
        '[port."Ethernet1/1"]\nstorm = { broadcast = 1 }\nacl4_in = ""\n'
        '[attach]\nvlans = "1000-1999"\n[attach.hosts]\nc2 = ["port-channel2"]\n'
    )
    switch = load({"leaf-1.toml": own, "common/one.toml": one, "common/two.toml": two})["leaf-1"]
    assert switch.connection == Connection("nexus", "10.0.0.1", username="ops")
    assert switch.intent.parts == parts(
        Vlan(10, "two", 5), Vlan(30), Port("Ethernet1/1", storm=Storm(100, None, 500), acl4_in="")
    )
    assert switch.intent.absent == {("vlan", "20"), ("vlan", "40")}
    assert switch.intent.exclusive == {"vlan"}
    assert switch.attach == Attach("1000-1999", {"c1": ("Ethernet1/1",), "c2": ("port-channel2",)})


def test_one_switch_has_one_file() -> None:
    texts = {
        "leaf-1.toml": CONNECT,
        "leaf-2.toml": CONNECT,
        "leaf-3.toml": f"{CONNECT}port = 8443\n",
        "leaf-4.toml": 'use = ["leaf"]\n[connect]\nport = 8443\n',
        "common/leaf.toml": CONNECT,
    }
    with pytest.raises(Malformed) as told:
        load(texts)
    assert told.value.problems == (
        "leaf-2.toml:3: connect.address: is leaf-1's already: one switch has one file.",
        "leaf-4.toml:2: connect.address: is leaf-3's already: one switch has one file.",
    )


def test_a_pair_names_each_other_and_has_one_domain() -> None:
    places = (f"10.0.1.{n}" for n in count(1))

    def half(peer: str, keepalive: str, more: str = "") -> str:
        own = CONNECT.replace("10.0.0.1", next(places))
        return own + f'[pair]\npeer = "{peer}"\ndomain = 10\nkeepalive = {{ {keepalive} }}\n{more}'

    good = load(
        {
            "a.toml": half("b", 'destination = "10.0.0.2"'),
            "b.toml": half("a", 'destination = "10.0.0.1", vrf = "management"', "priority = 100\n"),
        }
    )
    assert (good["a"].peer, good["b"].peer) == ("b", "a")
    assert good["b"].intent.parts["vpc",] == Vpc(10, "10.0.0.1", vrf="management", priority=100)
    ports = '[port.port-channel1]\nvpc = 1\nmtu = {}\n[port.port-channel2]\npeer_link = true\nmode = "{}"\n'
    texts = {
        "a.toml": half("b", "", ports.format(1500, "trunk")),
        "b.toml": half("a", "", ports.format(9216, "access")).replace("= 10", "= 11"),
        "c.toml": half("a", ""),
        "d.toml": half("e", ""),
    }
    with pytest.raises(Malformed) as told:
        load(texts)
    assert told.value.problems == (
        "a.toml:6: pair.domain: is another one than b's.",
        f"a.toml:10: port.port-channel1.mtu: is 1500 here and 9216 on b; {ON_BOTH}",
        f"a.toml:13: port.port-channel2.mode: is trunk here and access on b; {ON_BOTH}",
        "c.toml:5: pair.peer: a does not name c as its peer in turn.",
        'd.toml:5: pair.peer: there is no other switch "e"; known are a, b, c.',
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[vlan.5000]", '4: vlan.5000: "5000": VLAN ids are 1 to 4094, the lower one first.'),
        ("[vlan.x]", '4: vlan.x: "x" is no VLAN id or range; write for example "10,20-29".'),
        ('[vlan."10-11"]\nname = "x"', "4: vlan.10-11: name cannot be the same for several VLANs; write"),
        ('[vlan.10]\n[vlan."9-11"]', "5: vlan.9-11: stands twice in this file."),
        ("[vlan.10]\nnam = 1", '5: vlan.10.nam: unknown name; did you mean "name"?'),
        (
            "[vlan.10]\nabsent = false",
            "5: vlan.10.absent: what is absent says absent = true and nothing else.",
        ),
        ('[vlan.10]\nname = "a\\u0007"', "5: vlan.10.name: has characters that cannot be printed."),
        ("[system]\nabsent = true", "5: system.absent: it cannot be absent."),
        (
            '[port."eth 1/1"]',
            '4: port."eth 1/1": "eth 1/1" is no full name of an interface; write for example',
        ),
        (
            '[port."Ethernet1/1"]\nmtu = "x"',
            '5: port."Ethernet1/1".mtu: must be a whole number from 64 to 65535.',
        ),
        (
            '[port."Ethernet1/1"]\nmtu = true',
            '5: port."Ethernet1/1".mtu: must be a whole number from 64 to 65535.',
        ),
        (
            '[port."Ethernet1/1"]\nmode = "trunc"',
            '5: port."Ethernet1/1".mode: "trunc" is none of access, trunk,',
        ),
        ('[port."Ethernet1/1"]\nedge = 1', '5: port."Ethernet1/1".edge: must be true or false.'),
        (
            '[port."Ethernet1/1"]\nstorm = { broadcast = 101 }',
            '5: port."Ethernet1/1".storm.broadcast: must be per',
        ),
        (
            "[port.port-channel1]\nmembers = 5",
            "5: port.port-channel1.members: must be a list; write for example",
        ),
        (
            '[port.port-channel1]\nmembers = ["Ethernet1/1", "Ethernet1/1"]',
            "5: port.port-channel1.members: has Eth",
        ),
        (
            '[port]\nport-channel1 = { members = ["Ethernet1/1"] }\nport-channel2.members = ["Ethernet1/1"]',
            "6: port.port-channel2.members: Ethernet1/1 is in port-channel1 already.",
        ),
        (
            '[acl.ipv4]\nx = ["10 permit"]',
            '5: acl.ipv4.x[0]: "10 permit" is no line of an access list; write',
        ),
        ('[acl.ip4]\nx = ["10 permit"]', '4: acl.ip4: unknown name; did you mean "ipv4"?'),
        (
            '[route.default]\n"10.0.0.1/8" = ["10.0.0.1"]',
            '5: route.default."10.0.0.1/8": "10.0.0.1/8" is no network',
        ),
        ('[route.default]\n"10.0.0.0/8" = ["x"]', '5: route.default."10.0.0.0/8"[0]: "x" is no IP address.'),
        ('[svi.10]\naddresses = ["10.0.0.1"]', '5: svi.10.addresses[0]: "10.0.0.1" lacks the length of its'),
        ('[protect]\nmanagement = ["svi"]', '5: protect.management: "svi" names no part; write for example'),
        (
            "[feature.LACP]",
            '4: feature.LACP: "LACP" is no name of a feature; write for example "lacp".',
        ),
        ("vlan = 5", "4: connect.vlan: unknown name; known are"),
        ("[connect.x]", "4: connect.x: unknown name; known are"),
        ('[attach.hosts]\nc1 = "x"', "5: attach.hosts.c1: must be a list; write for example"),
        ("[attach]\nhost = 1", '5: attach.host: unknown name; did you mean "hosts"?'),
        ("timeout = 0", "4: connect.timeout: must be seconds, from 1 to 600."),
    ],
)
def test_a_mistake_is_told_by_line_and_path(text: str, problem: str) -> None:
    (told,) = problems(CONNECT + text + "\n")
    assert told.startswith(f"leaf-1.toml:{problem}")


def test_all_mistakes_of_all_files_are_told_at_once() -> None:
    assert problems(
        'use = ["lef"]\nexclusive = ["vlan"]\n', leaf='use = ["x"]\n[vlan.x]\n', broken="x = ["
    ) == (
        "common/broken.toml:1: TOML: Invalid value, at the end.",
        "common/leaf.toml:1: use: shared pieces are used by switches only, not by each other.",
        'common/leaf.toml:2: vlan.x: "x" is no VLAN id or range; write for example "10,20-29".',
        'leaf-1.toml:1: use: there is no common/lef.toml; did you mean "leaf"?',
        'leaf-1.toml:1: has no driver under [connect]; add for example driver = "nexus".',
        'leaf-1.toml:1: has no address under [connect]; add for example address = "10.0.0.1".',
        'leaf-1.toml:2: exclusive[0]: "vlan" is none of ' + told_kinds() + '; did you mean "vlans"?',
    )
    assert problems("x = [") == ("leaf-1.toml:1: TOML: Invalid value, at the end.",)


def told_kinds() -> str:
    return "vlans, vrfs, ports, acls, routes, svis, ntp, dns, syslog, communities, traps, users, features"


def test_a_name_of_a_switch_that_no_file_should_have_is_told() -> None:
    with pytest.raises(Malformed) as told:
        load({"a b.toml": CONNECT})
    assert told.value.problems[0].startswith("a b.toml:1: a switch's file is called after it")


# Lines of access lists


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_line_is_read_as_it_was_written(line: Ace) -> None:
    assert ace.parse(ace.write(line), 4) == line


networks = st.sampled_from(("any", "10.0.0.0/8", "10.0.0.1/32", "192.0.2.128/25"))
numbers = st.sampled_from(("", "0", "80", "80-443", "65535"))


@settings(max_examples=60, deadline=None)
@given(networks, networks, numbers, numbers, st.sampled_from(("tcp", "udp")), st.booleans())
def test_any_line_comes_back(a: str, b: str, p: str, q: str, protocol: str, log: bool) -> None:  # noqa: FBT001
    line = Ace(10, True, protocol, a, b, p, q, established=False, log=log)
    assert ace.parse(ace.write(line), 4) == line


@pytest.mark.parametrize(
    "text",
    [
        "permit tcp any any", "0 permit tcp any any", "10 allow tcp any any", "10 permit tpc any any",
        "10 permit tcp any", "10 permit tcp any 10.0.0.1/8", "10 permit tcp any 2001:db8::/32",
        "10 permit icmp any 80 any", "10 permit tcp any 443-80 any", "10 permit tcp any 70000 any",
        "10 permit udp any any established", "10 permit tcp any any log log", "10 permit 256 any any",
        "99999999999 permit tcp any any", "10 permit tcp any 80 443",
    ],
)  # fmt: skip
def test_what_is_no_line_is_told(text: str) -> None:
    with pytest.raises(Malformed):
        ace.parse(text, 4)


def test_a_protocol_has_one_name() -> None:
    assert [ace.parse(f"10 permit {p} any any", 4).protocol for p in ("6", "17", "1", "58")] == [
        "tcp", "udp", "icmp", "58",
    ]  # fmt: skip
    assert [ace.parse(f"10 permit {p} any any", 6).protocol for p in ("58", "1")] == ["icmpv6", "1"]


def test_an_address_is_a_network_of_one() -> None:
    assert ace.parse("10 permit ip 10.0.0.1 0.0.0.0/0", 4) == Ace(10, True, "ip", "10.0.0.1/32", "any")


# Sets of VLANs, as documents write them


def test_a_set_of_vlans_is_the_same_however_it_is_written() -> None:
    for text in ("10,20-22", "20-21, 22,10", "10,20,21,22,20"):
        assert vlans.parse(text) == "10,20-22"
    assert (vlans.parse("none"), vlans.parse("ALL")) == ("", "1-4094")


@pytest.mark.parametrize(
    "said", ["[snmp.community.s3cret]\nwrit = 1", '[snmp.community."s3 cret"]\nwrite = true']
)
def test_a_mistake_of_a_community_is_told_without_its_name(said: str) -> None:
    with pytest.raises(Malformed) as raised:
        load({"leaf-1.toml": f'[connect]\ndriver = "memory"\naddress = "x"\n{said}\n'})
    told = " ".join(raised.value.problems) + raised.value.fixer
    assert "leaf-1.toml:" in told
    assert "snmp.community" in told
    assert "s3" not in told


@pytest.mark.parametrize(
    "text",
    [
        '[snmp.community."s3cret"]\n[snmp.community."s3cret"]\n',
        "snmp.community.s3cret = 1\nsnmp.community.s3cret = 1\n",
        "[snmp]\ncommunity = {s3cret = {write = true}, s3cret = {}}\n",
        "[snmp.community]\na = {}\n[snmp.community.a.s3cret]\n",
        "[snmp.community]\ns3cret = {}\n[snmp.community.s3cret]\n",
        "[snmp.community]\ns3cret = tru\n",
        "[user.bob]\npassword = s3cret\n",
        '[user.bob]\npassword = "s3cret\n',
        '[user.bob]\npassword = "s3cret\\q"\n',
        "[user.bob]\npassword = 's3cret' x\n",
        '[snmp]\ncommunity = ["s3cret"]\n',
        "[snmp.s3cret]\nwrite = true\n",
        '[protect]\nmanagement = ["snmp community s3cret x"]\n',
    ],
)
def test_no_mistake_quotes_a_secret(text: str) -> None:
    with pytest.raises(Malformed) as told:
        load({"leaf-1.toml": CONNECT + text})
    assert all(problem.startswith("leaf-1.toml:") for problem in told.value.problems)
    assert "s3cret" not in told.value.asker + told.value.fixer + str(told.value.problems)


def test_a_mistake_of_syntax_says_what_sign_is_missing() -> None:
    (told,) = problems("[vlan.10]\nname\n")
    assert "'='" in told

"""The command line: what NX-OS does with a line, and what it refuses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.testing.nexus import Box, running
from sekisho.testing.nexus.grammar import Grammar
from sekisho.testing.nexus.refusal import Refusal
from support_emulator import configure, configured, section, shown


def refused(box: Box, lines: str) -> str:
    with pytest.raises(Refusal) as caught:
        configure(box, lines)
    return caught.value.text


def test_a_list_of_allowed_vlans_without_add_replaces_the_old_one() -> None:
    box = configured("interface Ethernet1/1\nswitchport mode trunk\nswitchport trunk allowed vlan 10,20-22")
    configure(box, "interface Ethernet1/1\nswitchport trunk allowed vlan 30")
    assert section(box, "interface Ethernet1/1") == [
        "switchport mode trunk",
        "switchport trunk allowed vlan 30",
    ]


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("add 30", "10,20-22,30"),
        ("remove 20-21", "10,22"),
        ("except 1-4000", "4001-4094"),
        ("none", "none"),
    ],
)
def test_allowed_vlans_are_changed_in_part(line: str, left: str) -> None:
    box = configured("interface Ethernet1/1\nswitchport trunk allowed vlan 10,20-22")
    configure(box, f"interface Ethernet1/1\nswitchport trunk allowed vlan {line}")
    assert section(box, "interface Ethernet1/1") == [f"switchport trunk allowed vlan {left}"]


def test_an_untouched_trunk_allows_every_vlan() -> None:
    box = configured("interface Ethernet1/1\nswitchport mode trunk\nswitchport trunk allowed vlan add 10")
    assert section(box, "interface Ethernet1/1") == ["switchport mode trunk"]


@pytest.mark.parametrize(
    "lines",
    [
        "vlan 3968",
        "vlan 4094",
        "vlan 4095",
        "vlan 0",
        "no vlan 1",
        "interface Ethernet1/9",
        "interface Ethernet1/1\nswitchport access vlan 4000",
        "interface Vlan10",
        "vpc domain 10",
        "vlan 10\nvn-segment 10010",
        "interface Ethernet1/1\nchannel-group 10 mode active",
        "interface Ethernet1/1\nmtu 9000",
        "interface Ethernet1/1\nip address 10.0.0.1/24",
        "ip route 10.0.0.1/24 10.0.0.254",
        "ip access-list x\n10 permit icmp any any eq 80",
        "logging server 10.0.0.1 8",
        "hostnam\u00e9 x",
        "frobnicate",
    ],
)
def test_what_the_box_will_not_take_changes_nothing(lines: str) -> None:
    box = configured("")
    before = box.running_config()
    refused(box, lines)
    if "\n" not in lines:
        assert box.running_config() == before


def test_a_feature_that_is_switched_off_takes_its_configuration_along() -> None:
    box = configured("feature interface-vlan\nfeature vpc\ninterface Vlan10\nvpc domain 5\npeer-gateway")
    assert "vpc domain 5" in box.running_config()
    configure(box, "no feature vpc\nno feature interface-vlan")
    assert "vpc domain" not in box.running_config()
    assert "interface Vlan10" not in box.running_config()


def test_members_follow_their_port_channel_and_are_not_changed_alone() -> None:
    box = configured("feature lacp\ninterface Ethernet1/1-2\nchannel-group 10 mode active")
    configure(box, "interface port-channel10\nswitchport mode trunk\nswitchport trunk allowed vlan 10")
    member = ["switchport mode trunk", "switchport trunk allowed vlan 10", "channel-group 10 mode active"]
    assert section(box, "interface Ethernet1/2") == member
    assert "member of port-channel10" in refused(
        box, "interface Ethernet1/1\nswitchport trunk allowed vlan 20"
    )
    configure(box, "no interface port-channel10")
    assert section(box, "interface Ethernet1/1") == member[:2]


def test_a_port_that_does_not_fit_joins_only_by_force() -> None:
    box = configured("interface Ethernet1/1\nswitchport mode trunk\nchannel-group 10")
    lines = "interface Ethernet1/2\nchannel-group 10"
    assert "not compatible [port mode]" in refused(box, lines)
    configure(box, f"{lines} force")
    assert section(box, "interface Ethernet1/2") == ["switchport mode trunk", "channel-group 10 force"]


def test_an_interface_that_moves_to_another_vrf_loses_its_addresses() -> None:
    box = configured("feature interface-vlan\nvrf context red\ninterface Vlan10\nip address 10.0.0.1/24")
    configure(box, "interface Vlan10\nvrf member red")
    assert section(box, "interface Vlan10") == ["vrf member red"]
    assert list(box.tree.below("sys/ipv4/inst", "ipv4Addr")) == []


def test_a_vrf_that_goes_leaves_its_interfaces_in_the_default_one() -> None:
    box = configured(
        "feature interface-vlan\nvrf context red\nip route 10.0.0.0/8 Null0\ninterface Vlan10\n"
        "vrf member red\nip address 10.0.0.1/24"
    )
    configure(box, "no vrf context red")
    assert section(box, "interface Vlan10") == []
    assert "vrf context red" not in box.running_config()


def test_an_access_list_is_kept_by_its_numbers_and_names() -> None:
    box = configured(
        "ip access-list web\n20 deny ip any any log\n"
        "10 permit tcp host 10.0.0.1 10.0.0.0 0.0.0.255 range 80 443\npermit tcp any any established"
    )
    assert section(box, "ip access-list web") == [
        "10 permit tcp 10.0.0.1/32 10.0.0.0/24 range www 443",
        "20 deny ip any any log",
        "30 permit tcp any any established",
    ]
    configure(box, "ip access-list web\nno 20")
    assert len(section(box, "ip access-list web")) == 2


def test_keywords_may_be_shortened_but_not_into_other_words() -> None:
    box = configured("int e1/1\ndesc short words\nsw mode tr\nno shut")
    assert section(box, "interface Ethernet1/1") == ["description short words", "switchport mode trunk"]
    assert shown(box, "sh run int e1/1 | inc descr") == "  description short words\n"


def test_a_keyword_is_never_taken_for_the_beginning_of_another() -> None:
    grammar = Grammar()
    grammar("ipv6 route <prefix>", "ip address <address>")(lambda: "")
    assert grammar.find("ip route 10.0.0.0/8") is None
    assert grammar.find("ipv route 2001:db8::/32") is not None


def test_texts_stay_as_they_were_written() -> None:
    text = 'a "quoted"  text ! with | marks'
    box = configured(f"interface Ethernet1/1\ndescription {text}")
    assert section(box, "interface Ethernet1/1") == [f"description {text}"]


def test_a_reader_may_look_but_not_change() -> None:
    box = configured("username eve password Secret123 role network-operator")
    session = box.session("eve")
    assert "leaf-1" in session.line("show hostname").text
    with pytest.raises(Refusal, match="Permission denied"):
        session.line("configure terminal")


VLANS = st.integers(2, 40).map(str)
PORTS = st.integers(1, 8).map(lambda number: f"interface Ethernet1/{number}")
LINES = st.lists(
    st.one_of(
        VLANS.map(lambda vlan: f"vlan {vlan}\nname v{vlan}"),
        VLANS.map(lambda vlan: f"no vlan {vlan}"),
        st.tuples(PORTS, VLANS).map(lambda it: f"{it[0]}\nswitchport access vlan {it[1]}"),
        st.tuples(PORTS, VLANS).map(
            lambda it: f"{it[0]}\nswitchport mode trunk\nswitchport trunk allowed vlan {it[1]}"
        ),
        PORTS.map(lambda port: f"{port}\nchannel-group 10 force mode active"),
        PORTS.map(lambda port: f"{port}\nno channel-group"),
        PORTS.map(lambda port: f"default {port}"),
        PORTS.map(
            lambda port: f"{port}\nspanning-tree port type edge trunk\nstorm-control broadcast level 5.5"
        ),
        VLANS.map(lambda vlan: f"interface port-channel10\nswitchport trunk native vlan {vlan}"),
        VLANS.map(lambda vlan: f"interface Vlan{vlan}\nip address 10.0.{vlan}.1/24\nno shutdown"),
        VLANS.map(lambda vlan: f"ip route 10.{vlan}.0.0/16 10.0.0.1 {vlan}"),
        VLANS.map(lambda vlan: f"ip access-list a{vlan}\n{vlan} permit udp any any eq {vlan}"),
        st.just("no interface port-channel10"),
        st.just("interface port-channel10\nvpc 10"),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(LINES)
def test_the_running_configuration_read_back_gives_the_same_box(lines: list[str]) -> None:
    box = configured("feature lacp\nfeature interface-vlan\nfeature vpc\nvpc domain 1")
    for line in lines:
        try:
            configure(box, line)
        except Refusal:
            continue
    text = box.running_config()
    assert running.text(box.load(text), box.version) == text

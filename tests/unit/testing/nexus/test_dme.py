"""The data model's door: sessions, queries, posted trees, of the same box as the commands."""

from collections.abc import Iterator

import pytest

from sekisho.testing.nexus import Box, serve
from support_emulator import Caller, Clock, below, configure, configured, mo, section

L2BD = "/api/mo/sys/bd.json?query-target=subtree&target-subtree-class=l2BD"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def box(clock: Clock) -> Box:
    return configured("vlan 10\nname web", clock=clock)


@pytest.fixture
def caller(box: Box) -> Iterator[Caller]:
    with serve(box, ssh_port=0) as door:
        made = Caller(door)
        assert made.login() == 200
        yield made


def vlans(*children: dict[str, object]) -> dict[str, object]:
    return below(mo("bdEntity", *children))


def test_a_wrong_password_is_401_and_no_token_is_403(caller: Caller) -> None:
    assert caller.login(password="wrong") == 401
    caller.cookie = ""
    assert caller.call("GET", L2BD)[0] == 403


def test_a_token_ends_by_the_clock_and_is_renewed(caller: Caller, clock: Clock) -> None:
    clock.time += 500
    assert caller.call("GET", "/api/aaaRefresh.json")[0] == 200
    clock.time += 500
    assert caller.call("GET", L2BD)[0] == 200
    clock.time += 200
    assert caller.call("GET", L2BD)[0] == 403


def test_objects_of_a_class_are_found_below_an_object_and_everywhere(caller: Caller) -> None:
    found = caller.get(L2BD)
    assert [(cls, one["dn"], one["name"]) for cls, one in found] == [
        ("l2BD", "sys/bd/bd-[vlan-1]", "default"),
        ("l2BD", "sys/bd/bd-[vlan-10]", "web"),
    ]
    assert caller.get("/api/class/l2BD.json") == found
    assert caller.get('/api/class/l2BD.json?query-target-filter=eq(l2BD.name,"web")') == found[1:]
    assert caller.get("/api/mo/sys/bd/bd-[vlan-99].json") == []


def test_a_subtree_comes_with_its_children(caller: Caller) -> None:
    status, body = caller.call("GET", "/api/mo/sys/bd.json?rsp-subtree=children")
    assert status == 200
    entity = body["imdata"][0]["bdEntity"]
    assert [child["l2BD"]["attributes"]["rn"] for child in entity["children"]] == [
        "bd-[vlan-1]",
        "bd-[vlan-10]",
    ]


def test_a_posted_tree_is_what_the_commands_show(caller: Caller, box: Box) -> None:
    tree = below(
        mo("bdEntity", mo("l2BD", fabEncap="vlan-20", name="db")),
        mo(
            "interfaceEntity",
            mo(
                "pcAggrIf",
                mo("pcRsMbrIfs", tDn="sys/intf/phys-[eth1/3]", isMbrForce="yes"),
                id="po5",
                mode="trunk",
            ),
            mo("l1PhysIf", id="eth1/1", descr="to a server", accessVlan="vlan-20"),
        ),
    )
    assert caller.post(tree) == (200, "")
    assert "vlan 20\n  name db\n" in box.running_config()
    assert section(box, "interface Ethernet1/1") == ["description to a server", "switchport access vlan 20"]
    assert section(box, "interface Ethernet1/3") == ["switchport mode trunk", "channel-group 5 force"]


def test_what_commands_did_is_in_the_model(caller: Caller, box: Box) -> None:
    configure(
        box, "interface Ethernet1/2\nswitchport trunk allowed vlan 10,30-40\nstorm-control multicast level 2"
    )
    ((_, port),) = caller.get("/api/mo/sys/intf/phys-[eth1/2].json")
    assert port["trunkVlans"] == "10,30-40"
    ((_, more),) = caller.get("/api/mo/sys/intf/phys-[eth1/2]/physExtd.json")
    assert more["stormCtrlMCastLevel"] == "2.000000"


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (mo("bdEntity", mo("l2BD", fabEncap="vlan-4000")), "reserved"),
        (mo("bdEntity", mo("l2Vlan", fabEncap="vlan-20")), "unresolved class"),
        (mo("bdEntity", mo("l2BD", fabEncap="vlan-20", colour="red")), "colour"),
        (mo("bdEntity", mo("l2BD", name="nameless")), "fabEncap"),
        (mo("interfaceEntity", mo("l1PhysIf", id="eth1/1", mode="trunks")), "mode"),
        (mo("interfaceEntity", mo("l1PhysIf", id="eth1/99", descr="x")), "does not exist"),
        (mo("interfaceEntity", mo("sviIf", id="vlan10")), "interface-vlan is not enabled"),
        (mo("vpcEntity", mo("vpcInst", mo("vpcDom", id="5"))), "vpc is not enabled"),
    ],
)
def test_a_tree_with_a_mistake_is_refused_whole(
    caller: Caller, box: Box, wrong: dict[str, object], word: str
) -> None:
    before = box.running_config()
    status, text = caller.post(below(mo("bdEntity", mo("l2BD", fabEncap="vlan-21")), wrong))
    assert status == 400
    assert word in text
    assert box.running_config() == before


def test_lists_of_vlans_may_be_changed_in_part(caller: Caller, box: Box) -> None:
    for change, left in (("10,20", "10,20"), ("+30", "10,20,30"), ("-20", "10,30"), ("", "none")):
        assert (
            caller.post(below(mo("interfaceEntity", mo("l1PhysIf", id="eth1/1", trunkVlans=change))))[0]
            == 200
        )
        assert section(box, "interface Ethernet1/1") == [f"switchport trunk allowed vlan {left}"]


def test_objects_go_by_status_and_by_delete(caller: Caller, box: Box) -> None:
    caller.post(vlans(mo("l2BD", fabEncap="vlan-20")))
    assert caller.post(vlans(mo("l2BD", fabEncap="vlan-10", status="deleted"))) == (200, "")
    assert caller.call("DELETE", "/api/mo/sys/bd/bd-[vlan-20].json")[0] == 200
    assert caller.call("DELETE", "/api/mo/sys/bd/bd-[vlan-20].json")[0] == 200
    assert "vlan 1\n" in box.running_config()
    assert caller.call("DELETE", "/api/mo/sys/bd/bd-[vlan-1].json")[0] == 400


def test_a_pair_of_switches_a_route_and_services_by_the_model(caller: Caller, box: Box) -> None:
    configure(box, "feature vpc")
    tree = below(
        mo("interfaceEntity", mo("pcAggrIf", id="po10"), mo("pcAggrIf", id="po20")),
        mo(
            "vpcEntity",
            mo(
                "vpcInst",
                mo(
                    "vpcDom",
                    mo("vpcKeepalive", mo("vpcPeerLink", id="po10"), destIp="10.0.0.2", srcIp="10.0.0.1"),
                    mo("vpcIf", mo("vpcRsVpcConf", tDn="sys/intf/aggr-[po20]"), id="20"),
                    id="7",
                    rolePrio="100",
                ),
            ),
        ),
        mo(
            "ipv4Entity",
            mo(
                "ipv4Inst",
                mo(
                    "ipv4Dom",
                    mo(
                        "ipv4Route",
                        mo(
                            "ipv4Nexthop",
                            nhIf="unspecified",
                            nhAddr="10.0.0.254/32",
                            nhVrf="default",
                            pref="5",
                        ),
                        prefix="0.0.0.0/0",
                    ),
                    name="default",
                ),
            ),
        ),
        mo("datetimeClkPol", mo("datetimeNtpProvider", name="10.9.9.9", preferred="yes", vrf="management")),
        mo("syslogSyslog", mo("syslogRemoteDest", host="10.9.9.8", severity="errors", vrfName="default")),
    )
    assert caller.post(tree) == (200, "")
    text = box.running_config()
    assert section(box, "vpc domain 7") == [
        "role priority 100",
        "peer-keepalive destination 10.0.0.2 source 10.0.0.1",
    ]
    assert section(box, "interface port-channel20") == ["vpc 20"]
    assert section(box, "interface port-channel10") == ["spanning-tree port type network", "vpc peer-link"]
    assert "ip route 0.0.0.0/0 10.0.0.254 5\n" in text
    assert "ntp server 10.9.9.9 prefer use-vrf management\n" in text
    assert "logging server 10.9.9.8 3 use-vrf default\n" in text


def test_passwords_go_in_and_never_come_out(caller: Caller, box: Box) -> None:
    user = mo("aaaUser", name="ops", pwd="Secret123", pwdEncryptType="clear")
    assert caller.post(below(mo("aaaUserEp", user)))[0] == 200
    assert box.knows("ops", "Secret123")
    ((_, shown),) = caller.get("/api/mo/sys/userext/user-[ops].json")
    assert shown["pwd"] == ""
    assert not any("$5$" in value for value in shown.values())

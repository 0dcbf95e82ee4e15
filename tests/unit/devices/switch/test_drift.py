"""Who made a switch differ is told by its own record, as far as that says it."""

from __future__ import annotations

import pytest

from sekisho.devices.switch import drift
from sekisho.devices.switch.driver import Account, Step
from sekisho.devices.switch.intent import Acl, Part, Port, Route, Svi, User, Vlan


def account(command: str, user: str = "olga", time: float = 100.0) -> Account:
    return Account(time, user, "10.0.0.7", command)


@pytest.mark.parametrize(
    ("part", "command"),
    [
        (Vlan(10, "web"), "configure terminal ; vlan 10 ; name front (SUCCESS)"),
        (Vlan(10, "web"), "configure terminal ; vlan 5,10-12 (SUCCESS)"),
        (Port("Ethernet1/1"), "configure terminal ; interface Ethernet1/1 ; shutdown (SUCCESS)"),
        (Port("port-channel10"), "configure terminal ; interface port-channel10 ; mtu 9000 (SUCCESS)"),
        (Acl(4, "web-in"), "configure terminal ; ip access-list web-in ; 10 permit ip any any (SUCCESS)"),
        (Route("default", "0.0.0.0/0"), "configure terminal ; ip route 0.0.0.0/0 10.0.0.1 (SUCCESS)"),
        (Svi(10), "configure terminal ; interface Vlan10 ; no shutdown (SUCCESS)"),
        (User("ada"), "configure terminal ; username ada ***"),
    ],
)
def test_a_command_about_a_part_is_told_beside_its_difference(part: Part, command: str) -> None:
    theirs = drift.touches([account(command), account("configure terminal ; feature lacp")], "sekisho", 0.0)
    (found,) = drift.blame([Step(part, None)], theirs)
    assert [t.command for t in found.by] == [command]
    assert (found.by[0].user, found.by[0].origin) == ("olga", "10.0.0.7")


@pytest.mark.parametrize(
    ("part", "command"),
    [
        (Vlan(10), "configure terminal ; vlan 100 (SUCCESS)"),
        (Port("Ethernet1/1"), "configure terminal ; interface Ethernet1/10 ; shutdown (SUCCESS)"),
        (Port("Ethernet1/1"), "configure terminal ; interface Ethernet1/1/2 ; shutdown (SUCCESS)"),
        (Svi(10), "configure terminal ; interface Vlan101 (SUCCESS)"),
    ],
)
def test_a_command_about_another_part_is_not(part: Part, command: str) -> None:
    (found,) = drift.blame([Step(part, None)], drift.touches([account(command)], "sekisho", 0.0))
    assert found.by == ()


def test_neither_we_nor_who_only_looked_are_blamed_but_who_used_our_name() -> None:
    told = [
        account("vlan 10", user="sekisho", time=40.0),
        account("vlan 10", user="sekisho", time=60.0),
        account("show vlan 10"),
        account("checkpoint sekisho-c3", user="sekisho", time=61.0),
        account("no checkpoint sekisho-c3", user="sekisho", time=62.0),
        account("vlan 10", time=7.0),
    ]
    theirs = drift.touches(told, "sekisho", 50.0)
    (found,) = drift.blame([Step(Vlan(10), None)], theirs)
    assert [t.time for t in found.by] == [t.time for t in theirs] == [60.0, 7.0]


@pytest.mark.parametrize(
    "command",
    [
        "username ada password 5 $5$hush role network-admin",
        "username ada password hush",
        "snmp-server community hush group network-admin",
        "snmp-server host 10.0.0.1 traps version 2c hush",
        "snmp-server user bob auth sha hush priv aes-128 hush",
        "key 7 hush",
    ],
)
def test_no_secret_of_a_command_is_told(command: str) -> None:
    (found,) = drift.touches([account(command)], "sekisho", 0.0)
    assert "hush" not in found.command


def test_a_part_that_passes_several_stages_is_one_difference() -> None:
    way = [Vlan(10, "a"), Vlan(10, "b"), Vlan(10, "c")]
    steps = [Step(way[0], way[1]), Step(way[1], way[2])]
    assert drift.whole(steps) == (Step(way[0], way[2]),)


@pytest.mark.parametrize(
    "command",
    [
        "key chain a ; key 1 ; key-string 7 s3cret",
        "ntp authentication-key 1 md5 s3cret",
        "ip ospf message-digest-key 1 md5 3 s3cret",
        "snmp-server host 10.0.0.1 traps version 2c s3cret",
        "snmp-server host 10.0.0.1 s3cret",
        "authentication text s3cret",
        "neighbor 10.0.0.1 password 3 s3cret",
        "username eve password 5 s3cret role network-admin",
        "snmp-server community s3cret group network-operator",
        "snmp-server user eve auth md5 s3cret priv aes-128 s3cret localizedkey",
    ],
)
def test_what_people_typed_is_told_without_its_secrets(command: str) -> None:
    (told,) = drift.touches([Account(5.0, "eve", "vty", command)], "sekisho", 0.0)
    assert "s3cret" not in told.command
    assert told.command

"""Names and addresses that a command line would read otherwise are refused, and secrets are not quoted."""

from __future__ import annotations

from types import ModuleType

import pytest

from sekisho.devices.switch.driver import Step
from sekisho.devices.switch.intent import Community, Dns, Ntp, Part, Route, Svi, Syslog, Trap, User, Vpc
from sekisho.devices.switch.nexus import cli, dme, names
from sekisho.devices.switch.said import masked
from sekisho.model.errors import Unsupported

NAMES = ("a?b", "a;reload", "a b", "ünï", 'a"b', "a\nreload")
WRITERS = pytest.mark.parametrize("writer", [cli, dme], ids=["cli", "dme"])


def in_vrf(vrf: str) -> tuple[Part, ...]:
    return (
        Dns(vrf, "10.0.0.1"),
        Route(vrf, "10.0.0.0/8", ("10.1.1.1",)),
        Route(vrf, "10.0.0.0/8", ("discard",)),
        Vpc(1, "10.0.0.2", vrf=vrf),
        Svi(10, vrf=vrf, addresses=("10.0.0.1/24",)),
        Ntp("10.0.0.1", vrf),
        Syslog("10.0.0.1", vrf),
        Trap("10.0.0.1", "2c", "public", vrf),
    )


def at(address: str) -> tuple[Part, ...]:
    return (
        Dns("default", address),
        Route("default", "2001:db8::/32", (address,)),
        Route("default", f"{address}/128", ("2001:db8::1",)),
        Vpc(1, address, vrf="management"),
        Vpc(1, "10.0.0.2", address, "management"),
        Svi(10, addresses=(f"{address}/64",)),
        Ntp(address),
        Syslog(address),
        Trap(address, "2c", "public"),
    )


@WRITERS
@pytest.mark.parametrize("part", [part for name in NAMES for part in in_vrf(name)], ids=repr)
def test_a_vrf_has_one_plain_word_for_a_name(writer: ModuleType, part: Part) -> None:
    with pytest.raises(Unsupported):
        writer.render([Step(None, part)])


@WRITERS
@pytest.mark.parametrize("part", [*at("fe80::1%reload"), *at("fe80::1%x?;y")], ids=repr)
def test_an_address_has_no_scope(writer: ModuleType, part: Part) -> None:
    with pytest.raises(Unsupported):
        writer.render([Step(None, part)])


@WRITERS
@pytest.mark.parametrize("part", [*in_vrf("blue"), *at("2001:db8::9")], ids=repr)
def test_plain_names_and_addresses_pass(writer: ModuleType, part: Part) -> None:
    assert writer.render([Step(None, part)])


@WRITERS
@pytest.mark.parametrize(
    "part",
    [
        User("bob", "network-admin", "$5$s3cret x"),
        Community("my s3cret", write=True),
        Trap("10.0.0.1", "2c", "my s3cret"),
    ],
)
def test_a_secret_that_is_refused_is_not_quoted(writer: ModuleType, part: Part) -> None:
    with pytest.raises(Unsupported) as raised:
        writer.render([Step(None, part)])
    assert "s3cret" not in raised.value.asker + raised.value.fixer


def test_no_word_is_quoted() -> None:
    with pytest.raises(Unsupported) as raised:
        names.word("my s3cret", "it")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "line",
    [
        "key-string 7 s3cret",
        'key-string "my s3cret is long"',
        "ntp authentication-key 1 md5 s3cret 7",
        "ip ospf message-digest-key 1 md5 3 s3cret",
        "snmp-server host 10.0.0.1 s3cret",
        "snmp-server host 10.0.0.1 traps version 3 priv s3cret",
        "snmp-server host 10.0.0.1 informs version 2c s3cret",
        "snmp-server community s3cret group network-admin",
        "snmp-server user bob network-admin auth md5 s3cret priv s3cret localizedkey",
        "authentication text s3cret",
        "neighbor 10.0.0.1 password 3 s3cret",
        'username bob password 0 "my s3cret" role network-admin',
        "username bob password s3cret",
        "radius-server host 10.0.0.1 key 7 x ; enable secret 5 s3cret",
        "PASSWORD s3cret",
        "username bob passphrase s3cret",
        "username bob s3cret",
        "username bob  role x password s3cret",
        "key 7 s3cret",
        "snmp-server community s3cret (SUCCESS) s3cret",
    ],
)
def test_a_command_is_shown_without_its_secret(line: str) -> None:
    for written in (line, f"vlan 10\n  {line}\nvlan 11"):
        assert "s3cret" not in masked(written)
    assert masked(f"{line}\nvlan 11").endswith("\nvlan 11")
    assert masked(f"{line} (FAILURE)").endswith("*** (FAILURE)")


@pytest.mark.parametrize(
    "line",
    [
        "no password strength-check",
        "snmp-server host 10.0.0.1 use-vrf blue",
        "username bob role network-operator",
        "vlan 10",
    ],
)
def test_what_holds_no_secret_is_shown(line: str) -> None:
    assert masked(line) == line


def test_a_community_of_the_tree_is_not_shown() -> None:
    for dn in ("sys/snmp/inst/community-s3cret/x", "sys/snmp/inst/community-[s3 s3cret]/x"):
        said = masked(f"Failure: {dn} cannot be deleted")
        assert "s3cret" not in said
        assert said.endswith("cannot be deleted")

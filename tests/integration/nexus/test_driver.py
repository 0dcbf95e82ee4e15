"""The driver against the emulator, by each door: what is written is read, and what goes wrong is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.driver import Neighbour, Pair, Step
from sekisho.devices.switch.intent import (
    Ace,
    Acl,
    Feature,
    Key,
    Lacp,
    Part,
    Port,
    PortMode,
    Svi,
    User,
    Vlan,
    Vpc,
)
from sekisho.devices.switch.nexus import cli, config_text, defaults, read
from sekisho.devices.switch.nexus.driver import Nexus, connect
from sekisho.devices.switch.nexus.nxapi import NxApi
from sekisho.devices.switch.order import stages
from sekisho.model.errors import Conflict, NotFound, Refused, Unauthenticated, Unavailable, Unsupported
from sekisho.testing.nexus import Box, Door, serve
from sekisho.testing.nexus.box import Heard
from support_certificates import certificate
from support_nexus_states import comparable, nexus_states

WEB = Vlan(10, "web", 0)
FEW = 8


@pytest.fixture
def door() -> Iterator[Door]:
    with serve(Box(hostname="leaf-1", version="9.3(10)", ports=FEW)) as found:
        yield found


PASSWORD = "admin"


def by(door: Door, transport: str, secret: str = PASSWORD) -> Nexus:
    if transport == "ssh":
        pytest.importorskip("netmiko")
        return connect(
            Connection(
                "nexus", door.address, door.ssh_port, "admin", verify=False, transport="ssh", timeout=10
            ),
            secret,
        )
    return connect(Connection("nexus", door.url, username="admin", transport="nxapi", timeout=10), secret)


@pytest.fixture(params=["nxapi", "ssh"])
def driver(door: Door, request: pytest.FixtureRequest) -> Iterator[Nexus]:
    with closing(by(door, request.param)) as found:
        yield found


@pytest.fixture
def nxapi(door: Door) -> Iterator[Nexus]:
    with closing(by(door, "nxapi")) as found:
        yield found


def go(driver: Nexus, wanted: dict[Key, Part], how: str) -> None:
    """Bring a switch to a configuration, by trees or by commands."""
    actual = dict(driver.read().parts)
    blank = {key: part for key, part in actual.items() if key[0] == "feature"}
    wanted = {**blank, **wanted, ("user", "admin"): actual["user", "admin"]}
    if how == "commands":  # a channel without members keeps LACP in use
        wanted["feature", "lacp"] = Feature("lacp", enabled=True)
    for stage in stages(actual, wanted):
        if how == "tree":
            driver.apply(stage)
        else:
            assert isinstance(driver._door, NxApi)
            driver._door.configure(cli.blocks(stage))
    read, text = driver.read().parts, config_text.parts(driver.running())
    for key in {**wanted, **read, **text}:
        assert comparable(read.get(key)) == comparable(wanted.get(key))
        assert comparable(text.get(key)) == comparable(wanted.get(key))


@pytest.mark.parametrize("how", ["tree", "commands"])
def test_any_configuration_is_reached_and_read_alike_from_tree_and_text(nxapi: Nexus, how: str) -> None:
    @settings(
        max_examples=15,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(nexus_states(FEW))
    def check(wanted: dict[Key, Part]) -> None:
        go(nxapi, wanted, how)

    check()


def test_over_ssh_a_configuration_is_reached_as_well(door: Door) -> None:
    @settings(
        max_examples=2,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(nexus_states(FEW))
    def check(wanted: dict[Key, Part]) -> None:
        go(ssh, wanted, "tree")

    with closing(by(door, "ssh")) as ssh:
        check()


def test_both_doors_read_the_same(door: Door) -> None:
    with closing(by(door, "nxapi")) as one, closing(by(door, "ssh")) as other:
        ours, theirs = one.read(), other.read()

    assert ours.parts == theirs.parts
    assert ours.facts.serial == theirs.facts.serial
    assert ours.facts.version == theirs.facts.version == "9.3(10)"


def test_what_is_rendered_goes_by_the_door_that_is_open(driver: Nexus) -> None:
    driver.read()
    (sent,) = driver.render([Step(None, WEB)])

    assert sent.how == ("dme" if driver._connection.transport == "nxapi" else "cli")
    assert "web" in sent.text


def test_a_line_that_takes_anothers_place_keeps_nothing_of_it(driver: Nexus) -> None:
    full = Ace(10, permit=True, protocol="tcp", source_port="1-9", destination_port="80", log=True)
    before = Acl(4, "web", (replace(full, established=True), Ace(20, permit=True, protocol="ip")))
    after = Acl(4, "web", (Ace(10, permit=False, protocol="tcp", source="10.0.0.0/8"),))

    driver.apply([Step(None, before)])
    assert driver.read().parts["acl", "4", "web"] == before
    driver.apply([Step(before, after)])

    assert driver.read().parts["acl", "4", "web"] == after


def test_a_checkpoint_is_gone_back_to(driver: Nexus) -> None:
    before = driver.read()
    driver.checkpoint("before")

    driver.apply([Step(None, WEB)])
    assert driver.read() != before
    driver.rollback("before")

    assert driver.read() == before


def test_a_checkpoint_of_the_same_name_is_replaced(driver: Nexus) -> None:
    driver.checkpoint("one")
    driver.apply([Step(None, WEB)])
    driver.checkpoint("one")

    driver.rollback("one")

    assert ("vlan", "10") in driver.read().parts
    assert driver.checkpoints() == ("one",)


def test_our_oldest_checkpoints_make_room_and_others_find_some(driver: Nexus, door: Door) -> None:
    driver._opened().run(["checkpoint theirs"])
    for number in range(11):
        driver.checkpoint(f"c{number}")

    assert driver.checkpoints() == tuple(f"c{number}" for number in range(4, 11))
    driver._opened().run([f"checkpoint theirs{number}" for number in range(2)])
    assert len(door.box.checkpoints) == 10
    driver.checkpoint("c10")  # it is there already, and is replaced
    driver.checkpoint("c11")
    assert driver.checkpoints()[-1] == "c11"
    assert {"theirs", "theirs0", "theirs1"} <= set(door.box.checkpoints)
    assert len(door.box.checkpoints) == 8


def test_one_place_is_enough(driver: Nexus, door: Door) -> None:
    driver._opened().run([f"checkpoint theirs{number}" for number in range(9)])
    driver.checkpoint("c1")
    driver.checkpoint("c2")

    assert driver.checkpoints() == ("c2",)
    assert len(door.box.checkpoints) == 10


def test_ten_checkpoints_of_others_are_left_alone(driver: Nexus, door: Door) -> None:
    for number in range(10):
        driver._opened().run([f"checkpoint theirs{number}"])

    with pytest.raises(Refused, match="ten checkpoints"):
        driver.checkpoint("ours")
    assert len(door.box.checkpoints) == 10


def test_a_checkpoint_that_is_gone_is_told(driver: Nexus) -> None:
    driver.checkpoint("one")
    driver.forget("one")
    driver.forget("one")

    with pytest.raises(NotFound):
        driver.rollback("one")


def test_a_rollback_that_fails_is_told(driver: Nexus, door: Door) -> None:
    driver.checkpoint("one")
    door.box.faults.rollback_fails = "ERROR: Rollback Failed, Reverting to original configuration"

    with pytest.raises(Refused, match="Rollback Failed"):
        driver.rollback("one")


def test_an_armed_switch_goes_back_by_itself(nxapi: Nexus, door: Door) -> None:
    now = [1000.0]
    door.box.clock = lambda: now[0]
    before = nxapi.read()
    nxapi.arm(60)
    nxapi.apply([Step(None, WEB)])
    now[0] += 61

    assert nxapi.read() == before


def test_a_switch_that_is_told_in_time_keeps_the_change(nxapi: Nexus, door: Door) -> None:
    now = [1000.0]
    door.box.clock = lambda: now[0]
    nxapi.arm(60)
    nxapi.apply([Step(None, WEB)])
    nxapi.disarm()
    now[0] += 61

    assert ("vlan", "10") in nxapi.read().parts


def test_an_old_switch_has_no_timer() -> None:
    with serve(Box(version="7.0(3)I7(10)", ports=FEW), ssh_port=0) as door:
        driver = by(door, "nxapi")

        assert not driver.abilities().timer
        with pytest.raises(Unsupported):
            driver.arm(60)
        driver.close()


def test_saving_is_saving(driver: Nexus, door: Door) -> None:
    driver.apply([Step(None, WEB)])
    assert "name web" not in door.box.startup
    driver.save()
    assert "name web" in door.box.startup


def test_saving_that_fails_is_told(driver: Nexus, door: Door) -> None:
    door.box.faults.save_fails = "Configuration update aborted: request was aborted. Copy failed"

    with pytest.raises(Refused, match="aborted"):
        driver.save()


def test_who_changed_what_is_told(driver: Nexus, door: Door) -> None:
    start = door.box.clock()
    driver.checkpoint("x")

    found = [account for account in driver.accounts(start - 5) if account.command == "checkpoint sekisho-x"]

    assert found
    assert found[0].user == "admin"
    assert driver.accounts(start + 3600) == ()


def test_a_session_ends_with_the_connection(door: Door) -> None:
    with closing(by(door, "nxapi")) as driver:
        driver.read()
        assert door.box.tokens

    assert not door.box.tokens


def test_who_is_at_the_other_end_is_told(driver: Nexus, door: Door) -> None:
    driver.read()
    assert driver.neighbours() == ()  # LLDP is off

    driver.apply([Step(None, Feature("lldp", enabled=True))])
    door.box.neighbours = {"eth1/1": Heard("compute-1", "ens1f0")}
    assert driver.neighbours() == (Neighbour("Ethernet1/1", "compute-1", "ens1f0"),)

    door.box.neighbours["eth1/2"] = Heard("compute-2", "ens1f1")  # two rows are a list
    assert {n.system for n in driver.neighbours()} == {"compute-1", "compute-2"}


@pytest.mark.parametrize("transport", ["nxapi", "ssh"])
def test_how_the_pair_is_is_told(door: Door, transport: str) -> None:
    with (
        serve(Box(hostname="leaf-2", ports=FEW)) as beside,
        closing(by(door, transport)) as one,
        closing(by(beside, transport)) as other,
    ):
        door.box.peer, beside.box.peer = beside.box, door.box
        assert one.pair() is None
        for driver, mine, theirs in ((one, "10.9.0.1", "10.9.0.2"), (other, "10.9.0.2", "10.9.0.1")):
            _paired(driver, mine, theirs)

        assert one.pair() == Pair(peer_up=True, keepalive_up=True)

        link = other.read().parts["port", "port-channel100"]
        assert isinstance(link, Port)
        other.apply([Step(link, replace(link, enabled=False))])
        down = one.pair()
        assert down is not None
        assert (down.peer_up, down.keepalive_up) == (False, True)


@pytest.mark.parametrize("transport", ["nxapi", "ssh"])
def test_what_differs_in_each_vpc_is_told(door: Door, transport: str) -> None:
    with (
        serve(Box(hostname="leaf-2", ports=FEW)) as beside,
        closing(by(door, transport)) as one,
        closing(by(beside, transport)) as other,
    ):
        door.box.peer, beside.box.peer = beside.box, door.box
        for driver, mine, theirs in ((one, "10.9.0.1", "10.9.0.2"), (other, "10.9.0.2", "10.9.0.1")):
            _paired(driver, mine, theirs)
            for number in (20, 21):
                trunk = replace(defaults.port(f"port-channel{number}"), mode=PortMode.TRUNK, vpc=number)
                driver.apply([Step(None, trunk)])
        assert one.pair() == other.pair() == Pair(peer_up=True, keepalive_up=True)

        channel = other.read().parts["port", "port-channel21"]
        assert isinstance(channel, Port)
        # two things that suspend it, and one that does not
        other.apply([Step(channel, replace(channel, native=99, edge=True, allowed="10,99"))])
        told = ("vPC 21: Native Vlan", "vPC 21: STP Port Type")
        assert one.pair() == other.pair() == Pair(peer_up=True, keepalive_up=True, inconsistent=told)

        other.apply([Step(replace(channel, native=99, edge=True, allowed="10,99"), None)])
        assert one.pair() == Pair(peer_up=True, keepalive_up=True)  # on one alone, it suspends nothing


def _paired(driver: Nexus, mine: str, theirs: str) -> None:
    features = [Step(None, Feature(name, enabled=True)) for name in ("vpc", "lacp")]
    driver.apply(features)
    driver.apply([Step(None, Vpc(10, theirs, mine, "management", 100, peer_gateway=True))])
    channel = replace(
        defaults.port("port-channel100"), mode=PortMode.TRUNK, lacp=Lacp.ACTIVE, members=("Ethernet1/8",)
    )
    driver.apply([Step(None, channel)])
    driver.apply([Step(channel, replace(channel, peer_link=True))])


@pytest.mark.parametrize("transport", ["nxapi", "ssh"])
def test_a_wrong_password_is_one(door: Door, transport: str) -> None:
    driver = by(door, transport, "wrong")

    with pytest.raises(Unauthenticated) as raised:
        driver.read()
    assert "wrong" not in raised.value.fixer
    driver.close()


def test_a_lock_names_its_holder(driver: Nexus, door: Door) -> None:
    driver.read()
    door.box.faults.locked_by = "bob"

    with pytest.raises(Conflict, match="bob"):
        driver.apply([Step(None, WEB)])

    door.box.faults.locked_by = ""
    driver.apply([Step(None, WEB)])  # and the connection is of use again
    assert ("vlan", "10") in driver.read().parts


def test_a_feature_that_is_off_is_told(driver: Nexus) -> None:
    driver.read()
    for enabled in (True, False):  # the latter is one command and no more
        with pytest.raises(Refused, match="not enabled"):
            driver.apply([Step(None, Svi(10, "", enabled=enabled, mtu=1500, vrf="default", addresses=()))])


def test_a_refused_tree_is_not_half_done(nxapi: Nexus) -> None:
    before = nxapi.read()
    svi = Svi(10, "", enabled=True, mtu=1500, vrf="default", addresses=())

    with pytest.raises(Refused):
        nxapi.apply([Step(None, WEB), Step(None, svi)])
    assert nxapi.read() == before


def test_a_session_that_ended_is_begun_again(nxapi: Nexus, door: Door) -> None:
    before = nxapi.read()
    door.box.tokens.clear()
    nxapi.apply([Step(None, WEB)])
    door.box.tokens.clear()

    assert nxapi.read().parts == {**before.parts, ("vlan", "10"): WEB}


def test_a_version_without_some_class_is_read_all_the_same(nxapi: Nexus) -> None:
    before = nxapi.read()
    nxapi._classes = ("fmOfTomorrow", *read.CONFIGURED, "l3OfTomorrow")

    assert nxapi.read() == before
    assert nxapi._classes == read.CONFIGURED


def test_a_user_who_may_not_is_told(nxapi: Nexus, door: Door) -> None:
    nxapi.apply([Step(None, User("reader", "network-operator", ""))])
    door.box.tree.find("sys/userext/user-[admin]/userdomain-[all]").kids.clear()  # type: ignore[union-attr]

    with pytest.raises(Refused):
        nxapi.apply([Step(None, WEB)])


def test_the_user_as_whom_we_came_stays(driver: Nexus) -> None:
    me = driver.read().parts["user", "admin"]

    with pytest.raises(Refused, match="signs in"):
        driver.apply([Step(me, None)])


@pytest.mark.parametrize("transport", ["nxapi", "ssh"])
def test_a_switch_that_does_not_answer_is_told_and_met_again(door: Door, transport: str) -> None:
    driver = by(door, transport)
    driver.read()
    door.box.faults.unreachable = True

    with pytest.raises(Unavailable):
        driver.read()
    door.box.faults.unreachable = False

    assert driver.read().facts.serial
    driver.close()


def test_an_answer_that_is_lost_is_no_refusal(nxapi: Nexus, door: Door) -> None:
    nxapi.read()
    door.box.faults.drop_after = 1

    with pytest.raises(Unavailable):
        nxapi.apply([Step(None, WEB)])
    assert ("vlan", "10") in nxapi.read().parts  # it was done after all, and only reading tells


def test_without_nxapi_ssh_is_the_way_in(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("netmiko")
    monkeypatch.setattr("sekisho.devices.switch.nexus.driver.PORT", door.ssh_port)
    nobody = Connection("nexus", "127.0.0.1", 9, "admin", verify=False, timeout=5)
    driver = connect(nobody, "admin")

    assert driver.read().facts.serial == "FDO00000001"
    assert driver.render([Step(None, WEB)])[0].how == "cli"
    driver.close()


def test_a_certificate_that_we_trust_is_enough(tmp_path: Path) -> None:
    files = certificate(tmp_path, "127.0.0.1")
    with serve(Box(ports=FEW), ssh_port=0, tls=files) as door:
        given = Connection("nexus", "127.0.0.1", door.port, "admin", ca_file=files[0], transport="nxapi")
        driver = connect(given, "admin")

        assert driver.read().facts.serial
        driver.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "another.example.net"])
def test_a_certificate_that_we_do_not_trust_is_told(tmp_path: Path, name: str) -> None:
    files = certificate(tmp_path, name)
    with serve(Box(ports=FEW), ssh_port=0, tls=files) as door:
        ours = files[0] if name != "127.0.0.1" else ""  # trusted, but another's; or its own, and not trusted
        given = Connection("nexus", "127.0.0.1", door.port, "admin", ca_file=ours)
        driver = connect(given, "admin")

        with pytest.raises(Refused, match="certificate"):
            driver.read()
        unsafe = connect(replace(given, verify=False, transport="nxapi"), "admin")
        assert unsafe.read().facts.serial
        unsafe.close()
        driver.close()


def test_an_unchanged_configuration_is_the_same_text_at_any_time(nxapi: Nexus, door: Door) -> None:
    now = [1000.0]
    door.box.clock = lambda: now[0]
    before = nxapi.running()
    now[0] += 100

    assert nxapi.running() == before
    assert "hostname leaf-1" in before


def test_a_backup_is_restored_whole(driver: Nexus) -> None:
    driver.apply([Step(None, WEB)])
    text = driver.running()
    port = driver.read().parts["port", "Ethernet1/1"]
    assert isinstance(port, Port)
    driver.apply([Step(WEB, None), Step(port, replace(port, description="changed", mtu=9216))])

    driver.restore(text)

    assert config_text.parts(driver.running()) == config_text.parts(text)

"""What the providers tell the keeper, and what they refuse before that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sekisho.model.balancer import (
    Algorithm,
    Balancer,
    BalancerView,
    Check,
    Kind,
    Listener,
    Member,
    Monitor,
    Operating,
    PairView,
    Pool,
    Protocol,
    Provisioning,
    Vip,
)
from sekisho.model.errors import NotFound, SekishoError, Unavailable, Unsupported
from support_octavia_lib import UNSET, DriverError, Thing, UnsupportedOptionError, guest

VIP = Vip("10.0.0.100", "subnet", "network", "port")
POOL = Pool("p", Protocol.TCP, members=(Member("m1", "10.0.0.1", 80),), monitor=Monitor("h", Check.TCP))
WHOLE = Balancer(
    "lb", "lvs", VIP, "acme", "", (Listener("l", Protocol.TCP, 80, "p"),), (POOL,), {"pair": "rack"}
)


class Keeper:
    """Takes down what it is told, or fails with `error`; knows one balancer, or none."""

    def __init__(self, balancer: Balancer | None = WHOLE) -> None:
        self.balancer = balancer
        self.error: SekishoError | None = None
        self.calls: list[tuple[Any, ...]] = []

    def pairs(self) -> tuple[PairView, ...]:
        if self.error is not None:
            raise self.error
        rack = PairView("rack", "lvs", ("d1", "d2"), ("north",))
        return rack, PairView("box", "adx", ("box",), ("south",))

    def show(self, thing: str) -> BalancerView:
        if self.error is not None:
            raise self.error
        if self.balancer is None:
            raise NotFound(thing)
        return BalancerView(self.balancer, Provisioning.ACTIVE, Operating.ONLINE)

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> None:
            if self.error is not None:
                raise self.error
            self.calls.append((name, *arguments, *named.values()))

        return call


@pytest.fixture
def modules() -> Iterator[dict[str, Any]]:
    with guest() as found:
        yield found


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def lvs(modules: dict[str, Any], keeper: Keeper) -> Any:
    return _driver(modules["provider"].LvsDriver, keeper)


def _driver(kind: type, keeper: Keeper) -> Any:
    """Make a driver that speaks to this keeper."""
    return type("Driver", (kind,), {"_keeper": property(lambda _: keeper)})()


def listener(**more: Any) -> Thing:
    said = {"listener_id": "l2", "loadbalancer_id": "lb", "protocol": "TCP", "protocol_port": 81}
    return Thing(**{**said, "default_pool_id": None, "name": UNSET, **more})


def member(**more: Any) -> Thing:
    said = {"member_id": "m2", "pool_id": "p", "address": "10.0.0.2", "protocol_port": 80, "weight": 1}
    return Thing(**{**said, "subnet_id": "subnet", "backup": UNSET, **more})


def test_a_balancer_is_put_whole(lvs: Any, keeper: Keeper) -> None:
    pool = Thing(pool_id="p", protocol="HTTPS", lb_algorithm="SOURCE_IP", members=[member()])
    asked = Thing(
        loadbalancer_id="new",
        vip_address="10.0.0.7",
        vip_subnet_id="subnet",
        project_id="acme",
        flavor={"pair": "rack"},
        availability_zone={"zone": "north"},
        admin_state_up=False,
        listeners=[Thing(**vars(listener(default_pool_id="p", protocol_port=80)))],
        pools=[pool],
        name=UNSET,
    )
    lvs.loadbalancer_create(asked)
    ((name, put),) = keeper.calls
    assert name == "put"
    assert (put.provider, put.zone, put.enabled, put.flavor) == ("lvs", "north", False, {"pair": "rack"})
    assert put.listeners[0].pool == "p"
    assert (put.pools[0].protocol, put.pools[0].algorithm) == (Protocol.TCP, Algorithm.SOURCE_IP)
    assert put.pools[0].members[0].address == "10.0.0.2"


def test_a_changed_object_is_what_it_was_but_for_what_was_said(lvs: Any, keeper: Keeper) -> None:
    lvs.member_update(member(weight=5, name="web"), Thing(member_id="m2", weight=None, name=UNSET))
    ((_, parent, put),) = keeper.calls
    assert parent == "p"
    assert (put.weight, put.name, put.address) == (1, "web", "10.0.0.2")  # None is the default again


def test_a_pool_goes_behind_its_listener_and_keeps_its_members_when_changed(lvs: Any, keeper: Keeper) -> None:
    pool = Thing(
        pool_id="p2", loadbalancer_id="lb", listener_id="l", protocol="TCP", lb_algorithm="ROUND_ROBIN"
    )
    lvs.pool_create(pool)
    lvs.pool_update(
        Thing(**{**vars(pool), "members": [member()]}),
        Thing(pool_id="p2", session_persistence={"type": "SOURCE_IP"}),
    )
    (_, behind, _), (_, _, changed) = keeper.calls
    assert behind == "l"
    assert (changed.members, changed.persistence) == ((), 360)


def test_what_cannot_be_carried_is_refused_before_the_keeper_is_told(lvs: Any, keeper: Keeper) -> None:
    refused: list[Callable[[], object]] = [
        lambda: lvs.listener_create(listener(protocol="HTTP")),
        lambda: lvs.listener_create(listener(timeout_client_data=1)),
        lambda: lvs.listener_create(listener(connection_limit=5)),
        lambda: lvs.member_create(member(protocol_port=8080)),
        lambda: lvs.member_create(member(subnet_id="another")),
        lambda: lvs.member_create(member(vnic_type="direct")),
        lambda: lvs.member_batch_update("p", [member(protocol_port=8080)]),
        lambda: lvs.pool_create(Thing(pool_id="p2", loadbalancer_id="lb", protocol="PROXY")),
        lambda: lvs.loadbalancer_create(Thing(loadbalancer_id="x", vip_address="10.0.0.1", vip_sg_ids=["s"])),
        lambda: lvs.l7policy_create(Thing()),
        lambda: lvs.l7rule_create(Thing()),
        lambda: lvs.validate_flavor({"loadbalancer_topology": "SINGLE"}),
        lambda: lvs.validate_availability_zone({"zone": "north", "compute_zone": "x"}),
        lambda: lvs.validate_availability_zone({}),
        lambda: lvs.create_vip_port("x", "acme", {"vip_qos_policy_id": "q"}, []),
        lambda: lvs.create_vip_port("x", "acme", {}, [{"subnet_id": "s"}]),
    ]
    for attempt in refused:
        with pytest.raises(UnsupportedOptionError) as caught:
            attempt()
        said = caught.value.user_fault_string  # type: ignore[attr-defined] # as octavia-lib's has
        assert ". " in said or "; " in said or ", but " in said
    assert keeper.calls == []


def test_members_in_another_subnet_are_taken_where_directors_have_a_link(lvs: Any, keeper: Keeper) -> None:
    lvs._options.links.append("10.0.0.0/24")  # as octavia.conf says
    lvs.member_create(member(subnet_id="another"))
    assert len(keeper.calls) == 1


def test_with_the_keeper_away_octavia_is_told_to_take_its_change_back(lvs: Any, keeper: Keeper) -> None:
    keeper.error = Unavailable("no", "host-7 does not answer")
    with pytest.raises(DriverError) as caught:
        lvs.member_create(member())
    assert "host-7" not in caught.value.user_fault_string  # type: ignore[attr-defined]
    assert "host-7" in caught.value.operator_fault_string  # type: ignore[attr-defined]
    keeper.error = Unsupported("No zone here; choose another.")
    with pytest.raises(UnsupportedOptionError):
        lvs.loadbalancer_failover("lb")


def test_what_the_keeper_does_not_know_can_be_deleted_whole_and_not_in_parts(modules: dict[str, Any]) -> None:
    keeper = Keeper(None)
    driver = _driver(modules["provider"].LvsDriver, keeper)
    with pytest.raises(DriverError):
        driver.member_delete(member())
    pool = Thing(pool_id="p", protocol="TCP", members=[member()])
    whole = Thing(loadbalancer_id="lb", listeners=[listener()], pools=[pool])
    driver.loadbalancer_delete(whole, cascade=True)
    told = [call[1] for call in keeper.calls]
    assert told == ["m2", "p", "l2", "lb"]
    assert keeper.calls[-1] == ("delete", "lb", True)


def test_deletions_name_kind_and_parent(lvs: Any, keeper: Keeper) -> None:
    lvs.member_delete(member())
    lvs.listener_delete(listener())
    lvs.health_monitor_delete(Thing(healthmonitor_id="h", pool_id="p"))
    assert [call[1:] for call in keeper.calls] == [
        ("m2", Kind.MEMBER, "p"),
        ("l2", Kind.LISTENER, "lb"),
        ("h", Kind.MONITOR, "p"),
    ]


def test_a_flavor_of_adx_names_a_predictor_that_there_is(modules: dict[str, Any], keeper: Keeper) -> None:
    adx = _driver(modules["provider"].AdxDriver, keeper)
    adx.validate_flavor({"predictor": "least-conn", "pair": "box"})
    assert set(adx.get_supported_flavor_metadata()) == {"pair", "predictor"}
    with pytest.raises(UnsupportedOptionError):
        adx.validate_flavor({"predictor": "best"})


def test_flavors_and_zones_name_what_the_keeper_has(
    modules: dict[str, Any], lvs: Any, keeper: Keeper
) -> None:
    adx = _driver(modules["provider"].AdxDriver, keeper)
    lvs.validate_flavor({"pair": "rack"})
    lvs.validate_availability_zone({"zone": "north"})
    adx.validate_availability_zone({"zone": "south"})
    wrong: list[tuple[Callable[[dict[str, str]], None], dict[str, str]]] = [
        (lvs.validate_flavor, {"pair": "box"}),
        (adx.validate_flavor, {"pair": "rack"}),
        (lvs.validate_availability_zone, {"zone": "south"}),
        (adx.validate_availability_zone, {"zone": "north"}),
    ]
    for validate, asked in wrong:
        with pytest.raises(UnsupportedOptionError) as said:
            validate(asked)
        assert "It has: " in said.value.user_fault_string  # type: ignore[attr-defined] # by its name
    keeper.error = Unavailable("away", "keeper: no answer")
    with pytest.raises(DriverError):
        lvs.validate_flavor({"pair": "rack"})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"keeper_url": "keeper.example.net:8790"}, "http://HOST:PORT"),
        ({"ca_file": "/nowhere/authority.pem"}, "No such file"),
        ({"token_file": "/nowhere/token"}, "/nowhere/token"),
        ({"token": b"\xff\xfe"}, "codec"),
    ],
)
def test_a_mistake_in_the_settings_is_nobodys_who_asks_octavia(
    modules: dict[str, Any], tmp_path: Path, wrong: dict[str, Any], says: str
) -> None:
    token = tmp_path / "token"
    token.write_bytes(wrong.pop("token", b"secret"))
    options = modules["provider"].cfg.CONF.sekisho
    good = {"keeper_url": "http://127.0.0.1:1", "token_file": str(token)}
    for name, value in (good | wrong).items():
        setattr(options, name, value)
    driver = modules["provider"].LvsDriver()
    with pytest.raises(Unavailable, match="cannot be asked") as caught:
        _ = driver._keeper
    assert says in caught.value.fixer

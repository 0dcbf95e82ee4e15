"""What balancers become on a box, one after another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sekisho.devices.balancer.adx import names
from sekisho.model.balancer import Algorithm, Check, Listener, Member, Monitor, Pool, Protocol
from sekisho.testing.adx.box import Real, Virtual
from sekisho.testing.adx.cli import run
from support_adx import Rig, identity, web, with_members, without


def member(address: str, **more: Any) -> Member:
    return replace(Member(identity(f"web {address}"), address, 80), **more)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_balancer_stands_whole_and_is_saved(rig: Rig) -> None:
    outcome = rig.driver().carry([web()])
    assert not outcome.problems
    virtual = rig.box.running.virtuals[names.of(web().id)]
    assert (virtual.address, virtual.enabled, virtual.predictor) == ("10.2.0.100", True, "round-robin")
    assert virtual.ports[80].dsr
    assert [real for _, real, _ in virtual.bindings] == ["sk-10.2.0.11", "sk-10.2.0.12"]
    policy = rig.box.running.policies[rig.box.running.reals["sk-10.2.0.11"].ports[80].policy]
    assert (policy.url, policy.codes, policy.interval, policy.retries) == ("GET /", [(200, 200)], 5, 3)
    rig.box.restart()
    assert rig.driver().carry([web()]).changes == 0


def test_nothing_is_done_twice(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    before = len(rig.box.calls)
    assert driver.carry([web()]).changes == 0
    assert rig.box.calls[before:] == ["runCLI"]


def test_one_change_is_one_change(rig: Rig) -> None:
    many = [web(f"web {n}", vip=f"10.2.0.{100 + n}") for n in range(20)]
    driver = rig.driver()
    driver.carry(many)
    before = len(rig.box.calls)
    many[7] = replace(many[7], listeners=(replace(many[7].listeners[0], enabled=False),))
    assert driver.carry(many).changes == 1
    assert len(rig.box.calls) - before <= 5


def test_a_member_that_leaves_is_unbound_first_and_deleted_when_that_is_done(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    assert not driver.carry([without(web(), "10.2.0.12")]).problems
    assert set(rig.box.running.reals) == {"sk-10.2.0.11"}
    assert rig.waited >= 5


def test_a_member_that_comes_back_at_once_serves_again(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    driver.carry([without(web(), "10.2.0.12")])
    assert not driver.carry([web()]).problems
    assert not driver.drift()


def test_all_goes_when_nothing_is_wanted_but_what_others_made(rig: Rig) -> None:
    rig.box.running.virtuals["shop"] = Virtual("shop", "10.9.0.1")
    rig.box.running.reals["shop-1"] = Real("shop-1", "10.9.0.2")
    before = rig.text()
    driver = rig.driver()
    driver.carry([web()])
    driver.carry([])
    assert rig.text() == before


def test_a_vip_or_a_member_that_is_anothers_is_refused_and_keeps_no_other_away(rig: Rig) -> None:
    rig.box.running.virtuals["shop"] = Virtual("shop", "10.2.0.100")
    rig.box.running.reals["shop-1"] = Real("shop-1", "10.2.0.31")
    good = web("good", vip="10.2.0.102")
    stolen = web("stolen", vip="10.2.0.103", members=("10.2.0.31",))
    outcome = rig.driver().carry([web(), stolen, good])
    assert set(outcome.problems) == {web().id, stolen.id}
    assert "shop-1" in outcome.problems[stolen.id]
    assert set(rig.box.running.virtuals) == {"shop", names.of(good.id)}
    assert "sk-10.2.0.31" not in rig.box.running.reals


def test_what_a_box_has_once_for_an_address_cannot_be_two_things(rig: Rig) -> None:
    first, second = web("first"), web("second", vip="10.2.0.101", check=Check.TCP)
    driver = rig.driver()
    outcome = driver.carry([first, second])
    assert list(outcome.problems) == [second.id]
    assert first.id in outcome.problems[second.id]
    # who stands already stays, in whatever order they are given
    assert list(driver.carry([second, first]).problems) == [second.id]
    assert set(rig.box.running.virtuals) == {names.of(first.id)}


def test_who_changes_what_two_share_is_refused_and_not_the_other(rig: Rig) -> None:
    first, second = web("first"), web("second", vip="10.2.0.101")
    driver = rig.driver()
    assert not driver.carry([first, second]).problems
    before = rig.text()
    changed = web("first", check=Check.TCP)
    for asked in ([changed, second], [second, changed]):
        assert list(driver.carry(asked).problems) == [first.id]
        assert rig.text() == before
    assert not driver.carry([changed, web("second", vip="10.2.0.101", check=Check.TCP)]).problems


def test_a_balancer_that_became_impossible_serves_on_as_it_did(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    before = rig.text()
    odd = replace(web(), pools=(replace(web().pools[0], algorithm=Algorithm.SOURCE_IP),))
    assert "SOURCE_IP" in driver.carry([odd]).problems[odd.id]
    assert rig.text() == before


@pytest.mark.parametrize(
    ("algorithm", "weights", "flavor", "predictor"),
    [
        (Algorithm.ROUND_ROBIN, (1, 1), {}, "round-robin"),
        (Algorithm.ROUND_ROBIN, (3, 1), {}, "weighted-round-robin"),
        (Algorithm.LEAST_CONNECTIONS, (2, 2), {}, "least-conn"),
        (Algorithm.LEAST_CONNECTIONS, (3, 1), {}, "weighted"),
        (Algorithm.LEAST_CONNECTIONS, (1, 0), {}, "least-conn"),
        (Algorithm.ROUND_ROBIN, (3, 1), {"predictor": "enhanced-weighted"}, "enhanced-weighted"),
    ],
)
def test_the_predictor_minds_weights(
    rig: Rig, algorithm: Algorithm, weights: tuple[int, int], flavor: dict[str, str], predictor: str
) -> None:
    servers = [member(f"10.2.0.{11 + n}", weight=weight) for n, weight in enumerate(weights)]
    asked = with_members(web(algorithm=algorithm), *servers)
    driver = rig.driver()
    driver.carry([replace(asked, flavor=flavor)])
    assert next(iter(rig.box.running.virtuals.values())).predictor == predictor
    assert not driver.drift()


def test_a_weight_changes_in_place(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    assert (
        driver.carry([with_members(web(), member("10.2.0.11", weight=7), member("10.2.0.12"))]).changes == 2
    )
    assert rig.box.running.reals["sk-10.2.0.11"].weight == 7
    assert not driver.drift()


def test_weight_zero_lets_connections_end_and_takes_no_new_ones(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    drained = with_members(web(), member("10.2.0.11"), member("10.2.0.12", weight=0))
    assert driver.carry([drained]).changes == 1
    port = rig.box.running.reals["sk-10.2.0.12"].ports[80]
    assert not port.enabled
    assert rig.box.bindings("sk-10.2.0.12", 80)
    driver.carry([web()])
    assert port.enabled


def test_a_monitor_comes_changes_and_goes(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web(check=None)])
    assert not rig.box.running.policies
    driver.carry([web()])
    asked = Monitor(identity("web monitor"), Check.HTTPS, 10, 10, 2, 2, "HEAD", "/up", "200-204,301")
    driver.carry([web(monitor=asked)])
    (policy,) = rig.box.running.policies.values()
    assert (policy.ssl, policy.url, policy.codes) == (True, "HEAD /up", [(200, 204), (301, 301)])
    assert not driver.drift()
    driver.carry([web(check=None)])
    assert not rig.box.running.policies
    assert not rig.box.running.reals["sk-10.2.0.11"].ports[80].policy
    assert not driver.drift()


def test_a_check_by_connecting_is_a_policy_of_http_that_asks_nothing(rig: Rig) -> None:
    rig.driver().carry([web(check=Check.TCP)])
    policy = next(iter(rig.box.running.policies.values()))
    assert (policy.l4, policy.ssl, policy.codes) == (True, False, [])


def test_persistence_sticks_for_its_minutes(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    driver.carry([web(persistence=600)])
    virtual = next(iter(rig.box.running.virtuals.values()))
    assert (virtual.ports[80].sticky, virtual.sticky_age) == (True, 10)
    assert virtual.predictor == "round-robin"
    driver.carry([web()])
    assert not virtual.ports[80].sticky
    assert not driver.drift()


def test_a_port_that_the_box_does_not_know_gets_a_profile_which_stays(rig: Rig) -> None:
    rig.box.running.profiles[9000] = "UDP"
    driver = rig.driver()
    asked = [web("one", port=8080), web("two", vip="10.2.0.101", port=9000)]
    outcome = driver.carry(asked)
    assert rig.box.running.profiles == {8080: "TCP", 9000: "UDP"}
    assert list(outcome.problems) == [asked[1].id]
    assert "9000" in outcome.problems[asked[1].id]
    driver.carry([])
    assert 8080 in rig.box.running.profiles


def test_listeners_of_one_vip_each_have_their_pool(rig: Rig) -> None:
    pool = Pool(identity("tls"), Protocol.TCP, members=(Member(identity("tls 11"), "10.2.0.11", 443),))
    tls = Listener(identity("tls listener"), Protocol.TCP, 443, pool.id)
    both = replace(web(), listeners=(*web().listeners, tls), pools=(*web().pools, pool))
    driver = rig.driver()
    driver.carry([both])
    virtual = rig.box.running.virtuals[names.of(both.id)]
    assert virtual.bindings[-1] == (443, "sk-10.2.0.11", 443)
    driver.carry([web()])
    assert set(virtual.ports) == {80}
    assert set(rig.box.running.reals["sk-10.2.0.11"].ports) == {80}


def test_an_address_is_one_real_server_for_all_and_goes_with_the_last(rig: Rig) -> None:
    both = [web("one", check=None), web("two", vip="10.2.0.101", check=None)]
    driver = rig.driver()
    assert not driver.carry(both).problems
    assert len(rig.box.running.reals) == 2
    driver.carry(both[1:])
    assert len(rig.box.running.reals) == 2
    driver.carry([])
    assert not rig.box.running.reals


def test_what_others_change_under_our_names_is_told_and_made_right(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    name = names.of(web().id)
    run(
        rig.box,
        [
            "configure terminal",
            *(f"server virtual {name}", "no port http dsr", "predictor least-conn", "port ssl"),
            *("server real sk-10.2.0.11", "port http disable", "end"),
        ],
    )
    told = driver.drift()
    assert len(told) == 4
    assert any("real port sk-10.2.0.11 80" in sentence for sentence in told)
    assert driver.carry([web()]).changes == 4
    assert not driver.drift()


def test_a_policy_that_others_change_is_seen_by_looking_for_drift(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    next(iter(rig.box.running.policies.values())).interval = 99
    assert len(driver.drift()) == 1
    assert driver.carry([web()]).changes == 1


def test_a_box_that_says_yes_and_does_nothing_is_found_out(rig: Rig) -> None:
    rig.box.deaf.add("bindRealServerPortToVipPort")
    assert "binding" in rig.driver().carry([web()]).problems[web().id]


def test_what_stood_before_a_restart_of_ours_is_known_again(rig: Rig) -> None:
    rig.driver().carry([web(), web("old", vip="10.2.0.101")])
    assert rig.driver().carry([web()]).changes > 0
    assert set(rig.box.running.virtuals) == {names.of(web().id)}

"""Everything that Octavia makes, changes and deletes, by both providers, and how it comes back."""

from __future__ import annotations

import json

import pytest

from sekisho.lab.octavia import PROJECT
from sekisho.model.balancer import Algorithm, Operating, Provisioning, Statistics
from support_octavia import SUBNET, Bed, member, until

# A busy machine takes its time, for the emulated boxes above all.
pytestmark = pytest.mark.timeout(400)

PROVIDERS = ("sekisho-lvs", "sekisho-adx")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_all_is_made_changed_and_deleted_piece_by_piece(there: Bed, provider: str) -> None:
    made = there.pieces(provider)
    view = there.octavia.client.balancers.show(made.lb)
    (pool,) = view.balancer.pools
    assert view.provisioning is Provisioning.ACTIVE
    assert [x.pool for x in view.balancer.listeners] == [made.pool]
    assert tuple(m.id for m in pool.members) == made.members
    assert pool.monitor is not None
    assert pool.monitor.id == made.monitor

    first, second = made.members
    there.change(made.lb, f"loadbalancers/{made.lb}", {"loadbalancer": {"name": "shop"}})
    there.change(made.lb, f"listeners/{made.listener}", {"listener": {"name": "web"}})
    change = {"lb_algorithm": "LEAST_CONNECTIONS", "session_persistence": {"type": "SOURCE_IP"}}
    there.change(made.lb, f"pools/{made.pool}", {"pool": change})
    there.change(made.lb, f"pools/{made.pool}/members/{first}", {"member": {"weight": 0}})
    slower = {"delay": 10, "timeout": 10}
    there.change(made.lb, f"healthmonitors/{made.monitor}", {"healthmonitor": slower})
    changed = there.octavia.client.balancers.show(made.lb).balancer
    assert changed.name == "shop"
    assert changed.listeners[0].name == "web"
    assert changed.pools[0].algorithm is Algorithm.LEAST_CONNECTIONS
    assert changed.pools[0].persistence == 360
    assert [m.weight for m in changed.pools[0].members] == [0, 1]
    assert changed.pools[0].monitor is not None
    assert changed.pools[0].monitor.delay == 10

    there.change(made.lb, f"pools/{made.pool}/members", {"members": [member(2), member(3)]})
    addresses = [m.address for m in there.octavia.client.balancers.show(made.lb).balancer.pools[0].members]
    assert sorted(addresses) == ["10.9.200.2", "10.9.200.3"]
    assert there.octavia.ask("GET", f"/lbaas/pools/{made.pool}/members/{first}").status == 404

    there.delete(made.lb, f"healthmonitors/{made.monitor}")
    there.delete(made.lb, f"pools/{made.pool}/members/{second}")
    there.delete(made.lb, f"pools/{made.pool}")
    there.delete(made.lb, f"listeners/{made.listener}")
    assert there.octavia.client.balancers.show(made.lb).balancer.pools == ()
    there.octavia.api("DELETE", f"loadbalancers/{made.lb}")
    there.until(made.lb, ("DELETED", ""))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_whole_balancer_is_made_by_one_request_and_deleted_by_one(there: Bed, provider: str) -> None:
    pool = {"name": "p", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN", "members": [member(1), member(2)]}
    listener = {"name": "l", "protocol": "HTTPS", "protocol_port": 80, "default_pool": pool}
    lb = there.balancer(provider, listeners=[listener])
    made = there.octavia.client.balancers.show(lb).balancer
    assert made.listeners[0].pool == made.pools[0].id
    assert len(made.pools[0].members) == 2
    assert there.octavia.ask("DELETE", f"/lbaas/loadbalancers/{lb}").status == 400
    there.octavia.api("DELETE", f"loadbalancers/{lb}?cascade=true")
    there.until(lb, ("DELETED", ""))
    assert there.octavia.ask("GET", f"/lbaas/listeners/{made.listeners[0].id}").status == 404
    assert there.octavia.ask("GET", f"/lbaas/pools/{made.pools[0].id}").status == 404


def test_what_directors_must_carry_is_what_octavia_was_asked_for(there: Bed) -> None:
    made = there.whole()
    kept = {"allowed_cidrs": ["10.0.0.0/8", "192.0.2.0/24"], "protocol": "TCP", "protocol_port": 8443}
    guarded = there.make(made.lb, "listener", {"loadbalancer_id": made.lb, **kept})
    program = there.directors["d1"].program
    (carried,) = [b for b in program.balancers if b.id == made.lb]
    assert {m.id for m in carried.pools[0].members} == set(made.members)
    cidrs = {each.id: set(each.cidrs) for each in carried.listeners}
    assert cidrs == {made.listener: set(), guarded: {"10.0.0.0/8", "192.0.2.0/24"}}
    there.change(made.lb, f"listeners/{guarded}", {"listener": {"allowed_cidrs": None}})
    shown = there.octavia.client.balancers.show(made.lb).balancer
    assert [each.cidrs for each in shown.listeners if each.id == guarded] == [()]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_failover_lets_the_other_one_take_over(there: Bed, provider: str) -> None:
    lb = there.balancer(provider)
    before = there.octavia.client.balancers.show(lb).active
    there.octavia.api("PUT", f"loadbalancers/{lb}/failover")
    there.active(lb)
    if provider == "sekisho-lvs":
        assert {before, there.octavia.client.balancers.show(lb).active} == {"d1", "d2"}


def test_a_failover_with_nobody_to_take_over_is_refused_and_nothing_is_pending(there: Bed) -> None:
    _zone(there, "alone", "north")
    lb = there.balancer(availability_zone="alone")
    answer = there.octavia.ask("PUT", f"/lbaas/loadbalancers/{lb}/failover")
    assert answer.status == 501, answer.text
    assert "one device only" in answer.text
    assert there.shown(lb)[0] == "ACTIVE"


def test_statistics_and_operating_statuses_come_through(there: Bed) -> None:
    made = there.whole()
    for director in there.directors.values():
        director.operating = {made.members[0]: Operating.ERROR, made.pool: Operating.DEGRADED}
        if director.active:  # d3 is another pair's: it has no say
            director.statistics = (Statistics(made.listener, 3, 70, 12_345, 0, 1),)
    path = f"pools/{made.pool}/members/{made.members[0]}"
    until(lambda: there.octavia.api("GET", path)["member"]["operating_status"] == "ERROR", "the member's end")

    def stats() -> dict[str, int]:
        found: dict[str, int] = there.octavia.api("GET", f"listeners/{made.listener}/stats")["stats"]
        return found

    until(lambda: stats()["bytes_in"] > 0, "statistics")
    assert {k: stats()[k] for k in ("active_connections", "total_connections", "bytes_in")} == {
        "active_connections": 3,
        "total_connections": 70,
        "bytes_in": 12_345,
    }
    assert there.shown(made.lb)[0] == "ACTIVE"


def test_a_flavor_chooses_the_pair_and_a_zone_too(there: Bed) -> None:
    profile = {"name": "n", "provider_name": "sekisho-lvs", "flavor_data": '{"pair": "north"}'}
    made = there.octavia.api("POST", "flavorprofiles", {"flavorprofile": profile})["flavorprofile"]["id"]
    flavor = {"name": "north", "flavor_profile_id": made, "enabled": True}
    chosen = there.octavia.api("POST", "flavors", {"flavor": flavor})["flavor"]["id"]
    lb = there.balancer(flavor_id=chosen)
    assert there.octavia.client.balancers.show(lb).devices == ("d3",)


def test_a_zone_chooses_the_pair(there: Bed) -> None:
    _zone(there, "north")
    lb = there.balancer(availability_zone="north")
    assert there.octavia.client.balancers.show(lb).devices == ("d3",)
    asked = {"vip_subnet_id": SUBNET, "vip_address": "10.9.7.7", "project_id": PROJECT}
    body = {**asked, "availability_zone": "north", "provider": "sekisho-adx"}
    answer = there.octavia.ask("POST", "/lbaas/loadbalancers", {"loadbalancer": body})
    assert answer.status >= 400, answer.text
    for wrong, word in (
        ("{}", "zone"),
        ('{"zone": ""}', "zone"),
        ('{"zone": "nowhere"}', "It has: north."),
        ('{"zone": "north", "compute_zone": "nova"}', "compute_zone"),
    ):
        profile = {"name": "z", "provider_name": "sekisho-lvs", "availability_zone_data": wrong}
        path = "/lbaas/availabilityzoneprofiles"
        answer = there.octavia.ask("POST", path, {"availability_zone_profile": profile})
        assert answer.status == 501, answer.text
        assert word in answer.text


def _zone(there: Bed, name: str, zone: str = "") -> None:
    data = json.dumps({"zone": zone or name})
    profile = {"name": name, "provider_name": "sekisho-lvs", "availability_zone_data": data}
    kind = "availability_zone_profile"
    made = there.octavia.api("POST", "availabilityzoneprofiles", {kind: profile})[kind]["id"]
    asked = {"name": name, "availability_zone_profile_id": made, "enabled": True}
    there.octavia.api("POST", "availabilityzones", {"availability_zone": asked})


def test_flavors_that_mean_nothing_are_refused(there: Bed) -> None:
    for provider, data, word in (
        ("sekisho-lvs", '{"loadbalancer_topology": "SINGLE"}', "loadbalancer_topology"),
        ("sekisho-lvs", '{"predictor": "least-conn"}', "predictor"),
        ("sekisho-adx", '{"predictor": "best"}', "best"),
        ("sekisho-adx", '{"pair": 7}', "pair"),
        ("sekisho-lvs", '{"pair": "nowhere"}', "It has: north, rack."),
        ("sekisho-adx", '{"pair": "rack"}', "It has: box."),
    ):
        profile = {"name": "n", "provider_name": provider, "flavor_data": data}
        answer = there.octavia.ask("POST", "/lbaas/flavorprofiles", {"flavorprofile": profile})
        assert answer.status == 501, answer.text
        assert word in answer.text


def test_the_openstack_client_shows_it(there: Bed) -> None:
    lb = there.balancer(name="seen")
    shown = there.octavia.openstack(f"loadbalancer show {lb} -f value -c provisioning_status -c provider")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split() == ["sekisho-lvs", "ACTIVE"]
    known = there.octavia.openstack("loadbalancer provider capability list sekisho-adx -f value -c name")
    assert {"pair", "predictor"} <= set(known.stdout.split())
    made = there.octavia.openstack(
        f"loadbalancer listener create --name web --protocol TCP --protocol-port 80 --wait {lb}"
    )
    assert made.returncode == 0, made.stderr
    gone = there.octavia.openstack(f"loadbalancer delete --cascade {lb} --wait")
    assert gone.returncode == 0, gone.stderr

"""Whoever dies or is away, nothing stays pending."""

from __future__ import annotations

import pytest

from sekisho.model.balancer import Listener, Member, Protocol
from support_octavia import SUBNET, Bed, Director, member, until

# A busy machine takes its time, for the emulated boxes above all.
pytestmark = pytest.mark.timeout(400)

LIMIT = 60.0


def test_with_the_keeper_away_a_change_is_refused_and_nothing_is_pending(there: Bed) -> None:
    made = there.whole()
    before = there.tree(made.lb)
    there.octavia.service("keeper").kill()
    path = f"/lbaas/pools/{made.pool}/members"
    answer = there.octavia.ask("POST", path, {"member": member(7)})
    assert answer.status == 500
    assert "Try again soon" in answer.text
    assert there.octavia.ask("POST", "/lbaas/loadbalancers", _another()).status == 500
    assert there.octavia.ask("DELETE", f"/lbaas/loadbalancers/{made.lb}?cascade=true").status == 500
    assert there.tree(made.lb) == before
    there.octavia.service("keeper").start()
    there.make(made.lb, "member", member(7), f"pools/{made.pool}/members")


def test_a_keeper_killed_amid_a_change_ends_it_when_it_is_back(there: Bed) -> None:
    made = there.whole()
    there.octavia.api("POST", f"pools/{made.pool}/members", {"member": member(7)})
    there.octavia.service("keeper").kill()
    there.octavia.service("keeper").start()
    assert there.settled(made.lb) < LIMIT
    there.active(made.lb)


def test_with_the_driver_agent_away_statuses_wait_for_it(there: Bed) -> None:
    made = there.whole()
    there.octavia.service("agent").kill()
    there.octavia.api("POST", f"pools/{made.pool}/members", {"member": member(7)})
    keeper = there.octavia.client.balancers
    until(lambda: "PENDING" not in str(keeper.show(made.lb).provisioning), "the keeper to be done")
    assert "PENDING" in there.tree(made.lb)
    there.octavia.service("agent").start()
    assert there.settled(made.lb) < LIMIT
    there.active(made.lb)


def test_what_nobody_carries_is_an_error_and_active_when_somebody_does(there: Bed) -> None:
    made = there.whole()
    there.directors["d1"].stop()
    there.directors["d2"].stop()
    path = f"pools/{made.pool}/members"
    added = there.octavia.api("POST", path, {"member": member(7)})["member"]["id"]
    assert there.settled(made.lb) < LIMIT
    assert _status(there, f"{path}/{added}") == "ERROR"
    for name in ("d1", "d2"):
        there.directors[name] = Director(there.octavia, name, active=name == "d1")
    until(lambda: _status(there, f"{path}/{added}") == "ACTIVE", "the member to be carried")
    there.active(made.lb)


def test_what_a_device_cannot_carry_is_an_error_with_its_sentence(there: Bed) -> None:
    made = there.whole()
    for name in ("d1", "d2"):  # an earlier failover may have made either the active one
        there.directors[name].problems = {made.lb: "There is no room."}
    path = f"pools/{made.pool}/members"
    added = there.octavia.api("POST", path, {"member": member(7)})["member"]["id"]
    there.settled(made.lb)
    assert _status(there, f"{path}/{added}") == "ERROR"
    assert there.octavia.client.balancers.show(made.lb).problem == "There is no room."
    for name in ("d1", "d2"):
        there.directors[name].problems = {}
    until(lambda: _status(there, f"{path}/{added}") == "ACTIVE", "the member to be carried")


def test_what_octavia_never_kept_is_taken_away_at_the_keeper_and_nothing_else(there: Bed) -> None:
    made = there.whole()
    keeper = there.octavia.client.balancers
    before = keeper.show(made.lb).balancer
    keeper.put_object(made.lb, Listener("stray", Protocol.TCP, 4444))
    keeper.put_object(made.pool, Member("stray-member", "10.9.200.99", 80))
    until(lambda: "stray" not in str(keeper.show(made.lb).balancer), "the strays to go", 150.0)
    there.active(made.lb)
    assert keeper.show(made.lb).balancer == before


def _status(there: Bed, path: str) -> str:
    found: str = there.octavia.api("GET", path)["member"]["provisioning_status"]
    return found


def _another() -> dict[str, object]:
    return {"loadbalancer": {"vip_subnet_id": SUBNET, "vip_address": "10.9.8.8", "project_id": "p"}}

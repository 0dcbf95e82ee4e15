"""Whoever dies, is away or says odd things, nothing stays pending and nothing is left half done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sekisho.lab.octavia import PROJECT
from sekisho.model.balancer import Listener, Member, Protocol
from support_octavia import AUDIT, SUBNET, Bed, Director, Whole, member, until

# A busy machine takes its time, for the emulated boxes above all.
pytestmark = pytest.mark.timeout(400)

LIMIT = 60.0
PROVIDERS = ("sekisho-lvs", "sekisho-adx")
BEFALLS = ("forbidden", "fault", "garbage", "empty", "broken", "silent", "slow 1.5")


def test_with_the_keeper_away_a_change_is_refused_and_nothing_is_pending(there: Bed) -> None:
    both = [there.whole(provider) for provider in PROVIDERS]
    before = [there.tree(made.lb) for made in both]
    there.octavia.service("keeper").kill()
    lvs, adx = both
    asked: list[tuple[str, str, object]] = [
        ("POST", f"pools/{adx.pool}/members", {"member": member(7)}),
        ("DELETE", f"loadbalancers/{lvs.lb}?cascade=true", None),
        ("POST", "loadbalancers", _another()),
    ]
    for method, path, body in asked:
        answer = there.octavia.ask(method, f"/lbaas/{path}", body)
        assert answer.status == 500
        assert "Try again soon" in answer.text
        assert [there.tree(made.lb) for made in both] == before
    there.octavia.service("keeper").start()
    for made in both:
        there.make(made.lb, "member", member(7), f"pools/{made.pool}/members")
        _agreed(there, made)


def test_a_keeper_killed_amid_a_change_ends_it_when_it_is_back(there: Bed) -> None:
    both = [there.whole(provider) for provider in PROVIDERS]
    for made in both:
        _add(there, made)
    there.octavia.service("keeper").kill()
    there.octavia.service("keeper").start()
    for made in both:
        assert there.settled(made.lb) < LIMIT
        there.active(made.lb)
        _agreed(there, made)


def test_with_the_driver_agent_away_statuses_wait_for_it(there: Bed) -> None:
    both = [there.whole(provider) for provider in PROVIDERS]
    there.octavia.service("agent").kill()
    keeper = there.octavia.client.balancers
    for made in both:
        _add(there, made)
        until(lambda: "PENDING" not in str(keeper.show(made.lb).provisioning), "the keeper to be done")  # noqa: B023 - at once
        assert "PENDING" in there.tree(made.lb)
    there.octavia.service("agent").start()
    for made in both:
        assert there.settled(made.lb) < LIMIT
        there.active(made.lb)


def test_what_nobody_carries_is_an_error_and_active_when_somebody_does(there: Bed) -> None:
    made = there.whole()
    there.directors["d1"].stop()
    there.directors["d2"].stop()
    added = _add(there, made)
    assert there.settled(made.lb) < LIMIT
    assert _status(there, added) == "ERROR"
    for name in ("d1", "d2"):
        there.directors[name] = Director(there.octavia, name, active=name == "d1")
    until(lambda: _status(there, added) == "ACTIVE", "the member to be carried")
    there.active(made.lb)
    _agreed(there, made)


def test_a_director_killed_between_two_changes_is_waited_for_no_longer_than_it_is_believed(
    there: Bed,
) -> None:
    made = there.whole()
    active = there.octavia.client.balancers.show(made.lb).active
    there.directors[active].stop()  # it has carried the first one, and hears nothing of the next
    added = _add(there, made)
    (other,) = {"d1", "d2"} - {active}
    there.directors[other].active = True  # VRRP
    assert there.settled(made.lb) < LIMIT
    until(lambda: _status(there, added) == "ACTIVE", "the other director to carry it")
    assert there.octavia.client.balancers.show(made.lb).active == other
    there.directors[active] = Director(there.octavia, active, active=False)
    there.active(made.lb)
    until(lambda: not there.octavia.client.balancers.ailments(made.lb), "the dead one to carry all again")
    _agreed(there, made)


def test_what_a_device_cannot_carry_is_an_error_with_its_sentence(there: Bed) -> None:
    made = there.whole()
    for name in ("d1", "d2"):  # an earlier failover may have made either the active one
        there.directors[name].problems = {made.lb: "There is no room."}
    added = _add(there, made)
    there.settled(made.lb)
    assert _status(there, added) == "ERROR"
    assert there.octavia.client.balancers.show(made.lb).problem == "There is no room."
    for name in ("d1", "d2"):
        there.directors[name].problems = {}
    until(lambda: _status(there, added) == "ACTIVE", "the member to be carried")


def test_whatever_boxes_answer_a_change_ends_and_is_carried_once_they_are_well(there: Bed) -> None:
    made = there.whole("sekisho-adx")
    keeper = there.octavia.client.balancers
    for number, what in enumerate(BEFALLS, 7):
        there.octavia.befall(what)
        added = _add(there, made, number)
        assert there.settled(made.lb) < LIMIT, what
        there.octavia.befall("")
        until(lambda: _status(there, added) == "ACTIVE", f"the member to be carried after {what}")  # noqa: B023 - at once
        there.active(made.lb)
        # drift is looked for too: nothing of ours stands on either box that should not
        until(lambda: not keeper.ailments(made.lb), f"the boxes to be well after {what}")
        _agreed(there, made)


def test_balancers_begun_and_ended_at_boxes_that_are_away_come_to_their_ends(there: Bed) -> None:
    leaves = there.balancer("sekisho-adx")
    there.octavia.befall("silent")
    there.octavia.api("DELETE", f"loadbalancers/{leaves}?cascade=true")
    begun = there.begin("sekisho-adx")
    assert there.settled(leaves) + there.settled(begun) < LIMIT
    there.octavia.befall("")
    there.until(leaves, ("DELETED", ""))
    until(lambda: there.shown(begun)[0] == "ACTIVE", "the new one to be carried")


def test_an_api_killed_amid_a_request_leaves_nothing_pending_and_both_sides_agree(there: Bed) -> None:
    both = [there.whole(provider) for provider in PROVIDERS]
    keeper = there.octavia.client.balancers
    for made, method, path, body in (
        (both[1], "PUT", f"pools/{both[1].pool}/members/{both[1].members[0]}", {"member": {"weight": 0}}),
        (both[0], "POST", "loadbalancers", _another()),
    ):
        before = there.tree(made.lb)
        _killed_amid(there, method, path, body)
        assert there.tree(made.lb) == before
    until(lambda: "10.9.8.8" not in str(keeper.list()), "what Octavia never kept to go")
    for made in both:
        until(lambda: _agree(there, made), "both sides to agree")  # noqa: B023 - at once
        assert there.settled(made.lb) < LIMIT
        there.active(made.lb)


def _killed_amid(there: Bed, method: str, path: str, body: object) -> None:
    """Kill Octavia's API when it has asked the keeper and has no answer yet; the keeper reads it then."""
    with ThreadPoolExecutor(1) as pool:
        with there.frozen("keeper"):
            call = pool.submit(there.octavia.ask, method, f"/lbaas/{path}", body)
            until(lambda: there.asks_in_vain("api"), "the keeper to be asked", 30.0)
            there.octavia.service("api").kill()
        assert call.exception() is not None
    there.octavia.service("api").start()


def test_what_octavia_never_kept_is_taken_away_at_the_keeper_and_nothing_else(there: Bed) -> None:
    made = there.whole()
    keeper = there.octavia.client.balancers
    before = keeper.show(made.lb).balancer
    keeper.put_object(made.lb, Listener("stray", Protocol.TCP, 4444))
    keeper.put_object(made.pool, Member("stray-member", "10.9.200.99", 80))
    until(lambda: "stray" not in str(keeper.show(made.lb).balancer), "the strays to go", 20 * AUDIT)
    there.active(made.lb)
    assert keeper.show(made.lb).balancer == before


def test_what_the_keeper_changed_alone_is_made_as_octavia_has_it(there: Bed) -> None:
    made = there.whole()
    keeper = there.octavia.client.balancers
    before = keeper.show(made.lb).balancer
    first = before.pools[0].members[0]
    keeper.put_object(made.pool, replace(first, weight=77))
    until(lambda: "=77" not in str(keeper.show(made.lb).balancer), "the weight to be Octavia's", 20 * AUDIT)
    there.active(made.lb)
    _agreed(there, made)


# --- both sides ------------------------------------------------------------------------------------


def _add(there: Bed, made: Whole, number: int = 7) -> str:
    """Ask for one more member, and give the path to it."""
    path = f"pools/{made.pool}/members"
    return f"{path}/{there.octavia.api('POST', path, {'member': member(number)})['member']['id']}"


def _status(there: Bed, path: str) -> str:
    found: str = there.octavia.api("GET", path)["member"]["provisioning_status"]
    return found


def _agreed(there: Bed, made: Whole) -> None:
    assert _agree(there, made)
    assert there.octavia.client.balancers.show(made.lb).problem == ""


def _agree(there: Bed, made: Whole) -> bool:
    """Tell whether Octavia and the keeper have the same members, with the same weights."""
    theirs = there.octavia.api("GET", f"pools/{made.pool}/members")["members"]
    ours = there.octavia.client.balancers.show(made.lb).balancer.pools[0].members
    return {(m["id"], m["address"], m["weight"]) for m in theirs} == {
        (m.id, m.address, m.weight) for m in ours
    }


def _another() -> dict[str, object]:
    asked = {"vip_subnet_id": SUBNET, "vip_address": "10.9.8.8", "project_id": PROJECT}
    return {"loadbalancer": asked}

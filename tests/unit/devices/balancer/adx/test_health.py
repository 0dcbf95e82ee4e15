"""How balancers do, as the box sees their servers, and what passed them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sekisho.model.balancer import Operating, Pool, Protocol
from support_adx import Rig, identity, pair, web, with_members


def states(rig: Rig, *statuses: str) -> None:
    for number, status in enumerate(statuses):
        rig.box.running.reals[f"sk-10.2.0.{11 + number}"].ports[80].status = status


@pytest.mark.parametrize(
    ("statuses", "members", "above"),
    [
        (("ACTIVE", "ACTIVE"), ("ONLINE", "ONLINE"), "ONLINE"),
        (("ACTIVE", "FAILED"), ("ONLINE", "ERROR"), "DEGRADED"),
        (("FAILED", "SUSPECT"), ("ERROR", "ERROR"), "ERROR"),
        (("ENABLED", "ACTIVE"), ("OFFLINE", "ONLINE"), "DEGRADED"),
        (("TESTING", "UNKNOWN"), ("OFFLINE", "OFFLINE"), "OFFLINE"),
    ],
)
def test_the_boxs_states_become_octavias(
    statuses: tuple[str, str], members: tuple[str, str], above: str
) -> None:
    rig = Rig()
    driver = rig.driver()
    driver.carry([web()])
    states(rig, *statuses)
    told = driver.health().operating
    asked = web()
    assert tuple(told[m.id] for m in asked.pools[0].members) == members
    assert {told[asked.pools[0].id], told[asked.listeners[0].id], told[asked.id]} == {above}


def test_one_that_drains_is_no_fault() -> None:
    asked = web()
    first, second = asked.pools[0].members
    asked = with_members(asked, first, replace(second, weight=0))
    rig = Rig()
    driver = rig.driver()
    driver.carry([asked])
    told = driver.health().operating
    assert told[second.id] is Operating.DRAINING
    assert told[asked.id] is Operating.ONLINE


def test_unchecked_members_say_so_and_what_is_switched_off_is_offline() -> None:
    asked = web(check=None)
    rig = Rig()
    driver = rig.driver()
    driver.carry([asked])
    told = driver.health().operating
    assert {told[m.id] for m in asked.pools[0].members} == {Operating.NO_MONITOR}
    assert told[asked.pools[0].id] is Operating.ONLINE
    off = replace(asked, enabled=False, pools=(replace(asked.pools[0], enabled=False),))
    driver.carry([off])
    assert set(driver.health().operating.values()) == {Operating.OFFLINE}


def test_a_pool_that_no_listener_has_is_not_on_the_box() -> None:
    alone = Pool(identity("alone"), Protocol.TCP, members=web("a", members=("10.2.0.99",)).pools[0].members)
    asked = replace(web(), pools=(*web().pools, alone))
    driver = Rig().driver()
    driver.carry([asked])
    told = driver.health().operating
    assert told[alone.members[0].id] is Operating.OFFLINE
    assert told[asked.id] is Operating.ONLINE


def test_totals_go_on_where_a_member_leaves_and_a_box_counts_anew() -> None:
    rig = Rig()
    driver = rig.driver()
    driver.carry([web()])
    first, second = (rig.box.running.reals[f"sk-10.2.0.{n}"].ports[80] for n in (11, 12))
    first.total, first.received, first.sent, first.active = 10, 1000, 77, 2
    second.total, second.received, second.active = 5, 500, 1
    (told,) = driver.health().statistics
    assert (told.active, told.total, told.bytes_in, told.bytes_out) == (3, 15, 1500, 0)
    driver.carry([with_members(web(), web().pools[0].members[0])])
    first.total, first.received = 3, 30  # the box began again
    (told,) = driver.health().statistics
    assert (told.total, told.bytes_in) == (18, 1530)
    (told,) = driver.health().statistics
    assert (told.total, told.bytes_in) == (18, 1530)


def test_the_box_that_leads_is_asked() -> None:
    rig = pair()
    driver = rig.driver()
    driver.carry([web()])
    for number, box in enumerate(rig.boxes):
        box.running.reals["sk-10.2.0.11"].ports[80].total = number + 1
    assert driver.health().statistics[0].total == 1
    driver.failover()
    driver.carry([web()])
    assert driver.health().statistics[0].total == 3

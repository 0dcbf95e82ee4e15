"""Two boxes, one in the place of the other."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from sekisho.devices.balancer.adx.driver import FOLLOWS, LEADS
from sekisho.model.errors import SekishoError, Unavailable, Unsupported
from sekisho.testing.adx.box import Mishap
from support_adx import Rig, pair, web


def priorities(rig: Rig) -> list[set[int]]:
    return [{v.priority for v in box.running.virtuals.values()} for box in rig.boxes]


@pytest.fixture
def rig() -> Rig:
    return pair()


def test_both_carry_the_same_and_the_first_one_leads(rig: Rig) -> None:
    assert not rig.driver().carry([web(), web("two", vip="10.2.0.101", members=("10.2.0.21",))]).problems
    assert priorities(rig) == [{LEADS}, {FOLLOWS}]
    assert rig.text(0).replace(f"sym-priority {LEADS}", f"sym-priority {FOLLOWS}") == rig.text(1)


def test_a_virtual_server_opens_only_once_it_has_its_place_in_the_pair(rig: Rig) -> None:
    rig.driver().carry([web()])
    calls = rig.box.calls
    create = calls.index("createVirtualServerWithConfiguration")
    assert calls[create + 1] == "runCLI"  # its priority
    assert calls.index("setVirtualServersConfiguration") > create + 1


def test_failover_outlives_us_and_goes_back(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    driver.failover()
    assert priorities(rig) == [{FOLLOWS}, {LEADS}]
    again = rig.driver()
    assert again.carry([web()]).changes == 0
    for box in rig.boxes:
        box.restart()
    assert priorities(rig) == [{FOLLOWS}, {LEADS}]
    again.failover()
    assert priorities(rig) == [{LEADS}, {FOLLOWS}]


def test_both_unbind_at_the_same_time(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    driver.carry([])
    assert rig.waited <= 6


def test_never_are_both_alike_while_one_takes_over(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    for number in (1, 2):  # the second command to the old box, the first to the new one
        box = rig.boxes[number % 2]
        calls = len(box.calls)
        box.mishaps[calls + 2 if number == 1 else calls + 3] = Mishap("silent")
        with pytest.raises(Unavailable):
            driver.failover()
        first, second = priorities(rig)
        assert first != second
        driver.carry([web()])
        assert sorted(map(max, priorities(rig))) == [FOLLOWS, LEADS]


def test_one_box_alone_carries_on_and_the_other_catches_up(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    rig.away.add(0)
    outcome = driver.carry([web(persistence=600)])
    assert set(outcome.problems) == {""}
    assert "box-0" in outcome.problems[""]
    assert priorities(rig) == [{LEADS}, {FOLLOWS}]
    assert driver.drift() == tuple(outcome.problems.values())
    assert driver.health().operating[web().id] == "ONLINE"
    rig.away.clear()
    assert not driver.carry([web(persistence=600)]).problems
    assert next(iter(rig.box.running.virtuals.values())).sticky_age == 10
    assert not driver.drift()


def test_the_other_takes_over_from_one_that_is_gone_and_keeps_the_lead(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    rig.away.add(0)
    driver.failover()
    assert driver.carry([web()]).changes == 0
    rig.away.clear()
    rig.box.restart()
    first, second = priorities(rig)
    assert max(first) < max(second)
    driver.carry([web()])
    assert priorities(rig) == [{FOLLOWS}, {LEADS}]


def test_a_box_that_leads_alone_goes_on_leading(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    driver.failover()
    rig.away.add(0)
    assert driver.carry([web()]).changes == 0
    assert priorities(rig)[1] == {LEADS}


def test_nobody_takes_over_where_the_other_does_not_answer(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    rig.away.add(1)
    with pytest.raises(Unavailable):
        driver.failover()
    assert priorities(rig) == [{LEADS}, {FOLLOWS}]


def test_where_none_answers_it_is_said(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([web()])
    rig.away |= {0, 1}
    for act in (lambda: driver.carry([web()]), driver.failover, driver.health):
        with pytest.raises(Unavailable):
            act()


@pytest.mark.parametrize("mishap", [Mishap("fault"), Mishap("silent", done=True)], ids=["no", "lost"])
def test_both_carry_it_or_none_does_wherever_the_second_breaks_off(mishap: Mishap) -> None:
    for number in range(2, 40):  # the first call reads
        rig = pair()
        rig.boxes[1].mishaps[number] = mishap
        with suppress(SekishoError):
            rig.driver().carry([web()])
        befell = len(rig.boxes[1].calls) >= number
        rig.boxes[1].mishaps.clear()
        bound = [{v.name: len(v.bindings) for v in box.running.virtuals.values()} for box in rig.boxes]
        assert bound[0] == bound[1], number
        assert not rig.driver().carry([web()]).problems
        assert priorities(rig) == [{LEADS}, {FOLLOWS}]
        if not befell:
            return
    pytest.fail("one carrying should not take so many calls")


def test_a_single_box_has_no_other() -> None:
    single = Rig()
    driver = single.driver()
    driver.carry([web()])
    assert priorities(single) == [{0}]
    with pytest.raises(Unsupported):
        driver.failover()


def test_what_is_switched_off_stays_closed_on_both(rig: Rig) -> None:
    driver = rig.driver()
    driver.carry([replace(web(), enabled=False)])
    assert [v.enabled for box in rig.boxes for v in box.running.virtuals.values()] == [False, False]
    driver.carry([web()])
    assert [v.enabled for box in rig.boxes for v in box.running.virtuals.values()] == [True, True]
    assert priorities(rig) == [{LEADS}, {FOLLOWS}]

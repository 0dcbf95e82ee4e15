from __future__ import annotations

from dataclasses import replace

import pytest

from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.roles import ForgetfulBook
from sekisho.devices.balancer.lvs_dsr.services import Counts, Dest, Key, Service, Stand, Step, Verb
from sekisho.model.balancer import Check, Member, Monitor, Operating
from sekisho.model.errors import Unavailable
from support_lvs import MemoryChecks, MemoryKernel, Time, balancer, key, with_members

MONITOR = Monitor("h", Check.TCP)


@pytest.fixture
def kernel() -> MemoryKernel:
    return MemoryKernel()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def driver(kernel: MemoryKernel, time: Time) -> LvsDriver:
    return LvsDriver(kernel, time, MemoryChecks(), drain=300.0)


def again(kernel: MemoryKernel, *addresses: str) -> LvsDriver:
    """Start the driver anew over the same kernel, knowing its addresses."""
    return LvsDriver(kernel, Time(), MemoryChecks(), book=ForgetfulBook(frozenset(addresses)))


def test_empty_to_whole_and_back(driver: LvsDriver, kernel: MemoryKernel) -> None:
    assert driver.carry((balancer(1), balancer(2, 3))).changes == 2 + 5
    assert kernel.dests(key(2)) == {"10.0.0.1": 1, "10.0.0.2": 1, "10.0.0.3": 1}
    assert driver.carry(()).problems == {}
    assert kernel.table == {}


def test_the_same_again_is_no_message(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1),))
    kernel.told.clear()
    assert driver.carry((balancer(1),)).changes == 0
    assert kernel.told == []


def test_one_change_among_many_is_one_message(driver: LvsDriver, kernel: MemoryKernel) -> None:
    many = [balancer(n, 10) for n in range(1, 101)]
    driver.carry(many)
    kernel.told.clear()
    reads = kernel.reads
    first, *rest = many[50].pools[0].members
    many[50] = with_members(many[50], replace(first, weight=9), *rest)
    assert driver.carry(many).changes == 1
    assert kernel.told == [Step(Verb.SET_DEST, Service(key(51), "wrr"), Dest("10.0.0.1", 80, 9))]
    assert kernel.reads == reads


def test_what_others_made_stays(driver: LvsDriver, kernel: MemoryKernel) -> None:
    foreign = Key(6, "10.9.9.9", 80)
    kernel.table[foreign] = Stand(Service(foreign, "rr"), {"10.9.9.1": Dest("10.9.9.1", 80, 1)})
    driver.carry((balancer(1),))
    driver.carry(())
    assert list(kernel.table) == [foreign]


def test_a_bad_one_keeps_no_other_away(driver: LvsDriver, kernel: MemoryKernel) -> None:
    bad = with_members(balancer(1), Member("m", "10.0.0.1", 8080))
    outcome = driver.carry((bad, balancer(2)))
    assert "changes no port" in outcome.problems["b1"]
    assert list(outcome.problems) == ["b1"]
    assert list(kernel.table) == [key(2)]
    assert driver.carry((balancer(1), balancer(2))).problems == {}
    assert key(1) in kernel.table


def test_a_mistake_leaves_what_was_carried(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1),))
    driver.carry((with_members(balancer(1), Member("m", "10.0.0.1", 8080)),))
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}


def test_two_may_not_have_one_port_of_a_vip(driver: LvsDriver, kernel: MemoryKernel) -> None:
    second = balancer(2, vip="10.0.1.1")
    outcome = driver.carry((balancer(1), second))
    assert "is balancer b1's already" in outcome.problems["b2"]
    assert driver.carry((second,)).problems == {}
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}


def test_a_port_changes_hands_in_one_carry(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1, vip="10.0.1.9"), balancer(2)))
    taker = balancer(2, vip="10.0.1.9")
    assert driver.carry((taker, balancer(1))).problems == {}
    assert set(kernel.table) == {key(1), key(9)}


def test_weights_are_altered_in_place(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1),))
    kernel.told.clear()
    driver.carry((with_members(balancer(1), *(replace(m, weight=0) for m in balancer(1).pools[0].members)),))
    assert [s.verb for s in kernel.told] == [Verb.SET_DEST, Verb.SET_DEST]
    assert driver.health().operating["m1-1"] is Operating.DRAINING


def test_who_is_taken_away_ends_what_it_began(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1),))
    kernel.loads[key(1), "10.0.0.2"] = Counts(active=1)
    driver.carry((balancer(1, 1),))
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 0}
    assert driver.tend() == 0
    kernel.loads[key(1), "10.0.0.2"] = Counts(inactive=1)  # half closed: the server may still send
    assert driver.tend() == 0
    kernel.loads[key(1), "10.0.0.2"] = Counts()
    assert driver.tend() == 1
    assert kernel.dests(key(1)) == {"10.0.0.1": 1}
    assert driver.carry((balancer(1, 1),)).changes == 0


def test_a_drain_has_an_end(driver: LvsDriver, kernel: MemoryKernel, time: Time) -> None:
    driver.carry((balancer(1),))
    kernel.loads[key(1), "10.0.0.2"] = Counts(active=1)
    driver.carry((balancer(1, 1),))
    time.at += 299.0
    driver.carry((balancer(1, 1, persistence=60),))  # another change does not begin it anew
    driver.tend()
    assert "10.0.0.2" in kernel.dests(key(1))
    time.at += 2.0
    driver.tend()
    assert kernel.dests(key(1)) == {"10.0.0.1": 1}


def test_who_comes_back_while_it_drains_serves_again(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1),))
    kernel.loads[key(1), "10.0.0.2"] = Counts(active=1)
    driver.carry((balancer(1, 1),))
    driver.carry((balancer(1),))
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}
    kernel.loads.clear()
    assert driver.tend() == 0


def test_the_dead_go_at_once_and_come_back(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1, monitor=MONITOR),))
    driver.judge("m1-1", alive=True)
    driver.judge("m1-2", alive=True)
    kernel.told.clear()
    kernel.loads[key(1), "10.0.0.2"] = Counts(active=5)
    driver.judge("m1-2", alive=False)
    assert [s.verb for s in kernel.told] == [Verb.DEL_DEST]
    health = driver.health().operating
    assert health["m1-2"] is Operating.ERROR
    assert health["p1"] is health["l1"] is health["b1"] is Operating.DEGRADED
    driver.judge("m1-2", alive=True)
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert driver.health().operating["b1"] is Operating.ONLINE


def test_backups_serve_while_nobody_else_does(driver: LvsDriver, kernel: MemoryKernel) -> None:
    whole = balancer(1, 2, monitor=MONITOR)
    sorry = replace(whole.pools[0].members[1], backup=True)
    driver.carry((with_members(whole, whole.pools[0].members[0], sorry),))
    assert kernel.dests(key(1)) == {"10.0.0.1": 1}
    driver.judge("m1-1", alive=False)
    assert kernel.dests(key(1)) == {"10.0.0.2": 1}
    kernel.loads[key(1), "10.0.0.2"] = Counts(active=1)
    driver.judge("m1-1", alive=True)
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 0}


def test_only_pools_with_a_monitor_are_asked(driver: LvsDriver) -> None:
    checks = driver.checks
    assert isinstance(checks, MemoryChecks)
    driver.carry((balancer(1, monitor=MONITOR), balancer(2)))
    assert [t.server for t in checks.targets["b1"]] == ["10.0.0.1", "10.0.0.2"]
    assert {t.vip_port for t in checks.targets["b1"]} == {80}
    assert "b2" not in checks.targets
    driver.carry((balancer(2),))
    assert checks.targets == {}


def test_a_monitor_that_goes_takes_its_verdicts_along(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1, monitor=MONITOR),))
    driver.judge("m1-1", alive=False)
    driver.carry((balancer(1),))
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert driver.health().operating["m1-1"] is Operating.NO_MONITOR


def test_a_restart_changes_nothing_and_keeps_the_dead_out(driver: LvsDriver, kernel: MemoryKernel) -> None:
    carried = balancer(1, monitor=MONITOR)
    driver.carry((carried,))
    driver.judge("m1-2", alive=False)
    kernel.told.clear()
    after = again(kernel, "10.0.1.1")
    assert after.carry((carried,)).changes == 0
    assert kernel.told == []
    after.judge("m1-2", alive=True)
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}


def test_what_went_while_we_were_away_is_taken_away(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1), balancer(2)))
    assert again(kernel, "10.0.1.1", "10.0.1.2").carry((balancer(2),)).changes == 1
    assert list(kernel.table) == [key(2)]


def test_drift_is_told_and_put_right(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1), balancer(2)))
    assert driver.drift() == ()
    kernel.table.pop(key(2))
    stand = kernel.table[key(1)]
    stray = Dest("10.0.0.7", 8080, 1)
    kernel.table[key(1)] = replace(stand, dests={"10.0.0.1": Dest("10.0.0.1", 80, 5)}, other=(stray,))
    kernel.table[key(1, 81)] = Stand(Service(key(1, 81), "rr"))
    said = driver.drift()
    assert len(said) == 5
    assert "TCP 10.0.1.2:80 is gone." in said
    assert "TCP 10.0.1.1:80: server 10.0.0.7:8080 is not ours." in said
    driver.carry((balancer(1), balancer(2)))
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert kernel.table[key(1)].other == ()
    assert set(kernel.table) == {key(1), key(2)}
    assert driver.drift() == ()


def test_a_table_flushed_behind_our_back_is_made_anew(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1),))
    kernel.table.clear()
    assert driver.carry((balancer(1, 3),)).problems == {}
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1, "10.0.0.3": 1}


def test_what_the_kernel_refuses_is_told_and_tried_again(driver: LvsDriver, kernel: MemoryKernel) -> None:
    kernel.refuse = lambda step: "there is no such scheduler" if step.service.key == key(1) else ""
    outcome = driver.carry((balancer(1), balancer(2)))
    assert outcome.problems == {
        "b1": "The director's kernel refused TCP 10.0.1.1:80: there is no such scheduler."
    }
    assert kernel.dests(key(2)) == {"10.0.0.1": 1, "10.0.0.2": 1}
    kernel.refuse = lambda _: ""
    assert driver.carry((balancer(1), balancer(2))).problems == {}
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}


def test_a_fault_at_every_step_and_then_all_is_right() -> None:
    steps = 7  # two services with five servers
    for failing in range(steps + 1):
        kernel = MemoryKernel()
        driver = LvsDriver(kernel, Time())
        wanted = (balancer(1), balancer(2, 3))
        kernel.refuse = lambda _, at=failing, k=kernel: "no" if len(k.told) > at else ""  # type: ignore[misc]
        driver.carry(wanted)
        kernel.refuse = lambda _: ""
        assert driver.carry(wanted).problems == {}
        assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}
        assert kernel.dests(key(2)) == {"10.0.0.1": 1, "10.0.0.2": 1, "10.0.0.3": 1}
        assert (
            LvsDriver(kernel, Time(), book=ForgetfulBook(frozenset({"10.0.1.1", "10.0.1.2"})))
            .carry(wanted)
            .changes
            == 0
        )


def test_a_kernel_that_does_not_answer_is_raised_and_made_up_for(
    driver: LvsDriver, kernel: MemoryKernel
) -> None:
    kernel.away = True
    with pytest.raises(Unavailable):
        driver.carry((balancer(1),))
    kernel.away = False
    assert driver.carry((balancer(1),)).problems == {}
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}


def test_a_kernel_away_while_a_member_dies_hears_of_it_later(driver: LvsDriver, kernel: MemoryKernel) -> None:
    whole = balancer(1, monitor=MONITOR)
    driver.carry((whole,))
    kernel.away = True
    with pytest.raises(Unavailable):
        driver.judge("m1-1", alive=False)
    kernel.away = False
    driver.carry((whole,))
    assert kernel.dests(key(1)) == {"10.0.0.2": 1}


def test_statistics_are_the_kernels(driver: LvsDriver, kernel: MemoryKernel) -> None:
    driver.carry((balancer(1),))
    kernel.loads[key(1), "10.0.0.1"] = Counts(total=7, bytes_in=700, active=2)
    (told,) = driver.health().statistics
    assert (told.listener, told.total, told.bytes_in, told.active, told.bytes_out) == ("l1", 7, 700, 2, 0)


def test_switched_off_parts_serve_nobody(driver: LvsDriver, kernel: MemoryKernel) -> None:
    whole = balancer(1)
    driver.carry((whole,))
    for off in (
        replace(whole, enabled=False),
        replace(whole, listeners=(replace(whole.listeners[0], enabled=False),)),
        replace(whole, pools=(replace(whole.pools[0], enabled=False),)),
    ):
        driver.carry((off,))
        assert kernel.table == {}
        driver.carry((whole,))
        assert key(1) in kernel.table


def test_an_answer_that_was_lost_is_looked_up(driver: LvsDriver, kernel: MemoryKernel) -> None:
    def lost(step: Step) -> str:
        if step.verb is Verb.NEW_DEST and len(kernel.told) == 3:
            raise Unavailable("The kernel does not answer over netlink.")
        return ""

    kernel.refuse = lost
    with pytest.raises(Unavailable):
        driver.carry((balancer(1),))
    kernel.refuse = lambda _: ""
    kernel.told.clear()
    assert driver.carry((balancer(1),)).problems == {}
    assert [s.verb for s in kernel.told] == [
        Verb.NEW_DEST
    ]  # it knew what stands, and asked for the rest only
    assert kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}


def test_what_cannot_be_read_is_told_and_keeps_no_other_away(driver: LvsDriver, kernel: MemoryKernel) -> None:
    bad = replace(balancer(1), vip=replace(balancer(1).vip, cidr="10.0.0.0/99"))
    assert "cannot be read" in driver.carry((bad, balancer(2))).problems["b1"]
    assert list(kernel.table) == [key(2)]


def test_a_member_that_dies_under_a_mistake_leaves_what_was_carried(
    driver: LvsDriver, kernel: MemoryKernel
) -> None:
    whole = balancer(1, 3, monitor=MONITOR)
    driver.carry((whole,))
    driver.carry((with_members(whole, *(replace(m, port=81) for m in whole.pools[0].members)),))
    driver.judge("m1-1", alive=False)
    assert kernel.dests(key(1)) == {"10.0.0.2": 1, "10.0.0.3": 1}
    driver.carry(())
    assert kernel.table == {}


def test_an_address_is_written_down_before_anything_stands_there(kernel: MemoryKernel) -> None:
    """Else a director killed in between would leave services that nobody knows to be its own."""
    book = ForgetfulBook()

    def killed(_: Step) -> str:
        assert book.load() == {"10.0.1.1"}
        raise Unavailable("The kernel does not answer over netlink.")

    kernel.refuse = killed
    with pytest.raises(Unavailable):
        LvsDriver(kernel, Time(), book=book).carry((balancer(1),))
    kernel.refuse = lambda _: ""
    driver = LvsDriver(kernel, Time(), book=book)
    assert driver.carry(()).problems == {}
    assert kernel.table == {}
    assert book.load() == frozenset()

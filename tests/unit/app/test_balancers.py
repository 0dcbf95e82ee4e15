"""The keeper's load balancers: whatever Octavia holds comes to an end, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sekisho.app.balancers_settings import PairSettings
from sekisho.model.balancer import (
    Ailment,
    Algorithm,
    Check,
    DirectorReport,
    Kind,
    Listener,
    Monitor,
    Operating,
    Pool,
    Protocol,
    Statistics,
)
from sekisho.model.errors import Conflict, Malformed, NotFound, Unavailable, Unsupported
from support_balancers import OCTAVIA, PAIRS, Room, balancer, members

LINE = {"lb1", "lb1-l", "lb1-p"}
WHOLE = LINE | {"lb1-m1", "lb1-m2", "lb1-h"}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.ledger.close()


def carried(room: Room) -> Room:
    """Let lb1 be carried, and Octavia know it."""
    room.keeper.put(OCTAVIA, balancer())
    room.report()
    room.tell()
    room.octavia.clear()
    return room


def verbs(room: Room) -> list[str]:
    return [line.verb for line in reversed(room.ledger.journal("", "lb1").items)]


def test_what_is_wanted_is_pending_until_a_director_carries_it_and_active_then(room: Room) -> None:
    view = room.keeper.put(OCTAVIA, balancer())
    assert view.provisioning == "PENDING"
    assert view.devices == ("d1", "d2")
    assert room.tell() is None
    room.report(revision=room.keeper.program_revision("d1") - 1)
    assert room.tell() is None
    room.report()
    room.tell()
    assert room.stands() == dict.fromkeys(WHOLE, "ACTIVE")
    assert room.keeper.balancer("lb1").in_force == room.time.now
    assert verbs(room) == ["balancer-put", "balancer-carry"]


def test_nothing_is_told_to_a_director_that_the_ledger_does_not_hold(room: Room) -> None:
    room.keeper.put(OCTAVIA, balancer())
    assert [b.id for b in room.keeper.program("d1", None).balancers] == ["lb1"]
    room.restart()
    assert [b.id for b in room.keeper.program("d1", None).balancers] == ["lb1"]


@pytest.mark.parametrize(
    ("parent", "thing", "line"),
    [
        ("lb1-p", members("lb1", 3)[2], LINE),
        ("lb1-p", replace(members("lb1")[0], weight=0), LINE),
        ("lb1-p", Monitor("lb1-h", Check.HTTP), LINE),
        ("lb1", Pool("lb1-p", Protocol.TCP, Algorithm.SOURCE_IP), LINE),
        ("lb1", Pool("new-p", Protocol.TCP), {"lb1"}),
        ("lb1", Listener("lb1-l", Protocol.TCP, 80, "lb1-p", name="web"), {"lb1"}),
        ("lb1", Listener("new-l", Protocol.UDP, 53), {"lb1"}),
    ],
)
def test_a_change_of_a_child_brings_its_whole_line_back(
    room: Room, parent: str, thing: Pool | Listener | Monitor, line: set[str]
) -> None:
    carried(room)
    room.keeper.put_object(OCTAVIA, parent, thing)
    assert room.tell() is None
    room.report()
    room.tell()
    assert room.stands() == dict.fromkeys(line | {thing.id}, "ACTIVE")


def test_a_pool_that_changes_keeps_its_members_and_its_monitor(room: Room) -> None:
    carried(room)
    room.keeper.put_object(OCTAVIA, "lb1", Pool("lb1-p", Protocol.TCP, Algorithm.LEAST_CONNECTIONS))
    (pool,) = room.keeper.balancer("lb1").balancer.pools
    assert pool == replace(balancer().pools[0], algorithm=Algorithm.LEAST_CONNECTIONS)


def test_a_balancer_that_changes_keeps_what_it_does_not_name(room: Room) -> None:
    carried(room)
    room.keeper.put(OCTAVIA, replace(balancer(), name="new", listeners=(), pools=()))
    assert room.keeper.balancer("lb1").balancer == replace(balancer(), name="new")


def test_a_pool_under_a_listener_becomes_its_default(room: Room) -> None:
    room.keeper.put(OCTAVIA, replace(balancer(), pools=(), listeners=(Listener("lb1-l", Protocol.TCP, 80),)))
    room.keeper.put_object(OCTAVIA, "lb1-l", Pool("lb1-p", Protocol.TCP))
    assert room.keeper.balancer("lb1").balancer.listeners[0].pool == "lb1-p"


def test_the_same_again_is_told_again_and_is_no_work_for_directors(room: Room) -> None:
    carried(room)
    before = room.keeper.program_revision("d1")
    room.keeper.put_object(OCTAVIA, "lb1-p", members("lb1")[0])
    assert room.keeper.program_revision("d1") == before
    room.tell()
    assert room.stands() == dict.fromkeys({"lb1-m1", *LINE}, "ACTIVE")


def test_members_as_a_batch_replace_those_before(room: Room) -> None:
    carried(room)
    one, two, three = members("lb1", 3)
    room.keeper.put_members(OCTAVIA, "lb1-p", (replace(two, weight=7), three))
    room.report()
    room.tell()
    ended = dict.fromkeys({"lb1-m2", "lb1-m3", *LINE}, "ACTIVE") | {one.id: "DELETED"}
    assert room.stands() == ended
    assert room.keeper.balancer("lb1").balancer.pools[0].members == (replace(two, weight=7), three)


def test_what_is_deleted_is_told_once_when_it_is_away_from_the_director(room: Room) -> None:
    carried(room)
    room.keeper.delete_object(OCTAVIA, "lb1-m1", None, "")
    assert room.tell() is None
    room.report()
    room.tell()
    assert room.stands() == dict.fromkeys(LINE, "ACTIVE") | {"lb1-m1": "DELETED"}
    room.octavia.clear()
    room.report()
    assert room.tell() is None


def test_a_pool_takes_what_is_in_it_along_and_leaves_its_listener(room: Room) -> None:
    carried(room)
    room.keeper.delete_object(OCTAVIA, "lb1-p", None, "")
    room.report()
    room.tell()
    gone = dict.fromkeys({"lb1-p", "lb1-m1", "lb1-m2", "lb1-h"}, "DELETED")
    assert room.stands() == gone | {"lb1": "ACTIVE", "lb1-l": "ACTIVE"}
    kinds = [s.kind for s in room.told[-1].statuses if s.provisioning == "DELETED"]
    assert kinds == [Kind.MEMBER, Kind.MEMBER, Kind.MONITOR, Kind.POOL]
    assert room.keeper.balancer("lb1").balancer.listeners[0].pool == ""


def test_a_cascade_takes_everything(room: Room) -> None:
    carried(room)
    with pytest.raises(Conflict):
        room.keeper.delete(OCTAVIA, "lb1", cascade=False)
    room.keeper.delete(OCTAVIA, "lb1", cascade=True)
    assert room.keeper.balancer("lb1").provisioning == "PENDING"
    assert room.keeper.program("d1", None).balancers == ()
    room.report()
    room.tell()
    assert room.stands() == dict.fromkeys(WHOLE, "DELETED")
    assert room.keeper.balancers("", "") == ()
    room.restart()
    assert room.keeper.balancers("", "") == ()
    assert room.tell() is None


def test_a_deletion_that_is_repeated_comes_to_an_end_too(room: Room) -> None:
    carried(room)
    for _ in range(2):
        room.keeper.delete_object(OCTAVIA, "lb1-m1", Kind.MEMBER, "lb1-p")
        room.report()
        room.tell()
        assert room.stands() == dict.fromkeys(LINE, "ACTIVE") | {"lb1-m1": "DELETED"}
        room.octavia.clear()
    room.keeper.delete(OCTAVIA, "never-heard-of", cascade=True)
    room.keeper.delete_object(OCTAVIA, "nor-this", Kind.LISTENER, "")
    room.tell()
    assert room.stands() == {"never-heard-of": "DELETED", "nor-this": "DELETED"}
    with pytest.raises(NotFound):
        room.keeper.delete_object(OCTAVIA, "nor-this", None, "")


# --- what goes wrong -------------------------------------------------------------------------------


def test_what_no_director_carries_in_time_is_an_error_and_active_once_one_does(room: Room) -> None:
    room.keeper.put(OCTAVIA, balancer())
    room.time.pass_by(29)
    room.keeper.tick()
    assert room.tell() is None
    room.time.pass_by(2)
    room.keeper.tick()
    room.tell()
    assert room.stands() == dict.fromkeys(WHOLE, "ERROR")
    assert "No device of the pair one" in room.keeper.balancer("lb1").problem
    assert verbs(room)[-1] == "balancer-fail"
    room.report()
    room.tell()
    assert room.stands() == dict.fromkeys(WHOLE, "ACTIVE")
    assert room.keeper.balancer("lb1").problem == ""


def test_what_is_above_a_member_that_failed_can_be_changed_on(room: Room) -> None:
    carried(room)
    before = room.keeper.program_revision("d1")
    room.keeper.put_object(OCTAVIA, "lb1-p", members("lb1", 3)[2])
    room.time.pass_by(31)
    room.report(revision=before)
    room.keeper.tick()
    room.tell()
    assert room.stands() == dict.fromkeys(LINE, "ACTIVE") | {"lb1-m3": "ERROR"}
    room.report()
    room.tell()
    assert room.stands()["lb1-m3"] == "ACTIVE"


def test_what_a_director_cannot_carry_is_an_error_at_once_and_no_others(room: Room) -> None:
    carried(room)
    room.keeper.put(OCTAVIA, balancer("lb2", 2))
    room.keeper.put_object(OCTAVIA, "lb1-p", replace(members("lb1")[0], address="10.1.0.77"))
    room.report(problems={"lb1": "10.1.0.77 is on no link of this director."})
    room.tell()
    assert room.stands()["lb1-m1"] == "ERROR"
    assert room.stands()["lb1"] == room.stands()["lb2"] == "ACTIVE"
    assert room.keeper.balancer("lb1").problem == "10.1.0.77 is on no link of this director."
    lines = len(verbs(room))
    room.report(problems={"lb1": "10.1.0.77 is on no link of this director."})
    assert len(verbs(room)) == lines, "a problem that lasts is one line"
    room.keeper.put_object(OCTAVIA, "lb1-p", members("lb1")[0])
    room.report()
    room.tell()
    assert room.stands()["lb1-m1"] == "ACTIVE"


def test_a_problem_that_comes_later_changes_no_provisioning(room: Room) -> None:
    carried(room)
    room.report(problems={"lb1": "eth1 is down."}, operating={"lb1": Operating.ERROR})
    page = room.tell()
    assert page is not None
    assert [(s.id, s.operating, s.only_operating) for s in page.statuses] == [("lb1", "ERROR", True)]
    assert room.keeper.balancer("lb1").problem == "eth1 is down."
    assert room.keeper.balancer("lb1").provisioning == "ACTIVE"
    room.report(operating={"lb1": Operating.ONLINE})
    assert room.keeper.balancer("lb1").problem == ""


def test_a_deletion_that_fails_is_an_error_and_deleted_later(room: Room) -> None:
    carried(room)
    room.keeper.delete(OCTAVIA, "lb1", cascade=True)
    room.time.pass_by(31)
    room.keeper.tick()
    room.tell()
    assert room.stands() == dict.fromkeys(WHOLE, "ERROR")
    room.report()
    room.tell()
    assert room.stands() == dict.fromkeys(WHOLE, "DELETED")


def test_what_is_pending_when_the_keeper_dies_comes_to_an_end(room: Room) -> None:
    room.keeper.put(OCTAVIA, balancer())
    room.time.pass_by(29)
    room.restart()
    room.keeper.tick()
    assert room.tell() is None, "devices are given time to be heard of"
    room.time.pass_by(16)
    room.keeper.tick()
    room.tell()
    assert room.stands() == dict.fromkeys(WHOLE, "ERROR")
    lines = len(verbs(room))
    room.restart()
    room.time.pass_by(31)
    room.keeper.tick()
    assert len(verbs(room)) == lines, "what has failed does not fail again"
    room.restart()
    room.report()
    room.tell()
    assert room.stands() == dict.fromkeys(WHOLE, "ACTIVE")


def test_a_page_that_was_not_acknowledged_is_given_again_whoever_died(room: Room) -> None:
    room.keeper.put(OCTAVIA, balancer())
    room.report()
    first = room.keeper.statuses(None)
    assert first is not None
    assert room.keeper.statuses(first.revision) is None, "no news"
    room.restart()
    again = room.keeper.statuses(None)
    assert again is not None
    assert set(again.statuses) == set(first.statuses)
    room.keeper.told(first.revision)
    assert room.keeper.statuses(None) is None


def test_what_was_told_of_an_older_change_does_not_end_a_newer_one(room: Room) -> None:
    carried(room)
    room.keeper.put_object(OCTAVIA, "lb1-p", replace(members("lb1")[0], weight=2))
    room.report()
    page = room.keeper.statuses(None)
    assert page is not None
    room.keeper.put_object(OCTAVIA, "lb1-p", replace(members("lb1")[0], weight=3))
    room.keeper.told(page.revision)
    assert room.tell() is None
    room.report()
    room.tell()
    assert room.stands() == dict.fromkeys({"lb1-m1", *LINE}, "ACTIVE")


# --- directors -------------------------------------------------------------------------------------


def test_the_word_of_whoever_holds_the_vips_counts(room: Room) -> None:
    room.report("d1")
    room.report("d2", active=False)
    room.keeper.put(OCTAVIA, balancer())
    room.report("d2", active=False)
    assert room.tell() is None
    room.report("d1", operating={"lb1-m1": Operating.ONLINE})
    room.tell()
    room.report("d2", active=False, operating={"lb1-m1": Operating.ERROR})
    assert room.tell() is None
    assert room.keeper.balancer("lb1").active == "d1"


def test_a_standby_that_lags_holds_nobody_up(room: Room) -> None:
    room.report("d1")
    room.report("d2", active=False)
    room.keeper.put(OCTAVIA, balancer())
    room.report("d1")
    room.tell()
    assert room.stands()["lb1"] == "ACTIVE"
    assert ("d2", "It does not carry the newest program yet.") in {
        (a.device, a.sentence) for a in room.keeper.ailments("lb1")
    }


def test_what_a_director_finds_around_it_is_told_in_its_name_and_for_its_pair_alone(room: Room) -> None:
    room.report("d1")
    room.keeper.put(OCTAVIA, balancer())
    found = (Ailment("lies", "lb1", "Deaf."), Ailment("d1", "", "Strict."), Ailment("d1", "other", "Mine."))
    report = DirectorReport("d1", 0, active=True, ailments=found)
    room.keeper.report(OCTAVIA, report)
    for asked in ("lb1", ""):
        told = room.keeper.ailments(asked)
        assert Ailment("d1", "lb1", "Deaf.") in told
        assert Ailment("d1", "", "Strict.") in told
        assert "Mine." not in {a.sentence for a in told}


def test_when_the_active_director_dies_the_other_ones_word_counts(room: Room) -> None:
    room.report("d1")
    room.time.pass_by(31)
    room.report("d2")
    room.keeper.put(OCTAVIA, balancer())
    room.report("d2")
    room.tell()
    assert room.stands()["lb1"] == "ACTIVE"
    assert "d1" in {a.device for a in room.keeper.ailments("lb1")}


ALL_WELL = dict.fromkeys(("lb1", "lb1-l", "lb1-p", "lb1-m1", "lb1-m2"), Operating.ONLINE)


def served(room: Room) -> None:
    """Let lb1 be carried by d1, with d2 beside it."""
    room.keeper.put(OCTAVIA, balancer())
    room.report("d2", active=False)
    room.report("d1", operating=ALL_WELL)
    room.tell()


def does(room: Room, thing: str) -> Operating:
    """Tell what Octavia believes of how an object does."""
    return room.octavia[thing][2]


def test_a_standbys_word_ends_nothing_while_the_other_one_may_hold_the_vips(room: Room) -> None:
    served(room)
    room.time.pass_by(31)
    room.keeper.put_object(OCTAVIA, "lb1-p", replace(members("lb1")[0], weight=0))
    room.report("d2", active=False)
    room.tell()
    assert room.stands()["lb1-m1"] == "ACTIVE"  # as before: nobody said that it is carried
    assert room.keeper.balancer("lb1").provisioning == "PENDING"
    room.wait(30)
    room.time.pass_by(1)
    room.report("d2", active=False, operating=ALL_WELL)
    room.keeper.tick()
    room.tell()
    assert room.stands()["lb1-m1"] == "ERROR"
    problem = room.keeper.balancer("lb1").problem
    assert "d1 of the pair one is not heard of, and no other one holds the VIPs" in problem
    assert does(room, "lb1") is Operating.ERROR
    room.report("d2", operating=ALL_WELL)
    room.tell()
    assert room.stands()["lb1-m1"] == "ACTIVE"
    assert does(room, "lb1") is Operating.ONLINE


def test_what_nobody_reports_any_more_is_not_told_as_well_for_ever(room: Room) -> None:
    served(room)
    room.wait(29)
    assert room.tell() is None
    room.time.pass_by(2)
    room.report("d2", active=False, operating=ALL_WELL)
    room.keeper.tick()
    page = room.tell()
    assert page is not None
    assert all(s.only_operating for s in page.statuses)
    found = {s.id: s.operating for s in page.statuses}
    assert found == dict.fromkeys(LINE, Operating.ERROR) | dict.fromkeys(
        ("lb1-m1", "lb1-m2"), Operating.OFFLINE
    )
    room.wait(31)
    assert room.tell() is None
    room.report("d1", operating=ALL_WELL)
    page = room.tell()
    assert page is not None
    assert {s.id: s.operating for s in page.statuses} == ALL_WELL
    room.wait(31)
    assert room.tell() is not None, "the second silence is told too"


def test_what_a_director_says_that_did_not_count_before_is_believed_once_it_does(room: Room) -> None:
    served(room)

    def says(number: int, over: int, *, active: bool, **more: Any) -> None:
        revision = room.keeper.program_revision("d2")
        room.keeper.report(OCTAVIA, DirectorReport("d2", revision, active, number=number, over=over, **more))

    says(7, 0, active=False, operating=ALL_WELL)
    says(8, 7, active=False, operating={"lb1-m1": Operating.ERROR})
    assert room.tell() is None
    room.report("d1", active=False)
    says(9, 8, active=True, statistics=(Statistics("lb1-l", 0, 5, 500),))
    page = room.tell()
    assert page is not None
    assert {s.id: s.operating for s in page.statuses} == {"lb1-m1": Operating.ERROR}
    says(10, 9, active=True, operating={"lb1-m1": Operating.ONLINE})
    assert room.tell() is not None
    assert room.octavia["lb1-m1"][2] is Operating.ONLINE
    with pytest.raises(Conflict, match="tell all"):
        says(12, 11, active=True)
    room.restart()
    with pytest.raises(Conflict, match="tell all"):
        says(11, 10, active=True)
    says(12, 0, active=True, operating=ALL_WELL)


def test_a_keeper_that_starts_gives_devices_their_time(room: Room) -> None:
    served(room)
    room.time.pass_by(1000)
    room.restart()
    room.keeper.tick()
    assert room.tell() is None
    room.wait(31)
    assert room.tell() is not None
    assert room.octavia["lb1"][2] is Operating.ERROR


def test_a_keeper_that_was_stopped_hears_what_waits_before_it_doubts(room: Room) -> None:
    served(room)
    room.wait(20)
    room.report("d1")
    room.time.pass_by(100)
    room.keeper.tick()
    assert room.tell() is None, "directors may have reported all the while"
    room.report("d1", operating=ALL_WELL)
    room.wait(29)
    assert room.tell() is None
    room.wait(2)
    assert room.tell() is not None
    assert does(room, "lb1") is Operating.ERROR


def test_a_member_that_falls_is_told_as_nothing_but_that(room: Room) -> None:
    carried(room)
    room.report(operating={"lb1-m1": Operating.ERROR, "lb1-p": Operating.DEGRADED})
    page = room.tell()
    assert page is not None
    assert {(s.id, s.operating, s.only_operating) for s in page.statuses} == {
        ("lb1-m1", Operating.ERROR, True),
        ("lb1-p", Operating.DEGRADED, True),
    }


def test_a_director_is_told_what_changed_and_all_if_nobody_knows(room: Room) -> None:
    carried(room)
    room.keeper.put(OCTAVIA, balancer("lb2", 2))
    before = room.keeper.program("d1", None)
    assert [b.id for b in before.balancers] == ["lb1", "lb2"]
    room.keeper.put(OCTAVIA, balancer("lb3", 3))
    room.keeper.delete(OCTAVIA, "lb2", cascade=True)
    news = room.keeper.program("d1", before.revision)
    assert ([b.id for b in news.balancers], news.gone, news.since) == (["lb3"], ("lb2",), before.revision)
    room.restart()
    whole = room.keeper.program("d1", before.revision)
    assert ({b.id for b in whole.balancers}, whole.since) == ({"lb1", "lb3"}, 0)
    assert whole.revision >= news.revision


def test_a_change_is_told_to_its_own_pair_only(room: Room) -> None:
    before = room.keeper.program_revision("d3")
    room.heard.clear()
    room.keeper.put(OCTAVIA, balancer())
    assert room.heard == ["pair:one", "director:d1", "director:d2"]
    assert room.keeper.program_revision("d3") == before
    assert room.keeper.program("d3", None).balancers == ()


def test_a_failover_ends_when_the_other_one_holds_the_vips(room: Room) -> None:
    carried(room)
    room.report("d2", active=False)
    room.keeper.failover(OCTAVIA, "lb1")
    assert room.keeper.program("d1", None).prefer == "d2"
    room.report("d1")
    assert room.tell() is None
    room.report("d1", active=False)
    room.report("d2")
    room.tell()
    assert room.stands() == {"lb1": "ACTIVE"}
    room.restart()
    assert room.keeper.program("d1", None).prefer == "d2"


def test_a_failover_that_does_not_come_is_no_end_of_the_balancer(room: Room) -> None:
    carried(room)
    room.report("d2", active=False)
    room.keeper.failover(OCTAVIA, "lb1")
    room.report("d1")
    room.time.pass_by(31)
    room.report("d1")
    room.keeper.tick()
    room.keeper.tick()
    room.tell()
    assert room.stands() == {"lb1": "ACTIVE"}
    assert "balancer-fail" in verbs(room)


def test_one_director_alone_cannot_fail_over(room: Room) -> None:
    room.keeper.put(OCTAVIA, replace(balancer(), zone="north"))
    with pytest.raises(Unsupported):
        room.keeper.failover(OCTAVIA, "lb1")
    with pytest.raises(NotFound):
        room.keeper.failover(OCTAVIA, "lb9")


def test_nothing_is_carried_or_told_that_could_not_be_written(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise Unavailable("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(room.keeper._ledger, "write", full)
        with pytest.raises(Unavailable):
            room.keeper.put(OCTAVIA, balancer())
        assert room.keeper.program("d1", None).balancers == ()
        assert room.heard == []
    room.keeper.put(OCTAVIA, balancer())
    with monkeypatch.context() as patch:
        patch.setattr(room.keeper._ledger, "write", full)
        with pytest.raises(Unavailable):
            room.report()
        assert room.tell() is None
    room.keeper.tick()
    room.tell()
    assert room.stands() == dict.fromkeys(WHOLE, "ACTIVE")


def test_a_balancer_whose_pair_was_taken_away_can_be_deleted_or_put_elsewhere(room: Room) -> None:
    carried(room)
    room.keeper.put(OCTAVIA, balancer("lb2", 2))
    room.report()
    room.tell()
    left = {n: p for n, p in room.settings.pairs.items() if n != "one"}
    room.settings = replace(room.settings, pairs={**left, "new": PairSettings("lvs", ("d9",))})
    room.restart()
    room.keeper.delete(OCTAVIA, "lb1", cascade=True)
    room.tell()
    assert room.stands()["lb1"] == "DELETED"
    assert any("no such pair" in a.sentence for a in room.keeper.ailments("lb2"))
    before = room.keeper.program_revision("d9")
    room.keeper.put(OCTAVIA, balancer("lb2", 2))
    assert room.keeper.program_revision("d9") > before
    assert [b.id for b in room.keeper.program("d9", before).balancers] == ["lb2"]


# --- whose word counts for what --------------------------------------------------------------------


def test_a_director_has_no_say_of_what_another_pair_carries(room: Room) -> None:
    room.keeper.put(OCTAVIA, replace(balancer("lb2", 2), zone="north"))
    room.report("d3", operating=dict.fromkeys(("lb2", "lb2-m1"), Operating.ONLINE))
    carried(room)
    lie = {"lb2-m1": Operating.ERROR, "lb2": Operating.ERROR, "lb1-m1": Operating.ERROR}
    counted = (Statistics("lb2-l", 1, 1, 1), Statistics("lb1-l", 1, 1, 1))
    # While something of its own is open too, whose end would take the lie along.
    room.keeper.put_object(OCTAVIA, "lb1-p", replace(members("lb1")[0], weight=2))
    room.keeper.put_object(OCTAVIA, "lb2-p", replace(members("lb2", net=2)[0], weight=2))
    room.report("d1", operating=lie, problems={"lb2": "All is lost."}, statistics=counted)
    room.report("d3")
    page = room.tell()
    other, own = room.keeper.balancer("lb2"), room.keeper.balancer("lb1")
    assert {s.id: s.operating for s in other.statuses}["lb2-m1"] is not Operating.ERROR
    assert other.operating is Operating.ONLINE
    assert (other.problem, other.statistics) == ("", ())
    assert {s.id: s.operating for s in own.statuses}["lb1-m1"] is Operating.ERROR
    assert page is not None
    assert [s.listener for s in page.statistics] == ["lb1-l"]
    assert any(a.device == "d1" and "another pair" in a.sentence for a in room.keeper.ailments(""))
    assert room.keeper.metrics()['sekisho_balancer_told_aside_total{device="d1"}'] == 4
    assert room.keeper.metrics()['sekisho_balancer_told_aside_total{device="d3"}'] == 0


def test_a_revision_that_nobody_gave_out_carries_nothing(room: Room) -> None:
    room.keeper.put(OCTAVIA, balancer())
    newest = room.keeper.program_revision("d1")
    with pytest.raises(Conflict):
        room.report(revision=newest + 1)
    room.keeper.tick()
    assert room.tell() is None
    # It carries what a later ledger said, which was lost: it is told everything, and nothing by halves.
    program = room.keeper.program("d1", newest + 1)
    assert (program.since, [b.id for b in program.balancers]) == (0, ["lb1"])


def test_what_was_never_given_out_cannot_have_been_told(room: Room) -> None:
    carried(room)
    with pytest.raises(Conflict):
        room.keeper.told((1 << 53) - 1)
    room.keeper.put_object(OCTAVIA, "lb1-p", members("lb1", 3)[2])
    with pytest.raises(Conflict):
        room.keeper.told(room.keeper.program_revision("d1") + 1)
    room.report()
    room.tell()
    assert room.stands()["lb1-m3"] == "ACTIVE", "it is told all the same"
    room.keeper.told(1)  # an older page once more


@pytest.mark.parametrize("count", [-1, 1 << 63])
def test_totals_that_nobody_can_count_are_refused(room: Room, count: int) -> None:
    carried(room)
    with pytest.raises(Malformed):
        room.report(statistics=(Statistics("lb1-l", 1, count, 0),))
    assert room.keeper.balancer("lb1").statistics == ()


# --- totals ----------------------------------------------------------------------------------------


def test_totals_are_summed_over_directors_and_their_restarts(room: Room) -> None:
    carried(room)
    room.report("d1", statistics=(Statistics("lb1-l", 2, 10, 1000), Statistics("foreign", 1, 1, 1)))
    room.report("d2", active=False, statistics=(Statistics("lb1-l", 0, 5, 500),))
    assert room.keeper.balancer("lb1").statistics == (Statistics("lb1-l", 2, 15, 1500),)
    room.report("d1", statistics=(Statistics("lb1-l", 1, 3, 300),))
    assert room.keeper.balancer("lb1").statistics == (Statistics("lb1-l", 1, 18, 1800),)
    room.keeper.write()
    room.restart()
    assert room.keeper.balancer("lb1").statistics == (Statistics("lb1-l", 1, 18, 1800),)


def test_totals_are_told_every_few_seconds_and_only_those_that_changed(room: Room) -> None:
    carried(room)
    room.report(statistics=(Statistics("lb1-l", 2, 10, 1000),))
    page = room.tell()
    assert page is not None
    assert page.statistics == (Statistics("lb1-l", 2, 10, 1000),)
    room.report(statistics=(Statistics("lb1-l", 2, 11, 1100),))
    assert room.tell() is None
    room.time.pass_by(11)
    room.heard.clear()
    room.keeper.tick()
    assert room.heard == ["balancer-statuses"], "whoever waits is woken"
    page = room.tell()
    assert page is not None
    assert page.statistics == (Statistics("lb1-l", 2, 11, 1100),)
    room.time.pass_by(11)
    assert room.tell() is None


def test_totals_of_what_is_deleted_are_forgotten(room: Room) -> None:
    carried(room)
    room.report(statistics=(Statistics("lb1-l", 2, 10, 1000),))
    room.keeper.write()
    room.keeper.delete(OCTAVIA, "lb1", cascade=True)
    room.report()
    room.tell()
    room.restart()
    assert not room.keeper._totals.waiting()
    assert room.keeper._totals.of("lb1-l") is None


# --- where it goes, and what is not taken ----------------------------------------------------------


def test_flavor_and_zone_choose_the_pair(room: Room) -> None:
    north = room.keeper.put(OCTAVIA, replace(balancer("lb3", 3), zone="north"))
    assert north.devices == ("d3",)
    flavored = room.keeper.put(OCTAVIA, replace(balancer("lb4", 4), flavor={"pair": "two"}))
    assert flavored.devices == ("d3",)
    for wrong in (
        {"zone": "south"},
        {"flavor": {"pair": "none"}},
        {"flavor": {"pair": "box"}},
        {"flavor": {"pair": "one"}, "zone": "north"},
    ):
        with pytest.raises(Unsupported):
            room.keeper.put(OCTAVIA, replace(balancer(), **wrong))


def test_a_balancer_is_found_by_all_that_is_in_it(room: Room) -> None:
    carried(room)
    for thing in ("lb1", "lb1-l", "lb1-p", "lb1-m1", "lb1-h"):
        assert room.keeper.balancer(thing).balancer.id == "lb1"
    with pytest.raises(NotFound):
        room.keeper.balancer("another")


def test_what_belongs_to_another_is_not_taken(room: Room) -> None:
    carried(room)
    room.keeper.put(OCTAVIA, balancer("lb2", 2))
    with pytest.raises(Conflict):
        room.keeper.put_object(OCTAVIA, "lb2-p", members("lb1")[0])
    with pytest.raises(Conflict):
        room.keeper.put_object(OCTAVIA, "lb1", Listener("lb1-p", Protocol.TCP, 81))
    with pytest.raises(Conflict):
        room.keeper.put_object(OCTAVIA, "lb1-p", Monitor("second", Check.TCP))
    with pytest.raises(Conflict):
        room.keeper.put(OCTAVIA, replace(balancer(), provider="adx"))
    with pytest.raises(NotFound):
        room.keeper.put_object(OCTAVIA, "nowhere", members("lb1")[0])
    with pytest.raises(NotFound):
        room.keeper.put_object(OCTAVIA, "lb1", members("lb9")[0])
    with pytest.raises(Malformed):
        room.keeper.put_members(OCTAVIA, "lb1-p", (members("lb1")[0], members("lb1")[0]))
    with pytest.raises(NotFound):
        room.keeper.program("stranger", None)


def test_what_a_kind_of_device_cannot_carry_is_not_even_written(room: Room) -> None:
    carried(room)
    before = room.keeper.balancer("lb1")
    limited = replace(balancer().listeners[0], limit=5)
    with pytest.raises(Unsupported):
        room.keeper.put_object(OCTAVIA, "lb1", limited)
    with pytest.raises(Unsupported):
        room.keeper.put_members(OCTAVIA, "lb1-p", (replace(members("lb1")[0], address="127.0.0.1"),))
    with pytest.raises(Unsupported):
        room.keeper.put(OCTAVIA, replace(balancer("lb2", 2), listeners=(replace(limited, id="lb2-l"),)))
    boxed = balancer("lb3", 3, provider="adx")
    hashed = replace(boxed.pools[0], algorithm=Algorithm.SOURCE_IP)
    with pytest.raises(Unsupported):
        room.keeper.put(OCTAVIA, replace(boxed, pools=(hashed,)))
    assert room.keeper.balancers("", "") == (before,)
    assert room.tell() is None


def test_what_was_taken_before_a_kind_learned_to_refuse_it_can_be_changed_on(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("sekisho.app.balancers.pairs.need_able", lambda *_: None)
        odd = replace(balancer(), listeners=(replace(balancer().listeners[0], limit=5),))
        room.keeper.put(OCTAVIA, odd)
    room.keeper.put(OCTAVIA, replace(odd, name="shop"))
    room.keeper.put_object(OCTAVIA, "lb1-p", members("lb1", 3)[2])
    with pytest.raises(Unsupported):
        room.keeper.put_object(OCTAVIA, "lb1", replace(odd.listeners[0], port=0))


def test_members_of_other_links_are_taken_where_the_settings_name_them(tmp_path: Path) -> None:
    far = replace(members("lb1")[0], address="10.77.0.1")
    linked = replace(PAIRS["one"], links=("10.77.0.0/24",))
    room = Room(tmp_path, pairs={**PAIRS, "one": linked})  # type: ignore[arg-type]
    carried(room)
    room.keeper.put_object(OCTAVIA, "lb1-p", far)
    with pytest.raises(Unsupported):
        room.keeper.put_object(OCTAVIA, "lb1-p", replace(far, address="10.78.0.1"))
    room.ledger.close()


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "../x", "é", "x" * 65, "-x", "{sk}"])
def test_ids_that_would_not_fit_into_a_line_are_refused(room: Room, name: str) -> None:
    carried(room)
    with pytest.raises(Malformed):
        room.keeper.put(OCTAVIA, balancer(name, 2) if name else replace(balancer(), id=""))
    with pytest.raises(Malformed):
        room.keeper.put_object(OCTAVIA, "lb1-p", replace(members("lb1")[0], id=name))
    with pytest.raises(Malformed):
        room.keeper.put_object(OCTAVIA, "lb1", replace(balancer().listeners[0], id=name, port=81))


def test_names_are_as_long_as_octavias_at_most(room: Room) -> None:
    carried(room)
    room.keeper.put(OCTAVIA, replace(balancer(), name="x" * 255))
    with pytest.raises(Malformed):
        room.keeper.put(OCTAVIA, replace(balancer(), name="x" * 256))


def test_pairs_are_listed_with_who_is_active_and_what_they_carry(room: Room) -> None:
    carried(room)
    one, two, box = room.keeper.pairs()
    assert (one.name, one.provider, one.devices, one.active, one.balancers, one.problem) == (
        *("one", "lvs", ("d1", "d2"), "d1"),
        *(1, ""),
    )
    assert (two.zones, two.active, two.balancers) == (("north",), "", 0)
    assert "No device" in two.problem
    assert (box.provider, box.devices) == ("adx", ("box",))


def test_a_balancer_that_changed_since_it_was_looked_at_is_not_laid_over(room: Room) -> None:
    carried(room)
    looked = room.keeper.balancer("lb1").changed
    room.time.pass_by(1.0)
    room.keeper.put(OCTAVIA, replace(balancer(), name="shop"), looked)
    with pytest.raises(Conflict):
        room.keeper.put(OCTAVIA, replace(balancer(), name="late"), looked)
    with pytest.raises(Conflict):
        room.keeper.put(OCTAVIA, balancer("lb2", 2), looked)
    assert [v.balancer.name for v in room.keeper.balancers("", "")] == ["shop"]


def test_what_needs_a_person_is_said(room: Room) -> None:
    room.keeper.put(OCTAVIA, balancer())
    room.report("d1")
    found = {(a.device, a.sentence) for a in room.keeper.ailments("lb1")}
    assert found == {("d2", "It has not reported since the keeper started.")}
    assert any("d3" in n for n in room.keeper.notices())
    assert room.keeper.metrics()['sekisho_balancers{provisioning="active"}'] == 1

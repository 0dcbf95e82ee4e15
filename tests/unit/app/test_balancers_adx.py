"""A keeper drives an emulated pair of ADX: whatever befalls the boxes, nothing stays pending."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sekisho.app.balancers_drive import Drive
from sekisho.app.balancers_settings import PairSettings
from sekisho.devices.balancer.adx.driver import AdxDriver
from sekisho.model.balancer import Balancer, Kind, Operating
from sekisho.testing.adx.box import Kind as Mishappening
from sekisho.testing.adx.box import Mishap, Real
from support_adx import Rig, pair
from support_balancers import OCTAVIA, Room, balancer, members


@dataclass
class Bench:
    room: Room
    rig: Rig
    drive: Drive

    def put(self, name: str = "lb1", net: int = 1) -> Balancer:
        made = balancer(name, net, provider="adx")
        self.room.keeper.put(OCTAVIA, made)
        return made

    def pass_by(self, seconds: float) -> None:
        """Let time pass as the keeper sees it, a second at a time, with what it does meanwhile."""
        due = 0.0
        for second in range(int(seconds)):
            if second >= due:
                due = second + self.drive.step()
            self.room.time.pass_by(1)
            self.room.keeper.tick()
            self.room.tell()

    def bound(self) -> list[set[str]]:
        each = [box.running.virtuals.values() for box in self.rig.boxes]
        return [{real for v in virtuals for _, real, _ in v.bindings} for virtuals in each]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    room, rig = Room(tmp_path, drift=60.0), pair()

    def connect(_pair: PairSettings) -> AdxDriver:
        return rig.driver()

    yield Bench(room, rig, Drive("box", room.keeper, room.time.clock(), connect))
    room.ledger.close()


def test_it_is_carried_changed_and_gone(bench: Bench) -> None:
    bench.put()
    bench.pass_by(2)
    assert set(bench.room.stands().values()) == {"ACTIVE"}
    assert bench.room.octavia["lb1-m1"][2] is Operating.ONLINE
    bench.room.keeper.delete_object(OCTAVIA, "lb1-m1", Kind.MEMBER, "lb1-p")
    bench.pass_by(11)
    assert bench.bound() == [{"sk-10.1.0.12"}] * 2
    bench.room.keeper.delete(OCTAVIA, "lb1", cascade=True)
    bench.pass_by(11)
    assert bench.room.stands()["lb1"] == "DELETED"
    assert "PENDING" not in bench.room.stands().values()
    assert not any(box.running.virtuals or box.running.reals for box in bench.rig.boxes)


@pytest.mark.parametrize("number", [1, 4, 9, 12, 13])
@pytest.mark.parametrize("kind", ["forbidden", "fault", "garbage", "silent"])
def test_a_box_that_answers_oddly_once_costs_seconds(bench: Bench, kind: Mishappening, number: int) -> None:
    bench.rig.boxes[1].mishaps[number] = Mishap(kind, done=bool(number % 2))
    bench.put()
    bench.pass_by(15)
    assert set(bench.room.stands().values()) == {"ACTIVE"}
    assert bench.bound() == [{"sk-10.1.0.11", "sk-10.1.0.12"}] * 2


@pytest.mark.parametrize("kind", ["forbidden", "fault", "garbage", "empty", "broken", "silent"])
def test_boxes_that_answer_oddly_for_minutes_leave_nothing_pending(bench: Bench, kind: Mishappening) -> None:
    for box in bench.rig.boxes:
        box.mishaps = dict.fromkeys(range(6, 10_000), Mishap(kind))
    bench.put()
    bench.pass_by(60)
    assert set(bench.room.stands().values()) == {"ERROR"}
    for box in bench.rig.boxes:
        box.mishaps.clear()
    bench.pass_by(15)
    assert set(bench.room.stands().values()) == {"ACTIVE"}
    assert bench.bound() == [{"sk-10.1.0.11", "sk-10.1.0.12"}] * 2


def test_one_that_is_refused_is_an_error_and_the_others_are_carried(bench: Bench) -> None:
    for box in bench.rig.boxes:  # somebody else's own, for the same address
        box.running.reals["web-7"] = Real("web-7", "10.2.0.11")
    bench.room.keeper.put(OCTAVIA, balancer("odd", 2, provider="adx"))
    bench.put()
    bench.pass_by(12)
    assert bench.room.stands()["odd"] == "ERROR"
    assert bench.room.stands()["lb1"] == "ACTIVE"
    assert "web-7" in bench.room.keeper.balancer("odd").problem


def test_one_box_alone_carries_on_and_the_other_catches_up(bench: Bench) -> None:
    bench.put()
    bench.pass_by(2)
    bench.rig.away.add(0)
    bench.room.keeper.put_object(OCTAVIA, "lb1-p", members("lb1", 3)[2])
    bench.pass_by(12)
    assert bench.room.stands()["lb1-m3"] == "ACTIVE"
    assert [len(names) for names in bench.bound()] == [2, 3]
    bench.rig.away.clear()
    bench.pass_by(12)
    assert [len(names) for names in bench.bound()] == [3, 3]


def test_a_failover_changes_the_boxes_over_and_stays(bench: Bench) -> None:
    bench.put()
    bench.pass_by(2)
    bench.room.keeper.failover(OCTAVIA, "lb1")
    bench.pass_by(12)
    found = [{v.priority for v in box.running.virtuals.values()} for box in bench.rig.boxes]
    assert found == [{100}, {200}]
    assert bench.room.stands()["lb1"] == "ACTIVE"
    bench.put("lb2", 2)
    bench.pass_by(12)
    found = [{v.priority for v in box.running.virtuals.values()} for box in bench.rig.boxes]
    assert found == [{100}, {200}]


def test_what_others_change_is_told(bench: Bench) -> None:
    bench.put()
    bench.pass_by(2)
    next(iter(bench.rig.box.running.virtuals.values())).ports[80].dsr = False
    bench.pass_by(75)
    assert any("virtual port" in ailment.sentence for ailment in bench.room.keeper.ailments(""))

"""Devices without an agent of ours are driven until they carry what is wanted, whatever happens to them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sekisho.app import balancers_drive
from sekisho.app.balancers_drive import Drive
from sekisho.app.balancers_settings import PairSettings
from sekisho.app.balancers_start import start
from sekisho.host.tasks import Troubles
from sekisho.model.balancer import Balancer, Operating, Statistics
from sekisho.model.errors import Malformed, Refused, Unavailable
from sekisho.testing.balancer import Box, Fault, MemoryBalancer
from support_balancers import OCTAVIA, Room, balancer, members

LOG = logging.getLogger("sekisho.balancers")


@dataclass
class Bench:
    room: Room
    box: Box
    drive: Drive
    drivers: list[MemoryBalancer]
    refused: dict[str, str]

    def put(self) -> Balancer:
        lb = balancer(provider="adx")
        self.room.keeper.put(OCTAVIA, lb)
        return lb

    def carried(self) -> None:
        self.put()
        self.drive.step()
        self.room.tell()
        self.room.octavia.clear()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    room, box = Room(tmp_path, drift=60.0), Box()
    drivers: list[MemoryBalancer] = []
    refused: dict[str, str] = {}

    def connect(_pair: PairSettings) -> MemoryBalancer:
        drivers.append(MemoryBalancer(box, refused))
        return drivers[-1]

    drive = Drive("box", room.keeper, room.time.clock(), connect)
    yield Bench(room, box, drive, drivers, refused)
    room.ledger.close()


def test_what_is_wanted_is_carried_and_told(bench: Bench) -> None:
    bench.put()
    assert bench.drive.step() == 10.0
    bench.room.tell()
    assert set(bench.room.stands().values()) == {"ACTIVE"}
    assert bench.room.octavia["lb1-m1"][2] is Operating.ONLINE
    assert len(bench.box.pieces) == 5
    view = bench.room.keeper.balancer("lb1")
    assert (view.devices, view.active) == (("box",), "box")


def test_without_news_only_health_is_asked_for(bench: Bench) -> None:
    bench.carried()
    writes, calls = bench.box.writes, bench.box.calls
    bench.box.down.add("lb1-m1")
    bench.box.totals["lb1-l"] = Statistics("lb1-l", 1, 2, 3)
    bench.drive.step()
    assert (bench.box.writes, bench.box.calls) == (writes, calls + 1)
    bench.room.time.pass_by(11)
    page = bench.room.tell()
    assert page is not None
    assert {s.id: s.operating for s in page.statuses} == {
        "lb1": Operating.DEGRADED,
        "lb1-l": Operating.DEGRADED,
        "lb1-p": Operating.DEGRADED,
        "lb1-m1": Operating.ERROR,
    }
    assert page.statistics == (Statistics("lb1-l", 1, 2, 3),)


def test_a_device_that_is_away_is_tried_again_and_told_as_an_error_in_between(bench: Bench) -> None:
    bench.box.gone = True
    bench.put()
    pauses = [bench.drive.step() for _ in range(7)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert all(d.closed for d in bench.drivers)
    bench.room.time.pass_by(31)
    bench.room.keeper.tick()
    bench.room.tell()
    assert set(bench.room.stands().values()) == {"ERROR"}
    assert "does not answer" in bench.room.keeper.balancer("lb1").problem
    assert next(a.device for a in bench.room.keeper.ailments("lb1")) == "box"
    bench.box.come_back()
    bench.drive.step()
    bench.room.tell()
    assert set(bench.room.stands().values()) == {"ACTIVE"}


def test_a_long_piece_of_work_is_no_silence(bench: Bench) -> None:
    """Nothing is told while a change is carried: a box may take a minute for many."""
    bench.carried()
    bench.room.wait(300)
    assert bench.room.tell() is None
    bench.box.gone = True
    bench.drive.step()
    bench.room.wait(1)
    bench.room.tell()
    assert bench.room.octavia["lb1"][2] is Operating.ERROR


def test_a_device_that_comes_back_without_what_it_carried_is_given_it_again(bench: Bench) -> None:
    bench.carried()
    bench.box.gone = True
    bench.drive.step()
    bench.box.pieces.clear()
    bench.box.come_back()
    bench.drive.step()
    assert len(bench.box.pieces) == 5


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("error", [Unavailable("Slow."), Refused("403."), ValueError("garbage")])
def test_a_fault_at_any_call_ends_in_what_is_wanted(bench: Bench, number: int, error: Exception) -> None:
    bench.box.faults = (Fault(number, error, after=bool(number % 2)),)  # type: ignore[arg-type] # a bug
    bench.put()
    for _ in range(3):
        bench.drive.step()
    bench.room.tell()
    assert set(bench.room.stands().values()) == {"ACTIVE"}
    assert len(bench.box.pieces) == 5


def test_one_that_cannot_be_carried_is_an_error_and_tried_again(bench: Bench) -> None:
    bench.carried()
    bench.refused["10.2.0.100"] = "The box has no room for it."
    bench.room.keeper.put(OCTAVIA, balancer("lb2", 2, provider="adx"))
    bench.drive.step()
    bench.room.tell()
    assert bench.room.stands()["lb2"] == "ERROR"
    assert bench.room.keeper.balancer("lb2").problem == "The box has no room for it."
    bench.refused.clear()
    bench.drive.step()
    bench.room.tell()
    assert bench.room.stands()["lb2"] == "ACTIVE"


def test_drift_is_told_and_repaired_only_where_that_is_wanted(bench: Bench) -> None:
    bench.carried()
    bench.box.pieces.popitem()
    bench.room.time.pass_by(61)
    bench.drive.step()
    assert len(bench.box.pieces) == 4
    assert any("not as it was carried" in a.sentence for a in bench.room.keeper.ailments(""))
    drifts = [e for e in bench.room.ledger.journal().items if e.verb == "balancer-drift"]
    assert len(drifts) == 1
    bench.drive._settings = replace(bench.room.settings, repair=True)
    bench.room.time.pass_by(301)
    bench.drive.step()
    assert len(bench.box.pieces) == 5


def test_a_failover_is_told_when_it_is_done_or_why_not(bench: Bench) -> None:
    bench.carried()
    bench.room.keeper.failover(OCTAVIA, "lb1")
    assert bench.room.tell() is None
    bench.drive.step()
    bench.room.tell()
    assert bench.box.active == "second"
    assert bench.room.stands() == {"lb1": "ACTIVE"}
    bench.box.pair = False
    bench.room.keeper.failover(OCTAVIA, "lb1")
    bench.drive.step()
    bench.room.tell()
    assert bench.room.stands() == {"lb1": "ACTIVE"}
    failed = [e for e in bench.room.ledger.journal("", "lb1").items if e.verb == "balancer-fail"]
    assert [e.reason for e in failed] == ["This device has no other beside it."]


def test_a_change_wakes_the_thread_at_once(bench: Bench) -> None:
    stop, active = threading.Event(), threading.Event()
    bench.room.keeper.listen(lambda topic: active.set() if topic == "balancer-statuses" else None)
    thread = threading.Thread(target=bench.drive.run, args=(stop,))
    thread.start()
    bench.put()
    assert active.wait(5)
    active.clear()
    bench.room.tell()
    bench.room.keeper.put_object(OCTAVIA, "lb1-p", members("lb1", 3)[2])
    assert active.wait(5), "long before it would look by itself"
    stop.set()
    bench.drive.wake()
    thread.join(5)
    assert not thread.is_alive()
    assert bench.drivers[0].closed


def test_the_password_is_read_from_its_file_and_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    given = []
    monkeypatch.setattr(
        "sekisho.plugins.load", lambda *_: lambda options, word: given.append((options, word))
    )
    balancers_drive.connect(PairSettings("adx", options={"address": "192.0.2.1"}, password_file=str(secret)))
    assert given == [({"address": "192.0.2.1"}, "hush")]
    with pytest.raises(Malformed):
        balancers_drive.connect(PairSettings("adx", password_file=str(tmp_path / "none")))


def test_a_driver_that_is_not_there_is_told() -> None:
    with pytest.raises(Malformed, match="nothing"):
        balancers_drive.connect(PairSettings("adx", driver="nothing"))


def test_everything_starts_and_stops(tmp_path: Path) -> None:
    room, stop = Room(tmp_path), threading.Event()
    pairs = {"box": PairSettings("adx", driver="nothing")}
    running = start(replace(room.settings, pairs=pairs), room.ledger, room.time.clock(), stop, Troubles(LOG))
    stop.set()
    running.close(10)
    assert not any(t.is_alive() for t in running.threads)
    assert len(running.threads) == 2
    room.ledger.close()

"""What ports show: all of it once, then only what has changed, and never a wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from sekisho.client import Client
from sekisho.guests.neutron import snapshot as module
from sekisho.guests.neutron.aside import Aside
from sekisho.guests.neutron.snapshot import Snapshot
from sekisho.model.errors import Unavailable
from sekisho.model.policy import Direction, Drop, Protocol
from sekisho.model.restriction import State
from sekisho.testing.contract_keeper import MAIL, OPERATOR, WEB
from sekisho.testing.keeper import FakeKeeper
from support_api import keeper as make

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)


class Direct:
    """A client without a wire; tells what was asked."""

    def __init__(self, keeper: FakeKeeper) -> None:
        self.keeper = keeper
        self.asked: list[object] = []

    def status(self) -> Any:
        self.asked.append("status")
        return self.keeper.status()

    def restrictions(self, states: tuple[State, ...] = (), limit: int = 0, since: int = 0) -> Iterator[Any]:
        self.asked.append(since or "all")
        return iter(self.keeper.restrictions("", "", states, limit, "", since=since).items)


@pytest.fixture
def keeper() -> FakeKeeper:
    return make()


@pytest.fixture
def direct(keeper: FakeKeeper) -> Direct:
    return Direct(keeper)


def look(snapshot: Snapshot, direct: Direct) -> None:
    snapshot.refresh(cast("Client", direct))


def shown(snapshot: Snapshot) -> dict[str, list[str]]:
    known = snapshot._by_port
    assert known is not None
    return {port: [r["id"] for r in found] for port, found in known.items()}


def test_all_is_read_once_and_then_what_has_changed(keeper: FakeKeeper, direct: Direct) -> None:
    one = keeper.impose(OPERATOR, WEB, (SMTP,), "why", 60.0, "")
    snapshot = Snapshot(lambda: cast("Client", direct), lambda e: {"id": e.id})
    look(snapshot, direct)
    assert shown(snapshot) == {WEB: [one.id]}
    two = keeper.impose(OPERATOR, MAIL, (SMTP,), "why", 60.0, "")
    look(snapshot, direct)
    assert shown(snapshot) == {WEB: [one.id], MAIL: [two.id]}
    keeper.lift(OPERATOR, one.id, "done", "")
    look(snapshot, direct)
    assert shown(snapshot) == {MAIL: [two.id]}
    look(snapshot, direct)
    assert direct.asked == ["status", "all", *(one.revision, two.revision), two.revision + 1]


def test_all_is_read_again_after_a_while_and_after_more_than_a_page(
    keeper: FakeKeeper, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Snapshot(lambda: cast("Client", direct), lambda e: {"id": e.id})
    monkeypatch.setattr(module, "LOOKS", 2)
    keeper.impose(OPERATOR, WEB, (SMTP,), "why", 60.0, "")
    for _ in range(4):
        look(snapshot, direct)
    assert direct.asked.count("status") == 2
    monkeypatch.setattr(module, "_PAGE", 1)
    look(snapshot, direct)
    for port in (WEB, MAIL):
        keeper.impose(OPERATOR, port, (SMTP,), "why", 60.0, "")
    direct.asked.clear()
    monkeypatch.setattr(
        direct, "restrictions", lambda **_: iter(keeper.restrictions("", "", (), 9, "").items)
    )
    monkeypatch.setattr(module, "LOOKS", 100)
    look(snapshot, direct)
    assert "status" not in direct.asked
    look(snapshot, direct)
    assert "status" in direct.asked


def test_a_read_that_fails_half_way_leaves_what_was_known(keeper: FakeKeeper, direct: Direct) -> None:
    one = keeper.impose(OPERATOR, WEB, (SMTP,), "why", 60.0, "")
    snapshot = Snapshot(lambda: cast("Client", direct), lambda e: {"id": e.id})
    look(snapshot, direct)
    keeper.impose(OPERATOR, MAIL, (SMTP,), "why", 60.0, "")
    keeper.failure = Unavailable("away")
    with pytest.raises(Unavailable):
        look(snapshot, direct)
    keeper.failure = None
    assert shown(snapshot) == {WEB: [one.id]}
    look(snapshot, direct)
    assert set(shown(snapshot)) == {WEB, MAIL}


def test_a_thread_that_has_ended_is_begun_again() -> None:
    began = threading.Semaphore(0)
    aside = Aside("test", began.release)
    aside.need()
    assert began.acquire(timeout=10)
    thread = aside._thread
    assert thread is not None
    thread.join(10)
    aside.need()
    assert began.acquire(timeout=10)
    assert aside._thread is not thread


def test_a_thread_that_runs_is_the_only_one() -> None:
    stop, began = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        began.release()
        stop.wait(10)

    aside = Aside("test", work)
    try:
        for _ in range(3):
            aside.need()
        assert began.acquire(timeout=10)
        assert not began.acquire(blocking=False)
    finally:
        stop.set()

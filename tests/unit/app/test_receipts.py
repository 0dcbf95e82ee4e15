"""Receipts on their way into the ledger: news at once, totals together, nothing twice and nothing lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sekisho.app.receipts import EVERY, Receipts
from sekisho.ledger.ledger import Ledger
from sekisho.model.errors import Unavailable
from sekisho.model.policy import Direction, Drop, Protocol
from sekisho.model.restriction import Receipt, Restriction

NOW = 1_700_000_000.0
SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)


class Desk:
    """A ledger that counts how often it is written, and may be away."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path)
        self.written: list[dict[str, list[int]]] = []
        self.away = False
        self.may_write = threading.Event()
        self.may_write.set()
        self.writes = threading.Semaphore(0)
        ours = self.ledger.all_receipts

        def counted(given: Mapping[str, Sequence[Receipt]], now: float) -> tuple[Restriction, ...]:
            self.writes.release()
            self.may_write.wait(10)
            if self.away:
                raise Unavailable("The ledger is busy.")
            self.written.append({host: [r.dropped_packets for r in told] for host, told in given.items()})
            return ours(given, now)

        self.ledger.all_receipts = counted  # type: ignore[method-assign]
        self.receipts = Receipts(self.ledger)
        self.entry = self.ledger.impose("port-a", (SMTP,), "why", "ada", 3600.0, NOW)

    def tell(self, packets: int, host: str = "h1", **more: Any) -> None:
        said = Receipt(self.entry.id, "port-a", host, True, NOW + 1, packets, packets * 60)
        self.receipts.take(host, (replace(said, **more),), NOW + 1)

    def dropped(self) -> int:
        self.receipts.write(NOW + 2)
        return self.ledger.restriction(self.entry.id).dropped_packets


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "ledger.db")
    yield made
    made.ledger.close()


def test_news_are_written_at_once_and_totals_with_the_next_tick(desk: Desk) -> None:
    desk.tell(1)
    assert desk.ledger.restriction(desk.entry.id).in_force == NOW + 1
    for packets in range(2, 50):
        desk.tell(packets)
    assert len(desk.written) == 1
    desk.receipts.tick(NOW + 2)
    desk.receipts.tick(NOW + 2 + EVERY / 2)
    assert desk.written[1:] == [{"h1": [49]}]
    desk.tell(50, problem="no meter left")
    assert desk.written[2:] == [{"h1": [50]}]
    desk.tell(51, problem="no meter left")
    assert len(desk.written) == 3
    assert desk.dropped() == 51


def test_totals_that_begin_anew_are_counted_on(desk: Desk) -> None:
    for packets in (10, 15, 3, 4, 2):
        desk.tell(packets)
    assert desk.dropped() == 15 + 4 + 2


def test_what_could_not_be_written_is_kept_and_newer_totals_win(desk: Desk) -> None:
    desk.away = True
    with pytest.raises(Unavailable):
        desk.tell(5)
    assert not desk.receipts.knows("h1", (Receipt(desk.entry.id, "", "h1", True, 0.0),))
    with pytest.raises(Unavailable):
        desk.tell(7)
    desk.away = False
    desk.receipts.tick(NOW + 2)
    assert desk.written == [{"h1": [7]}]
    assert desk.dropped() == 7
    assert desk.receipts.knows("h1", (Receipt(desk.entry.id, "", "h1", True, 0.0),))


def test_whoever_comes_while_somebody_writes_is_written_together(desk: Desk) -> None:
    desk.may_write.clear()
    threads = [threading.Thread(target=desk.tell, args=(i, f"h{i}")) for i in range(1, 9)]
    threads[0].start()
    assert desk.writes.acquire(timeout=10)
    for thread in threads[1:]:
        thread.start()
    while len(desk.receipts._waiting) < 7:
        threads[1].join(0.01)
    desk.may_write.set()
    for thread in threads:
        thread.join(10)
    assert [len(told) for told in desk.written] == [1, 7]
    assert desk.dropped() == sum(range(1, 9))


def test_what_is_being_written_is_waited_for_by_whoever_reads(desk: Desk) -> None:
    desk.may_write.clear()
    first = threading.Thread(target=desk.tell, args=(3,))
    first.start()
    assert desk.writes.acquire(timeout=10)
    found: list[int] = []
    second = threading.Thread(target=lambda: found.append(desk.dropped()))
    second.start()
    desk.may_write.set()
    first.join(10)
    second.join(10)
    assert found == [3]

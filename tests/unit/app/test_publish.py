"""What the keeper tells Gnocchi of the restricted, over a real ledger and a Gnocchi that can refuse."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sekisho.app.keeper import Keeper
from sekisho.app.publish import NAME, RETRY, Publishing
from sekisho.app.settings import KeeperSettings
from sekisho.host.clock import Clock
from sekisho.host.tasks import Troubles
from sekisho.ledger.ledger import Ledger
from sekisho.metering.publish import PORT, PROJECT, Publisher
from sekisho.metering.settings import PublishSettings
from sekisho.model.access import Principal, Role
from sekisho.model.cloud import CloudPort
from sekisho.model.errors import Conflict, NotFound, Unavailable
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.policy import Action, Direction, Drop, Protocol
from sekisho.model.restriction import Receipt

ADA = Principal("ada", Role.ADMIN)
SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
NOW = 1_700_000_000.0


@dataclass
class FakeGnocchi:
    """Knows types and resources, and keeps the last measure of each metric."""

    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    last: dict[str, dict[str, float]] = field(default_factory=dict)
    calls: int = 0
    down: bool = False

    def ask(self, method: str, path: str, query: Mapping[str, Any], body: Any = None) -> Any:
        self.calls += 1
        if self.down:
            raise Unavailable("Gnocchi does not answer.", "gone")
        if method == "PATCH":
            assert path.startswith(f"/v1/resource/{PORT}/")
            self.known[path.rpartition("/")[2]] |= body
            return
        assert method == "POST"
        if path != "/v1/batch/resources/metrics/measures":
            name = body.get("id") or body["name"]
            if name in self.known:
                raise Conflict("It is there already.")
            if "id" in body and path.rpartition("/")[2] not in self.known:
                raise NotFound("no such type")
            self.known[name] = body
            return
        assert query == {"create_metrics": "true"}
        for name, metrics in body.items():
            if name not in self.known:
                raise NotFound("no such resource")
            self.last[name] = {
                each.removeprefix("sekisho."): told["measures"][-1]["value"] for each, told in metrics.items()
            }


class Office:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.ledger = Ledger(folder / "ledger.db")
        self.keeper = Keeper(KeeperSettings(), self.ledger, Clock(), lambda: ((), ()))
        here = [Subject(f"p{n}", "h1", project="acme", server=f"s{n}") for n in range(3)]
        self.keeper.report_host(ADA, HostReport(Host("h1"), (*here, Subject("bare", "h1"))))
        self.gnocchi, self.troubles = FakeGnocchi(), Troubles(logging.getLogger("test"))
        told = PublishSettings(every=300.0, **settings)
        publisher = Publisher(told, self.gnocchi)
        self.publishing = Publishing(told, self.keeper, publisher, self.troubles)

    def impose(self, port: str, *actions: Action) -> str:
        return self.keeper.impose(ADA, port, actions or (SMTP,), "spam", 3600.0, "").id

    def drop(self, restriction: str, port: str, packets: int) -> None:
        receipt = Receipt(restriction, port, "h1", True, 1.0, packets, packets * 100)
        self.keeper.receipts(ADA, "h1", 1, (receipt,), "")

    def total(self, name: str) -> float:
        return self.keeper.totals.get(f"metering_{name}_total", 0.0)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.ledger.close()


def figures(active: int, packets: int) -> dict[str, float]:
    return {"restrictions": active, "dropped.packets": packets, "dropped.bytes": packets * 100}


def test_port_and_project_have_what_is_in_force_and_what_was_ever_dropped(office: Office) -> None:
    first, second = office.impose("p0"), office.impose("p1")
    office.drop(first, "p0", 7)
    office.drop(second, "p1", 5)
    office.publishing.publish(NOW)
    ids = ("sekisho-project-acme", "sekisho-port-p0", "sekisho-port-p1")
    assert office.gnocchi.last == dict(zip(ids, (figures(2, 12), figures(1, 7), figures(1, 5)), strict=True))
    known = office.gnocchi.known
    assert known["sekisho-port-p0"] == {
        "id": "sekisho-port-p0", "project_id": "acme", "port": "p0", "server": "s0",
    }  # fmt: skip
    assert {PORT, PROJECT} < known.keys()
    assert office.total("published") == 9


def test_a_server_that_nobody_knew_when_its_port_was_made_there_is_told_later(office: Office) -> None:
    """The cloud may say whose a port is after it was restricted; a keeper before may not have known it."""
    office.keeper.report_host(ADA, HostReport(Host("h1"), (Subject("p0", "h1", project="acme"),)))
    office.impose("p0")
    office.publishing.publish(NOW)
    assert office.gnocchi.known["sekisho-port-p0"]["server"] == ""
    office.keeper.report_port(ADA, CloudPort("p0", "acme", server="s0"))
    office.publishing.publish(NOW + 300)
    assert office.gnocchi.known["sekisho-port-p0"]["server"] == "s0"
    calls = office.gnocchi.calls
    office.publishing.publish(NOW + 600)
    assert office.gnocchi.calls == calls + 1, "told once"
    office.gnocchi.known["sekisho-port-p0"]["server"] = ""
    publisher = Publisher(PublishSettings(every=300.0), office.gnocchi)
    again = Publishing(PublishSettings(every=300.0), office.keeper, publisher, office.troubles)
    again.publish(NOW + 900)
    assert office.gnocchi.known["sekisho-port-p0"]["server"] == "s0"


def test_whoever_is_free_again_has_a_last_zero_and_no_more(office: Office) -> None:
    first = office.impose("p0")
    office.drop(first, "p0", 7)
    office.publishing.publish(NOW)
    office.keeper.lift(ADA, first, "good", "")
    office.publishing.publish(NOW + 300)
    assert office.gnocchi.last["sekisho-port-p0"] == figures(0, 7)
    office.gnocchi.last.clear()
    calls = office.gnocchi.calls
    office.publishing.publish(NOW + 600)
    assert (office.gnocchi.last, office.gnocchi.calls) == ({}, calls)
    second = office.impose("p0")
    office.drop(second, "p0", 2)
    office.publishing.publish(NOW + 900)
    assert office.gnocchi.last["sekisho-port-p0"] == figures(1, 9)


def test_a_gnocchi_that_is_away_is_counted_and_told_and_misses_nobody(office: Office) -> None:
    first = office.impose("p0")
    assert office.publishing.publish(NOW) == 300.0
    office.keeper.lift(ADA, first, "good", "")
    office.gnocchi.down = True
    for n in range(3):
        assert office.publishing.publish(NOW + n) == RETRY
    assert (office.total("publish_failed"), office.troubles.present()) == (3, (NAME,))
    office.gnocchi.down = False
    office.publishing.publish(NOW + 10)
    assert office.troubles.present() == ()
    assert office.gnocchi.last["sekisho-port-p0"] == figures(0, 0)


def test_what_somebody_removed_from_gnocchi_is_made_again(office: Office) -> None:
    office.impose("p0")
    office.publishing.publish(NOW)
    office.gnocchi.known.clear()
    office.publishing.publish(NOW + 1)
    assert office.total("publish_failed") == 1
    office.publishing.publish(NOW + 2)
    assert "sekisho-port-p0" in office.gnocchi.known
    assert office.troubles.present() == ()


def test_ports_of_no_project_are_left_out(office: Office) -> None:
    office.impose("bare")
    office.publishing.publish(NOW)
    assert office.gnocchi.calls == 0


def test_many_ports_go_in_chunks(tmp_path: Path) -> None:
    office = Office(tmp_path, chunk=2)
    for n in range(3):
        office.impose(f"p{n}")
    office.publishing.publish(NOW)
    office.gnocchi.calls = 0
    office.publishing.publish(NOW + 1)
    assert office.gnocchi.calls == 2, "three ports and their project"
    assert len(office.gnocchi.last) == 4
    office.ledger.close()


def test_it_pauses_as_long_as_the_settings_say(office: Office) -> None:
    told = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            told.append(timeout)
            return True

    office.publishing.look(NOW, Stop())
    assert told == [300.0]

"""What a collector tells the keeper, and what it does when the keeper does not understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from sekisho.app.collector import Collector, CollectorSettings, own_addresses
from sekisho.flows.receive import ReceiveSettings
from sekisho.host.clock import Clock
from sekisho.model.errors import Malformed
from sekisho.model.report import Outcome, Verdict
from sekisho.model.restriction import Evidence, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator


class Keeper:
    """Refuses whole requests in which anything is about `odd`."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def evidence(self, evidence: tuple[Evidence, ...]) -> tuple[Verdict, ...]:
        if any(e.subject == "odd" for e in evidence):
            raise Malformed("A number to be sent is not finite.")
        self.heard += [e.subject for e in evidence]
        return tuple(Verdict(e.subject, e.policy, Outcome.IMPOSED, "r1", "") for e in evidence)


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def collector(keeper: Keeper) -> Iterator[Collector]:
    settings = CollectorSettings("c", receive=ReceiveSettings(ports=(0,)))
    made = Collector(settings, cast("Any", keeper), Clock())
    yield made
    made.receiver.close()


def about(subject: str) -> Evidence:
    finding = Finding("egress-bytes", "bytes", 10.0, 2.0, float("nan"), 3.0, 1.0, 9)
    return Evidence(subject, "p", (finding,), 0.0, 10.0)


def test_evidence_that_cannot_be_read_holds_up_nobody_else_s(collector: Collector, keeper: Keeper) -> None:
    names = [f"vm{i}" for i in range(600)]
    collector._outbox.put([about(n) for n in (*names[:3], "odd", *names[3:])])
    collector._send_evidence()
    assert sorted(keeper.heard) == sorted(names)
    assert collector._outbox.pending == {}
    assert collector._counters()["evidence.refused"] == 1


def test_a_collector_that_listens_on_a_name_tells_its_addresses() -> None:
    assert own_addresses("192.0.2.7") == ("192.0.2.7",)
    assert "127.0.0.1" in own_addresses("localhost")

"""A cloud of one host and two subjects, for tests of the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from sekisho.model.access import Principal, Role
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.policy import (
    Baseline,
    Condition,
    Direction,
    Drop,
    Mode,
    Policy,
    PolicySet,
    Step,
    Threshold,
    Unit,
)
from sekisho.model.policy import Protocol as Transport
from sekisho.model.report import CollectorReport, Talker
from sekisho.model.restriction import Count, Evidence, Finding
from sekisho.testing.keeper import START, FakeKeeper

AGENT = Principal("agent", Role.AGENT)
WEB, MAIL = "cmp7/tap-web", "cmp7/tap-mail"
SMTP = Drop(Transport.TCP, Direction.EGRESS, 25, 25)


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Run(Protocol):
    def __call__(self, *args: str, role: Role = Role.OPERATOR, text: str = "") -> Answer: ...


def spam_policy(mode: Mode) -> Policy:
    line = Threshold(100, 3600, Unit.COUNT, "100/h")
    ladder = (Step((SMTP,), 86400.0),)
    return Policy(
        "smtp-spam", (Condition("smtp-connections", line),), ladder, mode, description="Sends spam."
    )


def spam_evidence(subject: str) -> Evidence:
    finding = Finding("smtp-connections", "count", 3600, 412, 400, 425, 100, 412)
    return Evidence(
        subject,
        "smtp-spam",
        (finding,),
        START - 3600,
        START,
        top_destinations=(Count("198.51.100.7", 40),),
        exporters=("192.0.2.7",),
        collector="c1",
        first_seen=START - 60,
    )


def cloud() -> FakeKeeper:
    """A keeper with one host, two subjects, a policy that enforces, a baseline and a collector."""
    baseline = Baseline("no-telnet", (Drop(Transport.TCP, Direction.EGRESS, 23, 23),), description="Sold so.")
    keeper = FakeKeeper(PolicySet(1, (spam_policy(Mode.ENFORCE),), (baseline,)))
    subjects = (
        Subject(WEB, "cmp7", "acme", "web-3", "net", "fa:16:3e:00:00:01", ("10.0.0.5",), ifindex=7, ofport=3),
        Subject(MAIL, "cmp7", "acme", "mail-1", "net", "fa:16:3e:00:00:02", ("10.0.0.6",)),
    )
    keeper.report_host(AGENT, HostReport(Host("cmp7"), subjects))
    talkers = (Talker(WEB, 3e6, 1e6, 400, 200, 12.5), Talker(MAIL, 1e5, 2e6, 10, 20, 1))
    keeper.report_collector(AGENT, CollectorReport("c1", START, talkers=talkers))
    return keeper

"""A small cloud with a past, behind the real API and console: a real keeper, and time in the test's hands."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from sekisho.api import create_app, start
from sekisho.api.console.live import Pulse
from sekisho.api.console.sessions import Attempts, Sessions
from sekisho.api.console.settings import Console, ConsoleSettings
from sekisho.api.settings import ApiSettings
from sekisho.app.charts import Charts
from sekisho.app.identity import Identity, KeystoneSettings
from sekisho.app.keeper import Keeper
from sekisho.app.settings import KeeperSettings
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.archived import Backtest, CurvePoint, PolicyBacktest, Spell
from sekisho.model.inventory import Host, HostReport, Subject, Telemetry
from sekisho.model.policy import (
    Baseline,
    Condition,
    Direction,
    Drop,
    Mode,
    Police,
    Policy,
    Protocol,
    Step,
    Threshold,
    Unit,
)
from sekisho.model.report import ABOVE, BELOW, FINE, CollectorReport, ExporterReport, Histogram, Talker
from sekisho.model.restriction import Count, Evidence, Finding, Receipt
from sekisho.testing.keystone import FakeKeystone

BEGAN = 1_800_000_000.0
SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
AGENT = Principal("agent", Role.AGENT)
OLGA = Principal("olga", Role.OPERATOR)


def policy(
    name: str, mode: Mode, detector: str, line: Threshold, *steps: Step, about: str = "", early: float = 0.0
) -> Policy:
    return Policy(name, (Condition(detector, line),), steps, mode, description=about, early_release=early)


POLICIES = (
    policy(
        "outgoing-spam",
        Mode.ENFORCE,
        "smtp-connections",
        Threshold(60, 60, Unit.COUNT, "60/min"),
        Step((SMTP,), 3600.0),
        Step((SMTP,), 86400.0),
        about="Many new SMTP connections to many servers",
        early=7 * 86400.0,
    ),
    policy(
        "heavy-user",
        Mode.ENFORCE,
        "egress-bytes",
        Threshold(250e6, 10, Unit.BYTES, "200 Mbit/s"),
        Step((Police(10_000_000, Direction.EGRESS),), 1800.0),
        about="A sustained upload",
    ),
    policy(
        "port-scan",
        Mode.PROPOSE,
        "scan-ports",
        Threshold(100, 60, Unit.COUNT, "100/min"),
        Step((), 600.0),
        Step((Drop(Protocol.TCP, Direction.EGRESS),), 3600.0),
        about="Knocking at many ports that do not answer",
    ),
    policy(
        "reflection",
        Mode.WATCH,
        "amplification-bytes",
        Threshold(125e6, 10, Unit.BYTES, "100 Mbit/s"),
        Step((Drop(Protocol.UDP, Direction.EGRESS),), 3600.0),
        about="Answers to questions nobody asked",
    ),
)
BASELINES = (
    Baseline(
        "no-telnet", (Drop(Protocol.TCP, Direction.EGRESS, 23, 23),), description="Nobody speaks telnet"
    ),
)


class Cloud:
    """A keeper whose clock only moves when told; `subjects` of them on hosts of fifty."""

    def __init__(self, folder: Path, subjects: int = 60) -> None:
        self.passed = 0.0
        self.ledger = Ledger(folder / "ledger.db")
        clock = Clock(lambda: BEGAN + self.passed, lambda: self.passed, "boot")
        self.keystone = FakeKeystone(lambda: self.passed)
        identity = Identity(KeystoneSettings(), self.keystone, lambda: self.passed)
        self.keeper = Keeper(KeeperSettings(), self.ledger, clock, lambda: (POLICIES, BASELINES), identity)
        self.secrets = {
            role: self.ledger.create_token(role.value, role, "test", BEGAN)[1]
            for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN, Role.AGENT)
        }
        self.subjects = [_subject(i) for i in range(subjects)]
        self.hosts()

    def hosts(self) -> None:
        """Let all hosts report."""
        for n in range(0, len(self.subjects), 50):
            host = f"compute-{n // 50 + 1}"
            report = Host(host, (f"192.0.2.{n // 50 + 1}",), (Telemetry("br-int", "sflow", 400, 1, 2),))
            here = tuple(replace(s, host=host) for s in self.subjects[n : n + 50])
            program = self.keeper.report_host(AGENT, HostReport(report, here))
            self.keeper.receipts(AGENT, host, program.revision, (), "")

    def member(self, project: str, *roles: str) -> str:
        """Give Keystone's token of a customer; with its role `reader` alone it may only look."""
        return self.keystone.issue("mia", *(roles or ("member",)), project=project, project_id=project)

    @property
    def now(self) -> float:
        return BEGAN + self.passed

    def talk(self, talkers: tuple[Talker, ...]) -> None:
        """Let a collector report."""
        exporters = (
            ExporterReport(
                "192.0.2.1", "sflow", 1, "192.0.2.1", "compute-1", 182_044, 1_271_003, 12, 3, 1, self.now, 400
            ),
            ExporterReport("192.0.2.2", "ipfix", 7, "", "compute-2", 90_412, 640_118, 0, 0, 0, self.now - 2),
        )
        counters = {"records": 1_911_121.0, "malformed": 4.0}
        told = self._histograms(talkers)
        report = CollectorReport("collector-1", self.now, exporters, talkers, (25,), counters)
        self.keeper.report_collector(AGENT, replace(report, histograms=told))

    def _histograms(self, talkers: tuple[Talker, ...]) -> tuple[Histogram, ...]:
        """Set everybody against the lines of all policies but the last, of which nothing is told."""
        numbers = {
            "outgoing-spam": [t.smtp_per_minute for t in talkers],
            "heavy-user": [t.egress_bps * 10 / 8 for t in talkers],
            "port-scan": [2.4 ** (i % 6) for i in range(len(talkers))],
        }
        return tuple(
            _histogram(p, numbers[p.name], len(self.subjects)) for p in POLICIES if p.name in numbers
        )

    def cross(
        self, subject: str, name: str, detector: str, unit: str, numbers: tuple[float, float, float]
    ) -> None:
        """Let a collector tell that a policy's line was crossed."""
        estimate, lower, line = numbers
        window = 60.0 if unit == "count" else 10.0
        finding = Finding(detector, unit, window, estimate, lower, estimate * 1.04, line, 412)
        tops = (Count("203.0.113.7", 40), Count("198.51.100.20", 31))
        told = Evidence(
            subject,
            name,
            (finding,),
            self.now - window,
            self.now,
            0.95,
            tops,
            (Count("25", 412),),
            ("192.0.2.1",),
            "collector-1",
            self.now - window,
        )
        self.keeper.evidence(AGENT, (told,))

    def close(self) -> None:
        self.ledger.close()


def _histogram(policy: Policy, numbers: list[float], subjects: int) -> Histogram:
    (condition,), counts = policy.conditions, [0] * (BELOW + ABOVE) * FINE
    line = condition.threshold
    for number in numbers:
        if number >= line.amount / 10**BELOW:
            place = int(math.log10(number / line.amount) * FINE + BELOW * FINE)
            counts[min(place, len(counts) - 1)] += 1
    over = sum(number >= line.amount for number in numbers)
    kind = policy.name, condition.detector, line.unit, line.window, line.amount
    return Histogram(*kind, subjects, over, tuple(counts))


def _subject(i: int) -> Subject:
    name = f"{i * 2654435761 % 2**32:08x}-7c1e-4f0a-9b60-{i:012x}"
    project = ("acme", "umbrella", "initech", "hooli")[i % 4]
    return Subject(
        name,
        "",
        project,
        f"{('web', 'mail', 'db', 'build')[i % 4]}-{i}",
        "net-1",
        f"fa:16:3e:00:{i // 256 % 256:02x}:{i % 256:02x}",
        (f"10.0.{i // 250}.{i % 250 + 1}",),
        ("new",) if i % 9 == 0 else (),
        f"tap{i}",
        "br-int",
        100 + i,
        i + 1,
        flavor="m1.small",
        qos=("gold",) if i % 5 == 0 else (),
    )


def moment(cloud: Cloud) -> None:
    """Let the collector report how it is at this moment of the story."""
    heavy, spammer = (cloud.subjects[i].id for i in (7, 12))
    t = cloud.passed
    wave = 1 + 0.12 * math.sin(t / 41) + 0.06 * math.sin(t / 7.3)
    upload = 40e6 + (260e6 if t > 1900 else 0) * min(1, (t - 1900) / 200 + 0.2)
    upload = 9.4e6 if t >= 2260 else upload
    mails = 400.0 if 2900 < t < 3010 else 0.0
    talkers = [Talker(heavy, upload * wave, upload * 0.04 * wave, upload / 9000, upload / 15000)]
    talkers.append(Talker(spammer, (3e6 if mails else 0.4e6) * wave, 1.1e6 * wave, 800, 600, mails))
    talkers += [
        Talker(
            s.id,
            2e8 / (i + 3) ** 1.6 * wave,
            3e8 / (i + 4) ** 1.5 * wave,
            9000 / (i + 1),
            12000 / (i + 1),
            float(i % 7),
        )
        for i, s in enumerate(cloud.subjects)
        if s.id not in (heavy, spammer)
    ]
    cloud.talk(tuple(talkers))


def story(cloud: Cloud) -> None:
    """Let an hour pass: a heavy uploader is limited, a spammer is stopped, two scanners wait for a yes."""
    heavy, spammer = (cloud.subjects[i].id for i in (7, 12))
    while cloud.passed < 3600:
        moment(cloud)
        match cloud.passed:
            case 2250:
                cloud.cross(heavy, "heavy-user", "egress-bytes", "bytes", (355e6, 331e6, 250e6))
                told(cloud, heavy)
            case 3000:
                cloud.cross(spammer, "outgoing-spam", "smtp-connections", "count", (412, 388, 60))
                told(cloud, spammer)
            case 3300:
                for i in (23, 31):
                    cloud.cross(cloud.subjects[i].id, "port-scan", "scan-ports", "count", (1840, 1702, 100))
            case _:
                pass
        cloud.passed += 5
    cloud.hosts()


def told(cloud: Cloud, subject: str) -> None:
    """Let the host say that it carries what binds a subject, and what that dropped."""
    for r in cloud.keeper.restrictions(subject, "", (), 10, "").items:
        cloud.keeper.receipts(
            AGENT, r.host, 1, (Receipt(r.id, subject, r.host, True, cloud.now, 1204, 842_112),), ""
        )


def charts(cloud: Cloud) -> Charts:
    """What its pages' charts show: it has no archive."""
    return Charts(cloud.keeper.recent, None, lambda: cloud.now)


@contextmanager
def served(cloud: Cloud, **console: Any) -> Iterator[tuple[FastAPI, str]]:
    """Serve a cloud in a thread; gives the app and its address."""
    chosen = ApiSettings(port=0)
    app = create_app(cloud.keeper, chosen, console=Console(ConsoleSettings(**console), charts(cloud)))
    running = start(app, chosen)
    try:
        yield app, running.url
    finally:
        running.stop()
        assert not running.thread.is_alive(), "the server did not stop"


def put_behind(app: FastAPI, cloud: Cloud, **console: Any) -> None:
    """Put another cloud behind an app that is served, with nobody signed in."""
    settings = ConsoleSettings(**console)
    state = app.state
    state.keeper, state.traffic = cloud.keeper, charts(cloud)
    state.console = settings
    state.sessions, state.pulse = Sessions(settings), Pulse(settings.watching)
    state.attempts = Attempts(settings.attempts, settings.forgive)


class Played:
    """An archive over which one back-test, of the heavy users of a week, has been played already."""

    def __init__(self, cloud: Cloud) -> None:
        until, rate = cloud.now, 1e6 / 8 * 10
        found = Finding("egress-bytes", Unit.BYTES, 10, 210 * rate, 190 * rate, 230 * rate, 200 * rate, 900)
        limit = next(p for p in POLICIES if p.name == "heavy-user").ladder[0].actions
        spells = tuple(
            Spell(s.id, "heavy-user", until - 4e4 * n, until - 4e4 * n + 600, "imposed", 1, limit, (found,),
                  overlaps=n == 1)
            for n, s in enumerate(cloud.subjects[7:12], 1)
        )  # fmt: skip
        curve = tuple(CurvePoint(20 * rate * 1.1**n, 18 / 1.12**n, int(31 / 1.12**n)) for n in range(32))
        told = PolicyBacktest(
            "heavy-user", "enforce", "egress-bytes", Unit.BYTES, 10, 200 * rate, 5, 3, spells, 0, 1, 2, curve
        )
        notes = ("Traffic is what really was: where somebody was bound then, it is what was left of it.",)
        self.told = Backtest("b1", "done", until - 604800, until, 10, 1, 8_412_377, 11.2, (told,), (), notes)

    def backtested(self, backtest: str) -> Backtest:
        assert backtest == self.told.id
        return self.told


class Browser:
    """What a browser does without scripts: keeps cookies, sends forms with what their page says."""

    def __init__(self, cloud: Cloud, client: httpx.Client) -> None:
        self.cloud = cloud
        self.client = client

    def sign_in(self, secret: str, issuer: str = "sekisho", **fields: str) -> httpx.Response:
        return self.client.post("/login", data={"token": secret, "issuer": issuer, **fields})

    def page(self, path: str, **query: Any) -> str:
        """Give a page that must be there."""
        answer = self.client.get(path, params=query or None)
        assert answer.status_code == 200, answer.text
        return answer.text

    def forgery(self) -> str:
        """Read the proof that a page's forms carry."""
        found = re.search(r'name="forgery" value="([^"]+)"', self.page("/audit"))
        assert found, "no form on the page"
        return found[1]

    def send(self, path: str, **fields: Any) -> httpx.Response:
        """Send a form as our own page does."""
        return self.client.post(path, data={"forgery": self.forgery(), **fields})


@contextmanager
def browsing(cloud: Cloud, url: str, role: Role | None) -> Iterator[Browser]:
    """A browser of somebody signed in, or of a stranger."""
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        browser = Browser(cloud, client)
        if role is not None:
            assert browser.sign_in(cloud.secrets[role]).status_code == 303
        yield browser

"""Who is told what, when: gathered from the journal, each letter once, none forgotten, none in silence."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sekisho.app.notices import CUSTOMERS, Notices
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.errors import Conflict, NotFound, Refused, SekishoError, Unavailable
from sekisho.model.inventory import Subject
from sekisho.model.notice import Letter, LetterState, NoticeKind
from sekisho.model.policy import Direction, Drop, Protocol
from sekisho.model.report import CollectorReport, ExporterReport, Status
from sekisho.model.restriction import Receipt
from sekisho.notify.settings import ChannelSettings, CustomerSettings, NotifySettings

NOW = 1_800_000_000.0
SPAM = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
ADA = Principal("ada", Role.ADMIN)


@dataclass
class Told:
    """A keeper of which only what needs a person and who is where is asked."""

    degraded: tuple[str, ...] = ()
    collectors: tuple[CollectorReport, ...] = ()
    now: float = NOW

    def status(self) -> Status:
        made = Status("1", self.now, 0, True, 0, 0, 0, 0, 0, (), self.collectors)
        return replace(made, degraded=self.degraded)

    def subject(self, subject: str, project: str = "") -> Subject:
        del project
        if subject == "port-gone":
            raise NotFound("Gone.")
        return Subject(subject, "h7", project="shop", addresses=("192.0.2.7",))


@dataclass
class Carrier:
    """Keeps what it is given; raises what it is told to, in turn."""

    sent: list[Letter] = field(default_factory=list)
    raises: list[Exception] = field(default_factory=list)

    def send(self, letter: Letter, now: float) -> None:
        del now
        if self.raises:
            raise self.raises.pop(0)
        self.sent.append(letter)


@dataclass
class Rig:
    ledger: Ledger
    root: Path
    told: Told = field(default_factory=Told)
    time: float = NOW
    carriers: dict[str, Carrier] = field(default_factory=lambda: {"ops": Carrier()})
    settings: dict[str, Any] = field(default_factory=dict)
    channel: dict[str, Any] = field(default_factory=dict)

    def begin(self) -> Notices:
        """Make what tells, as after a restart."""
        ops = ChannelSettings(
            webhook="http://127.0.0.1:9", secret_file="x", **({"batch": 30.0} | self.channel)
        )
        channels = {name: ops for name in self.carriers if name != CUSTOMERS}
        settings = NotifySettings(channels=channels, **self.settings)
        return Notices(settings, self.ledger, self.told, lambda: self.time, self.carriers)

    def later(self, notices: Notices, seconds: float) -> None:
        """Let time pass, gather, and carry what is due."""
        self.time += seconds
        self.told.now = self.time
        notices.gather(self.time)
        stop = threading.Event()
        for name in self.carriers:
            notices._bells[name].set()
            for letter in notices.letters.due(name, self.time):
                notices._send(name, letter)
        stop.set()

    def impose(self, subject: str, *, actions: tuple[Drop, ...] = (SPAM,)) -> str:
        made = self.ledger.impose(
            subject, actions, "It sends spam.", "policy:spam", 3600, self.time, project="shop", host="h7"
        )
        return made.id

    @property
    def sent(self) -> list[Letter]:
        return self.carriers["ops"].sent


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    ledger = Ledger(tmp_path / "ledger.db")
    yield Rig(ledger, tmp_path)
    ledger.close()


def kinds(letter: Letter) -> list[str]:
    return [n["kind"] for n in json.loads(letter.payload)["notices"]]


def test_what_was_before_the_channel_is_no_news(rig: Rig) -> None:
    rig.impose("port-a")
    notices = rig.begin()
    rig.later(notices, 100)
    rig.later(notices, 100)
    assert rig.sent == []


def test_a_burst_is_one_letter_once_its_while_is_over(rig: Rig) -> None:
    notices = rig.begin()
    notices.gather(rig.time)
    for i in range(20):
        rig.impose(f"port-{i}")
    rig.later(notices, 29)
    assert rig.sent == []
    rig.later(notices, 1)
    (letter,) = rig.sent
    assert letter.notices == 20
    assert letter.title == "[Sekisho] 20 ports are limited"
    rig.later(notices, 100)
    assert len(rig.sent) == 1


def test_the_life_of_a_restriction_is_told(rig: Rig) -> None:
    rig.channel = {"batch": 0.0}
    notices = rig.begin()
    notices.gather(rig.time)
    name = rig.impose("port-a")
    rig.later(notices, 1)
    rig.ledger.receipts("h7", [Receipt(name, "port-a", "h7", in_force=True, time=rig.time)], rig.time)
    rig.ledger.lift(name, "ada", "It was mended.", rig.time)
    rig.impose("port-b", actions=())
    rig.ledger.propose("port-c", (SPAM,), "Perhaps.", "guard", 60, rig.time, policy="spam")
    rig.later(notices, 1)
    rig.ledger.set_enforcement(enabled=False, author="ada", reason="A storm.", now=rig.time)
    rig.ledger.write_journals(rig.time, "guard", "notice", [("", "Too many at once.", None)])
    rig.ledger.expire(rig.time + 5000)
    rig.later(notices, 5000)
    assert [kinds(letter) for letter in rig.sent] == [
        ["imposed"],
        ["lifted", "warned", "proposed"],
        ["enforcement", "guard", "expired"],
    ]
    assert "outgoing tcp/25 is dropped" in rig.sent[0].text
    assert "192.0.2.7" in rig.sent[0].text
    assert "enforcement off. A storm." in rig.sent[2].text


def test_a_host_that_cannot_is_told_and_one_that_can_is_not(rig: Rig) -> None:
    rig.channel = {"batch": 0.0}
    notices = rig.begin()
    notices.gather(rig.time)
    name = rig.impose("port-gone")
    rig.later(notices, 1)
    bad = Receipt(name, "port-gone", "h7", in_force=False, time=rig.time, problem="no meter is left")
    rig.ledger.receipts("h7", [bad], rig.time)
    rig.later(notices, 1)
    assert [kinds(letter) for letter in rig.sent] == [["imposed"], ["failed"]]
    assert "no meter is left" in rig.sent[1].text


def test_only_the_kinds_that_a_channel_wants(rig: Rig) -> None:
    rig.channel = {"batch": 0.0, "kinds": (NoticeKind.PROPOSED,)}
    notices = rig.begin()
    notices.gather(rig.time)
    rig.impose("port-a")
    rig.later(notices, 1)
    assert rig.sent == []
    rig.ledger.propose("port-c", (SPAM,), "Perhaps.", "guard", 60, rig.time, policy="spam")
    rig.later(notices, 1)
    assert [kinds(letter) for letter in rig.sent] == [["proposed"]]


def test_a_keeper_that_dies_tells_nothing_twice_and_forgets_nothing(rig: Rig) -> None:
    notices = rig.begin()
    notices.gather(rig.time)
    rig.impose("port-a")
    notices.gather(rig.time + 30)  # written, not sent
    rig.time += 30
    rig.impose("port-b")
    again = rig.begin()
    rig.later(again, 0)
    assert [letter.notices for letter in rig.sent] == [1]
    rig.later(again, 31)
    assert [letter.notices for letter in rig.sent] == [1, 1]
    assert "port-b" in rig.sent[1].text


def test_what_needs_a_person_is_told_when_it_lasts_and_when_it_is_over(rig: Rig) -> None:
    rig.channel = {"batch": 0.0}
    notices = rig.begin()
    notices.gather(rig.time)
    rig.told.degraded = ("host h7: not heard of for 61 s",)
    rig.later(notices, 30)
    rig.told.degraded = ("host h7: not heard of for 91 s", "notices: channel ops: nobody answered")
    rig.later(notices, 30)
    assert rig.sent == []
    rig.later(notices, 30)
    assert [kinds(letter) for letter in rig.sent] == [["silent"]]  # and nothing of the telling itself
    rig.told.degraded = ("host h7: not heard of for 900 s",)
    rig.later(notices, 500)
    again = rig.begin()
    rig.later(again, 500)
    assert len(rig.sent) == 1
    rig.told.degraded = ()
    rig.later(again, 10)
    rig.later(again, 61)
    assert [kinds(letter) for letter in rig.sent] == [["silent"], ["recovered"]]


def test_what_flaps_is_not_told_every_time(rig: Rig) -> None:
    rig.channel = {"batch": 0.0}
    notices = rig.begin()
    notices.gather(rig.time)
    for _ in range(20):
        rig.told.degraded = ("keystone: it does not answer",)
        rig.later(notices, 50)
        rig.told.degraded = ()
        rig.later(notices, 50)
    assert rig.sent == []


def test_an_exporter_that_falls_silent_is_told_but_not_one_whose_collector_is_gone(rig: Rig) -> None:
    rig.channel = {"batch": 0.0}
    notices = rig.begin()
    quiet = ExporterReport("192.0.2.1", "ipfix", host="h7", last_seen=NOW - 400)
    lively = ExporterReport("192.0.2.2", "ipfix", last_seen=NOW - 1)
    for gone, expected in ((True, []), (False, [["silent"]])):
        told = NOW - 10_000 if gone else NOW + 70
        rig.told.collectors = (CollectorReport("c1", told, exporters=(quiet, lively)),)
        rig.later(notices, 30)
        rig.later(notices, 65)
        assert [kinds(letter) for letter in rig.sent] == expected
    assert "192.0.2.1 (host h7)" in rig.sent[0].text
    assert "192.0.2.2" not in rig.sent[0].text


def test_a_letter_is_tried_ever_more_seldom_and_then_given_up_aloud(rig: Rig) -> None:
    rig.channel, rig.settings = {"batch": 0.0}, {"attempts": 4}
    notices = rig.begin()
    notices.gather(rig.time)
    rig.carriers["ops"].raises = [Unavailable("No.", "mail: it is full")] * 10
    rig.impose("port-a")
    tries = []
    for _ in range(200):
        before = len(rig.carriers["ops"].raises)
        rig.later(notices, 1)
        if len(rig.carriers["ops"].raises) < before:
            tries.append(rig.time - NOW)
    assert tries == [1, 6, 21, 66]
    (dead,) = notices.page((LetterState.DEAD,), "", 10, "").items
    assert (dead.attempts, dead.problem) == (4, "mail: it is full")
    assert any("1 letters to ops were given up" in s for s in notices.sentences())
    assert notices.metrics()['sekisho_notices{channel="ops",state="dead"}'] == 1
    assert notices.metrics()['sekisho_notices_failed_total{channel="ops"}'] == 4
    rig.carriers["ops"].raises = []
    notices.retry(ADA, dead.id)
    rig.later(notices, 1)
    assert [letter.id for letter in rig.sent] == [dead.id]
    assert notices.sentences() == ()
    with pytest.raises(Conflict):
        notices.retry(ADA, dead.id)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Refused("No.", "gone for good"), LetterState.DEAD),
        (Unavailable("No."), LetterState.WAITING),
        (RuntimeError("a library's surprise"), LetterState.WAITING),
    ],
)
def test_one_channel_in_trouble_holds_no_other_up(rig: Rig, error: SekishoError, state: LetterState) -> None:
    rig.channel = {"batch": 0.0}
    rig.carriers = {"ops": Carrier(), "chat": Carrier(raises=[error])}
    notices = rig.begin()
    notices.gather(rig.time)
    rig.impose("port-a")
    rig.later(notices, 1)
    assert len(rig.sent) == 1
    (letter,) = notices.page((), "chat", 10, "").items
    assert letter.state is state


def test_a_customer_is_told_of_its_own_in_its_language(rig: Rig) -> None:
    file = rig.root / "contacts.toml"
    file.write_text('[project.shop]\nto = ["ada@example.org"]\nlanguage = "ja"\n')
    rig.carriers = {CUSTOMERS: Carrier()}
    rig.settings = {"customers": CustomerSettings(contacts=str(file), url_file="x", batch=0.0)}
    notices = rig.begin()
    notices.gather(rig.time)
    rig.impose("port-a")
    rig.ledger.impose("port-x", (SPAM,), "Other.", "policy:spam", 60, rig.time, project="other", host="h1")
    rig.told.degraded = ("host h7: away",)
    rig.later(notices, 1)
    rig.later(notices, 500)
    (letter,) = rig.carriers[CUSTOMERS].sent
    assert letter.to == "ada@example.org"
    assert "port-a" in letter.text
    assert "port-x" not in letter.text
    assert "h7" not in letter.text
    assert "遮断" in letter.text


def test_contacts_with_mistakes_lose_nothing(rig: Rig) -> None:
    file = rig.root / "contacts.toml"
    file.write_text("[project.shop]\nto = 5\n")
    rig.carriers = {CUSTOMERS: Carrier()}
    rig.settings = {"customers": CustomerSettings(contacts=str(file), url_file="x", batch=0.0)}
    notices = rig.begin()
    notices.gather(rig.time)
    rig.impose("port-a")
    with pytest.raises(SekishoError, match="contacts"):
        notices.gather(rig.time + 1)
    file.write_text('[project.shop]\nto = ["ada@example.org"]\n')
    rig.later(notices, 2)
    assert len(rig.carriers[CUSTOMERS].sent) == 1


def test_a_test_letter_goes_to_a_channel_whatever_it_wants(rig: Rig) -> None:
    rig.channel = {"kinds": (NoticeKind.PROPOSED,)}
    notices = rig.begin()
    notices.test(ADA, "ops")
    rig.later(notices, 0)
    assert [kinds(letter) for letter in rig.sent] == [["test"]]
    with pytest.raises(NotFound, match="known are: ops"):
        notices.test(ADA, "opps")


def test_letters_that_ended_are_forgotten_in_time(rig: Rig) -> None:
    rig.channel, rig.settings = {"batch": 0.0}, {"keep": 1000.0}
    notices = rig.begin()
    notices.test(ADA, "ops")
    rig.later(notices, 0)
    rig.later(notices, 900)
    assert len(notices.page((), "", 10, "").items) == 1
    rig.later(notices, 200)
    assert notices.page((), "", 10, "").items == ()

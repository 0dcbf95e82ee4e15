"""Every operation over real HTTP: nouns go in, the same nouns come out, errors are those of the tree."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from fastapi import FastAPI

import support_api
from sekisho.client import Client
from sekisho.client.problems import fitting
from sekisho.model import errors
from sekisho.model.access import Issuer, Principal, Role
from sekisho.model.cloud import CloudPort
from sekisho.model.inventory import Subject
from sekisho.model.plain import to_plain
from sekisho.model.policy import Direction, Drop, Police, PolicySet, Protocol, Scope
from sekisho.model.report import CollectorReport, ExporterReport, Outcome, Talker
from sekisho.model.restriction import Receipt, State
from sekisho.testing.contract_keeper import FAR, MAIL, POLICIES, WEB, evidence, report
from sekisho.testing.keeper import SECRETS, FakeKeeper

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
SLOW = Police(10_000_000, Direction.EGRESS)
ADMIN = Principal("admin", Role.ADMIN)


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[FastAPI, str]]:
    with support_api.served(FakeKeeper()) as made:
        yield made


@pytest.fixture
def keeper(server: tuple[FastAPI, str]) -> FakeKeeper:
    app, _ = server
    made = support_api.keeper()
    made.listen(app.state.waiting.nudge)
    app.state.keeper, app.state.inventory = made, (-1, b"")
    return made


@pytest.fixture
def admin(keeper: FakeKeeper, server: tuple[FastAPI, str]) -> Iterator[Client]:
    del keeper  # it is behind the server
    with Client(server[1], SECRETS[Role.ADMIN], timeout=10) as made:
        yield made


def test_reading_gives_what_the_keeper_has(admin: Client, keeper: FakeKeeper) -> None:
    made = admin.impose(WEB, (SMTP, SLOW), "It sends spam.", 3600)
    talkers = (Talker(WEB, 5.0), Talker(MAIL, 2.0))
    keeper.report_collector(ADMIN, CollectorReport("c1", 1.0, (ExporterReport("a", "sflow"),), talkers))
    assert admin.status() == keeper.status()
    assert admin.hosts() == keeper.status().hosts
    assert admin.subject(FAR) == keeper.subject(FAR)
    assert admin.explain(WEB) == keeper.explain(WEB)
    assert admin.top("egress_bps", 1) == keeper.top("egress_bps", 1)
    assert admin.restriction(made.id) == keeper.restriction(made.id) == made
    assert admin.policies() == keeper.policies()
    assert admin.exemptions() == keeper.exemptions()
    assert admin.enforcement() == keeper.enforcement()
    assert admin.tokens() == keeper.tokens()
    assert admin.inventory() == keeper.inventory()
    assert admin.program("h1") == keeper.program("h1")
    assert tuple(admin.journal(made.id)) == keeper.journal(made.id, "", 10, "").items
    assert admin.ready() == ()
    assert "sekisho_subjects 3.0" in admin.metrics()


def test_pages_are_fetched_as_they_are_needed(
    admin: Client, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.report_host(ADMIN, report("h3", *(Subject(f"s{i:02}", "h3") for i in range(25))))
    asked: list[str] = []
    real = keeper.subjects

    def counted(host: str, project: str, text: str, limit: int, marker: str, *more: str) -> object:
        asked.append(marker)
        return real(host, project, text, limit, marker, *more)

    monkeypatch.setattr(keeper, "subjects", counted)
    assert [s.id for s in islice(admin.subjects(host="h3", limit=10), 12)] == [f"s{i:02}" for i in range(12)]
    assert asked == ["", "s09"]
    assert len(list(admin.subjects(host="h3", limit=7))) == 25
    assert [s.id for s in admin.subjects(project="umbrella")] == [MAIL]
    assert [s.id for s in admin.subjects(text="db-1")] == [FAR]


def test_deciding(admin: Client, keeper: FakeKeeper) -> None:
    made = admin.impose(WEB, [SMTP], "It sends spam.", 3600)
    longer = admin.extend(made.id, 7200, "Still.", made.revision)
    assert longer.until == keeper.now + 7200
    with pytest.raises(errors.Conflict):
        admin.extend(made.id, 7200, "Still.", made.revision)
    assert admin.lift(made.id, "Cleaned.").state is State.LIFTED
    assert [r.id for r in admin.restrictions(states=[State.LIFTED])] == [made.id]
    assert list(admin.restrictions(subject=MAIL)) == []
    verdicts = admin.evidence([evidence(WEB, "propose-it"), evidence(MAIL, "propose-it")])
    assert [v.outcome for v in verdicts] == [Outcome.PROPOSED] * 2
    assert admin.approve(verdicts[0].restriction).state is State.ACTIVE
    assert admin.reject(verdicts[1].restriction, "No.").state is State.REJECTED
    exempted = admin.exempt(Scope(projects=("acme",)), "why", 60, ["enforce-it"])
    assert admin.exemptions() == (exempted,)
    admin.revoke_exemption(exempted.id, "Enough.")
    assert admin.exemptions() == ()
    assert admin.enforce(enabled=False, reason="why") == keeper.enforcement()


def test_policies(admin: Client, keeper: FakeKeeper) -> None:
    assert admin.check_policies("") == ()
    assert admin.check_policies("[[") != ()
    keeper.stage_policies(PolicySet(policies=POLICIES.policies[:1]))
    view = admin.reload_policies()
    assert [p.name for p in view.policies.policies] == ["watch-it"]


def test_tokens(admin: Client, keeper: FakeKeeper, server: tuple[FastAPI, str]) -> None:
    token, secret = admin.create_token("h1", Role.AGENT, "h1", 60)
    assert keeper.authenticate(secret, Issuer.SEKISHO) == Principal("h1", Role.AGENT, "h1")
    with Client(server[1], f"{secret}\n") as agent:
        assert agent.program("h1") == keeper.program("h1")
        with pytest.raises(errors.Forbidden):
            agent.program("h2")
        admin.revoke_token(token.id)
        with pytest.raises(errors.Unauthenticated):
            agent.program("h1")


def test_a_token_is_changed_without_a_restart(
    admin: Client, server: tuple[FastAPI, str], tmp_path: Path
) -> None:
    old, secret = admin.create_token("h1", Role.AGENT, "h1", 60)
    _, newer = admin.create_token("h1 from today", Role.AGENT, "h1", 60)
    file = tmp_path / "token"
    file.write_text(f"{newer}\n")
    with Client(server[1], secret, token_file=file) as agent:
        assert agent.whoami().name == "h1"
        admin.revoke_token(old.id)
        assert agent.whoami().name == "h1 from today"
        file.write_text(f"{secret}\n")
        assert agent.whoami().name == "h1 from today", "what works is kept"


@pytest.mark.parametrize("written", [None, b"", b"\xff", b"skt_no"])
def test_a_token_file_that_is_no_better_leaves_the_refusal(
    server: tuple[FastAPI, str], tmp_path: Path, written: bytes | None
) -> None:
    file = tmp_path / "token"
    if written is not None:
        file.write_bytes(written)
    with Client(server[1], "skt_no", token_file=file) as agent, pytest.raises(errors.Unauthenticated):
        agent.whoami()


def test_agents_and_collectors(admin: Client, keeper: FakeKeeper) -> None:
    told = report("h1", keeper.subject(WEB))
    assert admin.report_host(told) == keeper.program("h1")
    made = admin.impose(WEB, [SMTP], "why", 60)
    revision = keeper.program("h1").revision
    receipt = Receipt(made.id, WEB, "h1", in_force=True, time=keeper.now, dropped_packets=3)
    admin.receipts("h1", revision, [receipt], "A problem.")
    assert keeper.restriction(made.id).dropped_packets == 3
    assert keeper.status().hosts[0].problem == "A problem."
    told_by_collector = CollectorReport("c1", 1.0, exact_ports=(25,), counters={"records": 5.0})
    admin.report_collector(told_by_collector)
    assert keeper.status().collectors == (told_by_collector,)


def test_following(admin: Client, keeper: FakeKeeper) -> None:
    inventory, policies, program = keeper.inventory(), keeper.policies(), keeper.program("h1")
    assert admin.inventory(inventory.version, 0.05) is None
    assert admin.inventory(inventory.version - 1, 60) == inventory
    assert admin.follow_policies(policies.policies.version, 0.05) is None
    assert admin.follow_policies() == policies
    assert admin.program("h1", program.revision, 0.05) is None
    timer = threading.Timer(0.1, lambda: keeper.impose(ADMIN, WEB, (SMTP,), "why", 60, ""))
    timer.start()
    news = admin.program("h1", program.revision, 30)
    timer.join()
    assert news is not None
    assert news.revision > program.revision


@pytest.mark.parametrize("kind", errors.SekishoError.__subclasses__())
def test_every_error_comes_back_as_itself(
    kind: type[errors.SekishoError], admin: Client, keeper: FakeKeeper
) -> None:
    def fail() -> None:
        raise kind("For the asker.", "For the fixer.")

    keeper.status = fail  # type: ignore[assignment, method-assign] # it fails, whatever it gives
    with pytest.raises(kind) as caught:
        admin.status()
    assert type(caught.value) is kind
    assert caught.value.asker == "For the asker."


def test_errors_keep_their_details(admin: Client, keeper: FakeKeeper) -> None:
    with pytest.raises(errors.Malformed) as malformed:
        admin.impose(WEB, [SMTP], "", -1)
    assert {p.split(":")[0] for p in malformed.value.problems} == {"reason", "duration"}
    keeper.failure = errors.Unavailable("The ledger is locked.", retry_after=7)
    with pytest.raises(errors.Unavailable) as unavailable:
        admin.status()
    assert unavailable.value.retry_after == 7
    keeper.failure = None
    keeper.not_ready = ("No policies.",)
    assert admin.ready() == ("No policies.",)


def test_the_unexpected_tells_where_to_look(admin: Client, keeper: FakeKeeper) -> None:
    keeper.failure = RuntimeError("secret")
    with pytest.raises(errors.Unavailable, match="went wrong") as caught:
        admin.status()
    assert "log" in caught.value.fixer
    assert "secret" not in caught.value.fixer


def test_a_key_of_ones_own_is_kept(admin: Client) -> None:
    first = admin.impose(WEB, [SMTP], "why", 60, key="mine")
    assert admin.impose(WEB, [SMTP], "why", 60, key="mine") == first
    assert admin.impose(WEB, [SMTP], "why", 60) != first
    with pytest.raises(errors.Conflict):
        admin.impose(MAIL, [SMTP], "why", 60, key="mine")


def test_what_cannot_be_sent_is_malformed(admin: Client, server: tuple[FastAPI, str]) -> None:
    with pytest.raises(errors.Malformed):
        admin.impose(WEB, [SMTP], "why", float("inf"))
    with pytest.raises(errors.Malformed):
        admin.impose(WEB, [SMTP], "why", 60, key="a\r\nX-Evil: 1")
    with Client(server[1], "geheim€") as client, pytest.raises(errors.Malformed):
        client.status()
    for url in ("", "localhost:80", "ftp://host", "http://"):
        with pytest.raises(errors.Malformed):
            Client(url)


def test_subjects_with_slashes_and_worse(admin: Client, keeper: FakeKeeper) -> None:
    wild = "h1/tap ä?&#%2F+/explain"
    keeper.report_host(ADMIN, report("h1", Subject(wild, "h1"), keeper.subject(WEB)))
    with pytest.raises(errors.NotFound):
        admin.subject("no/such")
    assert admin.impose(wild, [SMTP], "why", 60).subject == wild
    assert [r.subject for r in admin.restrictions(subject=wild)] == [wild]


def test_the_words_of_a_newer_keeper_are_passed_over() -> None:
    said = to_plain(Subject("p1", "h1")) | {"mood": "good"}
    assert fitting(Subject, said) == Subject("p1", "h1")


def test_ports_of_the_cloud(admin: Client, keeper: FakeKeeper) -> None:
    told = CloudPort("b c", "acme", "net", "web-2", host="h9", flavor="m1.tiny", qos="plan-1")
    admin.report_port(told)
    assert admin.subject("b c") == keeper.subject("b c")
    assert [s.id for s in admin.subjects(plan="plan-1", flavor="m1.tiny")] == ["b c"]
    admin.forget_port("b c")
    admin.forget_port("b c")
    with pytest.raises(errors.NotFound):
        admin.subject("b c")

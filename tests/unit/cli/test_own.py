"""A customer at the command line: its own restrictions, their evidence and end, and to be freed early."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import pytest
from typer.testing import CliRunner

from sekisho.cli import build
from sekisho.cli.exits import EXITS, USAGE
from sekisho.model import errors
from sekisho.model.access import Principal, Role
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.plain import to_plain
from sekisho.model.policy import Mode, PolicySet
from sekisho.model.restriction import State
from sekisho.testing.keeper import FakeKeeper
from support_cli import AGENT, MAIL, SMTP, WEB, Answer, Run, spam_evidence, spam_policy

MIA = Principal("keystone:mia@Default (acme)", Role.MEMBER, project="acme", may_release=True)
OLGA = Principal("olga", Role.OPERATOR)
TOKEN = "mias-token"
DAY = 86400.0


class Ask(Protocol):
    def __call__(self, *words: str) -> Answer: ...


class SignedIn:
    """Keystone's session of the customer."""

    ca_file = ""

    def __init__(self, cloud: str = "") -> None:
        del cloud

    def token(self, *, renew: bool = False) -> str:
        del renew
        return TOKEN


@pytest.fixture
def ask(keeper: FakeKeeper, environment: dict[str, str | None], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run a command as the customer; its policy knows early release once in a day."""
    keeper.stage_policies(PolicySet(0, (replace(spam_policy(Mode.ENFORCE), early_release=DAY),)))
    keeper.reload_policies(Principal("root", Role.ADMIN))
    keeper.signed_in[TOKEN] = MIA
    monkeypatch.setattr("sekisho.cli.connect.SignIn", SignedIn)

    def run(*words: str) -> Answer:
        env = environment | {"OS_CLOUD": "mine"}
        result = CliRunner().invoke(build(), words, env=env, prog_name="sekisho")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


def spam(keeper: FakeKeeper, subject: str = WEB) -> str:
    (verdict,) = keeper.evidence(AGENT, (spam_evidence(subject),))
    return verdict.restriction


def other(keeper: FakeKeeper) -> str:
    """A port of another project, restricted too."""
    foreign = Subject("cmp8/tap-db", "cmp8", "umbrella", "db-1", "net", "fa:16:3e:00:00:09", ("10.9.0.1",))
    keeper.report_host(AGENT, HostReport(Host("cmp8"), (foreign,)))
    return keeper.impose(OLGA, foreign.id, (SMTP,), "theirs alone", 3600, "").id


def test_a_customer_sees_what_restricts_it_on_which_numbers_and_until_when(
    ask: Ask, keeper: FakeKeeper
) -> None:
    name, foreign = spam(keeper), other(keeper)
    got = ask("self")
    assert got.code == 0
    assert "project acme, 2 ports: 1 RESTRICTED" in got.out
    assert f"Restriction {name}: drop tcp/25 egress" in got.out
    for told in (
        f"{WEB}  (web-3, 10.0.0.5)",
        "All TCP to port 25 sent by this VM is dropped",
        "smtp-connections: 412 in 1 h; the line is 100 in 1 h",
        "2023-11-15 22:13:20 UTC (1 d left)",
        "198.51.100.7 (40)",
        f'sekisho self release {name} --reason "..."',
    ):
        assert told in got.out
    for hidden in ("cmp8", "umbrella", "theirs alone", f"{foreign}:", "192.0.2.7", "collector", "olga"):
        assert hidden not in got.out


def test_programs_get_the_whole_view(ask: Ask, keeper: FakeKeeper) -> None:
    name = spam(keeper)
    told = ask("self", "--json").json
    assert told["project"] == "acme"
    assert [r["id"] for r in told["restrictions"]] == [name]
    assert told["restrictions"][0]["evidence"]["findings"][0]["estimate"] == 412
    assert told["releases"] == [to_plain(r) for r in keeper.own("acme").releases]


def test_a_warning_is_not_called_a_restriction(ask: Ask, keeper: FakeKeeper) -> None:
    assert "NOT RESTRICTED" in ask("self").out
    keeper.impose(OLGA, WEB, (), "behave", 3600, "")
    got = ask("self")
    assert "1 WARNED" in got.out
    assert "not now: It is a warning; nothing is limited." in got.out


def test_one_is_ended_early_once_and_the_next_time_is_told(ask: Ask, keeper: FakeKeeper) -> None:
    first = spam(keeper)
    got = ask("self", "release", first, "--reason", "The queue was cleaned.")
    assert got.code == 0, got.err
    assert f"{first} is over" in got.out
    assert keeper.restriction(first).state is State.EXPIRED
    assert keeper.journal(first, "", 1, "").items[0].reason == "The queue was cleaned."
    assert "Over" in ask("self").out

    keeper.advance(3600)
    second = spam(keeper)
    got = ask("self", "release", second, "--reason", "Again.")
    assert got.code == EXITS[errors.Forbidden]
    assert "It was released early 1 time lately." in got.err
    assert "from 2023-11-15 22:13:20 UTC on" in got.err
    assert "higher role" not in got.err
    assert keeper.restriction(second).state is State.ACTIVE
    assert "not now: It was released early 1 time lately." in ask("self").out
    keeper.advance(DAY - 3600)
    assert ask("self", "release", second, "--reason", "Now really.").code == 0


def test_released_for_programs_is_the_restriction(ask: Ask, keeper: FakeKeeper) -> None:
    name = spam(keeper)
    told = ask("self", "release", name, "--reason", "Cleaned.", "--json").json
    assert (told["id"], told["state"], told["host"]) == (name, "expired", "")


def test_who_only_looks_may_not_end_and_what_is_others_is_not_there(ask: Ask, keeper: FakeKeeper) -> None:
    name, foreign = spam(keeper), other(keeper)
    got = ask("self", "release", foreign, "--reason", "x")
    assert got.code == EXITS[errors.NotFound]
    assert "Look for it with `sekisho self`." in got.err
    assert ask("self", "release", name, "--reason", " ").code == EXITS[errors.Malformed]
    keeper.signed_in[TOKEN] = replace(MIA, may_release=False)
    got = ask("self", "release", name, "--reason", "x")
    assert got.code == EXITS[errors.Forbidden]
    assert "You may look at this project's restrictions, and not end them." in got.err
    assert "not now: You may look" in ask("self").out
    assert {keeper.restriction(r).state for r in (name, foreign)} == {State.ACTIVE}


def test_what_a_person_decided_is_for_a_person_to_end(ask: Ask, keeper: FakeKeeper) -> None:
    name = keeper.impose(OLGA, MAIL, (SMTP,), "ticket 4711", 3600, "").id
    assert "not now: A person decided it: ask the operator." in ask("self").out
    got = ask("self", "release", name, "--reason", "x")
    assert got.code == EXITS[errors.Forbidden]
    assert "ask the operator" in got.err


@pytest.mark.parametrize("words", [("self",), ("self", "release", "r1", "--reason", "x")])
def test_a_token_of_no_project_is_told_so(run: Run, words: tuple[str, ...]) -> None:
    got = run(*words)
    assert got.code == EXITS[errors.Forbidden]
    assert "You ask as operator, operator: that is no project's token." in got.err
    assert "--os-cloud" in got.err
    assert "sekisho restrictions list" in got.err
    assert got.out == ""


def test_past_is_cut_unless_all_is_wanted(ask: Ask, keeper: FakeKeeper) -> None:
    for n in range(7):
        keeper.lift(OLGA, keeper.impose(OLGA, WEB, (SMTP,), f"run {n}", 60, "").id, "done", "")
    assert "Over (the latest 5 of 7)" in ask("self").out
    every = ask("self", "--past", "0").out
    assert all(f"run {n}" in every for n in range(7))


def test_options_before_the_command_are_not_lost(ask: Ask, keeper: FakeKeeper) -> None:
    name = spam(keeper)
    got = ask("self", "--url", "http://127.0.0.1:9", "release", name, "--reason", "x")
    assert got.code == USAGE
    assert "Write --url behind release" in got.err
    assert keeper.restriction(name).state is State.ACTIVE

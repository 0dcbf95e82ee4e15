from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sekisho.model.access import Principal, Role
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.policy import Scope
from sekisho.model.restriction import Receipt
from support_cli import AGENT, MAIL, SMTP, WEB, spam_evidence

if TYPE_CHECKING:
    from sekisho.testing.keeper import FakeKeeper
    from support_cli import Run

BOB = Principal("bob", Role.OPERATOR)


@pytest.fixture
def bound(keeper: FakeKeeper) -> FakeKeeper:
    keeper.evidence(AGENT, (spam_evidence(WEB),))
    entry = keeper.explain(WEB).restrictions[0]
    receipt = Receipt(entry.id, WEB, "cmp7", in_force=True, time=keeper.now, dropped_packets=1204)
    keeper.receipts(AGENT, "cmp7", 1, (receipt,), "")
    keeper.advance(60)
    return keeper


def test_it_answers_what_is_asked_at_night(run: Run, bound: FakeKeeper) -> None:
    entry = bound.explain(WEB).restrictions[0]
    said = run("explain", WEB).out
    for answer in (
        "RESTRICTED",  # is it us?
        "All TCP to port 25 sent by this VM is dropped. Everything else passes.",  # what does it mean?
        "policy smtp-spam: Sends spam.",  # why?
        "2023-11-14 22:13:20 UTC (1 min ago), automatically, by policy:smtp-spam",  # since when, by whom?
        "2023-11-14 22:13:20 UTC on cmp7",  # is it in force?
        "2023-11-15 22:13:20 UTC (23 h 59 min left)",  # until when?
        "1,204 packets",  # what has it dropped?
        "first against this policy",  # which offence?
        "smtp-connections: 412 in 1 h; the line is 100 in 1 h",  # on what evidence?
        "between 400 in 1 h to 425 in 1 h at 95%; from 412 records",  # how sure?
        "198.51.100.7 (40)",  # towards whom?
        "192.0.2.7 via collector c1",  # measured by what?
        f'sekisho restrictions lift {entry.id} --reason "..."',  # how do I lift it?
        f"sekisho exempt add --subject {WEB} --for 24h",  # how do I keep it so?
        "no-telnet",  # what else holds?
        "sends 3 Mbit/s",  # what does it do now?
    ):
        assert answer in said


def test_a_restriction_no_host_has_confirmed_is_called_that(run: Run, keeper: FakeKeeper) -> None:
    keeper.impose(BOB, WEB, (SMTP,), "x", 60, "")
    assert "NOT YET: host cmp7" in run("explain", WEB).out


def test_a_free_subject_is_said_to_be_free_and_where_else_to_look(run: Run) -> None:
    said = run("explain", MAIL).out
    assert "NOT RESTRICTED" in said
    assert "security groups" in said
    assert "only the baselines below" in said


def test_a_warning_is_not_called_a_restriction(run: Run, keeper: FakeKeeper) -> None:
    keeper.impose(BOB, WEB, (), "behave", 60, "")
    said = run("explain", WEB).out
    assert ": WARNED" in said
    assert "nothing is dropped or limited" in said


def test_earlier_restrictions_and_exemptions_are_told(run: Run, bound: FakeKeeper) -> None:
    entry = bound.explain(WEB).restrictions[0]
    bound.lift(BOB, entry.id, "sorry", "")
    bound.exempt(BOB, Scope(projects=("acme",)), "a newsletter", 3600, ("smtp-spam",), "")
    said = run("explain", WEB).out
    assert "NOT RESTRICTED" in said
    assert "lifted" in said
    assert "a newsletter" in said


def test_json_is_the_api_s_own_noun(run: Run, bound: FakeKeeper) -> None:
    got = run("explain", WEB, "--json").json
    assert got["subject"]["id"] == WEB
    assert got["restrictions"][0]["evidence"]["findings"][0]["samples"] == 412
    assert bound.explain(WEB).restrictions[0].id == got["restrictions"][0]["id"]


def test_a_vm_named_by_a_stranger_cannot_drive_the_terminal(run: Run, keeper: FakeKeeper) -> None:
    evil = Subject("cmp7/tap-evil", "cmp7", "acme", "\x1b]0;owned\x07[red]", "net")
    keeper.report_host(AGENT, HostReport(Host("cmp7"), (evil, replace(evil, id=WEB, server="[bold]x"))))
    for command in (("subjects", "list"), ("explain", evil.id), ("explain", "nobody-evil"), ("explain", WEB)):
        got = run(*command)
        assert "\x1b" not in got.out + got.err
    assert "[bold]x" in run("subjects", "list").out

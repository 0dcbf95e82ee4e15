from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sekisho.model.access import Principal, Role
from sekisho.model.policy import Mode, PolicySet
from sekisho.model.restriction import Receipt, State
from support_cli import AGENT, MAIL, SMTP, WEB, spam_evidence, spam_policy

if TYPE_CHECKING:
    from sekisho.testing.keeper import FakeKeeper
    from support_cli import Run

BOB = Principal("bob", Role.OPERATOR)


def states(keeper: FakeKeeper) -> dict[str, str]:
    return {r.id: r.state.value for r in keeper.restrictions("", "", (), 100, "").items}


def propose(keeper: FakeKeeper, *subjects: str) -> None:
    keeper.stage_policies(PolicySet(0, (spam_policy(Mode.PROPOSE),)))
    keeper.reload_policies(Principal("root", Role.ADMIN))
    keeper.evidence(AGENT, tuple(spam_evidence(s) for s in subjects))


def test_add_imposes_what_was_typed(run: Run, keeper: FakeKeeper) -> None:
    got = run(
        *("restrictions", "add", WEB, "--drop", "tcp/25", "--drop", "udp/53 both", "--limit", "10Mbit/s"),
        *("--direction", "ingress", "--for", "2h", "--reason", "ticket 4711", "--json"),
    )
    assert got.code == 0
    entry = keeper.restriction(got.json["id"])
    typed = [f"{a.kind} {a.direction}" for a in entry.actions]
    assert typed == ["drop ingress", "drop egress", "drop ingress", "police ingress"]
    assert (entry.duration, entry.reason, entry.author) == (7200, "ticket 4711", "operator")


def test_add_wants_a_reason_and_something_to_do(run: Run, keeper: FakeKeeper) -> None:
    assert run("restrictions", "add", WEB, "--drop", "tcp/25").code == 2
    assert run("restrictions", "add", WEB, "--drop", "tcp/25", "--reason", " ").code == 6
    nothing = run("restrictions", "add", WEB, "--reason", "x")
    assert nothing.code == 6
    assert "--drop tcp/25" in nothing.err
    both = run("restrictions", "add", WEB, "--warn", "--drop", "tcp/25", "--reason", "x")
    assert both.code == 6
    assert states(keeper) == {}


def test_a_warning_has_no_actions(run: Run, keeper: FakeKeeper) -> None:
    got = run("restrictions", "add", WEB, "--warn", "--reason", "behave", "--json")
    assert keeper.restriction(got.json["id"]).actions == ()


def test_a_dry_run_changes_nothing_and_says_what_would_be(run: Run, keeper: FakeKeeper) -> None:
    got = run("restrictions", "add", WEB, "--drop", "tcp/25", "--reason", "x", "--dry-run")
    assert got.code == 0
    assert "drop tcp/25 egress for 1 d: x" in got.out
    assert "web-3" in got.out
    assert run("restrictions", "add", "nobody", "--warn", "--reason", "x", "--dry-run").code == 3
    assert states(keeper) == {}


@pytest.mark.parametrize("text", ["web-3", "10.0.0.5", "acme", "other/tap-web"])
def test_an_unknown_subject_is_answered_with_those_that_may_be_meant(run: Run, text: str) -> None:
    got = run("restrictions", "add", text, "--drop", "tcp/25", "--reason", "x")
    assert got.code == 3
    assert f"{WEB}  (web-3, project acme, 10.0.0.5, host cmp7)" in got.err


def test_several_are_bound_only_when_that_is_meant(
    run: Run, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = ("restrictions", "add", WEB, MAIL, "--drop", "tcp/25", "--reason", "x")
    unasked = run(*several)
    assert unasked.code == 2
    assert "--yes" in unasked.err
    assert states(keeper) == {}
    monkeypatch.setattr("sekisho.cli.door.at_terminal", lambda: True)
    assert run(*several, text="n\n").code == 1
    assert states(keeper) == {}
    assert run(*several, text="y\n").code == 0
    assert run(*several, "--yes").code == 0
    assert len(states(keeper)) == 4


def test_what_was_done_before_a_failure_is_said(run: Run, keeper: FakeKeeper) -> None:
    got = run("restrictions", "add", WEB, "nobody", "--warn", "--reason", "x", "--yes")
    assert got.code == 3
    assert "1 of 2, the last r-1" in got.err
    assert states(keeper) == {"r-1": "active"}


def test_the_list_shows_what_is_open_and_with_all_what_has_ended(run: Run, keeper: FakeKeeper) -> None:
    one = keeper.impose(BOB, WEB, (SMTP,), "old", 60, "")
    keeper.advance(61)
    two = keeper.impose(BOB, WEB, (SMTP,), "new", 86399, "")
    assert [r["id"] for r in run("restrictions", "list", "--json").json["items"]] == [two.id]
    everything = run("restrictions", "list", "--all", "--json").json["items"]
    assert [r["id"] for r in everything] == [two.id, one.id]
    expired = run("restrictions", "list", "--state", "expired", "--state", "lifted", "--json").json
    assert [r["id"] for r in expired["items"]] == [one.id]
    shown = run("restrictions", "list").out
    assert "drop tcp/25 egress" in shown
    assert "23 h 59 min" in shown


def test_a_list_is_followed_to_its_limit_and_says_when_there_is_more(run: Run, keeper: FakeKeeper) -> None:
    for _ in range(3):
        keeper.impose(BOB, WEB, (SMTP,), "x", 60, "")
    got = run("restrictions", "list", "--limit", "2", "--json")
    assert len(got.json["items"]) == 2
    assert got.json["more"] is True
    assert "--limit 0" in run("restrictions", "list", "--limit", "2").err
    whole = run("restrictions", "list", "--limit", "0", "--json").json
    assert (len(whole["items"]), whole["more"]) == (3, False)
    assert run("restrictions", "list", "--limit", "3", "--json").json["more"] is False


def test_extend_sets_a_new_end_unless_somebody_was_there_before(run: Run, keeper: FakeKeeper) -> None:
    entry = keeper.impose(BOB, WEB, (SMTP,), "x", 60, "")
    stale = run("restrictions", "extend", entry.id, "--for", "2h", "--reason", "y", "--revision", "77")
    assert stale.code == 5
    given = ("--for", "2h", "--reason", "y", "--revision", str(entry.revision))
    assert run("restrictions", "extend", entry.id, *given).code == 0
    assert keeper.restriction(entry.id).until == keeper.now + 7200


def test_lift_frees_those_that_are_named(run: Run, keeper: FakeKeeper) -> None:
    one = keeper.impose(BOB, WEB, (SMTP,), "x", 60, "")
    two = keeper.impose(BOB, MAIL, (SMTP,), "x", 60, "")
    assert run("restrictions", "lift", one.id, "--reason", "false alarm").code == 0
    assert states(keeper) == {one.id: "lifted", two.id: "active"}
    again = run("restrictions", "lift", one.id, "--reason", "false alarm")
    assert again.code == 5


def test_lift_by_subject_or_all_touches_several_only_when_meant(run: Run, keeper: FakeKeeper) -> None:
    one = keeper.impose(BOB, WEB, (SMTP,), "x", 60, "")
    two = keeper.impose(BOB, MAIL, (SMTP,), "x", 60, "")
    assert run("restrictions", "lift", "--all", "--reason", "x").code == 2
    assert run("restrictions", "lift", "--subject", MAIL, "--reason", "x").code == 0
    assert states(keeper) == {one.id: "active", two.id: "lifted"}
    assert run("restrictions", "lift", "--all", "--yes", "--reason", "x").code == 0
    assert states(keeper)[one.id] == State.LIFTED
    none = run("restrictions", "lift", "--all", "--reason", "x", "--json")
    assert (none.code, none.json) == (0, {"items": [], "more": False})


@pytest.mark.parametrize("given", [(), ("r-1", "--all"), ("--all", "--policy", "p")])
def test_lift_wants_to_know_which(run: Run, given: tuple[str, ...]) -> None:
    assert run("restrictions", "lift", *given, "--reason", "x").code == 6


def test_proposals_are_approved_and_rejected(run: Run, keeper: FakeKeeper) -> None:
    propose(keeper, WEB, MAIL)
    web, mail = (keeper.explain(s).restrictions[0].id for s in (WEB, MAIL))
    assert "PROPOSED, not restricted" in run("explain", WEB).out
    assert run("restrictions", "approve", web).code == 0
    assert run("restrictions", "reject", mail, "--reason", "a newsletter").code == 0
    assert states(keeper) == {web: "active", mail: "rejected"}


def test_all_proposals_of_a_policy_are_approved_at_once(run: Run, keeper: FakeKeeper) -> None:
    propose(keeper, WEB, MAIL)
    assert run("restrictions", "approve", "--policy", "smtp-spam").code == 2
    assert run("restrictions", "approve", "--policy", "smtp-spam", "--yes").code == 0
    assert set(states(keeper).values()) == {"active"}


def test_show_tells_the_whole_story(run: Run, keeper: FakeKeeper) -> None:
    keeper.evidence(AGENT, (spam_evidence(WEB),))
    entry = keeper.explain(WEB).restrictions[0]
    receipt = Receipt(entry.id, WEB, "cmp7", True, keeper.now, 1204, 72240)
    keeper.receipts(AGENT, "cmp7", 1, (receipt,), "")
    shown = run("restrictions", "show", entry.id).out
    assert "1,204 packets, 72.2 kB" in shown
    assert f"sekisho restrictions lift {entry.id}" in shown

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from sekisho.cli import build
from sekisho.cli.find import complete_restriction, complete_subject
from sekisho.model.access import Principal, Role
from sekisho.model.errors import Unavailable
from sekisho.model.policy import Mode, PolicySet
from sekisho.model.report import CollectorReport, ExporterReport
from sekisho.testing.keeper import SECRETS, START
from support_cli import AGENT, MAIL, SMTP, WEB, spam_evidence

if TYPE_CHECKING:
    from pathlib import Path

    import typer

    from sekisho.testing.keeper import FakeKeeper
    from support_cli import Run

BOB = Principal("bob", Role.OPERATOR)
LISTS = (
    "subjects list",
    "restrictions list",
    "policy list",
    "baseline list",
    "exempt list",
    "hosts",
    "exporters",
    "top",
    "journal",
)


@pytest.mark.parametrize("command", LISTS)
def test_every_list_is_one_json_document_of_items(command: str, run: Run) -> None:
    got = run(*command.split(), "--json")
    assert got.code == 0
    assert set(got.json) == {"items", "more"}
    assert got.err == ""


def test_status_says_what_needs_a_person(run: Run, keeper: FakeKeeper) -> None:
    assert "all is well" in run("status").out
    keeper.stage_policies(PolicySet(), ("policies.toml:3: policy[0].mode: unknown",))
    assert run("policy", "reload").code == 6
    said = run("status").out
    assert "needs a person" in said
    assert "policies.toml:3" in said
    assert run("status", "--json").json["degraded"] == ["policies.toml:3: policy[0].mode: unknown"]


def test_hosts_that_lag_or_fail_are_told(run: Run, keeper: FakeKeeper) -> None:
    keeper.receipts(AGENT, "cmp7", 0, (), "the switch does not answer")
    keeper.impose(BOB, WEB, (SMTP,), "x", 600, "")
    said = run("hosts").out
    assert "not yet what it should" in said
    assert "the switch does not answer" in said
    keeper.receipts(AGENT, "cmp7", 99, (), "")
    busy = run("hosts", "--forget", "cmp7")
    assert (busy.code, "stop its agent" in busy.err) == (5, True)
    keeper.advance(300)
    assert "silent" in run("hosts").out
    assert "cmp7 is forgotten" in run("hosts", "--forget", "cmp7").out
    assert "cmp7" not in run("hosts").out


def test_exporters_are_told_with_how_they_sample(run: Run, keeper: FakeKeeper) -> None:
    assert "No collector hears an exporter." in run("exporters").out
    told = (
        ExporterReport("192.0.2.1", "sflow", 3, records=1200, last_seen=START - 5, sampling=4096),
        ExporterReport("192.0.2.2", "netflow9", sampling=1),
        ExporterReport("192.0.2.3", "ipfix"),
    )
    keeper.report_collector(AGENT, CollectorReport("c1", START, told))
    lines = [line.split() for line in run("exporters").out.splitlines()]
    assert [line[:4] for line in lines if "192.0.2.1" in line] == [["192.0.2.1", "3", "sflow", "1:4,096"]]
    assert [line[2] for line in lines if line[:1] in (["192.0.2.2"], ["192.0.2.3"])] == ["none", "-"]
    items = run("exporters", "--json").json["items"]
    assert [(i["collector"], i["address"], i["sampling"]) for i in items] == [
        ("c1", "192.0.2.1", 4096),
        ("c1", "192.0.2.2", 1),
        ("c1", "192.0.2.3", 0),
    ]


def test_top_sorts_by_the_rate_that_is_asked_for(run: Run) -> None:
    assert [t["subject"] for t in run("top", "--json").json["items"]] == [WEB, MAIL]
    by = ("top", "--by", "ingress_bps", "--limit", "1", "--json")
    assert [t["subject"] for t in run(*by).json["items"]] == [MAIL]
    assert run("top", "--by", "nonsense").code == 2
    assert "3 Mbit/s" in run("top").out


def test_live_top_goes_on_while_the_keeper_is_away_and_ends_when_told(
    run: Run, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    shown: list[object] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        keeper.failure = Unavailable("The ledger is busy.") if len(looks) == 1 else None
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("sekisho.cli.watch.on_screen", lambda: True)
    monkeypatch.setattr("sekisho.cli.watch.time.sleep", sleep)
    monkeypatch.setattr("sekisho.cli.watch.Live.update", lambda _, part, **_more: shown.append(part))
    assert run("top", "--every", "0.5").code == 0
    assert looks == [0.5] * 3
    assert [str(part) == "The ledger is busy." for part in shown] == [False, True, False]


def test_subjects_are_chosen_and_shown(run: Run) -> None:
    assert [s["id"] for s in run("subjects", "list", "--text", "mail", "--json").json["items"]] == [MAIL]
    assert run("subjects", "list", "--host", "other").out == "No subject matches.\n"
    assert "fa:16:3e:00:00:01" in run("subjects", "show", WEB).out
    assert run("subjects", "show", "nobody").code == 3


def test_the_journal_is_chosen_by_subject(run: Run, keeper: FakeKeeper) -> None:
    keeper.impose(BOB, WEB, (SMTP,), "ticket 1", 600, "")
    keeper.impose(BOB, MAIL, (SMTP,), "ticket 2", 600, "")
    said = run("journal", "--subject", MAIL).out
    assert "ticket 2" in said
    assert "ticket 1" not in said


def test_long_lines_go_whole_into_a_pipe(run: Run, keeper: FakeKeeper) -> None:
    keeper.impose(BOB, WEB, (SMTP,), "word " * 200, 600, "")
    said = run("restrictions", "list").out
    assert ("word " * 200).strip() in said
    assert not any(line.endswith(" ") for line in said.splitlines())


def test_policies_and_baselines_are_shown(run: Run) -> None:
    listed = run("policy", "list").out
    assert "smtp-connections over 100/h" in listed
    assert "drop tcp/25 egress for 1 d" in listed
    assert "Sold so." in run("baseline", "list").out
    assert "offence 1" in run("policy", "show", "smtp-spam").out
    assert run("policy", "show", "no-telnet", "--json").json["name"] == "no-telnet"
    missing = run("policy", "show", "nothing")
    assert missing.code == 3
    assert "smtp-spam" in missing.err


def test_the_keeper_checks_a_policy_file_when_asked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("= nonsense")
    got = run("policy", "check", "--ask-keeper", str(tmp_path / "bad.toml"), "--json")
    assert got.code == 6
    assert len(got.json["problems"]) == 1
    assert run("policy", "check", str(tmp_path / "missing.toml")).code == 6


def test_policy_files_are_checked_without_a_keeper(run: Run, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(
        """
        [policy.smtp-spam]
        when = [{ detector = "smtp-connections", threshold = "100/h" }]
        then = [{ drop = "tcp/25", for = "24h" }]
        """
    )
    away = ("--url", "http://127.0.0.1:9")
    assert run("policy", "check", str(good), *away, "--json").json == {"problems": []}
    assert run("policy", "check", str(good), *away).out == "Good: 1 policy, 0 baselines.\n"
    good.write_text(good.read_text() + '[baseline.b]\ndrop = "tcp/25"\nscope = { qos = ["bronze"] }\n')
    named = run("policy", "check", str(good), *away)
    assert (named.code, "b: plans go by name ('bronze')" in named.err) == (0, True)
    bad.write_text('[policy.x]\nmode = "enforcing"\n')
    got = run("policy", "check", str(tmp_path), *away)
    assert got.code == 6
    assert "bad.toml:2" in got.out
    assert "nothing was changed" in got.err
    bad.write_text(good.read_text())
    twice = run("policy", "check", str(good), str(bad), *away)
    assert twice.code == 6
    assert "smtp-spam" in twice.out


def test_exemptions_are_made_listed_and_revoked(run: Run, keeper: FakeKeeper) -> None:
    made = run(
        "exempt", "add", "--subject", WEB, "--policy", "smtp-spam", "--for", "7d", "--reason", "r", "--json"
    )
    assert made.json["until"] == keeper.now + 7 * 86400
    assert "smtp-spam" in run("exempt", "list").out
    assert run("exempt", "revoke", made.json["id"], "--reason", "over").code == 0
    assert run("exempt", "list").out == "Nobody is exempt.\n"
    assert run("exempt", "revoke", made.json["id"]).code == 3


def test_nobody_is_exempted_by_mistake(run: Run) -> None:
    everybody = run("exempt", "add", "--reason", "r")
    assert everybody.code == 6
    assert "enforce off" in everybody.err
    assert run("exempt", "add", "--subject", "web-3", "--reason", "r").code == 3
    assert run("exempt", "add", "--project", "acme", "--reason", " ").code == 6


def test_the_kill_switch_asks_first_and_keeps_what_people_imposed(run: Run, keeper: FakeKeeper) -> None:
    keeper.evidence(AGENT, (spam_evidence(WEB),))
    by_hand = keeper.impose(BOB, MAIL, (SMTP,), "x", 600, "")
    off = ("enforce", "off", "--reason", "maintenance")
    assert run(*off, role=Role.ADMIN).code == 2
    assert run(*off, "--yes", role=Role.OPERATOR).code == 4
    assert keeper.enforcement().enabled
    assert run(*off, "--yes", role=Role.ADMIN).code == 0
    assert "OFF" in run("status").out
    assert "maintenance" in run("enforce", "show").out
    assert [r["id"] for r in run("restrictions", "list", "--json").json["items"]] == [by_hand.id]
    assert run("enforce", "on", "--reason", "over", role=Role.ADMIN).code == 0
    assert keeper.enforcement().enabled


def test_a_token_is_created_used_and_revoked(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "alice.token"
    create = ("token", "create", "alice", "--role", "operator", "--for", "90d", "--save", str(file), "--json")
    made = run(*create, role=Role.ADMIN)
    assert made.code == 0
    assert "secret" not in made.json
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("status", "--token-file", str(file)).code == 0
    assert "alice" in run("token", "list", role=Role.ADMIN).out
    assert run(*create, role=Role.ADMIN).code == 6, "the file is there already"
    assert run("token", "revoke", made.json["token"]["id"], role=Role.ADMIN).code == 0
    assert run("status", "--token-file", str(file)).code == 4


def test_a_secret_is_told_once_where_no_file_is_named(run: Run) -> None:
    made = run("token", "create", "bob", role=Role.ADMIN)
    assert "secret-" in made.out
    assert "not told again" in made.err
    assert "secret-" not in run("token", "list", "--json", role=Role.ADMIN).out


def test_ids_are_completed_where_a_keeper_answers(
    keeper: FakeKeeper, environment: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEKISHO_TOKEN", SECRETS[Role.VIEWER])
    keeper.impose(BOB, WEB, (SMTP,), "x", 600, "")
    assert complete_subject("cmp7/tap-w") == [(WEB, "web-3, project acme, 10.0.0.5, host cmp7")]
    assert complete_restriction("r-") == [("r-1", f"{WEB}: drop tcp/25 egress")]
    monkeypatch.setenv("SEKISHO_URL", "http://127.0.0.1:9")
    assert complete_subject("cmp7") == []
    assert complete_restriction("") == []


def test_other_commands_can_be_added() -> None:
    def register(app: typer.Typer) -> None:
        app.command("up")(lambda: None)

    assert "up" in {command.name for command in build(register).registered_commands}


def test_a_policys_mode_is_turned_for_a_reason_and_shown_as_turned(run: Run, keeper: FakeKeeper) -> None:
    assert run("policy", "mode", "smtp-spam", "watch", "--reason", " ").code == 6
    assert run("policy", "mode", "smtp-spam", "lax", "--reason", "x").code == 6
    assert run("policy", "mode", "nothing", "watch", "--reason", "x").code == 3
    before = keeper.policies().policies.policies[0].mode
    other = "propose" if before is not Mode.PROPOSE else "watch"
    told = run("policy", "mode", "smtp-spam", other, "--reason", "A pentest.")
    assert (told.code, told.out) == (0, f"smtp-spam: {other}, over its file.\n")
    assert keeper.policies().policies.policies[0].mode == other
    assert f"smtp-spam is turned to {other} (its file says {before})" in run("policy", "list").err
    back = run("policy", "mode", "smtp-spam", "file", "--reason", "Over.", "--yes")
    assert back.out == f"smtp-spam: {before}, as its file says.\n"
    assert keeper.policies().overrides == ()


def test_whatever_makes_a_policy_bind_is_asked_about(run: Run, keeper: FakeKeeper) -> None:
    keeper.set_mode(BOB, "smtp-spam", Mode.WATCH, "Too many.", None)
    (turned,) = keeper.policies().overrides
    assert turned.written is Mode.ENFORCE
    asked = run("policy", "mode", "smtp-spam", "file", "--reason", "The line is higher.")
    assert asked.code == 2
    assert "From now on smtp-spam binds" in asked.err
    assert keeper.policies().overrides == (turned,)
    assert run("policy", "mode", "smtp-spam", "file", "--reason", "The line is higher.", "--yes").code == 0
    assert keeper.policies().policies.policies[0].mode is Mode.ENFORCE
    assert run("policy", "mode", "smtp-spam", "propose", "--reason", "Too many.").code == 0, "binds nobody"

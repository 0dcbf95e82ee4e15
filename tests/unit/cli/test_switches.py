"""The commands about switches, over real HTTP, with switches in memory behind it."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from sekisho.app.switches import Switches
from sekisho.model.access import Role
from sekisho.model.errors import Refused
from sekisho.testing.switch import Fault
from support_cli import Answer, Run
from support_keeping import WIDER, Rig

Asks = Callable[..., Answer]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def keeping(rig: Rig, served: tuple[FastAPI, str]) -> Iterator[Switches]:
    app, _ = served
    with rig.keeper() as made:
        made.listen(app.state.waiting.nudge)
        app.state.switches = made
        yield made
        app.state.switches = None


@pytest.fixture
def ask(keeping: Switches, run: Run) -> Asks:
    del keeping
    return lambda *args, role=Role.ADMIN: run("switch", *args, role=role)


def test_switches_are_listed_and_shown(rig: Rig, ask: Asks) -> None:
    rig.add("leaf-1")
    rig.add("leaf-2", "")
    assert ask("list").code == 0
    assert "not read yet" in ask("list", role=Role.VIEWER).out
    found = ask("drift", "--now")
    assert "leaf-1: its file is not applied" in found.out
    assert "VLAN 20" in found.out
    assert "leaf-2: as its file says" in found.out
    shown = ask("show", "leaf-1").out
    assert "VLAN 20" in shown
    assert "serial-leaf-1" in shown
    assert [s["accord"] for s in ask("list", "--json").json["items"]] == ["pending", "accord"]
    assert ask("show", "leaf-9").code == 3


def test_a_plan_is_shown_in_words_and_as_it_would_be_sent(rig: Rig, ask: Asks) -> None:
    rig.add("leaf-1", WIDER + "[vlan.10]\nabsent = true\n")
    rig.add("leaf-2", "")
    found = ask("plan", role=Role.VIEWER)
    assert found.code == 0
    assert "VLAN 20: new, name mail" in found.out
    assert "sent by memory:" in found.out
    assert "forbidden [" in found.out
    assert "Nothing differs on leaf-2." in found.out
    assert "sent by" not in ask("plan", "--brief").out


def test_a_switch_is_written_down_as_it_is_and_then_nothing_differs(
    rig: Rig, ask: Asks, tmp_path: Path
) -> None:
    rig.add("leaf-1", "")
    file = tmp_path / "leaf-1.toml"
    assert ask("import", "leaf-1", "--save", str(file), role=Role.OPERATOR).code == 4
    assert ask("import", "leaf-1", "--save", str(file)).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert 'name = "web"' in file.read_text()
    assert ask("import", "leaf-1").out.strip() == file.read_text().strip()
    (rig.root / "files" / "leaf-1.toml").write_text(file.read_text())
    assert "Nothing differs on leaf-1." in ask("plan").out
    assert ask("import", "leaf-1", "--save", str(file)).code == 6


def test_switches_are_changed_as_planned(rig: Rig, ask: Asks) -> None:
    switch = rig.add("leaf-1")
    assert ask("apply", "leaf-1", "--reason", "x", "--yes", role=Role.OPERATOR).code == 4
    assert ask("apply", "leaf-1", "--reason", " ").code == 6
    assert ask("apply", "leaf-1", "--reason", "x").code == 2, "nobody to ask, and not told --yes"
    assert "apply" not in switch.calls
    found = ask("apply", "leaf-1", "--reason", "mail moves", "--yes")
    assert found.code == 0
    assert "leaf-1: applied." in found.err
    assert "Read again: it is as it should be." in found.out
    assert "Nothing differs." in ask("apply", "leaf-1", "--reason", "x", "--yes").out
    changes = ask("changes", "--json").json["items"]
    assert [(c["author"], c["reason"], c["state"]) for c in changes] == [("admin", "mail moves", "applied")]


def test_a_kept_plan_is_applied_and_refused_once_it_is_stale(rig: Rig, ask: Asks, tmp_path: Path) -> None:
    switch = rig.add("leaf-1")
    file = tmp_path / "plan.json"
    assert ask("plan", "--save", str(file)).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ask("plan", "--save", str(file)).code == 6, "a file is never written over"
    rig.write("leaf-1", WIDER.replace("mail", "post"))
    found = ask("apply", "--plan", str(file), "--reason", "x", "--yes")
    assert found.code == 8
    assert "stale" in found.out
    assert "apply" not in switch.calls
    rig.write("leaf-1", WIDER)
    assert ask("apply", "--plan", str(file), "--reason", "x", "--yes").code == 0
    file.write_text("{}")
    assert ask("apply", "--plan", str(file), "--reason", "x", "--yes").code == 6


def test_a_change_that_fails_ends_the_command_so(rig: Rig, ask: Asks) -> None:
    switch = rig.add("leaf-1")
    switch.faults = (Fault("apply", Refused("No room for a VLAN."), 1),)
    began = switch.state
    found = ask("apply", "leaf-1", "--reason", "x", "--yes", "--json")
    assert found.code == 8
    (change,) = found.json["changes"]
    assert change["state"] == "rolled-back"
    assert change["error"] == "No room for a VLAN."
    assert switch.state == began


def test_a_pair_is_changed_as_one_though_one_of_it_differs(rig: Rig, ask: Asks) -> None:
    rig.add("leaf-1", peer="leaf-2")
    rig.add("leaf-2", "", peer="leaf-1")
    found = ask("apply", "leaf-1", "--reason", "x", "--yes", "--json")
    assert {c["switch"]: c["state"] for c in found.json["changes"]} == {
        "leaf-1": "applied",
        "leaf-2": "unchanged",
    }


def test_a_switch_that_is_away_ends_it_unless_told_to_go_on_without(rig: Rig, ask: Asks) -> None:
    rig.add("leaf-1").gone = True
    rig.add("leaf-2", peer="leaf-3")
    rig.add("leaf-3", peer="leaf-2").gone = True
    rig.add("leaf-4")
    found = ask("apply", "--reason", "x", "--yes")
    assert found.code == 7
    assert "does not answer" in found.err
    rig.write("leaf-4", '[port."Ethernet9/9"]\nmtu = 9000\n')  # a mistake that no later try will mend
    assert ask("apply", "--reason", "x", "--yes").code == 6
    rig.write("leaf-4", WIDER)
    found = ask("apply", "--reason", "x", "--yes", "--partial", "--json")
    assert found.code == 0
    assert {c["switch"]: c["state"] for c in found.json["changes"]} == {"leaf-4": "applied"}
    assert "Without leaf-3 and leaf-2" in found.err


def test_a_switch_that_cannot_be_looked_at_is_told_to_scripts(rig: Rig, ask: Asks, tmp_path: Path) -> None:
    rig.add("leaf-1").gone = True
    rig.add("leaf-2")
    kept = tmp_path / "plan.json"
    assert ask("plan", "--save", str(kept)).code == 7
    assert kept.exists()
    assert ask("plan", "leaf-2").code == 0
    assert [p["switch"] for p in ask("plan", "--json").json["items"]] == ["leaf-1", "leaf-2"]
    assert ask("drift", "--now").code == 7
    rig.write("leaf-2", '[port."Ethernet9/9"]\nmtu = 9000\n')
    assert ask("plan").code == 6
    assert ask("drift", "--now").code == 6
    rig.write("leaf-2", WIDER)
    assert ask("drift", "leaf-2", "--now").code == 0
    assert ask("drift").code == 0  # as they were last looked at: it was not asked now


def test_what_was_rolled_back_waits_for_its_file_to_be_applied(rig: Rig, ask: Asks) -> None:
    rig.add("leaf-1")
    assert ask("apply", "leaf-1", "--reason", "x", "--yes").code == 0
    assert ask("rollback", "leaf-1", "--reason", "y", "--yes").code == 0
    assert "leaf-1: its file is not applied" in ask("drift", "--now").out


def test_a_doubt_ends_when_nothing_differs(rig: Rig, ask: Asks) -> None:
    switch = rig.add("leaf-1")
    no = Refused("No.")
    never = tuple(Fault(c, no, n) for c in ("rollback", "restore") for n in range(1, 9))
    switch.faults = (Fault("apply", no, 2), *never)
    assert ask("apply", "--reason", "x", "--yes").code == 8
    assert "nobody knows" in ask("list").out
    switch.faults = ()
    rig.write("leaf-1", "")
    assert "unchanged" in ask("apply", "leaf-1", "--reason", "it is well", "--yes").out
    assert "nobody knows" not in ask("list").out
    assert "Nothing differs." in ask("apply", "leaf-1", "--reason", "x", "--yes").out


def test_a_forbidden_risk_is_taken_by_its_name_only(rig: Rig, ask: Asks) -> None:
    rig.add("leaf-1", "[vlan.10]\nabsent = true\n")
    found = ask("apply", "leaf-1", "--reason", "x", "--yes")
    assert found.code == 8
    assert "--allow" in found.out
    risks = {r["kind"] for p in ask("plan", "--json").json["items"] for r in p["risks"] if r["forbidden"]}
    allow = [part for risk in risks for part in ("--allow", risk)]
    assert ask("apply", "leaf-1", "--reason", "x", "--yes", *allow).code == 0


def test_a_change_is_rolled_back_and_a_backup_restored(rig: Rig, ask: Asks) -> None:
    switch = rig.add("leaf-1")
    began = switch.state
    assert "B." in ask("backup", "leaf-1", "--now").out
    kept = ask("backup", "leaf-1", "--json").json["items"][0]
    assert ask("apply", "leaf-1", "--reason", "x", "--yes").code == 0
    assert ask("rollback", "leaf-1", "--reason", "wrong", "--yes").code == 0
    assert switch.state == began
    assert ask("apply", "leaf-1", "--reason", "x", "--yes").code == 0
    assert "mail" in ask("backup", "leaf-1", "--diff", kept["name"]).out
    assert "web" in ask("backup", "leaf-1", "--show", kept["name"]).out
    assert ask("backup", "leaf-1", "--diff", kept["name"], role=Role.OPERATOR).code == 4
    assert ask("backup", "leaf-1", "--with", kept["name"]).code == 6
    assert ask("restore", "leaf-1", kept["name"], "--reason", "back", "--yes").code == 0
    assert switch.state.parts == began.parts


def test_a_proposal_is_approved_or_put_aside(rig: Rig, ask: Asks) -> None:
    assert ask("approve", "c1", "--reason", "x").code == 3
    assert ask("reject", "c1", "--reason", "x").code == 3
    assert rig.switches == {}

"""The keeper's switches: planned, changed and brought back, over real files and a real ledger."""

from __future__ import annotations

import hashlib
import json
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sekisho.app.switches_changes import Task
from sekisho.app.switches_plans import intent_digest
from sekisho.devices.switch.change import Outcome, digest
from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.driver import SwitchDriver
from sekisho.devices.switch.intent import Intent, Vlan, parts
from sekisho.devices.switch.work import lines
from sekisho.ledger.switches import Changes
from sekisho.model.errors import Conflict, Malformed, NotFound, Refused, Unavailable
from sekisho.model.switch import Accord, ChangeState, ChangeView, Phase, Verb, Wanted
from sekisho.testing.switch import Fault
from support_keeping import ADA, NOW, WIDER, Rig

AWAY = Unavailable("It does not answer.")
NO = Refused("It says no.")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.ledger.close()


def test_a_plan_says_what_would_change_and_changes_nothing(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    before = switch.state
    with rig.keeper() as keeper:
        (found,) = keeper.plan(())
    assert any("VLAN 20" in step and "mail" in step for step in found.steps)
    assert found.fingerprint
    assert found.sent
    assert switch.state == before


def test_a_plan_of_one_of_a_pair_is_a_plan_of_both(rig: Rig) -> None:
    rig.add("leaf-1", peer="leaf-2")
    rig.add("leaf-2", "", peer="leaf-1")
    with rig.keeper() as keeper:
        found = keeper.plan(("leaf-1",))
    assert [(p.switch, bool(p.steps)) for p in found] == [("leaf-1", True), ("leaf-2", False)]


def test_a_switch_that_does_not_answer_hinders_no_other_plan(rig: Rig) -> None:
    rig.add("leaf-1").gone = True
    rig.add("leaf-2")
    with rig.keeper() as keeper:
        one, two = keeper.plan(())
    assert "does not answer" in one.problem
    assert two.steps


def test_an_intent_that_cannot_be_is_told_with_every_mistake(rig: Rig) -> None:
    rig.add("leaf-1", '[port."Ethernet9/9"]\nmtu = 9000\n')
    with rig.keeper() as keeper:
        (found,) = keeper.plan(())
    assert "Ethernet9/9" in found.problem


def test_switches_become_what_their_files_say_and_the_journal_says_who_and_why(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        assert rig.apply(keeper, "leaf-1") == {"leaf-1": ChangeState.APPLIED}
        assert not keeper.plan(())[0].steps
        (change,) = keeper.changes("", 10, "").items
    assert switch.saved == switch.state
    assert (change.author, change.reason, change.verb) == ("ada", "as planned", Verb.APPLY)
    assert change.plan.steps
    assert change.checkpoint in switch.kept
    assert change.begun
    assert change.ended
    told = [json.loads(e.detail) for e in rig.ledger.journal().items if e.verb == "switch-apply"]
    assert [t["what"] for t in told] == ["applied", "begin", "want"]
    assert {t["switch"] for t in told} == {"leaf-1"}


def test_a_plan_somebody_looked_at_is_refused_once_it_is_stale(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        seen = keeper.plan(())[0].fingerprint
        rig.write("leaf-1", WIDER.replace("mail", "post"))
        states = rig.apply(keeper, "leaf-1", plans={"leaf-1": seen})
        assert states == {"leaf-1": ChangeState.REFUSED}
        assert "stale" in keeper.changes("leaf-1", 1, "").items[0].error
        assert "apply" not in switch.calls
        seen = keeper.plan(())[0].fingerprint
        assert rig.apply(keeper, "leaf-1", plans={"leaf-1": seen}) == {"leaf-1": ChangeState.APPLIED}


def test_a_plan_goes_stale_when_a_password_or_a_community_changes_and_not_by_a_restart(rig: Rig) -> None:
    user = '[user.bob]\nrole = "network-admin"\npassword = "$5$abc$one"\n'
    switch = rig.add("leaf-1", user)
    with rig.keeper() as keeper:
        first = keeper.plan(())[0].fingerprint
    with rig.keeper() as keeper:
        assert keeper.plan(())[0].fingerprint == first
        rig.write("leaf-1", user.replace("one", "two"))
        assert rig.apply(keeper, "leaf-1", plans={"leaf-1": first}) == {"leaf-1": ChangeState.REFUSED}
        assert "stale" in keeper.changes("leaf-1", 1, "").items[0].error
        rig.write("leaf-1", '[snmp.community."one"]\n')
        seen = keeper.plan(())[0].fingerprint
        rig.write("leaf-1", '[snmp.community."two"]\n')
        assert rig.apply(keeper, "leaf-1", plans={"leaf-1": seen}) == {"leaf-1": ChangeState.REFUSED}
        assert "apply" not in switch.calls
        seen = keeper.plan(())[0].fingerprint
        assert rig.apply(keeper, "leaf-1", plans={"leaf-1": seen}) == {"leaf-1": ChangeState.APPLIED}


def test_what_the_ledger_and_the_names_of_backups_hold_cannot_be_guessed_at(rig: Rig) -> None:
    rig.add("leaf-1", '[snmp.community."one"]\n')
    with rig.keeper() as keeper:
        assert rig.apply(keeper, "leaf-1") == {"leaf-1": ChangeState.APPLIED}
        found = rig.switches["leaf-1"].state.parts
        kept = Changes(rig.ledger.store).last_applied("leaf-1")
        mine = keeper.folder.switch("leaf-1").intent
        assert kept.after not in ("", digest(found))
        assert kept.after == digest(found, keeper._key)
        assert json.loads(rig.ledger.recall("switch:leaf-1"))["intent"] == intent_digest(mine, keeper._key)
        assert intent_digest(mine, keeper._key) != intent_digest(mine, b"")
        assert intent_digest(mine, keeper._key) != intent_digest(mine, b"another")
        text = "\n".join(lines(rig.switches["leaf-1"].running()))
        names = [b.name for b in keeper.backups("leaf-1")]
        keeper._backups.keep("leaf-1", text, NOW + 1)
        assert not {n[-12:] for n in names} & {hashlib.sha256(text.encode()).hexdigest()[:12]}


def test_what_an_earlier_keeper_named_without_a_key_is_known_again(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    before = switch.state
    with rig.keeper() as keeper:
        rig.apply(keeper, "leaf-1")
        kept = Changes(rig.ledger.store).last_applied("leaf-1")
        told = {kept.change.id: (kept.change.checkpoint, kept.change.backup, digest(before.parts))}
        Changes(rig.ledger.store).begun(told, NOW)
        Changes(rig.ledger.store).end({kept.change.id: (ChangeState.APPLIED, "", "")}, NOW)
        unkeyed = intent_digest(keeper.folder.switch("leaf-1").intent, b"")
        rig.ledger.remember("switch:leaf-1", json.dumps({"intent": unkeyed, "since": NOW}))
        switch.state = replace(switch.state, parts={**switch.state.parts, **parts(Vlan(20, "by hand", 0))})
        assert keeper.drift(("leaf-1",), fresh=True)[0].accord is Accord.DRIFT
        ended = rig.ended(keeper, keeper.rollback(ADA, "leaf-1", "", "back"))
        assert ended == {"leaf-1": ChangeState.APPLIED}
    assert switch.state.parts == before.parts


def test_the_key_of_plans_is_its_owner_s_alone_and_another_one_makes_plans_stale(rig: Rig) -> None:
    rig.add("leaf-1")
    file = rig.root / "state" / "plans.key"
    with rig.keeper() as keeper:
        first = keeper.plan(())[0].fingerprint
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(b"cut")
    with rig.keeper() as keeper:
        assert keeper.plan(())[0].fingerprint != first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.unlink()
    file.mkdir()
    with pytest.raises(Unavailable, match="key"), rig.keeper():
        pass


def test_who_looked_at_one_of_a_pair_has_not_looked_at_the_other(rig: Rig) -> None:
    rig.add("leaf-1", peer="leaf-2")
    rig.add("leaf-2", peer="leaf-1")
    with rig.keeper() as keeper:
        seen = keeper.plan(("leaf-1",))[0].fingerprint
        with pytest.raises(Malformed, match="leaf-2"):
            keeper.want(ADA, Wanted(("leaf-1",), "x", {"leaf-1": seen}))


def test_a_forbidden_risk_needs_its_name(rig: Rig) -> None:
    rig.add("leaf-1", "[vlan.10]\nabsent = true\n")
    with rig.keeper() as keeper:
        (found,) = keeper.plan(())
        kinds = tuple(r.kind for r in found.risks if r.forbidden)
        assert kinds
        assert rig.apply(keeper, "leaf-1") == {"leaf-1": ChangeState.REFUSED}
        assert f"--allow {kinds[0]}" in keeper.changes("", 1, "").items[0].error
        assert rig.apply(keeper, "leaf-1", allow=kinds) == {"leaf-1": ChangeState.APPLIED}


def test_a_pair_is_changed_on_both_or_on_neither(rig: Rig) -> None:
    one, two = rig.add("leaf-1", peer="leaf-2"), rig.add("leaf-2", peer="leaf-1")
    began = one.state, two.state
    two.faults = (Fault("apply", NO, 2),)
    with rig.keeper() as keeper:
        assert set(rig.apply(keeper, "leaf-1").values()) == {ChangeState.ROLLED_BACK}
        assert (one.state, two.state) == began
        assert set(rig.apply(keeper, "leaf-2").values()) == {ChangeState.APPLIED}


def test_a_pair_whose_mtu_would_differ_is_refused_before_anything_is_sent(rig: Rig) -> None:
    vpc = 'domain = 10\n[port.port-channel5]\nmode = "trunk"\nallowed = "10"\nlacp = "active"\nvpc = 5\n'
    one = rig.add("leaf-1", vpc + "mtu = 9216\n", peer="leaf-2")
    two = rig.add("leaf-2", vpc, peer="leaf-1")
    with rig.keeper() as keeper:
        shown = keeper.plan(["leaf-1"])
        assert all("pair-mtu" in {r.kind for r in p.risks if r.forbidden} for p in shown)
        assert set(rig.apply(keeper, "leaf-1").values()) == {ChangeState.REFUSED}
        assert "apply" not in one.calls + two.calls
        error = keeper.changes("leaf-2", 1, "").items[0].error
        assert (
            "leaf-2: port port-channel5 (vPC 5): its MTU is 1500 here and 9216 on the other switch" in error
        )
        allowed = ("pair-mtu",)
        assert set(rig.apply(keeper, "leaf-1", allow=allowed).values()) == {ChangeState.APPLIED}


def test_a_canary_that_fails_leaves_the_others_alone(rig: Rig) -> None:
    for n in range(1, 6):
        rig.add(f"leaf-{n}")
    rig.switches["leaf-1"].faults = (Fault("apply", NO, 1),)
    names = tuple(rig.switches)
    with rig.keeper() as keeper:
        states = rig.apply(keeper, *names)
        assert states.pop("leaf-1") is ChangeState.ROLLED_BACK
        assert set(states.values()) == {ChangeState.LEFT}
        assert all("apply" not in rig.switches[n].calls for n in states)
        states = rig.apply(keeper, *names)
        assert set(states.values()) == {ChangeState.APPLIED}


def test_a_switch_is_changed_by_one_at_a_time(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    reading, go = threading.Event(), threading.Event()
    plain = rig.connect

    def slowly(*args: object) -> object:
        reading.set()
        assert go.wait(10)
        return plain(*args)  # type: ignore[arg-type]

    rig.connect = slowly  # type: ignore[method-assign,assignment]
    with rig.keeper() as keeper:
        begun = keeper.want(ADA, Wanted(("leaf-1",), "first"))
        assert reading.wait(10)
        with pytest.raises(Conflict, match="changed already by ada"):
            keeper.want(ADA, Wanted(("leaf-1",), "second"))
        assert keeper.switch("leaf-1").changing == begun.changes[0].id
        go.set()
        assert rig.ended(keeper, begun) == {"leaf-1": ChangeState.APPLIED}
        assert keeper.switch("leaf-1").changing == ""
    assert switch.calls.count("save") == 1


def test_a_keeper_that_ends_while_a_switch_is_away_brings_it_back_when_it_starts(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    began = switch.state
    switch.faults = (Fault("apply", AWAY, 2, gone=True),)
    with rig.keeper() as keeper:
        begun = keeper.want(ADA, Wanted(("leaf-1",), "x"))
        rig.until(lambda: keeper.rollout(begun.id).changes[0].phase is Phase.ROLLING_BACK)
        assert keeper.rollout(begun.id).changes[0].error
    assert switch.state != began
    with rig.keeper() as keeper:
        keeper.recover()
        rig.until(lambda: keeper.rollout(begun.id).changes[0].phase is Phase.ROLLING_BACK)
        with pytest.raises(Conflict):
            keeper.want(ADA, Wanted(("leaf-1",), "meanwhile"))
        switch.come_back()
        assert rig.ended(keeper, begun) == {"leaf-1": ChangeState.ROLLED_BACK}
    assert switch.state == began


def test_a_keeper_that_starts_while_the_files_are_away_waits_for_them(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    began = switch.state
    switch.faults = (Fault("apply", AWAY, 2, gone=True),)
    with rig.keeper() as keeper:
        begun = keeper.want(ADA, Wanted(("leaf-1",), "x"))
        rig.until(lambda: keeper.rollout(begun.id).changes[0].phase is Phase.ROLLING_BACK)
    switch.come_back()
    (rig.root / "files").rename(rig.root / "away")
    with rig.keeper() as keeper:
        keeper.recover()
        rig.until(lambda: "leaf-1" in keeper.rollout(begun.id).changes[0].error)
        assert keeper.rollout(begun.id).changes[0].state is ChangeState.RUNNING
        (rig.root / "away").rename(rig.root / "files")
        assert rig.ended(keeper, begun) == {"leaf-1": ChangeState.ROLLED_BACK}
    assert switch.state == began


def test_a_file_that_begins_with_a_dot_is_no_switch(rig: Rig) -> None:
    rig.add("leaf-1")
    (rig.root / "files" / ".#leaf-1.toml").write_text("half a wor")
    with rig.keeper() as keeper:
        assert [s.name for s in keeper.switches()] == ["leaf-1"]


def test_a_switch_that_breaks_its_driver_hinders_no_other_plan(rig: Rig) -> None:
    rig.add("leaf-1")
    rig.add("leaf-2")
    connect = rig.connect

    def broken(connection: Connection) -> SwitchDriver:
        if connection.address == "leaf-1":
            raise RecursionError
        return connect(connection)

    rig.connect = broken  # type: ignore[method-assign]
    with rig.keeper() as keeper:
        one, two = keeper.plan(())
        assert one.problem
        assert two.steps
        found = keeper.drift((), fresh=True)
        assert [bool(d.problem) for d in found] == [True, False]


def test_what_a_switch_calls_itself_can_be_told(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    facts = replace(switch.state.facts, hostname="a\udcffb")
    switch.state = replace(switch.state, facts=facts)
    with rig.keeper() as keeper:
        keeper.drift((), fresh=True)
        assert keeper.switch("leaf-1").hostname.encode()


def swap(rig: Rig, name: str, serial: str = "other") -> None:
    """Put another box in a switch's place."""
    switch = rig.switches[name]
    switch.state = replace(switch.state, facts=replace(switch.state.facts, serial=serial))


def test_another_switch_at_the_same_address_is_not_believed_until_its_file_says_so(rig: Rig) -> None:
    rig.add("leaf-1")
    with rig.keeper() as keeper:
        assert not keeper.drift((), fresh=True)[0].problem
        swap(rig, "leaf-1")
        assert "not believed" in keeper.drift((), fresh=True)[0].problem
    with rig.keeper() as keeper:  # one that was started anew
        assert "not believed" in keeper.drift((), fresh=True)[0].problem
        rig.write("leaf-1", WIDER + "[vlan.30]\n")
        assert not keeper.drift((), fresh=True)[0].problem


def test_another_switch_is_neither_planned_for_nor_changed(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        kept = keeper.backup("leaf-1").name
        assert keeper.plan(())[0].steps
        swap(rig, "leaf-1")
        assert "not believed" in keeper.plan(())[0].problem
        assert rig.apply(keeper, "leaf-1") == {"leaf-1": ChangeState.REFUSED}
        assert "not believed" in keeper.changes("", 1, "").items[0].error
        assert "apply" not in switch.calls
        states = rig.ended(keeper, keeper.restore(ADA, "leaf-1", kept, "it was replaced"))
        assert states["leaf-1"] in (ChangeState.UNCHANGED, ChangeState.APPLIED)


def test_a_file_names_the_only_switch_that_is_believed(rig: Rig) -> None:
    rig.add("leaf-1")
    with rig.keeper() as keeper:
        rig.write("leaf-1", WIDER.replace("[vlan.20]", 'serial = "FDO1"\n[vlan.20]', 1))
        assert "not believed" in keeper.plan(())[0].problem
        swap(rig, "leaf-1", "FDO1")
        assert keeper.plan(())[0].steps
        swap(rig, "leaf-1")
        assert "serial number" in keeper.drift((), fresh=True)[0].problem


def test_what_had_not_begun_when_the_keeper_ended_is_left_alone(rig: Rig) -> None:
    one = rig.add("leaf-1")
    rig.add("leaf-2")
    one.faults = (Fault("apply", AWAY, 1, gone=True, after=True),)
    with rig.keeper() as keeper:
        begun = keeper.want(ADA, Wanted(("leaf-1", "leaf-2"), "x"))
        rig.until(lambda: keeper.rollout(begun.id).changes[0].phase is Phase.ROLLING_BACK)
    one.come_back()
    with rig.keeper() as keeper:
        keeper.recover()
        states = rig.ended(keeper, begun)
    assert states == {"leaf-1": ChangeState.ROLLED_BACK, "leaf-2": ChangeState.LEFT}


def test_what_waited_when_the_keeper_was_killed_is_left_alone(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    draft = ChangeView("", "", "leaf-1", Verb.APPLY, ChangeState.WAITING, "ada", unit="leaf-1")
    (waiting,) = Changes(rig.ledger.store).open([draft], NOW)
    with rig.keeper() as keeper:
        keeper.recover()
        assert keeper.rollout(waiting.rollout).changes[0].state is ChangeState.LEFT
        assert rig.apply(keeper, "leaf-1") == {"leaf-1": ChangeState.APPLIED}
    assert switch.calls.count("save") == 1


def test_a_change_can_be_rolled_back_and_is_not_made_again_by_itself(rig: Rig) -> None:
    rig.settings["repair"] = ("leaf-1",)
    switch = rig.add("leaf-1")
    began = switch.state
    with rig.keeper() as keeper:
        rig.apply(keeper, "leaf-1")
        states = rig.ended(keeper, keeper.rollback(ADA, "leaf-1", "", "it was wrong"))
        assert states == {"leaf-1": ChangeState.APPLIED}
        assert switch.state == began
        assert switch.saved == began
        (told,) = keeper.drift(("leaf-1",), fresh=True)
        assert told.accord is Accord.PENDING


def test_nobody_looks_at_a_switch_before_it_is_known_how_its_change_ended(rig: Rig) -> None:
    rig.add("leaf-1")
    busy = []
    with rig.keeper() as keeper:
        told = keeper._changing.ended

        def ended(task: Task, outcome: Outcome) -> None:
            try:
                with keeper.reach.hold(task.switch, 0.0):
                    busy.append(False)
            except Conflict:
                busy.append(True)
            told(task, outcome)

        keeper._changing.ended = ended
        rig.apply(keeper, "leaf-1")
    assert busy == [True]


def test_a_rollback_works_without_the_checkpoint(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    began = switch.state
    with rig.keeper() as keeper:
        rig.apply(keeper, "leaf-1")
        switch.kept.clear()
        rig.ended(keeper, keeper.rollback(ADA, "leaf-1", "", "it was wrong"))
    assert switch.state == began


def test_there_is_nothing_to_roll_back_where_nothing_was_changed(rig: Rig) -> None:
    rig.add("leaf-1")
    with rig.keeper() as keeper:
        with pytest.raises(NotFound):
            keeper.rollback(ADA, "leaf-1", "", "x")
        with pytest.raises(NotFound):
            keeper.rollback(ADA, "leaf-9", "", "x")


def test_a_backup_is_kept_for_root_alone_and_only_when_something_changed(rig: Rig) -> None:
    rig.add("leaf-1")
    with rig.keeper() as keeper:
        first = keeper.backup("leaf-1")
        rig.time += 60
        assert keeper.backup("leaf-1") == first
        rig.apply(keeper, "leaf-1")
        rig.time += 60
        second = keeper.backup("leaf-1")
        assert [b.name for b in keeper.backups("leaf-1")] == [second.name, first.name]
        assert '"mail"' in keeper.backup_diff("leaf-1", first.name, second.name)
        assert '"mail"' in keeper.backup_diff("leaf-1", first.name, "")
        assert keeper.backup_diff("leaf-1", second.name, "") == ""
    folder = rig.root / "state" / "backups"
    assert [stat.S_IMODE(p.stat().st_mode) for p in (folder, folder / "leaf-1")] == [0o700, 0o700]
    assert {stat.S_IMODE(p.stat().st_mode) for p in (folder / "leaf-1").iterdir()} == {0o600}


def test_a_backup_can_be_restored(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    began = switch.state
    with rig.keeper() as keeper:
        first = keeper.backup("leaf-1")
        rig.apply(keeper, "leaf-1")
        states = rig.ended(keeper, keeper.restore(ADA, "leaf-1", first.name, "back to yesterday"))
        assert states == {"leaf-1": ChangeState.APPLIED}
        assert switch.state.parts == began.parts
        for name in ("../../ledger", "nothing", f"../leaf-1/{first.name}"):
            with pytest.raises(NotFound):
                keeper.restore(ADA, "leaf-1", name, "x")


def test_files_that_are_wrong_stop_plans_and_are_named(rig: Rig) -> None:
    rig.add("leaf-1")
    with rig.keeper() as keeper:
        assert keeper.plan(())
        (rig.root / "files" / "leaf-2.toml").write_text("= nonsense")
        with pytest.raises(Malformed) as caught:
            keeper.plan(())
        assert any("leaf-2" in p for p in caught.value.problems)
        assert any("leaf-2" in notice for notice in keeper.notices())
        assert keeper.metrics()["sekisho_switch_files_bad"] == 1
        (rig.root / "files" / "leaf-2.toml").unlink()
        assert keeper.plan(())
        assert keeper.notices() == ()


def test_a_file_that_is_wrong_keeps_nobody_from_looking_or_going_back(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    began = switch.state
    with rig.keeper() as keeper:
        assert rig.apply(keeper, "leaf-1") == {"leaf-1": ChangeState.APPLIED}
        (rig.root / "files" / "leaf-2.toml").write_text("= nonsense")
        assert [v.name for v in keeper.switches()] == ["leaf-1"]
        assert keeper.drift(["leaf-1"], fresh=True)[0].problem == ""
        assert keeper.backups("leaf-1")
        rig.ended(keeper, keeper.rollback(ADA, "leaf-1", "", "not yet"))
        assert switch.state.parts == began.parts


def test_a_folder_that_is_not_there_is_no_switches(rig: Rig) -> None:
    (rig.root / "files").rmdir()
    with rig.keeper() as keeper:
        assert keeper.switches() == ()
        assert keeper.plan(()) == ()
        with pytest.raises(NotFound):
            keeper.switch("leaf-1")


def test_a_switch_in_doubt_is_named_until_somebody_settles_it(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    never = tuple(Fault(c, NO, n) for c in ("rollback", "restore") for n in range(1, 9))
    switch.faults = (Fault("apply", NO, 2), *never)
    with rig.keeper() as keeper:
        assert rig.apply(keeper, "leaf-1") == {"leaf-1": ChangeState.IN_DOUBT}
        doubt = keeper.changes("", 1, "").items[0].id
        assert keeper.switch("leaf-1").doubt == doubt
        assert any(doubt in n for n in keeper.notices())
        switch.faults = ()
        assert rig.apply(keeper, "leaf-1") == {"leaf-1": ChangeState.APPLIED}
        assert keeper.switch("leaf-1").doubt == ""


def test_a_name_that_the_api_needs_itself_is_refused(rig: Rig) -> None:
    rig.add("plans")
    with rig.keeper() as keeper, pytest.raises(Malformed) as caught:
        keeper.plan(())
    assert any("plans.toml" in p for p in caught.value.problems)


def test_what_the_cloud_brings_is_made_without_the_file_and_leaves_it_pending(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        begun = keeper.converge("neutron", "a port", {"leaf-1": Intent("leaf-1", parts(Vlan(1000, "net")))})
        assert rig.ended(keeper, begun) == {"leaf-1": ChangeState.APPLIED}
        assert begun.changes[0].verb is Verb.ATTACH
        assert ("vlan", "1000") in switch.state.parts
        assert ("vlan", "20") not in switch.state.parts
        assert keeper.drift((), fresh=True)[0].accord is Accord.PENDING


def test_what_is_laid_over_a_file_is_planned_and_compared(rig: Rig) -> None:
    switch = rig.add("leaf-1", "")
    with rig.keeper() as keeper:
        keeper.overlays.append(
            lambda _switch, found, _driver: replace(found, parts={**found.parts, **parts(Vlan(1000, "net"))})
        )
        assert "VLAN 1000" in keeper.plan(())[0].steps[0]
        assert rig.apply(keeper, "leaf-1") == {"leaf-1": ChangeState.APPLIED}
        assert keeper.drift((), fresh=True)[0].accord is Accord.ACCORD
    assert ("vlan", "1000") in switch.state.parts


def test_no_secret_is_in_plans_or_in_the_ledger(rig: Rig) -> None:
    rig.add("leaf-1", "[snmp.community.hush-hush]\nwrite = false\n")
    with rig.keeper() as keeper:
        (found,) = keeper.plan(())
        assert found.steps
        assert "hush-hush" not in repr(found)
        assert rig.apply(keeper, "leaf-1") == {"leaf-1": ChangeState.APPLIED}
    rig.ledger.close()
    assert not any(b"hush-hush" in p.read_bytes() for p in rig.root.glob("ledger.db*"))


def test_who_is_told_a_revision_has_heard_all_that_it_counts(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.add("leaf-1")
    with rig.keeper() as keeper:
        begun = keeper.want(ADA, Wanted(("leaf-1",), "x"))
        rig.ended(keeper, begun)
        journal = keeper._changing.journal
        ended, before = journal.rollout(begun.id), keeper.rollout(begun.id).revision
        still = tuple(replace(c, state=ChangeState.RUNNING, ended=0.0) for c in ended)

        def read(_rollout: str) -> tuple[ChangeView, ...]:
            keeper._changing.progress.touch(begun.id)  # it ends just after it was read
            return still

        monkeypatch.setattr(type(journal), "rollout", lambda _self, rollout: read(rollout))
        shown = keeper.rollout(begun.id)
        assert not shown.ended
        assert shown.revision == before  # so that the end is news


def test_a_keeper_that_starts_anew_does_not_count_from_the_beginning(rig: Rig) -> None:
    rig.add("leaf-1")
    with rig.keeper() as keeper:
        begun = keeper.want(ADA, Wanted(("leaf-1",), "x"))
        rig.ended(keeper, begun)
        seen = keeper.rollout(begun.id).revision
    rig.time += 1.0
    with rig.keeper() as keeper:
        assert keeper.rollout(begun.id).revision > seen

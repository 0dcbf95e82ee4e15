"""What somebody changes by hand is seen, told with who did it, and left, proposed or repaired."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sekisho.app.switches import Switches
from sekisho.devices.switch.driver import Account, Step
from sekisho.devices.switch.intent import Vlan
from sekisho.model.errors import Conflict, Refused
from sekisho.model.switch import Accord, ChangeState, DriftView, Verb
from sekisho.testing.switch import Fault, MemorySwitch
from support_keeping import ADA, NOW, WIDER, Rig

NO = Refused("It says no.")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.ledger.close()


def by_hand(rig: Rig, switch: MemorySwitch, name: str = "broken") -> None:
    """Somebody renames VLAN 20."""
    command = f"configure terminal ; vlan 20 ; name {name} (SUCCESS)"
    before = switch.state.parts["vlan", "20"]
    switch.by_hand(Account(NOW + rig.time, "olga", "10.0.0.7", command), Step(before, Vlan(20, name, 0)))


def look(rig: Rig, keeper: Switches) -> DriftView:
    """Let the keeper look at its one switch as it does every few minutes."""
    keeper.switches()  # known from here on
    rig.time += 1000
    (switch,) = keeper._watch.due()
    with keeper.reach.hold(switch, 20.0):  # whose change has ended may still be about to let go
        pass
    keeper._watch._look_again(switch)
    (found,) = keeper.drift((switch.name,), fresh=False)
    return found


def test_a_switch_never_seen_in_accord_is_pending_and_not_drifted(rig: Rig) -> None:
    rig.settings["repair"] = ("leaf-1",)
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        assert look(rig, keeper).accord is Accord.PENDING
        assert keeper.switch("leaf-1").differences == 2
    assert "apply" not in switch.calls


def test_drift_is_told_with_who_and_when_and_left_alone(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        rig.apply(keeper, "leaf-1")
        assert look(rig, keeper).accord is Accord.ACCORD
        seen = NOW + rig.time
        by_hand(rig, switch)
        found = look(rig, keeper)
        assert found.accord is Accord.DRIFT
        assert found.since == seen
        assert [(t.user, t.origin) for d in found.differences for t in d.by] == [("olga", "10.0.0.7")]
        assert any("leaf-1" in n for n in keeper.notices())
        assert keeper.metrics()['sekisho_switch_differences{switch="leaf-1"}'] == 1
        assert keeper.changes("", 10, "").items[0].verb is Verb.APPLY
        assert len(keeper.backups("leaf-1")) >= 2


def test_a_file_that_was_changed_is_pending_and_nothing_is_repaired(rig: Rig) -> None:
    rig.settings["repair"] = ("leaf-1",)
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        rig.apply(keeper, "leaf-1")
        now = switch.state
        rig.write("leaf-1", WIDER.replace("mail", "post"))
        assert look(rig, keeper).accord is Accord.PENDING
    assert switch.state == now


def test_drift_is_repaired_where_the_operator_says_so_but_not_for_ever(rig: Rig) -> None:
    rig.settings["drift"] = "repair"
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        rig.apply(keeper, "leaf-1")
        look(rig, keeper)
        good = switch.state
        by_hand(rig, switch)
        look(rig, keeper)
        rig.until(lambda: switch.state == good)
        change = keeper.changes("", 1, "").items[0]
        rig.until(lambda: keeper.rollout(change.rollout).ended)
        change = keeper.changes("", 1, "").items[0]
        assert (change.verb, change.state, change.author) == (Verb.REPAIR, ChangeState.APPLIED, "drift")
        assert "olga" in change.reason
        look(rig, keeper)
        by_hand(rig, switch)  # soon again: somebody works against us
        look(rig, keeper)
        assert keeper.changes("", 1, "").items[0].state is ChangeState.PROPOSED


def test_a_repair_that_could_not_begin_begins_at_the_next_look(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_asked: object) -> None:
        raise Conflict("leaf-1 is being changed.")

    rig.settings["drift"] = "repair"
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        rig.apply(keeper, "leaf-1")
        look(rig, keeper)
        by_hand(rig, switch)
        with monkeypatch.context() as for_now:
            for_now.setattr(keeper._repairs, "start", busy)
            look(rig, keeper)
        assert keeper.changes("", 1, "").items[0].verb is Verb.APPLY
        look(rig, keeper)
        assert newest(rig, keeper) == {"leaf-1": ChangeState.APPLIED}


def test_drift_whose_repair_is_dangerous_is_proposed(rig: Rig) -> None:
    rig.settings["drift"] = "repair"
    switch = rig.add("leaf-1", "[vlan.10]\nabsent = true\n")
    with rig.keeper() as keeper:
        kinds = tuple(r.kind for r in keeper.plan(())[0].risks if r.forbidden)
        before = switch.state.parts["vlan", "10"]
        rig.apply(keeper, "leaf-1", allow=kinds)
        look(rig, keeper)
        switch.by_hand(Account(NOW, "olga", "", "vlan 10"), Step(None, before))
        look(rig, keeper)
        (proposed,) = [c for c in keeper.changes("", 5, "").items if c.state is ChangeState.PROPOSED]
        assert ("vlan", "10") in switch.state.parts
        with pytest.raises(Conflict):
            keeper.approve(ADA, keeper.changes("", 5, "").items[1].id, "no proposal")
        begun = keeper.approve(ADA, proposed.id, "yes", kinds)
        assert rig.ended(keeper, begun) == {"leaf-1": ChangeState.APPLIED}
    assert ("vlan", "10") not in switch.state.parts


def test_a_proposal_is_made_once_and_can_be_put_aside(rig: Rig) -> None:
    rig.settings["propose"] = ("leaf-1",)
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        rig.apply(keeper, "leaf-1")
        look(rig, keeper)
        by_hand(rig, switch)
        look(rig, keeper)
        look(rig, keeper)
        (proposed,) = [c for c in keeper.changes("", 9, "").items if c.state is ChangeState.PROPOSED]
        assert proposed.plan.steps
        assert any(proposed.id in n for n in keeper.notices())
        assert keeper.reject(ADA, proposed.id, "it is meant").state is ChangeState.REJECTED
        with pytest.raises(Conflict):
            keeper.approve(ADA, proposed.id, "after all")


def pair(rig: Rig, keeper: Switches) -> tuple[MemorySwitch, MemorySwitch]:
    """A pair that is as its files say, and was seen so."""
    one, two = rig.add("leaf-1", peer="leaf-2"), rig.add("leaf-2", peer="leaf-1")
    rig.apply(keeper, "leaf-1")
    looked(rig, keeper, "leaf-1", "leaf-2")
    return one, two


def looked(rig: Rig, keeper: Switches, *names: str) -> None:
    """Let the keeper look at some switches as it does every few minutes."""
    rig.time += 1000
    for name in names:
        keeper._watch.look(keeper.folder.switch(name), 20.0, active=True)


def newest(rig: Rig, keeper: Switches) -> dict[str, ChangeState]:
    """Wait for the newest rollout, and tell how it ended."""
    last = keeper.changes("", 1, "").items[0].rollout
    rig.until(lambda: keeper.rollout(last).ended)
    return {c.switch: c.state for c in keeper.rollout(last).changes}


def test_a_repair_of_one_of_a_pair_is_one_transaction_with_the_other(rig: Rig) -> None:
    rig.settings["repair"] = ("leaf-1",)
    with rig.keeper() as keeper:
        one, two = pair(rig, keeper)
        by_hand(rig, one)
        two.gone = True
        looked(rig, keeper, "leaf-1")
        assert newest(rig, keeper) == {"leaf-1": ChangeState.REFUSED, "leaf-2": ChangeState.REFUSED}
        assert one.state.parts["vlan", "20"] == Vlan(20, "broken", 0)
        two.come_back()
        rig.time += 3600
        looked(rig, keeper, "leaf-1")
        assert newest(rig, keeper) == {"leaf-1": ChangeState.APPLIED, "leaf-2": ChangeState.UNCHANGED}


def test_a_repair_leaves_a_pair_alone_where_nobody_agreed_to_change_the_other(rig: Rig) -> None:
    rig.settings["repair"] = ("leaf-1",)
    with rig.keeper() as keeper:
        one, two = pair(rig, keeper)
        by_hand(rig, one)
        by_hand(rig, two)
        looked(rig, keeper, "leaf-1")
        assert newest(rig, keeper) == {"leaf-1": ChangeState.REFUSED, "leaf-2": ChangeState.REFUSED}
        error = next(c.error for c in keeper.changes("leaf-2", 1, "").items)
        assert "leaf-2 is of a pair with leaf-1" in error
        assert [s.state.parts["vlan", "20"] for s in (one, two)] == [Vlan(20, "broken", 0)] * 2
        rig.settings["repair"] = ("leaf-1", "leaf-2")
    with rig.keeper() as keeper:
        looked(rig, keeper, "leaf-2")
        assert set(newest(rig, keeper).values()) == {ChangeState.APPLIED}
        assert [s.state.parts["vlan", "20"] for s in (one, two)] == [Vlan(20, "mail", 0)] * 2


def test_what_comes_again_is_not_repaired_along_with_its_pair_either(rig: Rig) -> None:
    rig.settings["drift"] = "repair"
    with rig.keeper() as keeper:
        one, two = pair(rig, keeper)
        by_hand(rig, one)
        by_hand(rig, two)
        looked(rig, keeper, "leaf-1")
        assert set(newest(rig, keeper).values()) == {ChangeState.APPLIED}
        by_hand(rig, one, "other")
        by_hand(rig, two)  # as before, and soon again
        looked(rig, keeper, "leaf-1")
        assert set(newest(rig, keeper).values()) == {ChangeState.REFUSED}
        assert two.state.parts["vlan", "20"] == Vlan(20, "broken", 0)
        looked(rig, keeper, "leaf-1", "leaf-2")
        proposed = [c.id for c in keeper.changes("", 9, "").items if c.state is ChangeState.PROPOSED]
        assert len(proposed) == 2
        assert set(rig.ended(keeper, keeper.approve(ADA, proposed[0], "yes")).values()) == {
            ChangeState.APPLIED
        }


def test_a_switch_in_doubt_is_not_repaired_along_with_its_pair(rig: Rig) -> None:
    rig.settings["drift"] = "repair"
    with rig.keeper() as keeper:
        one, two = pair(rig, keeper)
        by_hand(rig, two, "new")
        never = tuple(Fault(c, NO, n) for c in ("rollback", "restore") for n in range(1, 9))
        two.faults = (Fault("restore", NO, 1, after=True), *never)
        backup = keeper.backups("leaf-2")[0].name
        begun = keeper.restore(ADA, "leaf-2", backup, "as it was")
        assert rig.ended(keeper, begun) == {"leaf-2": ChangeState.IN_DOUBT}
        two.faults = ()
        by_hand(rig, one)
        by_hand(rig, two)
        looked(rig, keeper, "leaf-1")
        assert set(newest(rig, keeper).values()) == {ChangeState.REFUSED}
        assert two.state.parts["vlan", "20"] == Vlan(20, "broken", 0)


def test_a_file_of_the_other_of_a_pair_is_not_applied_by_a_repair(rig: Rig) -> None:
    rig.settings["drift"] = "repair"
    with rig.keeper() as keeper:
        one, two = pair(rig, keeper)
        rig.write("leaf-2", WIDER.replace("mail", "post"), peer="leaf-1")
        by_hand(rig, one)
        looked(rig, keeper, "leaf-1")
        assert set(newest(rig, keeper).values()) == {ChangeState.REFUSED}
        assert two.state.parts["vlan", "20"] == Vlan(20, "mail", 0)


def test_to_approve_is_to_approve_for_the_pair(rig: Rig) -> None:
    rig.settings["drift"] = "propose"
    with rig.keeper() as keeper:
        one, two = pair(rig, keeper)
        by_hand(rig, one)
        by_hand(rig, two, "gone")
        looked(rig, keeper, "leaf-1")
        (first,) = [c for c in keeper.changes("leaf-1", 9, "").items if c.state is ChangeState.PROPOSED]
        assert set(rig.ended(keeper, keeper.approve(ADA, first.id, "yes")).values()) == {ChangeState.REFUSED}
        looked(rig, keeper, "leaf-1", "leaf-2")
        (first,) = [c for c in keeper.changes("leaf-1", 9, "").items if c.state is ChangeState.PROPOSED]
        ended = rig.ended(keeper, keeper.approve(ADA, first.id, "yes"))
        assert ended == {"leaf-1": ChangeState.APPLIED, "leaf-2": ChangeState.APPLIED}
        assert [s.state.parts["vlan", "20"] for s in (one, two)] == [Vlan(20, "mail", 0)] * 2


def test_a_switch_that_does_not_answer_is_named_and_asked_again(rig: Rig) -> None:
    switch = rig.add("leaf-1")
    with rig.keeper() as keeper:
        switch.gone = True
        assert "does not answer" in look(rig, keeper).problem
        assert keeper.switch("leaf-1").problem
        assert keeper.metrics()['sekisho_switch_failures_total{switch="leaf-1"}'] == 1
        switch.come_back()
        assert look(rig, keeper).problem == ""
        assert keeper.switch("leaf-1").problem == ""


def test_pauses_differ_so_that_switches_are_not_asked_all_at_once(rig: Rig) -> None:
    for n in range(50):
        rig.add(f"leaf-{n}")
    with rig.keeper() as keeper:
        assert len(keeper._watch.due()) < 25
        rig.time += 3600
        for switch in keeper._watch.due():
            keeper._watch._look_again(switch)
        rig.time += 900 - 45
        some = len(keeper._watch.due())
        assert 0 < some < 50


def test_the_keeper_looks_by_itself_until_it_stops(rig: Rig) -> None:
    rig.settings["every"] = 0.01
    rig.add("leaf-1")
    stop = threading.Event()
    with rig.keeper() as keeper:
        looking = threading.Thread(target=keeper.run, args=(stop,))
        looking.start()
        waiting = threading.Event()
        for _ in range(200):
            rig.time += 1
            if keeper.switch("leaf-1").read:
                break
            waiting.wait(0.05)
        stop.set()
        looking.join(10)
        assert not looking.is_alive()
        assert keeper.switch("leaf-1").read

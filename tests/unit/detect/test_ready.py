"""An inventory made ready in one thread while the loop of another goes on: nothing of either is lost."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from sekisho.detect import window
from sekisho.detect.detectors import registered
from sekisho.detect.settings import DetectSettings
from sekisho.detect.window import Detection, Ready
from sekisho.model.inventory import Inventory
from sekisho.model.policy import PolicySet, Scope
from sekisho.model.restriction import Evidence
from support_detect import START, condition, detection, inventory, policy, rows

VOLUME = condition("egress-bytes", 1000, 600)


def sends(found: Detection, sender: int, size: float, second: float) -> None:
    found.add(rows(1, START + second, sender=sender, bytes=size))


def told(evidence: list[Evidence]) -> list[tuple[str, str, float]]:
    return [(e.subject, e.policy, e.findings[0].estimate) for e in evidence]


def test_what_is_counted_until_it_is_taken_over_counts() -> None:
    found = detection(policy(VOLUME), subjects=["a", "b"])
    sends(found, 0, 400, 0)
    new = inventory(["x", "b", "a"], version=2)
    ready = found.make_ready(new)
    sends(found, 0, 400, 0.5)
    assert found.close(START + 1) == []
    found.replace_inventory(new, ready)
    sends(found, 2, 400, 1)
    sends(found, 0, 900, 1)
    assert told(found.close(START + 2)) == [("a", "p", 1200.0)]


def test_policies_replaced_meanwhile_are_in_force_for_the_new_subjects() -> None:
    found = detection(policy(VOLUME, scope=Scope(subjects=("a",))), subjects=["a", "b"])
    new = inventory(["c", "b", "a"], version=2)
    ready = found.make_ready(new)
    only = policy(VOLUME, name="other", scope=Scope(subjects=("c", "b")))
    found.replace_policies(PolicySet(2, (only,)))
    found.replace_inventory(new, ready)
    for row in range(3):
        sends(found, row, 2000, 1)
    assert sorted(told(found.close(START + 2))) == [("b", "other", 2000.0), ("c", "other", 2000.0)]


def test_policies_replaced_afterwards_know_who_is_there() -> None:
    found = detection(policy(VOLUME), subjects=["a", "b"])
    new = inventory(["c", "a"], version=2)
    found.replace_inventory(new, found.make_ready(new))
    found.replace_policies(PolicySet(2, (policy(VOLUME, scope=Scope(exclude_subjects=("a",))),)))
    for row in range(2):
        sends(found, row, 2000, 1)
    assert told(found.close(START + 2)) == [("c", "p", 2000.0)]


def test_of_two_made_at_once_both_are_taken_over_whole() -> None:
    found = detection(policy(VOLUME), subjects=["a", "b"])
    sends(found, 0, 600, 0)
    second, third = inventory(["n", "a"], version=2), inventory(["m", "b", "a", "n"], version=3)
    ready = [found.make_ready(new) for new in (second, third)]
    found.replace_inventory(second, ready[0])
    sends(found, 1, 600, 0.5)
    sends(found, 0, 600, 0.5)
    found.replace_inventory(third, ready[1])  # made from the roster of the first
    sends(found, 3, 600, 1)
    sends(found, 0, 600, 1)
    assert sorted(told(found.close(START + 2))) == [("a", "p", 1200.0), ("n", "p", 1200.0)]


def test_who_comes_back_finds_what_he_did_however_long_it_takes_to_be_taken_over() -> None:
    """The slot of one who left is not given up while an inventory that has him again is on its way."""
    found = detection(policy(VOLUME), subjects=["a", "b"], retain=5.0)
    sends(found, 0, 900, 0)
    found.close(START + 1)
    found.replace_inventory(inventory(["b"], version=2))
    new = inventory(["b", "n", "a"], version=3)
    ready = found.make_ready(new)
    for second in range(2, 12):
        found.close(START + second)
    found.replace_inventory(new, ready)
    sends(found, 1, 900, 12)  # it does not sit where the other did
    sends(found, 2, 200, 12)
    assert told(found.close(START + 13)) == [("a", "p", 1100.0)]


def test_who_left_is_forgotten_once_it_has_been_taken_over() -> None:
    found = detection(policy(VOLUME), subjects=["a", "b"], retain=5.0)
    sends(found, 0, 900, 0)
    found.close(START + 1)
    new = inventory(["b"], version=2)
    found.replace_inventory(new, found.make_ready(new))
    for second in range(2, 12):
        found.close(START + second)
    later = inventory(["b", "n"], version=3)
    found.replace_inventory(later, found.make_ready(later))
    assert len(found._roster) == 2
    sends(found, 1, 200, 12)
    assert found.close(START + 13) == []


def test_one_that_could_not_be_made_holds_up_no_forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    found = detection(policy(VOLUME), subjects=["a", "b"], retain=5.0)
    found.close(START + 1)
    found.replace_inventory(inventory(["b"], version=2))

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(window, "Kinds", fail)
        with pytest.raises(MemoryError):
            found.make_ready(inventory(["b", "c"], version=3))
    for second in range(2, 12):
        found.close(START + second)
    found.replace_inventory(inventory(["b", "n"], version=3))
    assert len(found._roster) == 2


@pytest.mark.parametrize("seed", range(4))
def test_beside_a_loop_that_goes_on_it_judges_as_one_after_the_other(seed: int) -> None:
    """Inventories and policies in any order, some made ready long before: evidence is the same."""
    rng = np.random.default_rng(seed)
    one, beside = (
        Detection(DetectSettings(seed=7), PolicySet(1, (policy(VOLUME),)), registered()) for _ in range(2)
    )
    everybody = [f"s{i}" for i in range(400)]
    waiting: list[tuple[Inventory, Ready]] = []
    known = 0
    for second in range(60):
        if rng.random() < 0.5:
            here = rng.permutation(everybody)[: int(rng.integers(1, 400))].tolist()
            new = inventory(here, version=second + 1)
            waiting.append((new, beside.make_ready(new)))
        if rng.random() < 0.2:
            scope = Scope(exclude_subjects=tuple(rng.permutation(everybody)[:100].tolist()))
            policies = PolicySet(second, (policy(VOLUME, scope=scope), policy(VOLUME, name="all")))
            one.replace_policies(policies)
            beside.replace_policies(policies)
        if waiting and rng.random() < 0.4:
            new, ready = waiting.pop(0)
            known = len(new.subjects)
            one.replace_inventory(new)
            beside.replace_inventory(new, ready)
        sender, size = rng.integers(-1, max(known, 1), 200), rng.integers(1, 4, 200) * 100.0
        for found in (one, beside):
            found.add(rows(200, START + second, sender=sender, bytes=size))
        assert told(one.close(START + second + 1)) == told(beside.close(START + second + 1))
    assert one.counters()["evidence"] > 100


def test_inventories_made_in_another_thread_while_seconds_are_closed() -> None:
    """Subjects come and go, and are forgotten at once: whoever is there sits in a place of his own."""
    found = detection(policy(VOLUME), subjects=["a"], retain=0.0)
    made: list[tuple[Inventory, Ready]] = []
    stop = threading.Event()

    def follow() -> None:
        rng = np.random.default_rng(1)
        for version in range(2, 60):
            names = {f"s{i}" for i in rng.integers(0, 300, 150).tolist()}
            new = inventory(["a", *sorted(names)], version=version)
            made.append((new, found.make_ready(new)))
            while made and not stop.is_set():
                stop.wait(0.001)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    second, taken = 0, 0
    while thread.is_alive():
        second += 1
        found.add(rows(1, START + second, sender=0, bytes=1.0))
        found.close(START + second + 1)
        if made:
            new = made[0][0]
            found.replace_inventory(*made[0])
            taken += 1
            made.pop()
            roster, names = found._roster, [subject.id for subject in new.subjects]
            slots = roster.row_slot[:-1].tolist()
            assert len(set(slots)) == len(slots)
            assert [roster.ids[slot] for slot in slots] == names
            assert [roster.slot_of[name] for name in names] == slots
            assert len(roster) - len(roster._free) == len(roster.slot_of)
    thread.join()
    assert taken == 58

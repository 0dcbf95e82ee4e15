"""A keeper that is killed in the middle of a change finds it when it starts, and brings it to one end."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from sekisho.app.switches_lab import SwitchLab
from sekisho.client import Client
from sekisho.model.errors import Unavailable
from sekisho.model.switch import ChangeState, Phase, Wanted

pytestmark = pytest.mark.slow

NAMES = ("leaf-1", "leaf-2")
GOOD = {ChangeState.APPLIED, ChangeState.ROLLED_BACK, ChangeState.REFUSED, ChangeState.LEFT}
VLAN = '\n[vlan.{id}]\nname = "net-{id}"\n'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwitchLab]:
    made = SwitchLab(tmp_path_factory.mktemp("lab"))
    try:
        made.start()
        with made.client as client:
            begun = client.switches.change(Wanted(NAMES, "first day"))
            assert ended(client, begun.id) == {ChangeState.APPLIED}
        yield made
    finally:
        made.stop()


def ended(client: Client, rollout: str) -> set[ChangeState]:
    """Wait for a rollout's end, also while the keeper starts."""
    revision = None
    while True:
        try:
            found = client.switches.follow(rollout, revision, 10.0)
        except Unavailable:
            continue
        if found is not None:
            revision = found.revision
            if found.ended:
                return {c.state for c in found.changes}


def order(lab: SwitchLab, name: str, what: str = "faults", **faults: Any) -> None:
    """Order something from an emulated switch."""
    request = urllib.request.Request(  # noqa: S310 - our own emulator
        f"{lab.told[name]['url']}/emulator/{what}", json.dumps(faults).encode(), method="POST"
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - likewise
        answer.read()


def killed_at(lab: SwitchLab, client: Client, rollout: str, phase: Phase) -> None:
    """Kill the keeper as soon as one of the pair is there."""
    revision = None
    while True:
        found = client.switches.follow(rollout, revision, 10.0)
        if found is None:
            continue
        revision = found.revision
        if found.ended or phase in {c.phase for c in found.changes}:
            break
    child = next(c for c in lab._children if c.name == "keeper")
    assert child.process is not None
    child.process.kill()
    child.process.wait(10)
    child.start()


@pytest.mark.parametrize(
    ("vlan", "phase"),
    [
        (100, Phase.READING),
        (101, Phase.BACKUP),
        (102, Phase.CHANGING),
        (103, Phase.VERIFYING),
        (104, Phase.SAVING),
    ],
)
def test_a_killed_keeper_leaves_both_switches_alike(lab: SwitchLab, vlan: int, phase: Phase) -> None:
    file = lab.folder / "switches" / "common" / "leaf.toml"
    text = file.read_text()
    file.write_text(text + VLAN.format(id=vlan))
    for name in NAMES:
        order(lab, name, slow=0.05)
    with lab.client as client:
        begun = client.switches.change(Wanted(NAMES, f"killed while {phase.value}"))
        killed_at(lab, client, begun.id, phase)
        for name in NAMES:
            order(lab, name, slow=0.0)
        states = ended(client, begun.id)
        assert len(states) == 1
        assert states <= GOOD
        plans = client.switches.plan(NAMES)
        assert not any(p.problem for p in plans)
        assert {bool(p.steps) for p in plans} == {states != {ChangeState.APPLIED}}
        for name in NAMES:
            order(lab, name, what="reboot")
        assert [p.steps for p in client.switches.plan(NAMES)] == [p.steps for p in plans]
        assert client.switches.show("leaf-1").doubt == ""
    file.write_text(text)
    with lab.client as client:  # the next begins where this one began
        allow = ("vlan-with-ports",)
        begun = client.switches.change(Wanted(NAMES, "as it was", allow=allow))
        ended(client, begun.id)

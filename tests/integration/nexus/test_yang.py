"""What we send over REST is what Cisco's own model of the switch has: every class, property and value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import support_yang
from sekisho.devices.switch.driver import Step
from sekisho.devices.switch.intent import KINDS, Feature, Key, Part
from sekisho.devices.switch.nexus import dme, names, tree
from sekisho.devices.switch.order import stages
from support_nexus import CASES
from support_nexus_states import nexus_states

pytestmark = pytest.mark.timeout(300)  # the model may have to be fetched first


def _texts(steps: list[Step]) -> dict[str, str]:
    found = {}
    for number, step in enumerate(steps):
        body = dme.stage([step]).body
        if body:
            found[f"step{number}"] = support_yang.xml(json.loads(body))
    return found


def test_every_kind_of_step_holds(tmp_path: Path) -> None:
    steps = [Step(*case) for case in CASES]
    steps += [Step(after, before) for before, after in CASES]

    texts = _texts(steps)

    assert len(texts) > len(CASES)
    assert support_yang.complaints(texts, tmp_path) == ""


@pytest.mark.parametrize(
    ("classname", "name", "value"),
    [
        ("l1PhysIf", "trunkVlan", "10"),  # no such property
        ("l1PhysIf", "mode", "trunky"),  # no such value
        ("l1PhysIf", "mtu", "9217"),  # out of range
        ("l1PhysIf", "trunkVlans", "+10"),
    ],
)
def test_the_model_would_notice_a_mistake(classname: str, name: str, value: str, tmp_path: Path) -> None:
    top = tree.root()
    top.at("interfaceEntity").at(classname, id="eth1/1").set(**{name: value})

    text = support_yang.xml(top.plain())

    assert support_yang.complaints({"wrong": text}, tmp_path) != ""


def test_no_kind_is_left_out() -> None:
    assert {part.kind for case in CASES for part in case if part is not None} == set(KINDS)


def test_every_feature_holds(tmp_path: Path) -> None:
    steps = [Step(None, Feature(name, enabled=True)) for name in names.FEATURES]

    assert support_yang.complaints(_texts(steps), tmp_path) == ""


def test_whole_configurations_hold(tmp_path: Path) -> None:
    """One tree for each stage of the way from a blank switch to a random one, and from there to the next."""
    texts: dict[str, str] = {}

    @settings(
        max_examples=25,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(nexus_states(6), nexus_states(6))
    def write(before: dict[Key, Part], after: dict[Key, Part]) -> None:
        for stage in stages(before, after):
            body = dme.stage(stage).body
            if body:
                texts[f"stage{len(texts)}"] = support_yang.xml(json.loads(body))

    write()

    assert len(texts) > 50
    assert support_yang.complaints(texts, tmp_path) == ""

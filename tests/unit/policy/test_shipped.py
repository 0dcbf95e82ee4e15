"""The policies we ship, and the reference that describes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sekisho.detect.detectors.catalogue import CATALOGUE as BY_FLOWS
from sekisho.detect.detectors.catalogue import LARGEST
from sekisho.metering.catalogue import METERED
from sekisho.model import policy_file
from sekisho.model.policy import Mode

CATALOGUE = BY_FLOWS | METERED
ROOT = Path(__file__).parents[3]
FILES = {p.name: p.read_text() for p in sorted((ROOT / "policies").glob("*.toml"))}
REFERENCE = (ROOT / "docs/reference/policies.md").read_text()


def test_they_are_right_and_only_watch() -> None:
    policies, baselines = policy_file.load(FILES, CATALOGUE, LARGEST)
    assert {p.mode for p in policies} == {Mode.WATCH}
    assert baselines == ()  # a baseline is in force at once: none by surprise
    assert all(p.description for p in policies)
    assert all(p.windows > 1 or max(c.threshold.window for c in p.conditions) >= 86400 for p in policies)


def test_every_detector_has_a_policy() -> None:
    policies, _ = policy_file.load(FILES, CATALOGUE)
    assert {c.detector for p in policies for c in p.conditions} == set(CATALOGUE)


def test_the_baselines_offered_in_comments_are_right() -> None:
    lines = FILES["baselines.toml"].split("\n\n", 1)[1].splitlines()
    _, baselines = policy_file.load({"b": "\n".join(line.removeprefix("# ") for line in lines)}, CATALOGUE)
    assert len(baselines) == 3


@pytest.mark.parametrize("number", range(len(re.findall(r"```toml\n", REFERENCE))))
def test_the_examples_of_the_reference_are_right(number: int) -> None:
    policy_file.parse(re.findall(r"```toml\n(.*?)```", REFERENCE, re.DOTALL)[number], CATALOGUE, "reference")


def test_the_reference_names_every_key_and_detector() -> None:
    keys = {
        *policy_file._POLICY_KEYS,
        *policy_file._WHEN_KEYS,
        *policy_file._THEN_KEYS,
        *policy_file._BASELINE_KEYS,
        *policy_file._SCOPE_KEYS,
        *CATALOGUE,
    }
    assert {k for k in keys if f"`{k}`" not in REFERENCE} == set()

"""What is written of a policy is read as the same policy again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.detect.detectors.catalogue import CATALOGUE as BY_FLOWS
from sekisho.metering.catalogue import METERED
from sekisho.model import policy_file
from sekisho.model.policy import Mode, Policy
from sekisho.model.policy_text import write

CATALOGUE = BY_FLOWS | METERED
SHIPPED = {p.name: p.read_text() for p in (Path(__file__).parents[3] / "policies").glob("*.toml")}
ODD = """
[policy.odd]
description = 'He said "no" \\ 迷惑 😀'
scope = { projects = ["a b", "ü"], qos = "gold", project_younger_than = "36h", exclude = { tags = ["x"], hosts = "h1" } }
destinations = "any"
confidence = "99.5 %"
for = 4
memory = "90s"
backoff = 1.5
max_duration = "30d"
extend = false
early_release = "1h 30min"
[[policy.odd.when]]
detector = "egress-bytes"
threshold = "200 Mbit/s"
window = "5min"
clear = "1 GB/h"
[[policy.odd.when]]
detector = "smtp-refused"
threshold = "33.3 % in 7min"
clear = "1 %"
[[policy.odd.when]]
detector = "scan-ports"
threshold = "60/min"
window = "20s"
[[policy.odd.then]]
warn = true
for = "1500ms"
[[policy.odd.then]]
drop = ["tcp/25", "udp/6000-6010", "icmp"]
limit = "12345 kbit/s"
burst = "1 MB"
direction = "both"
for = "25h"
"""  # noqa: E501 - a table inside a line cannot be broken


def again(policy: Policy) -> Policy:
    (read,), _ = policy_file.parse(write(policy), CATALOGUE, "again")
    return read


def bare(policy: Policy) -> Policy:
    """Leave out what an operator wrote of a line: only what it means must be the same."""
    return replace(
        policy,
        conditions=tuple(replace(c, threshold=replace(c.threshold, text="")) for c in policy.conditions),
    )


def policies() -> list[Policy]:
    read = policy_file.load({**SHIPPED, "odd": ODD}, CATALOGUE)[0]
    return [*read, *(bare(p) for p in read)]


ANY = policies()[0]


@pytest.mark.parametrize("policy", policies(), ids=lambda p: p.name)
def test_it_is_the_same_policy_again(policy: Policy) -> None:
    assert bare(again(policy)) == bare(policy)


def test_a_line_stands_as_the_operator_wrote_it() -> None:
    (odd,), _ = policy_file.parse(ODD, CATALOGUE, "odd")
    assert [c.threshold.text for c in again(odd).conditions] == ["200 Mbit/s", "33.3 % in 7min", "60/min"]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.sampled_from(Mode))
def test_any_text_is_only_text(text: str, mode: Mode) -> None:
    policy = replace(ANY, description=text, mode=mode)
    assert again(policy) == policy

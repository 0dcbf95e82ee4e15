"""Whatever stands in a document, it loads or its mistakes are told; nothing else is ever raised."""

from __future__ import annotations

import json
import tomllib
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.devices.switch.document import load
from sekisho.model.errors import Malformed

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "switch-intent.md").read_text()
EXAMPLE = (
    PAGE.split("```toml\n")[1].split("```")[0]
    + '[syslog."10.0.0.1"]\nseverity = 3\n[snmp.trap."10.0.0.1"]\nversion = "2c"\n[user.eve]\nrole = "x"\n'
    '[attach]\nvlans = "1-2"\n[attach.hosts]\na = ["Ethernet1/1"]\n[feature.lacp]\n[vrf.red]\n'
    "[acl.ipv6]\nx = []\n"
)
VALUES: tuple[Any, ...] = (
    0, -1, 10**30, 1.5, True, "", "x", "1-4094", "9-1", [], ["x"], [1], [[1]], {}, {"a": 1}, {"absent": True},
    {"absent": False}, "é", "a\nb", "svi 10", "0.0.0.0/0", "9" * 400,
)  # fmt: skip
KEYS = ("x", "10", "9999", "", "a b", "absent", "Ethernet1/1", "10.0.0.0/8", "within")


def places(value: Any) -> list[tuple[Any, Any]]:
    """List everything in a document that can be put out of place: what holds it, and where."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


def spoil(document: dict[str, Any], random: Random) -> None:
    holder, key = random.choice(places(document))
    match random.randrange(4):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[random.choice(KEYS)] = deepcopy(random.choice(VALUES))
        case _:
            holder[key] = deepcopy(random.choice(VALUES))


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(v) for v in value) + "]"
    return json.dumps(value)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_a_spoiled_document_is_told_and_nothing_else(seed: int, times: int) -> None:
    document, random = tomllib.loads(EXAMPLE), Random(seed)
    for _ in range(times):
        spoil(document, random)
    text = "\n".join(f"{json.dumps(key)} = {written(value)}" for key, value in document.items())
    folder = {
        "leaf-1.toml": text,
        "leaf-2.toml": EXAMPLE.replace("leaf-2", "leaf-1"),
        "common/leaf.toml": "",
    }
    assert all(problem.partition(":")[0] in folder for problem in problems(folder))


def problems(folder: dict[str, str]) -> tuple[str, ...]:
    try:
        load(folder)
    except Malformed as told:
        return told.problems
    return ()

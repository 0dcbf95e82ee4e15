"""The reference and the published schema say what documents may hold, and nothing else."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import pytest

from sekisho.devices.switch import schema
from sekisho.devices.switch.document import Connection, load
from sekisho.devices.switch.intent import KINDS
from sekisho.devices.switch.risk import RiskKind

REFERENCE = Path(__file__).parents[4] / "docs" / "reference"
PAGE = (REFERENCE / "switch-intent.md").read_text()
FENCE = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_published_schema_is_the_one_that_documents_are_read_by() -> None:
    published = json.loads((REFERENCE / "switch-intent.schema.json").read_text())
    assert published == schema.json_schema(), "write json.dumps(json_schema(), indent=2) to it"


def test_the_example_is_a_good_document() -> None:
    (example,) = FENCE.findall(PAGE)
    texts = {
        "leaf-1.toml": example,
        "leaf-2.toml": example.replace("leaf-2", "leaf-1").replace("10.0.0.1", "192.0.2.99"),
        "common/leaf.toml": "",
    }
    switches = load(texts)
    assert set(switches) == {"leaf-1", "leaf-2"}
    assert fits(tomllib.loads(example), schema.json_schema())
    assert not fits(tomllib.loads(example.replace('"trunk"', '"trunck"')), schema.json_schema())


@pytest.mark.parametrize("entry", schema.ENTRIES, ids=lambda e: ".".join(e.table))
def test_every_field_is_documented(entry: schema.Entry) -> None:
    assert f"[{'.'.join(entry.table)}" in PAGE
    for field in entry.fields:
        assert f"`{field}`" in PAGE


@pytest.mark.parametrize("table", schema.TABLES)
def test_every_key_of_the_tables_is_documented(table: str) -> None:
    section = PAGE.split(f"## `[{table}]`")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) - {"hosts"} == set(schema.TABLES[table])


def test_every_default_of_a_connection_is_documented_as_it_is() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", PAGE, re.MULTILINE))
    for name, field in Connection.__dataclass_fields__.items():
        words = {"empty": "", "true": True, "`auto`": "auto", "none": MISSING, "0": 0, "30": 30}
        assert words[told[name]] == field.default


def test_every_risk_is_documented() -> None:
    section = PAGE.split("| risk |")[1]
    assert set(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)) == set(RiskKind)


def test_every_kind_but_those_there_is_one_of_can_be_exclusive() -> None:
    assert set(schema.EXCLUSIVE.values()) == set(KINDS) - {"vpc", "system"}


TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float),
}  # fmt: skip


def fits(value: Any, wanted: dict[str, Any]) -> bool:
    """Check a value by as much of JSON schema as ours uses."""
    if "oneOf" in wanted:
        return sum(fits(value, one) for one in wanted["oneOf"]) == 1
    if "const" in wanted or "enum" in wanted:
        return bool(value in wanted.get("enum", [wanted.get("const")]))
    if not isinstance(value, TYPES[wanted["type"]]):
        return False
    if isinstance(value, dict):
        known, more = wanted.get("properties", {}), wanted.get("additionalProperties") or {"enum": []}
        return all(fits(v, known.get(k, more)) for k, v in value.items())
    if isinstance(value, list):
        return all(fits(v, wanted["items"]) for v in value)
    if isinstance(value, str):
        short = len(value) <= int(wanted.get("maxLength", 999))
        return short and re.match(wanted.get("pattern", ""), value) is not None
    return bool(wanted.get("minimum", value) <= value <= wanted.get("maximum", value))

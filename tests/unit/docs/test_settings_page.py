"""docs/reference/settings.md has every setting, its true default, and none that is gone."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import typing
from pathlib import Path

import pytest

from sekisho.app.settings import sections

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"
# Defaults that differ from machine to machine, as the page words them.
OF_THE_MACHINE = {
    "collector.name": "this machine's name",
    "agent.host": "this machine's name",
    "collector.detect.seed": "random",
}


def settings() -> dict[str, object]:
    """Tell every setting by its path, with its default."""
    found: dict[str, object] = {}
    for name, kind in sections().items():
        found |= _of(name, kind, kind())
    return found


def _of(path: str, kind: type, default: object) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, hint in typing.get_type_hints(kind).items():
        value = getattr(default, name)
        inner = f"{path}.{name}"
        found |= _of(inner, hint, value) if dataclasses.is_dataclass(value) else {inner: value}
    return found


def documented() -> dict[str, str]:
    """Read the page's rows: the default as it is written, by path."""
    found: dict[str, str] = {}
    section = ""
    for line in PAGE.read_text().splitlines():
        if heading := re.fullmatch(r"## `\[(.+)\]`", line):
            section = heading[1]
        elif row := re.fullmatch(r"\| `(\w+)` \| [^|]+ \| ([^|]+) \| .+ \|", line):
            path = f"{section}.{row[1]}"
            assert path not in found, f"{path} stands twice"
            found[path] = row[2].strip("`")
    return found


def test_the_page_has_every_setting_and_no_other() -> None:
    assert set(documented()) == set(settings())


@pytest.mark.parametrize("path", sorted(set(settings()) - set(OF_THE_MACHINE)))
def test_a_default_is_the_one_on_the_page(path: str) -> None:
    default = settings()[path]
    plain = list(default) if isinstance(default, tuple) else default
    assert tomllib.loads(f"x = {documented()[path]}")["x"] == plain


@pytest.mark.parametrize("path", sorted(OF_THE_MACHINE))
def test_a_default_of_the_machine_is_told_in_words(path: str) -> None:
    assert documented()[path] == OF_THE_MACHINE[path]

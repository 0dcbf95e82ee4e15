"""Settings files of others, written from plain values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sekisho.lab.openstack.settings import Ini


def ini(file: Path, base: Ini, *more: Mapping[str, Mapping[str, object]]) -> Path:
    """Write an oslo.config file; later sections win, option by option."""
    merged: Ini = {name: dict(options) for name, options in base.items()}
    for sections in more:
        for name, options in sections.items():
            merged.setdefault(name, {}).update(options)
    lines = []
    for name, options in merged.items():
        lines += [f"[{name}]", *(f"{key} = {_plain(value)}" for key, value in options.items()), ""]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines))
    return file


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(str(each) for each in value) if isinstance(value, (list, tuple)) else str(value)


def toml(file: Path, sections: Mapping[str, Mapping[str, object]]) -> Path:
    """Write a settings file of ours: tables of plain values, inner tables inline."""
    lines = []
    for name, options in sections.items():
        lines += [f"[{name}]", *(f"{key} = {_inline(value)}" for key, value in options.items()), ""]
    file.write_text("\n".join(lines))
    return file


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)

"""Plug points: what the entry points of this and other distributions offer."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from sekisho.model.errors import NotFound


def names(group: str) -> tuple[str, ...]:
    """List what is registered under ``sekisho.<group>``."""
    return tuple(sorted({e.name for e in entry_points(group=f"sekisho.{group}")}))


def load(group: str, name: str) -> Any:
    """Load one plugin of a group; raises NotFound naming what there is."""
    for entry in entry_points(group=f"sekisho.{group}", name=name):
        return entry.load()
    known = ", ".join(names(group)) or "none"
    raise NotFound(f"There is no {group} plugin named {name!r}; registered are: {known}.")

"""What a command prints: its text, and its structure where it has one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Output:
    """Text for people; `body` for programs, None for a command without structured output."""

    text: str
    body: dict[str, Any] | None = None

    def __str__(self) -> str:
        return self.text


def table(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Write a table as the box does: one row is an object, several are a list, none is nothing."""
    if not rows:
        return {}
    return {f"TABLE_{name}": {f"ROW_{name}": rows[0] if len(rows) == 1 else rows}}

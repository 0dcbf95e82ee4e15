"""A tree of managed objects as people can read it: one object a line, its attributes beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def sent_lines(text: str) -> list[str]:
    """Give what is sent, line by line: a tree (JSON of classes, attributes, children) shortened, else as is.

    Nothing is left out; the exact text is in the plan's JSON.
    """
    try:
        found = json.loads(text)
    except ValueError:
        return text.splitlines()
    return list(_objects(found, 0)) if _is_object(found) else text.splitlines()


def _is_object(value: Any) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(v, dict) and v.keys() <= {"attributes", "children"} for v in value.values())


def _objects(found: dict[str, Any], depth: int) -> Iterator[str]:
    for name, held in found.items():
        said = " ".join(f"{k}={_value(v)}" for k, v in held.get("attributes", {}).items())
        yield f"{'  ' * depth}{name} {said}".rstrip()
        for child in held.get("children", ()):
            yield from _objects(child, depth + 1)


def _value(value: Any) -> str:
    text = str(value)
    return json.dumps(text) if not text or " " in text or not text.isprintable() else text

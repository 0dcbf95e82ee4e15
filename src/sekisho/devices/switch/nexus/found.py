"""Looking into what a switch's tree answered: objects by class, numbers and flags in text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Object: TypeAlias = Mapping[str, str]
Found: TypeAlias = Mapping[str, list[Object]]


def many(found: Found, classname: str) -> list[Object]:
    """List the objects of a class."""
    return found.get(classname, [])


def number(it: Object, name: str) -> int:
    """Read a number; 0 where there is none."""
    text = it.get(name, "")
    return int(text) if text.isdigit() else 0


def said(it: Object, name: str) -> bool:
    """Read a flag in any of the ways in which the tree writes one."""
    return it.get(name, "").lower() in ("yes", "true", "enabled", "enable", "on")

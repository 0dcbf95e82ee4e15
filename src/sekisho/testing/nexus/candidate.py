"""What a configuration session holds until its commit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sekisho.testing.nexus.tree import Tree


@dataclass(eq=False, slots=True)
class Candidate:
    """A configuration session (from NX-OS 10.6(3)): lines that wait for their commit, and what they make."""

    name: str
    tree: Tree
    lines: list[str] = field(default_factory=list)

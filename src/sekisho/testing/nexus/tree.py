"""The box's configuration as Cisco's data model sees it: managed objects in a tree, named by their path (dn).

An object keeps only what was set; what was not is filled in from the schema when somebody asks. An attribute
that begins with an underscore is the box's own and never shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.schema import CLASSES, child_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_RN = re.compile(r"(?:[^/\[]|\[(?:[^\[\]]|\[[^\[\]]*\])*\])+")


@dataclass(slots=True)
class Node:
    """One managed object: its class, what was set, and its children by relative name."""

    cls: str
    attrs: dict[str, str] = field(default_factory=dict)
    kids: dict[str, Node] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Give an attribute, or what it is when nobody set it."""
        value = self.attrs.get(name)
        return CLASSES[self.cls].defaults.get(name, "") if value is None else value

    def all(self) -> dict[str, str]:
        """Give all attributes."""
        return {**CLASSES[self.cls].defaults, **self.attrs}

    def only(self, cls: str) -> Iterator[Node]:
        """List the children of a class."""
        return (kid for kid in self.kids.values() if kid.cls == cls)

    def copy(self) -> Node:
        """Give the same again, so that changing one leaves the other."""
        return Node(self.cls, dict(self.attrs), {rn: kid.copy() for rn, kid in self.kids.items()})


class Tree:
    """All of a box's managed objects, from ``sys`` down."""

    def __init__(self, root: Node | None = None) -> None:
        self.root = root or Node("topSystem")

    def copy(self) -> Tree:
        """Give a whole copy."""
        return Tree(self.root.copy())

    def find(self, dn: str) -> Node | None:
        """Give the object of a name, if it is there."""
        node: Node | None = self.root
        for rn in split(dn)[1:]:
            if node is None:
                return None
            node = node.kids.get(child_of(node.cls, rn)[1])
        return node

    def at(self, dn: str) -> Node:
        """Give the object of a name that must be there."""
        node = self.find(dn)
        if node is None:
            raise Refusal(f"{dn} does not exist")
        return node

    def ensure(self, dn: str) -> Node:
        """Give the object of a name, made with its parents if it is not there; raises Refusal for no name."""
        node = self.root
        for rn in split(dn)[1:]:
            cls, name, keys = child_of(node.cls, rn)
            if name not in node.kids:
                node.kids[name] = Node(cls, dict(keys))
            node = node.kids[name]
        return node

    def drop(self, dn: str) -> bool:
        """Take an object and all below it away; tells whether there was one."""
        above, _, rn = cut(dn)
        parent = self.find(above)
        if parent is None:
            return False
        return parent.kids.pop(child_of(parent.cls, rn)[1], None) is not None

    def below(self, dn: str, cls: str = "") -> Iterator[tuple[str, Node]]:
        """List an object and all below it, parents first, with their names; of one class if named."""
        node = self.find(dn)
        if node is not None:
            yield from _walk(dn, node, cls)


def _walk(dn: str, node: Node, cls: str) -> Iterator[tuple[str, Node]]:
    if not cls or node.cls == cls:
        yield dn, node
    for rn, kid in list(node.kids.items()):
        yield from _walk(f"{dn}/{rn}", kid, cls)


@lru_cache(16384)
def split(dn: str) -> tuple[str, ...]:
    """Split a name at its slashes, not at those in brackets; the first is ``sys``."""
    found = tuple(_RN.findall(dn))
    if not found or found[0] != "sys":
        raise Refusal(f"Invalid DN {dn}, wrong rn prefix")
    return found


def cut(dn: str) -> tuple[str, str, str]:
    """Cut a name before its last part: what is above, a slash, the part."""
    names = split(dn)
    return "/".join(names[:-1]), "/", names[-1]

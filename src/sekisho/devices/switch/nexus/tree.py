"""One tree of managed objects: built branch by branch, sent as one POST to ``/api/mo/sys.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

_SECRETS: Final = {"aaaUser": ("pwd",), "snmpCommSecP": ("name",), "snmpHost": ("commName",)}
_HIDDEN: Final = "***"


@dataclass(slots=True)
class Branch:
    """A managed object in the making: its class, its properties and what hangs under it."""

    classname: str
    properties: dict[str, str] = field(default_factory=dict)
    below: dict[tuple[str, ...], Branch] = field(default_factory=dict)

    def at(self, classname: str, **naming: str) -> Branch:
        """Give the child of a class with these naming properties, made when first asked for."""
        key = (classname, *naming.values())
        if key not in self.below:
            self.below[key] = Branch(classname, dict(naming))
        return self.below[key]

    def set(self, **properties: str) -> Branch:
        """Say properties of this object."""
        self.properties.update(properties)
        return self

    def gone(self) -> None:
        """Say that this object is to be removed, and with it all below."""
        self.properties["status"] = "deleted"
        self.below.clear()

    def plain(self, *, shown: bool = False) -> dict[str, Any]:
        """Give the tree as JSON is made of; `shown` hides secrets."""
        hidden = _SECRETS.get(self.classname, ()) if shown else ()
        body: dict[str, Any] = {}
        if self.properties:
            body["attributes"] = {k: _HIDDEN if k in hidden else v for k, v in self.properties.items()}
        if self.below:
            body["children"] = [child.plain(shown=shown) for child in self.below.values()]
        return {self.classname: body}


def root() -> Branch:
    """Begin a tree at the switch itself."""
    return Branch("topSystem")


def yes(flag: bool | None) -> str:  # noqa: FBT001 - a word for a flag
    """Write a flag as the tree does."""
    return "yes" if flag else "no"


def enabled(flag: bool | None) -> str:  # noqa: FBT001 - likewise
    """Write an administrative state as the tree does."""
    return "enabled" if flag else "disabled"

"""What a field of a document may hold: how it is read, and how its JSON schema says so."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Any, Final, Protocol

from sekisho.devices.switch import ace, vlans
from sekisho.model.errors import Malformed
from sekisho.model.units import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import StrEnum

    from sekisho.model.toml_sheet import Node

INTERFACE: Final = re.compile(
    r"(?:[A-Z][A-Za-z]*\d+(?:/\d+){0,3}(?:\.\d+)?|port-channel[1-9]\d{0,3}|[a-z][a-z0-9._-]{0,14})"
)


class Shape(Protocol):
    """Reads a value from a document's node, noting what is wrong with it there; None is nothing read."""

    def read(self, node: Node) -> Any:
        """Give the value for a noun's field."""
        ...

    def schema(self) -> dict[str, Any]:
        """Say what is taken, as JSON schema."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """Text of at most `most` characters, of `pattern` if there is one."""

    most: int = 254
    pattern: str = ""
    hint: str = 'write it in quotes: "...".'

    def read(self, node: Node) -> str | None:
        """See Shape."""
        text = node.text("", self.hint)
        if not isinstance(node.value, str):
            return None
        if len(text) > self.most:
            node.problem(f"is longer than {self.most} characters.")
        elif any(not c.isprintable() for c in text):
            node.problem("has characters that cannot be printed.")
        elif self.pattern and not re.fullmatch(self.pattern, text):
            node.problem(f'"{text}" does not fit; {self.hint}')
        else:
            return text
        return None

    def schema(self) -> dict[str, Any]:
        """See Shape."""
        found: dict[str, Any] = {"type": "string", "maxLength": self.most}
        return found | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, node: Node) -> bool | None:
        """See Shape."""
        if isinstance(node.value, bool):
            return node.value
        node.problem("must be true or false.")
        return None

    def schema(self) -> dict[str, Any]:
        """See Shape."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number within bounds."""

    low: int
    high: int

    def read(self, node: Node) -> int | None:
        """See Shape."""
        value = node.value
        if isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high:
            return value
        node.problem(f"must be a whole number from {self.low} to {self.high}.")
        return None

    def schema(self) -> dict[str, Any]:
        """See Shape."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Seconds:
    """Seconds within bounds, whole or not."""

    low: float
    high: float

    def read(self, node: Node) -> float | None:
        """See Shape."""
        value = node.value
        if isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high:
            return float(value)
        node.problem(f"must be seconds, from {self.low:g} to {self.high:g}.")
        return None

    def schema(self) -> dict[str, Any]:
        """See Shape."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Share:
    """A share of a line in per cent, read as hundredths of one: 1.5 is 150."""

    def read(self, node: Node) -> int | None:
        """See Shape."""
        value = node.value
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 100:
            return round(value * 100)
        node.problem("must be per cent, from 0 to 100 (100 does not limit).")
        return None

    def schema(self) -> dict[str, Any]:
        """See Shape."""
        return {"type": "number", "minimum": 0, "maximum": 100}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    words: type[StrEnum] | tuple[str, ...]

    def read(self, node: Node) -> Any:
        """See Shape."""
        text = node.text("", f"write one of {', '.join(self._listed())}.")
        if text in self._listed():
            return text if isinstance(self.words, tuple) else self.words(text)
        if isinstance(node.value, str):
            node.problem(
                f'"{text}" is none of {", ".join(self._listed())}; {did_you_mean(text, self._listed())}'
            )
        return None

    def schema(self) -> dict[str, Any]:
        """See Shape."""
        return {"enum": list(self._listed())}

    def _listed(self) -> tuple[str, ...]:
        return self.words if isinstance(self.words, tuple) else tuple(word.value for word in self.words)


@dataclass(frozen=True, slots=True)
class Said:
    """Text that a function reads, raising Malformed."""

    convert: Callable[[str], Any]
    example: str

    def read(self, node: Node) -> Any:
        """See Shape."""
        return node.quantity(self.convert, None, f"write for example {self.example}.")

    def schema(self) -> dict[str, Any]:
        """See Shape."""
        return {"type": "string", "examples": [self.example.strip('"')]}


@dataclass(frozen=True, slots=True)
class Several:
    """A list of values of one shape, none of them twice; `order` sorts where their order says nothing."""

    one: Shape
    example: str
    order: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None

    def read(self, node: Node) -> tuple[Any, ...] | None:
        """See Shape."""
        if not isinstance(node.value, list):
            node.problem(f"must be a list; write for example {self.example}.")
            return None
        found = [value for item in node.items() if (value := self.one.read(item)) is not None]
        seen: set[Any] = set()
        for value in found:
            if value in seen:
                node.problem(f"has {value} twice.")
            seen.add(value)
        return self.order(tuple(found)) if self.order else tuple(found)

    def schema(self) -> dict[str, Any]:
        """See Shape."""
        return {"type": "array", "items": self.one.schema(), "uniqueItems": True}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of named fields, which `make` turns into a noun."""

    fields: Mapping[str, Shape]
    make: Callable[..., Any] = field(default=dict)

    def read(self, node: Node) -> Any:
        """See Shape."""
        if not node.is_table("{ name = value }"):
            return None
        return self.make(**read_fields(node, self.fields))

    def schema(self) -> dict[str, Any]:
        """See Shape."""
        return object_schema(self.fields)


def read_fields(node: Node, known: Mapping[str, Shape]) -> dict[str, Any]:
    """Read what a table says of some fields; names that are not known are mistakes."""
    node.only(*known)
    return {
        name: value
        for name, shape in known.items()
        if node.has(name) and (value := shape.read(node.child(name))) is not None
    }


def object_schema(known: Mapping[str, Shape]) -> dict[str, Any]:
    """Say the fields of a table as JSON schema."""
    return {
        "type": "object",
        "properties": {name: shape.schema() for name, shape in known.items()},
        "additionalProperties": False,
    }


# Readers of single texts, each raising Malformed


def address(text: str) -> str:
    """Read an IP address into its usual writing."""
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise Malformed(f'"{text}" is no IP address.') from error


def host(text: str) -> str:
    """Read an IP address or the name of a host."""
    if re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", text):
        return text
    return address(text)


def hop(text: str) -> str:
    """Read a next hop: an address or "discard"."""
    return text if text == "discard" else address(text)


def interface_address(text: str) -> str:
    """Read an address with the length of its network."""
    try:
        if "/" not in text:
            raise Malformed(f'"{text}" lacks the length of its network; write for example "10.0.0.1/24".')
        return str(ip_interface(text))
    except ValueError as error:
        raise Malformed(f'"{text}" is no address: {error}.') from error


def prefix(text: str) -> str:
    """Read a network; one with bits beyond its length is a mistake."""
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise Malformed(f'"{text}" is no network: {error}.') from error


def interface(text: str) -> str:
    """Read the full name of an interface."""
    if INTERFACE.fullmatch(text):
        return text
    raise Malformed(
        f'"{text}" is no full name of an interface; write for example "Ethernet1/1" or "port-channel10".'
    )


VLAN: Final = Number(vlans.LOWEST, vlans.HIGHEST)
VLAN_SET: Final = Said(vlans.parse, '"10,20-29"')
ADDRESS: Final = Said(address, '"10.9.9.9"')
HOST: Final = Said(host, '"10.9.9.9"')
NAME: Final = Text(63, r"[A-Za-z0-9][A-Za-z0-9_.:-]*", "it is letters, digits and _ . : - and has no blank.")
REFERENCE: Final = Text(63, r"\S*", 'it is the name of an access list, or "" for none.')
VRF: Final = Text(63, r"\S+", "it is the name of a VRF.")


def lines(family: int) -> Several:
    """Give the shape of an access list's lines."""
    return Several(Said(lambda text: ace.parse(text, family), ace.EXAMPLE), f"[{ace.EXAMPLE}]", _by_sequence)


def _by_sequence(found: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(sorted(found, key=lambda line: line.sequence))

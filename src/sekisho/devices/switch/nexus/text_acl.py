"""A line of an access list as a configuration writes it in, its parts out."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from sekisho.devices.switch.intent import Ace
from sekisho.devices.switch.nexus.read import protocol, service

if TYPE_CHECKING:
    from collections.abc import Callable


def entry(line: str, family: int) -> Ace | None:
    """Read one line; None for a remark or an option of the whole list.

    What our parts cannot say (a flag, a port group) is kept in `protocol` as it was written: the line then
    equals none that an intent has, and goes back to the switch unchanged.
    """
    number, _, rest = line.partition(" ")
    action, _, said = rest.partition(" ")
    if not number.isdigit() or action not in ("permit", "deny"):
        return None
    try:
        return _ace(int(number), action == "permit", said.split(), family)
    except (ValueError, IndexError):
        return Ace(int(number), action == "permit", said)


def _ace(number: int, permit: bool, words: list[str], family: int) -> Ace:  # noqa: FBT001 - a field of the line
    kind = protocol(words.pop(0), family)
    source, source_port = _network(words, family), _ports(words)
    destination, destination_port = _network(words, family), _ports(words)
    established, log = _flag(words, "established"), _flag(words, "log")
    if words:
        raise ValueError(words)
    return Ace(number, permit, kind, source, destination, source_port, destination_port, established, log)


def _flag(words: list[str], word: str) -> bool:
    return words.pop(words.index(word)) == word if word in words else False


def _network(words: list[str], family: int) -> str:
    first = words.pop(0)
    if first == "any":
        return "any"
    read: Callable[[str], object] = ipaddress.IPv4Network if family == 4 else ipaddress.IPv6Network
    if first == "host":
        first = f"{words.pop(0)}/{32 if family == 4 else 128}"
    elif "/" not in first:  # an address and the bits that do not matter
        first = f"{first}/{words.pop(0)}"
    found = str(read(first))
    return "any" if found in ("0.0.0.0/0", "::/0") else found


def _ports(words: list[str]) -> str:
    match words[:1]:
        case ["eq"]:
            del words[:1]
            return _number(words.pop(0))
        case ["range"]:
            del words[:1]
            return f"{_number(words.pop(0))}-{_number(words.pop(0))}"
        case _:
            return ""


def _number(text: str) -> str:
    found = service(text)
    if not found.isdigit():
        raise ValueError(text)
    return found

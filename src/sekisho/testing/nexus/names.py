"""Names of interfaces in the box's two spellings, and sets of VLANs as it writes them."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from sekisho.testing.nexus.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

RESERVED = range(3968, 4095)
_KINDS = {"ethernet": "eth", "port-channel": "po", "vlan": "vlan", "loopback": "lo", "mgmt": "mgmt"}
_SHOWN = {"eth": "Ethernet", "po": "port-channel", "vlan": "Vlan", "lo": "loopback", "mgmt": "mgmt"}
_NAME = re.compile(r"([a-z-]+?)\s*(\d[\d/.]*)", re.IGNORECASE)


@lru_cache(16384)
def short(name: str) -> str:
    """Give an interface's name in the data model, ``eth1/1``, of any spelling; raises Refusal."""
    found = _NAME.fullmatch(name.strip())
    if found:
        word = found[1].lower()
        for kind, brief in _KINDS.items():
            if kind.startswith(word) and (len(word) > 1 or word in "ev"):
                return f"{brief}{found[2]}"
        if word in _SHOWN:
            return f"{word}{found[2]}"
    raise Refusal(f"% Invalid interface format: {name}")


@lru_cache(16384)
def full(brief: str) -> str:
    """Give an interface's name as the command line shows it, ``Ethernet1/1``, of the data model's."""
    kind = brief.rstrip("0123456789/.")
    return f"{_SHOWN.get(kind, kind)}{brief[len(kind) :]}"


def dn(brief: str) -> str:
    """Give the managed object of an interface by its name in the data model."""
    kind = brief.rstrip("0123456789/.")
    if kind == "mgmt":
        return f"sys/mgmt-[{brief}]"
    part = {"eth": "phys", "po": "aggr", "vlan": "svi", "lo": "lb"}[kind]
    return f"sys/intf/{part}-[{brief}]"


def sort_key(brief: str) -> tuple[int, ...]:
    """Order interfaces by their numbers."""
    return tuple(int(number) for number in re.findall(r"\d+", brief))


@lru_cache(256)
def vlan_set(text: str) -> frozenset[int]:
    """Read a list of VLANs, ``1-10,20``; raises Refusal."""
    found: set[int] = set()
    for item in text.replace(" ", "").split(","):
        first, dash, last = item.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise Refusal(f"% Invalid value/range: {text}")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= 4094:
            raise Refusal(f"% Invalid value/range: {text}")
        found.update(range(low, high + 1))
    return frozenset(found)


def vlan_text(ids: Iterable[int]) -> str:
    """Write a set of VLANs as the box does."""
    found: list[list[int]] = []
    for vlan in sorted(ids):
        if found and vlan == found[-1][1] + 1:
            found[-1][1] = vlan
        else:
            found.append([vlan, vlan])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in found)


def network(text: str, family: str) -> str:
    """Check a network of a family, ``ipv4`` or ``ipv6``, and write it as the box does; raises Refusal."""
    try:
        found = ipaddress.ip_network(text)
    except ValueError as wrong:
        raise Refusal(f"% Invalid prefix {text}") from wrong
    if f"ipv{found.version}" != family:
        raise Refusal(f"% Invalid prefix {text}")
    return str(found)


def interface(text: str, family: str) -> str:
    """Check an address with its prefix length and write it as the box does; raises Refusal."""
    try:
        found = ipaddress.ip_interface(text)
    except ValueError as wrong:
        raise Refusal(f"% Invalid address {text}") from wrong
    if f"ipv{found.version}" != family or "/" not in text:
        raise Refusal(f"% Invalid address {text}")
    return str(found)


def address(text: str) -> str:
    """Check an address and write it as the box does; raises Refusal."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as wrong:
        raise Refusal(f"% Invalid host/ip address {text}") from wrong

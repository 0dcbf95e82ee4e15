"""Keys and steps in the operator's words; what is secret is named and never shown."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch import ace, vlans
from sekisho.devices.switch.intent import Ace, Feature, Storm, key, mentioned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sekisho.devices.switch.driver import Step
    from sekisho.devices.switch.intent import Key, Part

# Fields whose values nobody but the switch may see.
SECRET: Final = frozenset({"password", "community"})

_NAMES: Final[Mapping[str, str]] = {
    "vlan": "VLAN {1}",
    "vrf": "VRF {1}",
    "vpc": "vPC domain",
    "acl": "access list {2} (IPv{1})",
    "route": "route {2} (VRF {1})",
    "svi": "interface of VLAN {1}",
    "ntp": "time server {1}",
    "dns": "name server {2} (VRF {1})",
    "syslog": "log server {1}",
    "community": "SNMP community",  # its name is its password
    "trap": "SNMP receiver {1}",
    "system": "system",
}
_SETS: Final = frozenset({"allowed"})
_NAMING: Final = frozenset({"name", "id", "vlan", "family", "prefix", "address"})


def name(key: Key) -> str:
    """Name a part: ``VLAN 10``, ``port Ethernet1/1``."""
    return _NAMES.get(key[0], "{0} {1}").format(*key)


def sentence(step: Step) -> str:
    """Say what a step does: ``VLAN 10: name web -> front``."""
    before, after = step.before, step.after
    part = after if after is not None else before
    if part is None:
        return "nothing"
    return f"{name(key(part))}: {_way(before, after)}"


def _way(before: Part | None, after: Part | None) -> str:
    if after is None:
        return "removed"
    if isinstance(after, Feature):
        return "on" if after.enabled else "off"
    if before is None:
        return ", ".join(["new", *_said(after)])
    changed = [f for f in before.__dataclass_fields__ if getattr(before, f) != getattr(after, f)]
    if "channel" in changed:
        return _membership(before, after, changed)
    said = (_change(f, getattr(before, f), getattr(after, f)) for f in changed)
    return ", ".join(text for text in said if text) or "is told again what it has"


def _membership(before: Part, after: Part, changed: list[str]) -> str:
    """Say that a port joins or leaves a channel: what it then has of the channel goes without saying."""
    old, new = getattr(before, "channel", ""), getattr(after, "channel", "")
    own = [
        _change(f, getattr(before, f), getattr(after, f)) for f in changed if f in ("description", "enabled")
    ]
    return ", ".join([f"joins {new}" if new else f"leaves {old}", *own])


def _said(part: Part) -> Iterator[str]:
    unsaid = _NAMING - {"name"} if part.kind == "vlan" else _NAMING
    for field, value in mentioned(part).items():
        empty = value in ("", ()) or (value == 0 and value is not False)
        if field not in unsaid and not empty:
            yield f"{_label(field)} {_value(field, value)}"


def _change(field: str, old: Any, new: Any) -> str:
    if field in SECRET:
        return f"{_label(field)} changes"
    if field in _SETS and old is not None and new is not None:
        return _moved(_label(field), vlans.without(new, old), vlans.without(old, new))
    if isinstance(old, tuple) and isinstance(new, tuple):
        gained = ", ".join(_one(v) for v in new if v not in old)
        return _moved(_label(field), gained, ", ".join(_one(v) for v in old if v not in new))
    if old is None and new in ("", (), 0, False):
        return ""
    if old is None:
        return f"{_label(field)} {_value(field, new)}"
    return f"{_label(field)} {_value(field, old)} -> {_value(field, new)}"


def _moved(label: str, gained: str, lost: str) -> str:
    signs = [f"+{gained}"] * bool(gained) + [f"-{lost}"] * bool(lost)
    return f"{label} {' '.join(signs) or 'in another order'}"


def _label(field: str) -> str:
    return field.replace("_", " ")


def _value(field: str, value: Any) -> str:
    if field in SECRET:
        return "(secret)"
    if isinstance(value, tuple):
        return "(" + ", ".join(_one(v) for v in value) + ")"
    return _one(value)


def _one(value: Any) -> str:
    match value:
        case Ace():
            return ace.write(value)
        case Storm():
            return _storm(value)
        case Enum():
            return str(value.value)
        case bool():
            return "yes" if value else "no"
        case "":
            return "none"
        case _:
            return str(value)


def _storm(storm: Storm) -> str:
    levels = {f: getattr(storm, f) for f in Storm.__dataclass_fields__}
    return " ".join(f"{f} {v / 100:g} %" for f, v in levels.items() if v is not None) or "none"

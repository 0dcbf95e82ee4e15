"""A switch as it is, taken as what it should be: State in, Intent or the text of a document out."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch import ace
from sekisho.devices.switch.intent import Ace, Feature, Intent, Port, PortMode, Storm, Vpc
from sekisho.devices.switch.overlay import FIXED, MIRRORED, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sekisho.devices.switch.document import Connection
    from sekisho.devices.switch.intent import Key, Part, State

# What a port has besides when it is switched; a routed one's are what it would have.
SWITCHED: Final = ("access", "native", "allowed", "edge", "bpdu_guard", "storm")

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_UNLIMITED: Final = 10000
# The order of a document, and where each kind stands in it.
_TABLES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("system", ("system",)),
    ("feature", ("feature",)),
    ("vrf", ("vrf",)),
    ("vlan", ("vlan",)),
    ("acl", ("acl",)),
    ("port", ("port",)),
    ("svi", ("svi",)),
    ("route", ("route",)),
    ("ntp", ("ntp",)),
    ("dns", ("dns",)),
    ("syslog", ("syslog",)),
    ("community", ("snmp", "community")),
    ("trap", ("snmp", "trap")),
    ("user", ("user",)),
)
_NAMING: Final = frozenset({"kind", "name", "id", "vlan", "family", "vrf", "prefix", "address"})
# Fields of these kinds are not part of their names, though others' are.
_SAID: Final = {"vlan": {"name"}, "svi": {"vrf"}, "ntp": {"vrf"}, "syslog": {"vrf"}, "trap": {"vrf"}}


def taken(state: State, switch: str) -> Intent:
    """Take what a switch is as what it should be; of each fact only the one end that says it."""
    said = {k: _said(part) for k, part in state.parts.items() if k not in FIXED or k == ("system",)}
    return Intent(switch, said)


def export(state: State, connection: Connection) -> str:
    """Write a state as the text of a switch's document; it holds the switch's secrets.

    What is off, empty or unlimited is left out, unless a switch has it on when told nothing.
    """
    intent = taken(state, state.facts.hostname)
    blocks = [_table(("connect",), _connection(connection)), *_pair(intent)]
    for kind, table in _TABLES:
        chosen = {k: p for k, p in intent.parts.items() if k[0] == kind}
        blocks += _parts(table, sorted(chosen.items(), key=lambda item: in_turn(item[0])))
    return "\n\n".join(blocks) + "\n"


def _said(part: Part) -> Part:
    if not isinstance(part, Port):
        return part
    unsaid = {"channel", *(MIRRORED if part.channel else ())}
    if part.mode is PortMode.ROUTED:
        unsaid |= set(SWITCHED)
    blank: dict[str, Any] = {f.name: None for f in fields(part) if f.name in unsaid}
    return replace(part, **blank)


def _connection(connection: Connection) -> dict[str, Any]:
    usual = {f.name: f.default for f in fields(connection)}
    return {f: v for f in usual if (v := getattr(connection, f)) != usual[f]}


def _pair(intent: Intent) -> Iterator[str]:
    vpc = intent.parts.get(("vpc",))
    if isinstance(vpc, Vpc):
        said = {
            f.name: v for f in fields(vpc) if f.name != "kind" and (v := getattr(vpc, f.name)) is not None
        }
        ends = {f: said.pop(f) for f in ("destination", "source", "vrf") if said.get(f)}
        for empty in ("destination", "source", "vrf"):
            said.pop(empty, None)
        said |= {"keepalive": ends} if ends else {}
        yield '# The other switch of the pair, by the name of its own document:\n# peer = ""\n' + _table(
            ("pair",), said
        )


def _parts(table: tuple[str, ...], chosen: Sequence[tuple[Key, Part]]) -> Iterator[str]:
    """Write all parts of a kind: ports and SVIs a table each, the rest a line each."""
    if table[0] in ("port", "svi", "system"):
        for subject, part in chosen:
            yield _table((*table, *subject[1:]), _fields(part))
        return
    groups: dict[tuple[str, ...], list[str]] = {}
    for subject, part in chosen:
        *above, last = subject[1:]
        if table == ("acl",):
            above = [f"ipv{above[0]}"]
        groups.setdefault((*table, *above), []).append(f"{_name(last)} = {_line(part)}")
    for path, lines in groups.items():
        yield "\n".join([f"[{_path(path)}]", *lines])


def _line(part: Part) -> str:
    said = _fields(part)
    if isinstance(part, Feature):
        said = {"enabled": bool(part.enabled)}
    if set(said) == {"entries"}:
        return "[" + "".join(f"\n    {_value(line)}," for line in said["entries"]) + "\n]"
    if said.keys() == {"via", "preference"} and said["preference"] == 1:
        return _value(said["via"])
    return _value(said)


def _fields(part: Part) -> dict[str, Any]:
    naming = _NAMING - _SAID.get(part.kind, set())
    found = {}
    for f in fields(part):
        value = getattr(part, f.name)
        if f.name in naming or value is None or (_off(value) and f.name not in _ON):
            continue
        found[f.name] = value
    return found


# What a switch may have, or be, though nothing was said: that it is off must be said.
_ON: Final = frozenset({"enabled", "allowed", "lacp", "entries", "via"})


def _off(value: Any) -> bool:
    if isinstance(value, Storm):
        return all(getattr(value, f.name) in (None, _UNLIMITED) for f in fields(value))
    return value in ("", (), 0, False)


def _table(path: tuple[str, ...], said: dict[str, Any]) -> str:
    return "\n".join([f"[{_path(path)}]", *(f"{f} = {_value(v)}" for f, v in said.items())])


def _path(path: tuple[str, ...]) -> str:
    return ".".join(_name(p) for p in path)


def _name(text: str) -> str:
    return text if _BARE.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Enum():
            return _quoted(value.value)
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case Ace():
            return _quoted(ace.write(value))
        case Storm():
            levels = {f.name: v / 100 for f in fields(value) if (v := getattr(value, f.name)) is not None}
            return _value(levels)
        case dict():
            inner = ", ".join(f"{f} = {_value(v)}" for f, v in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case tuple():
            return "[" + ", ".join(_value(v) for v in value) + "]"
        case _:
            return _quoted(str(value))

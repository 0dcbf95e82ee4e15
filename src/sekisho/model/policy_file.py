"""Policy files: TOML text to policies and baselines, with every mistake told by line and path.

The format is documented in ``docs/reference/policies.md``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from sekisho.model import units
from sekisho.model.errors import Malformed
from sekisho.model.policy import (
    KINDS,
    LEAST_RATE,
    PORTLESS,
    Action,
    Baseline,
    Condition,
    Direction,
    Drop,
    Mode,
    Police,
    Policy,
    Protocol,
    Scope,
    Step,
    Threshold,
    Unit,
)
from sekisho.model.toml_sheet import Node, complaints, open_sheet

Loaded = tuple[tuple[Policy, ...], tuple[Baseline, ...]]

# Where a condition says no `clear`, it clears at this share of its line.
CLEAR: Final = 0.8
DEFAULT: Final = Policy("", (), ())

_POLICY_KEYS: Final = (
    "description", "mode", "scope", "destinations", "confidence", "for", "memory", "backoff", "max_duration",
    "extend", "early_release", "when", "then",
)  # fmt: skip
_WHEN_KEYS: Final = ("detector", "threshold", "clear", "window")
_ACTION_KEYS: Final = ("drop", "limit", "burst", "direction")
_THEN_KEYS: Final = ("warn", "for", *_ACTION_KEYS)
_BASELINE_KEYS: Final = ("description", "scope", *_ACTION_KEYS)
_SCOPE_KEYS: Final = tuple(KINDS)
_YOUNGER: Final = "project_younger_than"
_METERED: Final = "metered-"
_BOTH: Final = (Direction.EGRESS, Direction.INGRESS)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_SERVICE: Final = re.compile(r"([a-z]+)(?:/(\d{1,5})(?:-(\d{1,5}))?)?")
_SERVICE_EXAMPLE: Final = 'write for example "tcp/25", "udp/6000-6010", "icmp" or "any"'


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What detectors there are, by unit, and the largest amount some of them can count to."""

    detectors: Mapping[str, Unit]
    largest: Mapping[str, float]


def parse(
    text: str, detectors: Mapping[str, Unit], source: str, largest: Mapping[str, float] | None = None
) -> Loaded:
    """Read one file's text; raises Malformed whose `problems` are all mistakes, each with line and path."""
    return load({source: text}, detectors, largest)


def load(
    files: Mapping[str, str], detectors: Mapping[str, Unit], largest: Mapping[str, float] | None = None
) -> Loaded:
    """Read files, by name, as one set: all of them or, raising Malformed with every mistake, none."""
    catalogue = Catalogue(detectors, largest or {})
    policies: list[Policy] = []
    baselines: list[Baseline] = []
    seen: dict[tuple[str, str], str] = {}
    sheets = [open_sheet(text, source) for source, text in files.items()]
    for sheet in sheets:
        root = sheet.root()
        root.only("policy", "baseline")
        policies.extend(_policy(node, catalogue) for node in _named(root, "policy", seen))
        baselines.extend(_baseline(node) for node in _named(root, "baseline", seen))
    problems = complaints(sheets)
    if problems:
        count = f"{len(problems)} mistake{'s' * (len(problems) != 1)}"
        raise Malformed(
            f"The policies have {count}; none of them was taken over.", "\n".join(problems), problems
        )
    return tuple(policies), tuple(baselines)


def _named(root: Node, kind: str, seen: dict[tuple[str, str], str]) -> list[Node]:
    """List the tables ``[kind.NAME]``; a name stands once in all files together."""
    found = []
    for node in root.child(kind).children():
        name = str(node.path[-1])
        if not _NAME.fullmatch(name):
            node.problem(
                'a name is up to 63 letters, digits, "-" and "_", and begins with a letter or digit.'
            )
        elif (kind, name) in seen:
            node.problem(f"stands already at {seen[kind, name]}; rename or remove one of the two.")
        else:
            seen[kind, name] = node.place
        if node.is_table(f"[{kind}.{name}]"):
            found.append(node)
    return found


def _policy(node: Node, catalogue: Catalogue) -> Policy:
    node.only(*_POLICY_KEYS)
    conditions = tuple(_condition(n, catalogue) for n in _tables(node, "when", "says what must be crossed"))
    measured = _measured(conditions)
    metered = {c.detector.startswith(_METERED) for c in conditions if c.detector}
    if len(metered) > 1:
        node.problem("measures partly by flows and partly by counters; write a policy for each.")
    most = _duration(node, "max_duration", DEFAULT.max_duration)
    return Policy(
        name=str(node.path[-1]),
        conditions=conditions,
        ladder=tuple(_step(n, measured, most) for n in _tables(node, "then", "says what follows")),
        mode=Mode(_choice(node, "mode", tuple(Mode), DEFAULT.mode)),
        scope=_scope(node.child("scope")),
        description=node.child("description").text(""),
        destinations=cast(
            "Literal['internet', 'any']", _choice(node, "destinations", ("internet", "any"), "internet")
        ),
        confidence=_confidence(node.child("confidence")),
        windows=_windows(node.child("for")),
        memory=_duration(node, "memory", DEFAULT.memory),
        backoff=_backoff(node.child("backoff")),
        max_duration=most,
        extend=_extend(node.child("extend")),
        early_release=_duration(node, "early_release", DEFAULT.early_release),
    )


def _baseline(node: Node) -> Baseline:
    node.only(*_BASELINE_KEYS)
    actions = _actions(node, None)
    if not actions and not (node.has("drop") or node.has("limit")):
        node.problem('does nothing; add for example drop = ["tcp/25"] or limit = "100 Mbit/s".')
    return Baseline(
        name=str(node.path[-1]),
        actions=actions,
        scope=_scope(node.child("scope")),
        description=node.child("description").text(""),
    )


def _tables(node: Node, key: str, purpose: str) -> list[Node]:
    """List the tables ``[[....key]]`` of a policy; there must be one."""
    list_node = node.child(key)
    header = f"[[{node.shown}.{key}]]"
    if not list_node.present:
        node.problem(f"has no {header}, which {purpose}.")
        return []
    if not isinstance(list_node.value, list) or not list_node.value:
        list_node.problem(f"must be one or more tables {header}.")
        return []
    return [n for n in list_node.items() if n.is_table(header)]


# Conditions


def _condition(node: Node, catalogue: Catalogue) -> Condition:
    node.only(*_WHEN_KEYS)
    detector = _detector(node, catalogue)
    unit = catalogue.detectors.get(detector)
    window = node.child("window").quantity(_optional_duration, None, 'write for example "10s".')
    if unit is None:  # the threshold cannot be judged, only missed
        node.child("threshold").required('add for example threshold = "60/min".')
        return Condition(detector, Threshold(0, 0, Unit.COUNT))
    line = node.child("threshold")
    example = f"write for example {units.EXAMPLES[unit]}."
    found = line.quantity(lambda text: units.threshold(text, unit, window), None, example, needed=True)
    if found is None:
        return Condition(detector, Threshold(0, 0, unit))
    most = catalogue.largest.get(detector)
    if most is not None and found.amount > most:
        line.problem(f"{detector} counts to {most:g} within a window and no further.")
    return Condition(detector, found, _clear(node.child("clear"), found))


def _optional_duration(text: str) -> float | None:
    return units.duration(text)


def _detector(node: Node, catalogue: Catalogue) -> str:
    child = node.child("detector")
    if not child.required(
        f'add for example detector = "{next(iter(catalogue.detectors), "smtp-connections")}".'
    ):
        return ""
    name = child.text("")
    if isinstance(child.value, str) and name not in catalogue.detectors:
        child.problem(f'there is no detector "{name}"; {units.did_you_mean(name, catalogue.detectors)}')
    return name


def _clear(node: Node, line: Threshold) -> float:
    example = f"write for example {units.EXAMPLES[line.unit]}."
    amount = node.quantity(
        lambda text: units.amount_within(text, line.unit, line.window), line.amount * CLEAR, example
    )
    if amount > line.amount:
        node.problem("clears over the threshold; it must be at or under it.")
    return amount


def _measured(conditions: tuple[Condition, ...]) -> frozenset[Direction]:
    """Tell which way the traffic goes that the conditions measure; a detector's name says it."""
    found: set[Direction] = set()
    for name in (c.detector.removeprefix(_METERED) for c in conditions if c.detector):
        if name == "bytes":
            found.update(_BOTH)
        else:
            found.add(Direction.INGRESS if name.startswith("ingress-") else Direction.EGRESS)
    return frozenset(found)


# Steps and actions


def _step(node: Node, measured: frozenset[Direction], most: float) -> Step:
    node.only(*_THEN_KEYS)
    actions = _actions(node, measured)
    acts = node.has("drop") or node.has("limit")
    warn = node.child("warn")
    if warn.present and warn.value is not True:
        warn.problem("can only be true; leave it out where something else is done.")
    elif warn.present and acts:
        warn.problem("stands alone: what binds is told to the customer anyway.")
    elif not warn.present and not acts:
        node.problem('does nothing; add warn = true, drop = ["tcp/25"] or limit = "10 Mbit/s".')
    lasts = node.child("for")
    duration = lasts.quantity(units.duration, 0.0, 'write for example "24h".', needed=True)
    if duration > most:
        lasts.problem("is longer than the policy's max_duration; raise that or shorten this.")
    return Step(actions, duration)


def _actions(node: Node, measured: frozenset[Direction] | None) -> tuple[Action, ...]:
    """Read drop and limit; `measured` is None where nothing is measured (a baseline)."""
    directions = _directions(node, measured)
    drops = [a for n in _one_or_more(node.child("drop")) for a in _drops(n, directions)]
    return (*drops, *_police(node, directions))


def _directions(node: Node, measured: frozenset[Direction] | None) -> tuple[Direction, ...]:
    child = node.child("direction")
    if not child.present:
        usual = tuple(d for d in _BOTH if d in (measured or ()))
        return usual if len(usual) == 1 else (Direction.EGRESS,)
    chosen = _choice(node, "direction", ("egress", "ingress", "both"), "both")
    directions = _BOTH if chosen == "both" else (Direction(chosen),)
    if not (node.has("drop") or node.has("limit")):
        child.problem("belongs to drop or limit, and there is neither.")
    elif measured and measured.isdisjoint(directions):
        seen = next(iter(measured)).value
        child.problem(f'binds {chosen} while the conditions measure {seen}; write "{seen}" or "both".')
    return directions


def _one_or_more(node: Node) -> list[Node]:
    if node.present and isinstance(node.value, list):
        if not node.value:
            node.problem(f"is empty; {_SERVICE_EXAMPLE}.")
        return list(node.items())
    return [node] if node.present else []


def _drops(node: Node, directions: tuple[Direction, ...]) -> list[Drop]:
    text = node.text("", _SERVICE_EXAMPLE + ".")
    if not isinstance(node.value, str):
        return []
    match = _SERVICE.fullmatch(text.strip())
    names = [p.value for p in Protocol]
    if match is None or match[1] not in names:
        hint = units.did_you_mean(match[1], names) if match else f"{_SERVICE_EXAMPLE}."
        node.problem(f'"{text}" is no protocol and port; {hint}')
        return []
    protocol = Protocol(match[1])
    first, last = int(match[2] or 0), int(match[3] or match[2] or 0)
    if match[2] and protocol in PORTLESS:
        node.problem(f'{protocol} has no ports; write "{protocol}".')
    elif match[2] and not 1 <= first <= last <= 65535:
        node.problem("ports are 1 to 65535, the lower one first.")
    return [Drop(protocol, d, first, last) for d in directions]


def _police(node: Node, directions: tuple[Direction, ...]) -> list[Police]:
    limit, burst = node.child("limit"), node.child("burst")
    if not limit.present:
        if burst.present:
            burst.problem("belongs to limit, and there is none.")
        return []
    rate = limit.quantity(units.bit_rate, None, 'write for example "10 Mbit/s".')
    size = burst.quantity(units.bits, 0, 'write for example "1 MB".')
    if rate is None:
        return []
    if rate < LEAST_RATE:
        limit.problem("is less than 1 kbit/s, the least a switch can meter; drop instead.")
    return [Police(rate, d, size) for d in directions]


# Single values


def _scope(node: Node) -> Scope:
    if not node.present or not node.is_table('{ projects = ["name"] }'):
        return Scope()
    node.only(*_SCOPE_KEYS, _YOUNGER, "exclude")
    exclude = node.child("exclude")
    excludes: dict[str, tuple[str, ...]] = {}
    if exclude.present and exclude.is_table('{ projects = ["name"] }'):
        exclude.only(*_SCOPE_KEYS)
        excludes = {f"exclude_{k}": exclude.child(k).names() for k in _SCOPE_KEYS}
    includes: dict[str, tuple[str, ...]] = {k: node.child(k).names() for k in _SCOPE_KEYS}
    return Scope(**includes, **excludes, younger=_duration(node, _YOUNGER, 0.0))


def _choice(node: Node, key: str, choices: tuple[str, ...], default: str) -> str:
    child = node.child(key)
    listed = ", ".join(f'"{c}"' for c in choices)
    chosen = child.text(default, f"write one of {listed}.")
    if chosen in choices:
        return chosen
    child.problem(f'"{chosen}" is none of {listed}; {units.did_you_mean(chosen, choices)}')
    return default


def _duration(node: Node, key: str, default: float) -> float:
    return node.child(key).quantity(units.duration, default, 'write for example "24h".')


def _confidence(node: Node) -> float:
    value = node.value
    if isinstance(value, str):
        value = node.quantity(lambda t: units.amount_within(t, Unit.RATIO, 1.0), DEFAULT.confidence, "")
    share = _number(node, value, DEFAULT.confidence, 'write for example "95 %" or 0.95.')
    if not 0.5 <= share <= 0.9999:
        node.problem('must be from "50 %" to "99.99 %".')
    return share


def _extend(node: Node) -> bool:
    value = node.value if node.present else DEFAULT.extend
    if not isinstance(value, bool):
        node.problem("must be true or false.")
    return bool(value)


def _windows(node: Node) -> int:
    value = node.value if node.present else DEFAULT.windows
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 3600:
        return value
    node.problem(
        "is how many closed seconds in a row the line must be crossed: a whole number from 1 to 3600."
    )
    return DEFAULT.windows


def _backoff(node: Node) -> float:
    factor = _number(node, node.value, DEFAULT.backoff, "write for example 2.")
    if not 1 <= factor <= 100:
        node.problem("must be from 1 (never longer) to 100.")
    return factor


def _number(node: Node, value: Any, default: float, hint: str) -> float:
    if not node.present:
        return default
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(min(max(value, -1e18), 1e18))
    node.problem(f"must be a number; {hint}")
    return default

"""A restriction as Neutron's API shows it, and actions as it is asked for them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sekisho.model.errors import Malformed
from sekisho.model.policy import Action, Direction, Drop, Police, Protocol, unfit
from sekisho.model.wording import crossings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sekisho.model.restriction import Evidence, Restriction

DROP: Final = "drop"
LIMIT: Final = "limit"
_DROP_KEYS: Final = ("action", "direction", "protocol", "port_range_min", "port_range_max")
_LIMIT_KEYS: Final = ("action", "direction", "max_kbps", "max_burst_kbits")


def to_resource(entry: Restriction, project: str) -> dict[str, Any]:
    """Show a restriction; `project` is the one that owns its port now."""
    return {
        "id": entry.id,
        "port_id": entry.subject,
        "project_id": project,
        "tenant_id": project,
        "actions": [to_action(a) for a in entry.actions],
        "reason": entry.reason,
        "duration": round(entry.duration),
        "state": entry.state.value,
        "policy": entry.policy,
        "origin": "automatic" if entry.automatic else "operator",
        "offence": entry.offence,
        "evidence": sentence(entry.evidence),
        "created_at": moment(entry.created),
        "in_force_at": moment(entry.in_force),
        "expires_at": moment(entry.until),
        "ended_at": moment(entry.ended),
        "dropped_packets": entry.dropped_packets,
        "dropped_bytes": entry.dropped_bytes,
        "revision_number": entry.revision,
    }


def to_short(entry: Restriction) -> dict[str, Any]:
    """Show a restriction among its port's own attributes."""
    return {
        "id": entry.id,
        "actions": [to_action(a) for a in entry.actions],
        "reason": entry.reason,
        "expires_at": moment(entry.until),
    }


def to_action(action: Action) -> dict[str, Any]:
    """Show an action."""
    match action:
        case Drop(protocol, direction, first, last):
            shown: dict[str, Any] = {"action": DROP, "direction": direction.value, "protocol": protocol.value}
            ports = {"port_range_min": first, "port_range_max": last or first} if first else {}
            return shown | ports
        case Police(rate, direction, burst):
            shown = {"action": LIMIT, "direction": direction.value, "max_kbps": rate // 1000}
            return shown | ({"max_burst_kbits": burst // 1000} if burst else {})


def from_actions(given: Any) -> tuple[Action, ...]:
    """Read the actions of a request; raises Malformed naming every mistake by its place."""
    if not isinstance(given, list):
        raise Malformed("actions: is a list.")
    problems: list[str] = []
    actions: list[Action] = []
    for i, each in enumerate(given):
        try:
            actions.append(_from_action(each))
        except Malformed as error:
            problems.append(f"actions[{i}]: {error.asker}")
    if problems:
        raise Malformed(" ".join(problems), problems=tuple(problems))
    return tuple(actions)


def _from_action(given: Any) -> Action:
    if not isinstance(given, dict):
        raise Malformed("is an object with an action.")
    kinds: dict[str, Callable[[Mapping[str, Any]], Action]] = {DROP: _drop, LIMIT: _limit}
    kind = given.get("action")
    if kind not in kinds:
        raise Malformed(f"action is {' or '.join(kinds)}, not {kind!r}.")
    action = kinds[kind](given)
    if problem := unfit(action):
        raise Malformed(problem)
    return action


def _drop(given: Mapping[str, Any]) -> Drop:
    _known(given, _DROP_KEYS)
    first = _number(given, "port_range_min")
    last = _number(given, "port_range_max") or first
    protocol = _choice(given, "protocol", [p.value for p in Protocol])
    return Drop(Protocol(protocol), _direction(given), first, last)


def _limit(given: Mapping[str, Any]) -> Police:
    _known(given, _LIMIT_KEYS)
    burst = _number(given, "max_burst_kbits")
    return Police(_number(given, "max_kbps") * 1000, _direction(given), burst * 1000)


def _direction(given: Mapping[str, Any]) -> Direction:
    return Direction(_choice(given, "direction", [d.value for d in Direction]))


def _choice(given: Mapping[str, Any], key: str, choices: Sequence[str]) -> str:
    value = given.get(key)
    if value not in choices:
        raise Malformed(f"{key} is one of {', '.join(choices)}, not {value!r}.")
    return str(value)


def _number(given: Mapping[str, Any], key: str) -> int:
    value = given.get(key, 0)
    if isinstance(value, str) and value.isdecimal():  # as some clients of Neutron send numbers
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 40:
        raise Malformed(f"{key} is a whole number, not {value!r}.")
    return value


def _known(given: Mapping[str, Any], keys: Sequence[str]) -> None:
    if unknown := sorted(set(given) - set(keys)):
        raise Malformed(f"unknown {', '.join(unknown)}; known are {', '.join(keys)}.")


def moment(seconds: float) -> str | None:
    """Write unix seconds as Neutron writes moments; 0 is none."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None


def sentence(evidence: Evidence | None) -> str:
    """Say in one sentence what was measured against which line; empty where a person decided."""
    if evidence is None:
        return ""
    start, end = moment(evidence.window_start), moment(evidence.window_end)
    return f"{crossings(evidence)}, measured from {start} to {end}."

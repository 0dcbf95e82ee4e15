"""A policy in, the text of a policy file out: `policy_file` reads the same policy from it again."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sekisho.model import units
from sekisho.model.errors import Malformed
from sekisho.model.policy import KINDS, Direction, Drop, Police, Policy, Unit
from sekisho.model.policy_file import CLEAR, DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.model.policy import Action, Condition, Scope, Step, Threshold

_SPANS: Final = ((86400, "d"), (3600, "h"), (60, "min"))
_PREFIXES: Final = ((10**9, "G"), (10**6, "M"), (10**3, "k"))
_AMOUNTS: Final = {Unit.COUNT: "", Unit.BYTES: " B", Unit.PACKETS: " packets"}
# Which settings of a policy stand under another name, or as they are.
_SPANNING: Final = ("memory", "max_duration", "early_release")
_PLAIN: Final = {"windows": "for", "destinations": "destinations", "confidence": "confidence",
                 "backoff": "backoff", "extend": "extend"}  # fmt: skip


def write(policy: Policy) -> str:
    """Write a policy; what is as it is anyway is left out, but for the mode."""
    name = f"policy.{policy.name}"
    lines = [f"[{name}]"]
    if policy.description:
        lines.append(f"description = {_value(policy.description)}")
    lines.append(f'mode = "{policy.mode}"')
    scope = _scope(policy.scope)
    if scope:
        lines.append(f"scope = {scope}")
    for field, key in _PLAIN.items():
        given = getattr(policy, field)
        if given != getattr(DEFAULT, field):
            lines.append(f"{key} = {_value(given)}")
    for field in _SPANNING:
        given = getattr(policy, field)
        if given != getattr(DEFAULT, field):
            lines.append(f'{field} = "{_span(given)}"')
    for condition in policy.conditions:
        lines += ["", f"[[{name}.when]]", *_condition(condition)]
    for step in policy.ladder:
        lines += ["", f"[[{name}.then]]", *_step(step)]
    return "\n".join(lines) + "\n"


def _condition(condition: Condition) -> Iterator[str]:
    line = condition.threshold
    yield f'detector = "{condition.detector}"'
    yield from _line(line)
    if condition.clear != line.amount * CLEAR:
        yield f'clear = "{_amount(condition.clear, line)}"'


def _line(line: Threshold) -> Iterator[str]:
    """Write a line as the operator did where that still says the same."""
    for window in (None, line.window):
        with suppress(Malformed):
            again = units.threshold(line.text, line.unit, window)
            if (again.amount, again.window) == (line.amount, line.window):
                yield f"threshold = {_value(line.text)}"
                if window is not None:
                    yield f'window = "{_span(window)}"'
                return
    within = f" in {_span(line.window)}" if line.unit is Unit.RATIO else ""
    yield f'threshold = "{_amount(line.amount, line)}{within}"'


def _amount(amount: float, line: Threshold) -> str:
    if line.unit is Unit.RATIO:
        return f"{_number(amount * 100)} %"
    return f"{_number(amount)}{_AMOUNTS[line.unit]} in {_span(line.window)}"


def _step(step: Step) -> Iterator[str]:
    if not step.actions:
        yield "warn = true"
    drops = [a for a in step.actions if isinstance(a, Drop)]
    limits = [a for a in step.actions if isinstance(a, Police)]
    if drops:
        yield f"drop = {json.dumps(list(dict.fromkeys(map(_service, drops))))}"
    for limit in limits[:1]:
        yield f'limit = "{_bits(limit.rate)}/s"'
        if limit.burst:
            yield f'burst = "{_bits(limit.burst)}"'
    if step.actions:
        yield f'direction = "{_direction(step.actions)}"'
    yield f'for = "{_span(step.duration)}"'


def _service(drop: Drop) -> str:
    if not drop.first_port:
        return drop.protocol.value
    last = f"-{drop.last_port}" if drop.last_port != drop.first_port else ""
    return f"{drop.protocol}/{drop.first_port}{last}"


def _direction(actions: tuple[Action, ...]) -> str:
    found = {a.direction for a in actions}
    return "both" if len(found) == len(Direction) else found.pop().value


def _scope(scope: Scope) -> str:
    parts = [f"{kind} = {_value(getattr(scope, kind))}" for kind in KINDS if getattr(scope, kind)]
    if scope.younger:
        parts.append(f'project_younger_than = "{_span(scope.younger)}"')
    excluded = {kind: getattr(scope, f"exclude_{kind}") for kind in KINDS}
    left_out = [f"{kind} = {_value(names)}" for kind, names in excluded.items() if names]
    if left_out:
        parts.append(f"exclude = {{ {', '.join(left_out)} }}")
    return f"{{ {', '.join(parts)} }}" if parts else ""


def _value(given: Any) -> str:
    """Write text, a list of texts, a number or a truth; TOML reads JSON's but for a bare DEL."""
    plain = list(given) if isinstance(given, tuple) else given
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")


def _span(seconds: float) -> str:
    whole = next(((n, name) for n, name in _SPANS if seconds >= n and seconds % n == 0), (1, "s"))
    return f"{_number(seconds / whole[0])}{whole[1]}"


def _bits(number: int) -> str:
    size, prefix = next(((n, p) for n, p in _PREFIXES if number >= n and number % n == 0), (1, ""))
    return f"{number // size} {prefix}bit"


def _number(number: float) -> str:
    """Write a number without an exponent, which quantities have none of."""
    text = f"{number:.12f}"
    return text.rstrip("0").rstrip(".")

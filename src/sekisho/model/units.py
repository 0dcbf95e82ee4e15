"""Quantities as operators write them: durations, thresholds, rates, sizes.

Case matters, as in SI: ``MB`` is 10^6 bytes, ``MiB`` 2^20 bytes, ``Mbit`` 10^6 bits. Every function
raises Malformed with a sentence that says what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from sekisho.model.errors import Malformed
from sekisho.model.policy import Threshold, Unit

DEFAULT_WINDOW: Final = 10.0
LONGEST_WINDOW: Final = 31 * 86400.0

_TIME: Final = {
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 7 * 86400.0,
}
_DECIMAL: Final = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY: Final = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
_BYTES: Final = {f"{p}B": n for p, n in (_DECIMAL | _BINARY).items()} | {
    f"{p}bit": n / 8 for p, n in _DECIMAL.items()
}
_PACKETS: Final = {f"{p}{name}": n for name in ("packets", "packet") for p, n in _DECIMAL.items()}

# What each kind of number may be written in: amounts, and what already says "per second".
_AMOUNTS: Final[dict[Unit, dict[str, float]]] = {
    Unit.COUNT: {"": 1.0, "k": 1e3, "M": 1e6},
    Unit.BYTES: _BYTES,
    Unit.PACKETS: _PACKETS,
    Unit.RATIO: {"%": 0.01},
}
_RATES: Final[dict[Unit, dict[str, float]]] = {
    Unit.COUNT: {},
    Unit.BYTES: {f"{p}bps": n / 8 for p, n in _DECIMAL.items()},
    Unit.PACKETS: {f"{p}pps": n for p, n in _DECIMAL.items()},
    Unit.RATIO: {},
}
EXAMPLES: Final[Mapping[Unit, str]] = {
    Unit.COUNT: '"60/min" or "30 in 10min"',
    Unit.BYTES: '"200 Mbit/s" or "50 GB/24h"',
    Unit.PACKETS: '"20 kpps" or "1 Mpackets in 5min"',
    Unit.RATIO: '"80 %"',
}

_NUMBER: Final = r"\d[\d_]{0,20}(?:\.\d{1,20})?"
_QUANTITY: Final = re.compile(
    rf"\s*(?P<number>{_NUMBER})\s*(?P<unit>[A-Za-z%]*)(?:\s*(?P<by>/|\bin\b|\bper\b)\s*(?P<span>\S.*?))?\s*"
)
_DURATION_PART: Final = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z]+)\s*")


@dataclass(frozen=True, slots=True)
class _Amount:
    """So much in `span` seconds; `rate` is True where it was said per second, `fixed` where as "in"."""

    amount: float
    span: float = 0.0  # 0: not said
    rate: bool = False
    fixed: bool = False


def duration(text: str) -> float:
    """Read ``"90s"``, ``"10min"``, ``"24h"``, ``"7d"``, ``"1h 30min"`` as seconds, more than 0."""
    seconds, at = 0.0, 0
    while at < len(text):
        part = _DURATION_PART.match(text, at)
        if part is None:
            break
        seconds += _number(part[1]) * _look_up(
            _TIME, part[2], "unit of time", '"90s", "10min", "24h" or "7d"'
        )
        at = part.end()
    if at < len(text) or not text.strip():
        raise Malformed(f'{text!r} is no duration; write for example "90s", "10min", "24h" or "7d".')
    if seconds <= 0:
        raise Malformed("must be longer than 0.")
    return seconds


def threshold(text: str, unit: Unit, window: float | None = None) -> Threshold:
    """Read a line as an amount within a window.

    What is said per second is judged over `window` (default 10 s); ``"50 GB/24h"`` has its own window,
    which `window` may replace at the same rate; ``"30 in 10min"`` means just that.
    """
    found = _quantity(text, unit)
    if found.amount <= 0:
        raise Malformed("must be more than 0.")
    if unit is Unit.RATIO:
        return Threshold(_ratio(found.amount), found.span or window or DEFAULT_WINDOW, unit, text)
    if not found.span:
        raise Malformed(f"{text!r} does not say in how long; write for example {EXAMPLES[unit]}.")
    if found.fixed and window is not None:
        raise Malformed(f"{text!r} says its own window: leave `window` out.")
    if found.rate or window is not None:
        wide = _window(window or DEFAULT_WINDOW)
        return Threshold(found.amount * wide / found.span, wide, unit, text)
    return Threshold(found.amount, _window(found.span), unit, text)


def amount_within(text: str, unit: Unit, window: float) -> float:
    """Read a line, written in any way, as the amount it makes within `window` seconds."""
    found = _quantity(text, unit)
    if unit is Unit.RATIO:
        return _ratio(found.amount)
    if not found.span:
        raise Malformed(f"{text!r} does not say in how long; write for example {EXAMPLES[unit]}.")
    return found.amount * window / found.span


def bit_rate(text: str) -> int:
    """Read ``"10 Mbit/s"`` as whole bit/s."""
    found = _quantity(text, Unit.BYTES, '"10 Mbit/s"')
    if not found.span or found.fixed:
        raise Malformed(f'{text!r} is no rate; write for example "10 Mbit/s".')
    return round(found.amount * 8 / found.span)


def bits(text: str) -> int:
    """Read ``"1 MB"`` or ``"8 Mbit"`` as whole bits."""
    found = _quantity(text, Unit.BYTES, '"1 MB" or "8 Mbit"')
    if found.span:
        raise Malformed(
            f'{text!r} is a rate where a size is asked for; write for example "1 MB" or "8 Mbit".'
        )
    return round(found.amount * 8)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known name, ready to be appended; else list them all."""
    names = list(known)
    near = [n for n in names if n.lower() == name.lower()] or get_close_matches(name, names, 1, 0.6)
    return f'did you mean "{near[0]}"?' if near else f"known are {', '.join(n for n in names if n)}."


def _quantity(text: str, unit: Unit, example: str = "") -> _Amount:
    example = example or EXAMPLES[unit]
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise Malformed(f"{text!r} is no quantity; write for example {example}.")
    number, name, span = _number(match["number"]), match["unit"], match["span"]
    if name in _RATES[unit]:
        if span is not None:
            raise Malformed(f"{text!r} says twice in how long; write for example {example}.")
        return _Amount(number * _RATES[unit][name], 1.0, rate=True)
    amount = number * _of(unit, name, example)
    if span is None:
        return _Amount(amount)
    seconds = _span(span)
    fixed = match["by"] == "in"
    return _Amount(amount, seconds, rate=seconds == 1.0 and not fixed, fixed=fixed)


def _of(unit: Unit, name: str, example: str) -> float:
    other = next((u for u in Unit if u is not unit and name and name in _AMOUNTS[u] | _RATES[u]), None)
    if name not in _AMOUNTS[unit] and other is not None:
        raise Malformed(
            f"{name!r} is for {other.value}, and {unit.value} are asked for; write for example {example}."
        )
    known = _AMOUNTS[unit] | _RATES[unit]
    return _look_up(known, name, f"unit of {unit.value}", example)


def _look_up(known: Mapping[str, float], name: str, what: str, example: str) -> float:
    if name in known:
        return known[name]
    if not name:
        raise Malformed(f"the unit is missing; write for example {example}.")
    near = [k for k in known if k.lower() == name.lower()]
    hint = f'did you mean "{near[0]}"?' if near else f"write for example {example}."
    raise Malformed(f"{name!r} is no {what}; {hint}")


def _span(text: str) -> float:
    return _TIME[text] if text in _TIME else duration(text)


def _number(text: str) -> float:
    return float(text.replace("_", ""))


def _ratio(amount: float) -> float:
    if amount > 1:
        raise Malformed("a share cannot be over 100 %.")
    return amount


def _window(seconds: float) -> float:
    if seconds < 1:
        raise Malformed("a window is at least 1s: windows close once a second.")
    if seconds > LONGEST_WINDOW:
        raise Malformed("a window is at most 31d.")
    return seconds

"""Words of a command line become actions as Neutron's API has them, and those become words. Pure."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final

from sekisho.guests.neutron.resource import DROP, LIMIT, to_action
from sekisho.model import units
from sekisho.model.errors import Malformed
from sekisho.model.policy import Direction, Drop, Police, Protocol, unfit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BOTH: Final = "both"
DIRECTIONS: Final = (*(d.value for d in Direction), BOTH)
WARNING: Final = "warning"
_EXAMPLES: Final = '"tcp/25", "udp/6000-6010", "icmp" or "any"'
_KILO: Final = 1000  # bit/s: Neutron's API counts rates so


def to_actions(drops: Sequence[Drop], rate: int | None, direction: str) -> list[dict[str, Any]]:
    """Make the actions of a request, for each direction that is meant."""
    meant = [d for d in Direction if direction in (d.value, BOTH)]
    made: list[Drop | Police] = [
        Drop(each.protocol, d, each.first_port, each.last_port) for each in drops for d in meant
    ]
    if rate is not None:
        made += [Police(rate, d) for d in meant]
    return [to_action(action) for action in made]


def traffic(text: str) -> Drop:
    """Read what to drop, ``tcp/25``, ``udp/6000-6010``, ``icmp`` or ``any``; as of yet sent by the VM."""
    name, slash, ports = text.strip().lower().partition("/")
    if name not in list(Protocol):
        raise Malformed(f"{text!r} is no traffic; write for example {_EXAMPLES}.")
    first, last = _ports(text, ports) if slash else (0, 0)
    read = Drop(Protocol(name), Direction.EGRESS, first, last)
    if problem := unfit(read):
        raise Malformed(f"{text!r}: {problem}")
    return read


def _ports(text: str, ports: str) -> tuple[int, int]:
    first, dash, last = ports.partition("-")
    ends = (first, last if dash else first)
    # Zeros would be read as every port, which nobody means who writes one.
    if not all(e.isascii() and e.isdecimal() and len(e) <= 5 and int(e) for e in ends):
        raise Malformed(f"{text!r} names no ports; write for example {_EXAMPLES}.")
    return int(ends[0]), int(ends[1])


def rate(text: str) -> int:
    """Read ``10Mbit/s`` as bit/s that Neutron's API can say."""
    read = units.bit_rate(text)
    if problem := unfit(Police(read, Direction.EGRESS)):
        raise Malformed(f"{text!r}: {problem}")
    if read % _KILO:
        raise Malformed(f"{text!r}: a limit is in whole kbit/s.")
    return read


def duration(text: str) -> int:
    """Read ``24h`` as whole seconds."""
    return ceil(units.duration(text))


def from_actions(actions: Sequence[Mapping[str, Any]] | None) -> str:
    """Say in words what a restriction does, an action a line."""
    return "\n".join(_words(action) for action in actions or ()) or WARNING


def _words(action: Mapping[str, Any]) -> str:
    """Say one action; what only a newer server knows is told as it is."""
    kind, direction = action.get("action"), action.get("direction", "")
    if kind == DROP and "protocol" in action:
        return f"{DROP} {action['protocol']}{_range(action)} {direction}"
    if kind == LIMIT and "max_kbps" in action:
        burst = action.get("max_burst_kbits")
        told = f", burst {_amount(burst)}" if burst else ""
        return f"{LIMIT} {_amount(action['max_kbps'])}/s {direction}{told}"
    return ", ".join(f"{key}={value}" for key, value in action.items())


def _range(action: Mapping[str, Any]) -> str:
    first = action.get("port_range_min")
    last = action.get("port_range_max") or first
    if not first:
        return ""
    return f"/{first}" if first == last else f"/{first}-{last}"


def _amount(kilobits: int) -> str:
    for size, prefix in ((1_000_000, "G"), (1000, "M")):
        if kilobits >= size:
            return f"{kilobits / size:.12g} {prefix}bit"
    return f"{kilobits} kbit"

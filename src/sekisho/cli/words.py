"""What people type and read at a terminal: durations, rates, actions, moments."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import Malformed
from sekisho.model.policy import Direction, Drop, Police, Protocol
from sekisho.model.units import bit_rate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.model.policy import Action, Scope
    from sekisho.model.restriction import Finding

PORTS: Final = 65535

_DROP = re.compile(r"(any|tcp|udp|sctp|icmp)(?:/(\d+)(?:-(\d+))?)?")


def clean(text: str) -> str:
    r"""Take out what could drive the reader's terminal: names and reasons come from strangers."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def read_rate(text: str) -> int:
    """Read ``10Mbit/s``, ``500 kbit/s`` as bit/s; raises Malformed."""
    rate = bit_rate(text)
    if not rate:
        raise Malformed(f"{text!r} lets nothing through; drop it instead: --drop any.")
    return rate


def read_directions(text: str) -> tuple[Direction, ...]:
    """Read ``egress``, ``ingress`` or ``both``; raises Malformed."""
    if text == "both":
        return (Direction.EGRESS, Direction.INGRESS)
    if text not in tuple(Direction):
        raise Malformed(
            f"{text!r} is not a direction; write egress (sent by the VM), ingress (sent to it) or both."
        )
    return (Direction(text),)


def read_drops(text: str, direction: str) -> tuple[Drop, ...]:
    """Read ``tcp/25``, ``udp/1000-2000``, ``icmp``, with its own direction or else the one given."""
    what, _, own = text.strip().lower().partition(" ")
    found = _DROP.fullmatch(what)
    if found is None:
        raise Malformed(f"{text!r} cannot be dropped; write it like tcp/25, udp/1000-2000, icmp or any.")
    protocol = Protocol(found[1])
    first, last = _ports(text, found[2], found[3])
    if first and protocol in (Protocol.ANY, Protocol.ICMP):
        raise Malformed(f"{text!r}: {protocol} has no ports; write {protocol} alone, or tcp, udp or sctp.")
    return tuple(Drop(protocol, d, first, last) for d in read_directions(own.strip() or direction))


def _ports(text: str, first: str | None, last: str | None) -> tuple[int, int]:
    if first is None:
        return 0, 0
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= PORTS:
        raise Malformed(f"{text!r}: ports go from 1 to {PORTS}, the lower one first.")
    return low, high


def read_limits(text: str, direction: str) -> tuple[Police, ...]:
    """Read ``10Mbit/s`` or ``10Mbit/s ingress``, with its own direction or else the one given."""
    found = re.fullmatch(r"(.*?)\s+(egress|ingress|both)", text.strip())
    bits, own = (found[1], found[2]) if found else (text, direction)
    return tuple(Police(read_rate(bits), d) for d in read_directions(own))


def duration(seconds: float) -> str:
    """Write seconds in the two units that matter: ``23 h 59 min``."""
    left = max(0, round(seconds))
    for unit, size, below, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if left >= size:
            rest = left % size // part
            return f"{left // size} {unit} {rest} {below}" if rest else f"{left // size} {unit}"
    return f"{left} s"


def number(value: float) -> str:
    """Write a number with three digits that matter, or all of them where it has more before the point."""
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else "<0.001"


def count(n: int, one: str, many: str = "") -> str:
    """Write how many there are of something."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def rate(bps: float) -> str:
    """Write bit/s in Mbit/s."""
    return f"{number(bps / 1e6)} Mbit/s"


def volume(octets: float) -> str:
    """Write octets as people do: 1.2 GB."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if octets >= size:
            return f"{number(octets / size)} {unit}"
    return f"{number(octets)} B"


def moment(time: float) -> str:
    """Write unix seconds in the reader's zone; 0 is never."""
    try:
        return f"{datetime.fromtimestamp(time).astimezone():%Y-%m-%d %H:%M:%S %Z}" if time else "-"
    except (OverflowError, ValueError, OSError):  # beyond every calendar
        return "far away"


def remaining(until: float, now: float) -> str:
    """Write how long it is until then; 0 is no end."""
    if not until:
        return "no end"
    return duration(until - now) if until > now else "ended"


def action(what: Action) -> str:
    """Write one action as it is typed: ``drop tcp/25 egress``, ``limit 10 Mbit/s egress``."""
    match what:
        case Drop(protocol, direction, first, last):
            ports = "" if not first else f"/{first}" if first == last else f"/{first}-{last}"
            return f"drop {protocol}{ports} {direction}"
        case Police(bits, direction):
            return f"limit {rate(bits)} {direction}"


def actions(what: Iterable[Action]) -> str:
    """Write all actions; none is a warning."""
    return ", ".join(action(a) for a in what) or "warn"


def plainly(what: Action) -> str:
    """Say one action to somebody who has never read our documents."""
    match what:
        case Drop(protocol, direction, first, last):
            where = "sent by" if direction is Direction.EGRESS else "sent to"
            kind = "everything" if protocol is Protocol.ANY else f"all {protocol.upper()}"
            ports = "" if not first else f" port {first}" if first == last else f" ports {first} to {last}"
            return f"{kind}{' to' if ports else ''}{ports} {where} this VM is dropped"
        case Police(bits, direction):
            where = "sends" if direction is Direction.EGRESS else "receives"
            return f"all that this VM {where} is held to {rate(bits)}"


def quantity(found: Finding, amount: float) -> str:
    """Write an amount of a finding in its unit and over its window."""
    match found.unit:
        case "ratio":
            return f"{number(amount * 100)} %"
        case "bytes":
            return f"{volume(amount)} in {duration(found.window)}"
        case "packets":
            return f"{number(amount)} packets in {duration(found.window)}"
        case _:
            return f"{number(round(amount, 1))} in {duration(found.window)}"


# One name of each kind, as people say it.
_KINDS: Final = {
    "projects": "project",
    "subjects": "subject",
    "tags": "tag",
    "hosts": "host",
    "networks": "network",
    "flavors": "flavor",
    "qos": "plan",
}


def scope(whom: Scope) -> str:
    """Write whom a policy, baseline or exemption is for."""
    to = _names(whom, "") or "everybody"
    if whom.younger:
        to = f"{to} whose project is younger than {duration(whom.younger)}"
    but = _names(whom, "exclude_")
    return f"{to} but {but}" if but else to


def _names(whom: Scope, side: str) -> str:
    return ", ".join(f"{word} {name}" for kind, word in _KINDS.items() for name in getattr(whom, side + kind))

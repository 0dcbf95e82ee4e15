"""Meters and rules as OpenFlow 1.3 messages, in Open vSwitch's own words where 1.3 has none. Pure.

A process of ovs-ofctl costs milliseconds, and each meter one of its own. What is in here goes to the
switch at once, over a connection that stands (OpenFlow 1.3.5; nicira-ext.h; ONF extension 230, bundles).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.devices.vswitch.program import MARK, Again, Limit, Mark, Meter, Rule, Sample, Step, Term

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sekisho.devices.vswitch.pipeline import Layout

VERSION: Final = 4
HEADER: Final = struct.Struct("!BBHI")  # version, type, length, xid
EXPERIMENTER: Final = 4
BARRIER: Final = 20
_FLOW_MOD, _METER_MOD = 14, 29
_ONF: Final = 0x4F4E4600
_BUNDLE_CONTROL, _BUNDLE_ADD = 2300, 2301
_OPEN, _COMMIT = 0, 4
COMMITTED: Final = 5
METER_MOD_FAILED: Final = 12
_ATOMIC_ORDERED: Final = 3
_NICIRA: Final = 0x2320
_ANY: Final = 0xFFFF_FFFF
_IN_PORT: Final = 0xFFF8
_ADD, _ALTER = 0, 1
_KBPS_BURST_STATS: Final = 1 | 4 | 8

# OXM or NXM class and field, and width in octets.
_BASIC, _NXM0, _NXM1 = 0x8000, 0, 1
_FIELDS: Final = {
    "in_port": (_BASIC, 0, 4),
    "dl_dst": (_BASIC, 3, 6),
    "eth_type": (_BASIC, 5, 2),
    "nw_proto": (_BASIC, 10, 1),
    "vlan_tci": (_NXM0, 4, 2),
    "nw_frag": (_NXM1, 26, 1),
    "tcp_flags": (_NXM1, 34, 2),
}
_BY_PROTOCOL: Final = {
    ("tp_src", 6): 13,
    ("tp_dst", 6): 14,
    ("tp_src", 17): 15,
    ("tp_dst", 17): 16,
    ("tp_src", 132): 17,
    ("tp_dst", 132): 18,
    ("icmp_type", 1): 19,
    ("icmp_type", 58): 29,
}
_WIDTHS: Final = {"tp_src": 2, "tp_dst": 2, "icmp_type": 1}
# A field's prerequisites come first.
_ORDER: Final = {"in_port": 0, "dl_dst": 1, "vlan_tci": 2, "eth_type": 3, "nw_proto": 4}


@dataclass(frozen=True, slots=True)
class Timed:
    """A rule with its cookie and how many seconds the switch keeps it, 0 for ever."""

    rule: Rule
    cookie: int
    timeout: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Meters to make and to alter, each for itself, then rules to add, all or none.

    What is refused of the meters does not keep the rules: whoever is not sure of the meters lays them first.
    `numbers` gives each meter's number on the bridge by its key.
    """

    layout: Layout
    numbers: Mapping[str, int]
    made: tuple[Meter, ...] = ()
    altered: tuple[Meter, ...] = ()
    rules: tuple[Timed, ...] = ()


def encode(batch: Batch, xid: int) -> bytes:
    """Write a batch, all of it under one transaction id, which is the bundle's number too."""
    meters = [(_ADD, m) for m in batch.made] + [(_ALTER, m) for m in batch.altered]
    said = [_meter(command, m, batch.numbers[m.key], xid) for command, m in meters]
    if batch.rules:
        said.append(_bundle(_BUNDLE_CONTROL, struct.pack("!IHH", xid, _OPEN, _ATOMIC_ORDERED), xid))
        said += [_added(_flow(timed, batch, xid), xid) for timed in batch.rules]
        said.append(_bundle(_BUNDLE_CONTROL, struct.pack("!IHH", xid, _COMMIT, _ATOMIC_ORDERED), xid))
    return b"".join(said)


def message(kind: int, body: bytes, xid: int) -> bytes:
    """Put a header before what is said."""
    return HEADER.pack(VERSION, kind, HEADER.size + len(body), xid) + body


def _bundle(kind: int, body: bytes, xid: int) -> bytes:
    return message(EXPERIMENTER, struct.pack("!II", _ONF, kind) + body, xid)


def _added(said: bytes, xid: int) -> bytes:
    return _bundle(_BUNDLE_ADD, struct.pack("!IxxH", xid, _ATOMIC_ORDERED) + said, xid)


def _meter(command: int, meter: Meter, number: int, xid: int) -> bytes:
    band = struct.pack("!HHII4x", 1, 16, meter.rate, meter.burst)
    return message(_METER_MOD, struct.pack("!HHI", command, _KBPS_BURST_STATS, number) + band, xid)


def _flow(timed: Timed, batch: Batch, xid: int) -> bytes:
    rule, layout = timed.rule, batch.layout
    place = struct.pack("!BBHHH", layout.table, _ADD, 0, timed.timeout, rule.priority)
    head = struct.pack("!QQ", timed.cookie, 0) + place + struct.pack("!IIIH2x", _ANY, _ANY, _ANY, 0)
    return message(_FLOW_MOD, head + _match(rule.match, layout) + _instructions(rule, batch), xid)


def _match(match: Iterable[Term], layout: Layout) -> bytes:
    terms = sorted(match, key=lambda t: (_ORDER.get(t.name, 9), t.name))
    protocol = next((t.value for t in terms if t.name == "nw_proto"), 0)
    fields = b"".join(_term(t, protocol, layout) for t in terms)
    return _padded(struct.pack("!HH", 1, 4 + len(fields)) + fields)


def _term(term: Term, protocol: int, layout: Layout) -> bytes:
    if term.name == MARK:
        kind, field, width = _NXM1, layout.register, 4
    elif term.name in _FIELDS:
        kind, field, width = _FIELDS[term.name]
    else:
        kind, field, width = _BASIC, _BY_PROTOCOL[term.name, protocol], _WIDTHS[term.name]
    value = term.value.to_bytes(width)
    # A field of fewer bits than its octets is whole with these bits.
    if term.name not in ("nw_frag", "tcp_flags") and term.mask == (1 << 8 * width) - 1:
        return struct.pack("!HBB", kind, field << 1, width) + value
    return struct.pack("!HBB", kind, field << 1 | 1, 2 * width) + value + term.mask.to_bytes(width)


def _instructions(rule: Rule, batch: Batch) -> bytes:
    metered = [s for s in rule.steps if isinstance(s, Limit)]
    said = b"".join(struct.pack("!HHI", 6, 8, batch.numbers[s.meter]) for s in metered)
    actions = b"".join(_actions(rule.steps, batch.layout))
    return said + (struct.pack("!HH4x", 4, 8 + len(actions)) + actions if actions else b"")


def _actions(steps: Iterable[Step], layout: Layout) -> Iterator[bytes]:
    for step in steps:
        match step:
            case Limit():
                continue  # an instruction of its own, before all others
            case Sample():
                ids = struct.pack("!III", step.collector_set, step.domain, step.point)
                yield _nicira(29, struct.pack("!H", 0xFFFF) + ids)
            case Mark():
                first = (step.mask & -step.mask).bit_length() - 1
                bits = first << 6 | (step.mask.bit_count() - 1)
                register = _NXM1 << 16 | layout.register << 9 | 4
                yield _nicira(7, struct.pack("!HIQ", bits, register, step.value >> first))
            case Again():
                yield _nicira(14, struct.pack("!HB3x", _IN_PORT, layout.table))


def _nicira(kind: int, body: bytes) -> bytes:
    return struct.pack("!HHIH", 0xFFFF, 10 + len(body), _NICIRA, kind) + body


def _padded(said: bytes) -> bytes:
    return said + bytes(-len(said) % 8)

"""Sets in messages, records in sets: every cursor of a burst advances in lockstep, none beyond its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.flows.wire.limits import MAX_SETS

if TYPE_CHECKING:
    import ctypes

    from sekisho.flows.wire.gather import Octets
    from sekisho.flows.wire.layout import Layout
    from sekisho.flows.wire.protocol import Counters
    from sekisho.tables import I64, Bool

_HEADER: Final = 4
_LONG: Final = 0xFF  # first octet of a variable length of three octets (RFC 7011 section 7)


@dataclass(slots=True)
class Sets:
    """Sets in order of arrival: id, first and behind-last octet of the content, row of the message."""

    id: I64
    start: I64
    end: I64
    message: I64

    def __len__(self) -> int:
        return len(self.id)

    def take(self, rows: I64 | Bool) -> Sets:
        """Pick sets by index or mask."""
        return Sets(self.id[rows], self.start[rows], self.end[rows], self.message[rows])


def walk(octets: Octets, start: I64, end: I64, counters: Counters) -> Sets:
    """Find the sets of n messages that lie at start..end; one that lies about its length ends its own."""
    if native.LIBRARY is not None:
        return _walk_compiled(native.LIBRARY, octets, start, end, counters)
    at, message = start, np.arange(len(start))
    found = [Sets(*(np.zeros(0, np.int64) for _ in range(4)))]
    for _ in range(MAX_SETS):
        more = at + _HEADER <= end
        at, end, message = at[more], end[more], message[more]
        if not len(at):
            break
        size = octets.u16(at + 2).astype(np.int64)
        honest = (size >= _HEADER) & (at + size <= end)
        counters.count("set_length", int(np.count_nonzero(~honest)))
        at, end, message, size = at[honest], end[honest], message[honest], size[honest]
        found.append(Sets(octets.u16(at).astype(np.int64), at + _HEADER, at + size, message))
        at = at + size
    counters.count("too_many_sets", int(np.count_nonzero(at + _HEADER <= end)))
    return _in_order(found)


def _walk_compiled(library: ctypes.CDLL, octets: Octets, start: I64, end: I64, counters: Counters) -> Sets:
    start, end = np.ascontiguousarray(start, np.int64), np.ascontiguousarray(end, np.int64)
    where = *octets.memory, start.ctypes.data, end.ctypes.data, len(start), MAX_SETS
    told = np.zeros(2, np.int64)
    n = int(library.sk_walk(*where, None, None, None, None, told.ctypes.data))
    counters.count("set_length", int(told[0]))
    counters.count("too_many_sets", int(told[1]))
    sets = Sets(*np.empty((4, n), np.int64))
    into = [column.ctypes.data for column in (sets.id, sets.start, sets.end, sets.message)]
    library.sk_walk(*where, *into, told.ctypes.data)
    return sets


def _in_order(found: list[Sets]) -> Sets:
    columns = zip(*((s.id, s.start, s.end, s.message) for s in found), strict=True)
    sets = Sets(*(np.concatenate(column) for column in columns))
    return sets.take(np.argsort(sets.message, kind="stable"))


def ragged(start: I64, count: I64, stride: int = 1) -> tuple[I64, I64]:
    """Lay out count[i] values start[i], start[i] + stride, ...; also tell which i each came from."""
    owner = np.repeat(np.arange(len(start)), count)
    first = np.cumsum(count) - count
    return start[owner] + (np.arange(len(owner)) - first[owner]) * stride, owner


def locate(layout: Layout, octets: Octets, sets: Sets, counters: Counters, steps: int) -> tuple[I64, I64]:
    """Find all records of sets of one layout.

    Gives int64[n, segments], where each segment of each record begins, and int64[n], the set of each.
    What is left at the end of a set and shorter than any record is padding (RFC 7011 3.3.1). Records of
    variable length cost a step per segment, whatever the number of sets: at most `steps` are taken, and
    at least one record of each set is found.
    """
    if layout.fixed:
        at, owner = ragged(sets.start, (sets.end - sets.start) // layout.minimum, layout.minimum)
        return at[:, None], owner
    return _locate_variable(layout, octets, sets, counters, max(1, steps // len(layout.segments)))


def _locate_variable(
    layout: Layout, octets: Octets, sets: Sets, counters: Counters, most: int
) -> tuple[I64, I64]:
    at, end, owner = sets.start, sets.end, np.arange(len(sets))
    positions, owners = [np.zeros((0, len(layout.segments)), np.int64)], [np.zeros(0, np.int64)]
    for _ in range(most):
        more = at + layout.minimum <= end
        at, end, owner = at[more], end[more], owner[more]
        if not len(at):
            break
        begins, at, whole = _record(layout, octets, at, end)
        counters.count("record_cut", int(np.count_nonzero(~whole)))
        positions.append(begins[whole])
        owners.append(owner[whole])
        at, end, owner = at[whole], end[whole], owner[whole]
    counters.count("step_flood", int(np.count_nonzero(at + layout.minimum <= end)))
    return np.concatenate(positions), np.concatenate(owners)


def _record(layout: Layout, octets: Octets, at: I64, end: I64) -> tuple[I64, I64, Bool]:
    """Step over one record in each set: where its segments begin, where it ends, whether it was whole."""
    begins = np.zeros((len(at), len(layout.segments)), np.int64)
    whole = np.ones(len(at), np.bool_)
    last = len(layout.segments) - 1
    for column, segment in enumerate(layout.segments):
        begins[:, column] = at
        at = at + segment.size
        if column < last:
            at = _behind_variable(octets, at, end)
        whole &= at <= end
        at = np.minimum(at, end)  # a lie costs its own set only; nothing is read behind it
    return begins, at, whole


def _behind_variable(octets: Octets, at: I64, end: I64) -> I64:
    """Step over one variable-length value each: one octet of length, or 255 and two more."""
    short = octets.u8(at).astype(np.int64)
    if not (short == _LONG).any():
        return at + 1 + short
    # A length that is not all there makes the record too long, whatever stands behind the set.
    size = np.where(at + 3 <= end, octets.u16(at + 1).astype(np.int64), 0xFFFF)
    return np.where(short == _LONG, at + 3 + size, at + 1 + short)

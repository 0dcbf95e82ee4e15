"""The latest counters of each interface, as sFlow counter samples tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sekisho.flows.wire.gather import field32, field64

if TYPE_CHECKING:
    from sekisho.flows.exporters import Exporters
    from sekisho.flows.wire.gather import Octets
    from sekisho.tables import I32, I64, U32, U64, Bool

# One row per (exporter, ifindex). Octets, packets, drops and errors are the device's own totals; 0 where
# it does not count. `generation` is that of the exporter's row. `ofport` and `name` are Open vSwitch's.
INTERFACE: Final = np.dtype(
    [
        ("exporter", np.int32),
        ("generation", np.int64),
        ("ifindex", np.uint32),
        ("time", np.float64),
        ("speed", np.uint64),  # bits per second
        ("up", np.bool_),
        ("in_octets", np.uint64),
        ("in_packets", np.uint64),
        ("in_drops", np.uint64),
        ("in_errors", np.uint64),
        ("out_octets", np.uint64),
        ("out_packets", np.uint64),
        ("out_drops", np.uint64),
        ("out_errors", np.uint64),
        ("frame_errors", np.uint64),  # alignment and FCS
        ("ofport", np.uint32),
        ("name", "S32"),
    ]
)
Interfaces: TypeAlias = NDArray[np.void]  # of dtype INTERFACE

GENERIC: Final = 1
ETHERNET: Final = 2
OVS_PORT: Final = 1004
OVS_NAME: Final = 1005
# The least octets each record has (sFlow v5, section 5; sFlow OpenFlow structures).
SIZES: Final = ((GENERIC, 88), (ETHERNET, 52), (OVS_PORT, 12), (OVS_NAME, 4))


class InterfaceCounters:
    """A bounded table of INTERFACE rows; what an exporter told last stands."""

    def __init__(self, exporters: Exporters, cap: int) -> None:
        self._exporters = exporters
        self._cap = cap
        self._keys = np.zeros(0, np.uint64)  # generation << 32 | ifindex, sorted
        self._table = np.zeros(0, INTERFACE)

    def __len__(self) -> int:
        return len(self._keys)

    def table(self) -> Interfaces:
        """Copy the rows of exporters that are still alive."""
        alive = self._exporters.generation[self._table["exporter"]] == self._table["generation"]
        rows: Interfaces = self._table[alive].copy()
        return rows

    def update(self, new: Interfaces) -> int:
        """Replace or add rows; how many found no room. Of several for one interface the last stands."""
        keys = _keys(new)
        keys, last = np.unique(keys[::-1], return_index=True)
        new = new[::-1][last]
        if len(self._keys):
            at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            known = self._keys[at] == keys
            self._table[at[known]] = new[known]
            keys, new = keys[~known], new[~known]
        if len(self._keys) + len(keys) > self._cap:
            self._forget_dead()
        room = max(self._cap - len(self._keys), 0)
        if len(keys) and room:
            self._add(keys[:room], new[:room])
        return max(len(keys) - room, 0)

    def _add(self, keys: U64, new: Interfaces) -> None:
        keys = np.concatenate([self._keys, keys])
        order = np.argsort(keys, kind="stable")
        self._keys, self._table = keys[order], np.concatenate([self._table, new])[order]

    def _forget_dead(self) -> None:
        self._table = self.table()
        self._keys = _keys(self._table)


def _keys(rows: Interfaces) -> U64:
    keys: U64 = rows["generation"].astype(np.uint64) << np.uint64(32) | rows["ifindex"].astype(np.uint64)
    return keys


def read_counters(
    octets: Octets, owner: I64, kind: U32, body: I64, end: I64, samples: int
) -> tuple[Interfaces, Bool]:
    """Read the counter records (body to end) of `samples` counter samples; `owner` is each one's sample.

    Returns one INTERFACE row per sample, without exporter, time, and ifindex but of generic records; and
    which samples told anything we know. Records too short for their kind are passed over.
    """
    rows, told = np.zeros(samples, INTERFACE), np.zeros(samples, np.bool_)
    for wanted, size in SIZES:
        mine = np.nonzero((kind == wanted) & (end - body >= size))[0]
        if len(mine):
            _READ[wanted](rows, owner[mine], octets, body[mine], end[mine])
            told[owner[mine]] = True
    return rows, told


def _generic(rows: Interfaces, owner: I64, octets: Octets, body: I64, _end: I64) -> None:
    told = octets.take(body, 88)
    rows["ifindex"][owner] = field32(told, 0)
    rows["speed"][owner] = field64(told, 8)
    rows["up"][owner] = (field32(told, 20) & np.uint32(2)) != 0
    for side, at in (("in", 24), ("out", 56)):
        rows[f"{side}_octets"][owner] = _told(field64(told, at), 64)
        kinds = [_told(field32(told, at + 8 + 4 * i).astype(np.uint64), 32) for i in range(5)]
        rows[f"{side}_packets"][owner] = kinds[0] + kinds[1] + kinds[2]
        rows[f"{side}_drops"][owner] = kinds[3]
        rows[f"{side}_errors"][owner] = kinds[4]


def _ethernet(rows: Interfaces, owner: I64, octets: Octets, body: I64, _end: I64) -> None:
    told = octets.take(body, 8)
    alignment, checksum = (_told(field32(told, at).astype(np.uint64), 32) for at in (0, 4))
    rows["frame_errors"][owner] = alignment + checksum


def _ovs_port(rows: Interfaces, owner: I64, octets: Octets, body: I64, _end: I64) -> None:
    rows["ofport"][owner] = octets.u32(body + 8)


def _ovs_name(rows: Interfaces, owner: I64, octets: Octets, body: I64, end: I64) -> None:
    told = octets.take(body, 36)
    length = np.minimum(field32(told, 0).astype(np.int64), np.minimum(end - body - 4, 32))
    text = np.where(np.arange(32) < length[:, None], told[:, 4:], np.uint8(0))
    rows["name"][owner] = np.ascontiguousarray(text).view("S32")[:, 0]


def _told(value: U64, bits: int) -> U64:
    """All ones is sFlow's "not counted"."""
    unknown: Bool = value == np.uint64((1 << bits) - 1)
    return np.where(unknown, np.uint64(0), value)


_READ: Final = {GENERIC: _generic, ETHERNET: _ethernet, OVS_PORT: _ovs_port, OVS_NAME: _ovs_name}


def told_by(rows: Interfaces, exporters: Exporters, exporter: I32, time: float) -> Interfaces:
    """Complete the rows with who told them and when."""
    rows["exporter"], rows["generation"] = exporter, exporters.generation[exporter]
    rows["time"] = time
    return rows

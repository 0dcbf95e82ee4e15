"""What was heard, again: archived rows as FlowBatches, and by which inventories and seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sekisho.archive import keys, native, shapes
from sekisho.archive.store import ask
from sekisho.model.errors import Malformed
from sekisho.model.inventory import Host, Inventory, Subject
from sekisho.model.plain import from_plain
from sekisho.tables import FlowBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from sekisho.archive.store import Store
    from sekisho.tables import F64, I32, I64, U64

# What detectors look at; the rest of a row stays 0 when it is played again.
COLUMNS: Final = (
    "time", "exporter", "src_hi", "src_lo", "dst_hi", "dst_lo", "protocol", "src_port", "dst_port",
    "tcp_flags", "rate", "packets", "bytes", "sender", "receiver", "exact", "src_internet", "dst_internet",
)  # fmt: skip
# Rows read at once, as long as a second does not have more.
CHUNK: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span (unix seconds, whole) and how many rows it has."""

    since: int
    until: int
    rows: int


@dataclass(frozen=True, slots=True)
class Outline:
    """What a span holds: rows in it, chunks in order, and spans of a minute and more without any row."""

    rows: int
    chunks: tuple[Chunk, ...]
    gaps: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Known:
    """An inventory from a moment on, and its subjects by their keys.

    keys: uint64[subjects + 1], 0 last; first: int32[2^n], by the lower bits of a key the row that has
    them, -1 for none; rest: rows, by their keys, whose place in `first` another one has.
    """

    time: float
    inventory: Inventory
    keys: U64
    first: I32
    rest: I32

    def rows_of(self, wanted: U64) -> I32:
        """Give the row of each key, -1 for who is not in this inventory."""
        # A table beats a search: there are far more rows than subjects.
        at = self.first[(wanted & np.uint64(len(self.first) - 1)).view(np.int64)]
        found: I32 = np.where((self.keys[at] == wanted) & (wanted != 0), at, np.int32(-1))
        if len(self.rest):
            missed = np.flatnonzero((found < 0) & (wanted != 0))
            ours = self.keys[self.rest]
            near = self.rest[np.minimum(np.searchsorted(ours, wanted[missed]), len(ours) - 1)]
            found[missed] = np.where(self.keys[near] == wanted[missed], near, np.int32(-1))
        return found


def outline(store: Store, since: float, until: float, ports: Sequence[int] = ()) -> Outline:
    """Count the rows of each second, and cut the span into chunks."""
    found = _read(
        store,
        f"SELECT toUInt32(toUnixTimestamp(time)) AS second, toUInt32(count()) AS rows FROM {shapes.FLOWS} "
        f"WHERE {_when(since, until)}{_only(ports)} GROUP BY second ORDER BY second",
    )
    if not found:
        return Outline(0, (), ((since, until),))
    second, rows = found["second"].astype(np.int64), found["rows"].astype(np.int64)
    return Outline(int(rows.sum()), tuple(_chunks(second, rows, until)), _gaps(second, since, until))


def _chunks(second: I64, rows: I64, until: float) -> Iterator[Chunk]:
    total = np.cumsum(rows)
    first = 0
    while first < len(second):
        before = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, before + CHUNK, "right")))
        end = int(second[last]) if last < len(second) else int(np.ceil(until))
        yield Chunk(int(second[first]), end, int(total[last - 1] - before))
        first = last


def _gaps(second: I64, since: float, until: float) -> tuple[tuple[float, float], ...]:
    edges = np.concatenate([[int(since)], second, [int(until)]])
    wide = np.flatnonzero(np.diff(edges) >= 60)
    return tuple((float(edges[i]), float(edges[i + 1])) for i in wide.tolist())[:1000]


def heard(
    store: Store, chunk: Chunk, since: float, until: float, ports: Sequence[int] = ()
) -> tuple[FlowBatch, U64, U64, U64]:
    """Read the rows of a chunk within a span in the order they came, and three columns of keys.

    They are of senders, receivers and exporters. Senders and receivers of the batch are -1 still, and its
    exporters 0: see `Known`.
    """
    span = _when(max(since, chunk.since), min(until, chunk.until))
    found = _read(
        store,
        f"SELECT {', '.join(COLUMNS)} FROM {shapes.FLOWS} WHERE {span}{_only(ports)} ORDER BY time "
        "SETTINGS max_threads = 1",
    )
    if not found:
        none = np.zeros(0, np.uint64)
        return FlowBatch.empty(0), none, none, none
    batch = FlowBatch.empty(len(found["time"]))
    for name in COLUMNS:
        if name not in shapes.KEYED and name != "time":
            setattr(batch, name, found[name])
    batch.time = found["time"] / shapes.MICROSECONDS
    return batch, found["sender"], found["receiver"], found["exporter"]


def _only(ports: Sequence[int]) -> str:
    """Leave out what no detector of mail looks at."""
    if not ports:
        return ""
    named = ", ".join(str(int(port)) for port in ports)
    return f" AND protocol = 6 AND (dst_port IN ({named}) OR src_port IN ({named}))"


def exporters(store: Store) -> dict[int, str]:
    """Name every exporter by its key."""
    found = ask(store, f"SELECT key, any(address) FROM {shapes.EXPORTERS} GROUP BY key")
    return {int(key): str(address) for key, address in found.rows}


def moments(store: Store, since: float, until: float) -> F64 | None:
    """Give the moments at which the one collector of a span judged; None for several, or none."""
    found = _read(
        store,
        f"SELECT at, collector FROM {shapes.MOMENTS} WHERE {_when(since, until)} ORDER BY time",
    )
    if not found or len(set(found["collector"].tolist())) > 1:
        return None
    at: F64 = found["at"]
    return at


def inventories(store: Store, since: float, until: float) -> list[Known]:
    """List the inventories that held within a span, in order; the first may begin after the span."""
    begun = ask(
        store,
        f"SELECT toFloat64(max(time)) FROM {shapes.INVENTORY} WHERE kind = 'whole' AND {_when(0, since)}",
    )
    start = float(begun.rows[0][0] or 0.0)
    found = _read(
        store,
        f"SELECT time, collector, kind, name, body FROM {shapes.INVENTORY} "
        # A moment earlier: what was written at that very moment belongs to it.
        f"WHERE {_when(max(0.0, start - 1e-6), until)} ORDER BY time, collector",
    )
    return list(_inventories(found)) if found else []


def _inventories(found: dict[str, NDArray[Any]]) -> Iterator[Known]:
    there: dict[tuple[str, str], Host | Subject] = {}
    time, collector = found["time"], found["collector"]
    changes = np.flatnonzero((time[1:] != time[:-1]) | (collector[1:] != collector[:-1])) + 1
    edges = [0, *changes.tolist(), len(time)]
    for version, (first, last) in enumerate(pairwise(edges), 1):
        rows = slice(first, last)
        if "whole" in found["kind"][rows].tolist():
            there = {}
        for kind, name, body in zip(
            found["kind"][rows], found["name"][rows], found["body"][rows], strict=True
        ):
            _change(there, str(kind), str(name), str(body))
        yield _known(float(time[first]) / shapes.MICROSECONDS, version, there)


def _change(there: dict[tuple[str, str], Host | Subject], kind: str, name: str, body: str) -> None:
    if kind == "whole":
        return
    if not body:
        there.pop((kind, name), None)
        return
    try:
        plain = json.loads(body)
        there[kind, name] = (
            from_plain(Host, plain, strict=False)
            if kind == "host"
            else from_plain(Subject, plain, strict=False)
        )
    except (ValueError, Malformed):  # written by another version: better one subject less than no answer
        there.pop((kind, name), None)


def _known(time: float, version: int, there: dict[tuple[str, str], Host | Subject]) -> Known:
    hosts = tuple(noun for noun in there.values() if isinstance(noun, Host))
    subjects = tuple(noun for noun in there.values() if isinstance(noun, Subject))
    given = keys.keys(s.id for s in subjects)
    first = np.full(1 << max(10, (64 * len(subjects)).bit_length()), -1, np.int32)
    place = (given[:-1] & np.uint64(len(first) - 1)).view(np.int64)
    first[place] = np.arange(len(subjects))
    rest = np.flatnonzero(first[place] != np.arange(len(subjects)))
    sorted_rest: I32 = rest[np.argsort(given[rest])].astype(np.int32)
    return Known(time, Inventory(version, hosts, subjects), given, first, sorted_rest)


def _read(store: Store, question: str) -> dict[str, NDArray[Any]]:
    return native.read(store.ask(question, "Native", {}, {}))


def _when(since: float, until: float) -> str:
    edges = (f"toDateTime64({edge:.6f}, 6, 'UTC')" for edge in (max(0.0, since), until))
    return "time >= {} AND time < {}".format(*edges)

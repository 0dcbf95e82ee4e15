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
    from collections.abc import Iterator

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
class Wanted:
    """What is read of the rows: columns of `COLUMNS`, and of which rows.

    sides: of "sender" and "receiver" those that must be somebody's, one of them; ports: source and
    destination ports of which a row must have one, where any are given.
    """

    columns: tuple[str, ...] = COLUMNS
    sides: tuple[str, ...] = ()
    source_ports: tuple[int, ...] = ()
    destination_ports: tuple[int, ...] = ()

    def condition(self) -> str:
        """Say in SQL which rows are meant."""
        ours = " OR ".join(f"{side} != 0" for side in self.sides)
        ports = " OR ".join(
            f"{column} IN ({', '.join(str(int(port)) for port in ports)})"
            for column, ports in (("src_port", self.source_ports), ("dst_port", self.destination_ports))
            if ports
        )
        return " AND ".join(f"({part})" for part in (ours, ports) if part) or "1"


EVERYTHING: Final = Wanted()


@dataclass(slots=True)
class Known:
    """An inventory from a moment on, and the places of its subjects by their keys."""

    time: float
    inventory: Inventory
    # Made once rows are asked for: megabytes, and a span may have hundreds of inventories.
    _places: keys.Places | None = None

    def rows_of(self, wanted: U64) -> I32:
        """Give the row of each key, -1 for who is not in this inventory."""
        if self._places is None:
            self._places = keys.places(keys.keys(s.id for s in self.inventory.subjects))
        return self._places.rows_of(wanted)


def outline(store: Store, since: float, until: float, wanted: Wanted = EVERYTHING) -> Outline:
    """Count the rows of each second that are wanted, and cut the span into chunks.

    A gap is where there are no rows at all, wanted or not.
    """
    found = _read(
        store,
        f"SELECT toUInt32(toUnixTimestamp(time)) AS second, toUInt32(countIf({wanted.condition()})) AS rows "
        f"FROM {shapes.FLOWS} WHERE {_when(since, until)} GROUP BY second ORDER BY second",
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


@dataclass(frozen=True, slots=True)
class Heard:
    """Rows in the order they came, and the keys of their senders, receivers and exporters.

    A column that was not asked for is 0 in every row; senders and receivers are -1 still, and exporters 0.
    """

    batch: FlowBatch
    sender: U64
    receiver: U64
    exporter: U64


def heard(store: Store, chunk: Chunk, since: float, until: float, wanted: Wanted = EVERYTHING) -> Heard:
    """Read the rows of a chunk within a span."""
    span = _when(max(since, chunk.since), min(until, chunk.until))
    found = _read(
        store,
        f"SELECT {', '.join(wanted.columns)} FROM {shapes.FLOWS} WHERE {span} AND {wanted.condition()} "
        "ORDER BY time SETTINGS max_threads = 1",
    )
    count = len(found["time"]) if found else 0
    batch, nobody = FlowBatch.empty(count), np.zeros(count, np.uint64)
    for name, column in found.items():
        if name not in shapes.KEYED and name != "time":
            setattr(batch, name, column)
    if found:
        batch.time = found["time"] / shapes.MICROSECONDS
    return Heard(batch, *(found.get(side, nobody) for side in ("sender", "receiver", "exporter")))


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
    return Known(time, Inventory(version, hosts, subjects))


def _read(store: Store, question: str) -> dict[str, NDArray[Any]]:
    return native.read(store.ask(question, "Native", {}, {}))


def _when(since: float, until: float) -> str:
    edges = (f"toDateTime64({edge:.6f}, 6, 'UTC')" for edge in (max(0.0, since), until))
    return "time >= {} AND time < {}".format(*edges)

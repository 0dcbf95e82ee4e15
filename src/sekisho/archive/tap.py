"""The side tap: what the collector heard goes into a bounded queue, and from there in blocks to the spool.

On the road nobody waits: while a batch is still near, its columns are copied to where a block of the spool
will have them, or it is counted as dropped. Each full block is queued, and every few seconds what there is.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sekisho.archive import keys, shapes
from sekisho.archive.filling import Filling
from sekisho.archive.native import microseconds
from sekisho.archive.spool import SpoolWriter
from sekisho.model.errors import Unavailable
from sekisho.model.inventory import Host, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.archive.settings import TapSettings
    from sekisho.archive.spool import Columns
    from sekisho.model.inventory import Inventory
    from sekisho.model.report import ExporterReport
    from sekisho.tables import I32, U64, FlowBatch

Noun: TypeAlias = Host | Subject
# A snapshot of everybody is written anew after so many seconds, so that old ones may go.
WHOLE_EVERY = 86400.0
# Moments are few and small: so many of them make a block.
MOMENTS = 60
# Blocks that are kept for the next rows beside the one that fills and the one that is written.
SPARE = 1
# So many inventories wait to be written; then the oldest is passed over, and the next says its changes too.
INVENTORIES = 4
# A disk that hangs gets no more blocks that are not full beside so many.
WAITING = 8
# Nouns as `model.plain` has them, at a fifth of its time: there are tens of thousands.
_ENCODE = json.JSONEncoder(
    separators=(",", ":"), default=lambda noun: {name: getattr(noun, name) for name in noun.__slots__}
).encode


@dataclass(frozen=True, slots=True)
class _Moments:
    at: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Met:
    inventory: Inventory
    at: float


@dataclass(frozen=True, slots=True)
class _Look:
    """An inventory has been met."""


class Tap:
    """`put`, `meet` and `close` are for the road, from its thread; `work` for a thread of its own.

    `exporter` tells of one row of the collector's Exporters, `generation` gives a number that changes
    whenever that row is given to another one.
    """

    def __init__(
        self,
        settings: TapSettings,
        name: str,
        now: float,
        exporter: Callable[[int], ExporterReport],
        generation: Callable[[int], int] = lambda _row: 0,
    ) -> None:
        self._settings = settings
        self._name = name
        self._exporter = exporter
        self._generation = generation
        self.writer = SpoolWriter(settings.spool, name, now)
        self._queue: deque[Filling | _Moments | _Look] = deque()
        self._met: deque[_Met] = deque(maxlen=INVENTORIES)
        # Made here and not on the road: who cannot have the memory does not begin.
        self._filling: Filling | None = _first(settings.block_rows)
        self._closed: list[float] = []  # seconds whose rows are not all in sealed blocks
        self._sealed = 0  # blocks queued
        self._written = 0  # blocks taken from there
        self._spare: deque[Filling] = deque(maxlen=SPARE)
        self._queued = 0  # rows put
        self._taken = 0  # rows taken; each thread writes its own of the two
        self.dropped = 0
        self._subjects: U64 = np.zeros(1, np.uint64)
        self._filled = threading.Event()
        self._moments: list[float] = []
        self._sealed_at = self._tried_at = now
        self._whole_at = float("-inf")
        self._known: dict[str, Noun] = {}  # by kind and name
        self._exporters: dict[int, tuple[int, int]] = {}  # row: generation, key
        self._fresh: dict[int, ExporterReport] = {}  # by key, until they are written
        self._unmet: _Met | None = None  # until it is written

    # --- on the road ------------------------------------------------------------------------------

    def put(self, batch: FlowBatch) -> None:
        """Keep a resolved batch."""
        first, last = 0, len(batch)
        if self._queued - self._taken + last > self._settings.queue_rows:
            self.dropped += last
            return
        while first < last:
            if not self._has_room():
                self.dropped += last - first
                return
            assert self._filling is not None  # noqa: S101 - it has room
            taken = self._filling.take(batch, first, self._subjects)
            self._queued += taken
            first += taken
            if self._filling.rows == self._filling.room:
                self._seal()

    def meet(self, inventory: Inventory, now: float, subjects: U64 | None = None) -> None:
        """Take over an inventory: the batches from now on are resolved by it.

        `subjects` is what `subject_keys` made of it.
        """
        self._subjects = subject_keys(inventory) if subjects is None else subjects
        self._met.append(_Met(inventory, now))
        self._queue.append(_Look())

    def close(self, at: float) -> None:
        """End a second, as the detection does."""
        self._closed.append(at)
        late = not 0 <= at - self._sealed_at < self._settings.every
        if late and self._sealed - self._written < WAITING:
            self._sealed_at = at
            self._seal()
        self._filled.set()

    def _has_room(self) -> bool:
        """Begin a block where none fills; without memory for one what comes is dropped, and nobody falls."""
        if self._filling is None:
            try:
                self._filling = self._spare.pop() if self._spare else Filling(self._settings.block_rows)
            except (MemoryError, OSError):
                return False
        return True

    def _seal(self) -> None:
        """Let the block that fills be written, with what is in it; then the seconds that it ends."""
        if self._filling is not None and self._filling.rows:
            self._queue.append(self._filling)
            self._sealed += 1
            self._filling = None
        if self._closed:
            self._queue.append(_Moments(tuple(self._closed)))
            self._closed = []
        self._filled.set()

    def counters(self) -> dict[str, float]:
        """Totals by name."""
        return {
            "written": float(self.writer.written.get(shapes.FLOWS, 0)),
            "dropped": float(self.dropped + self.writer.lost.get(shapes.FLOWS, 0)),
            "waiting": float(self._queued - self._taken),
            "unclean": float(self.writer.unclean),
        }

    # --- beside it --------------------------------------------------------------------------------

    def work(self, wait: float = 1.0) -> None:
        """Take what is queued and write what is due; raises Unavailable where the disk does not take it."""
        self._filled.wait(wait)
        self._filled.clear()
        while self._queue:
            match item := self._queue.popleft():
                case Filling():
                    self._write(item)
                case _Moments():
                    self._moments += item.at
                    self._write_late(item.at[-1])
                case _Look():
                    self._look()

    def wake(self) -> None:
        """Let `work` wait no longer."""
        self._filled.set()

    def finish(self) -> None:
        """Write all there is; the last word of a run, and nobody else may be at `work`.

        Raises the first trouble once everything has been tried.
        """
        self._seal()
        troubles: list[Unavailable] = []
        while self._queue:
            _try(lambda: self.work(0.0), troubles)
        for step in (self._tell_exporters, self._meet_again, self._write_moments):
            _try(step, troubles)
        self.writer.close()
        if troubles:
            raise troubles[0]

    def _write(self, filled: Filling) -> None:
        # Let go of first: what the disk does not take is counted by the writer and does not come again.
        self._taken += filled.rows
        self._written += 1
        try:
            self.writer.write_filled(filled, self._exporter_keys(filled.exporters))
        finally:
            filled.clear()
            self._spare.append(filled)
        self._tell_exporters()

    def _write_late(self, at: float) -> None:
        """Write what is due beside the flows, and now and then what found no room before."""
        if len(self._moments) >= MOMENTS:
            self._write_moments()
        if not 0 <= at - self._tried_at < self._settings.every:
            self._tried_at = at
            self._tell_exporters()
            self._meet_again()

    def _look(self) -> None:
        try:
            met = self._met.popleft()
        except IndexError:  # a later one took its place
            return
        self._unmet = met
        self._meet(met)

    def _meet_again(self) -> None:
        if self._unmet is not None:
            self._meet(self._unmet)

    def _write_moments(self) -> None:
        moments, self._moments = self._moments, []
        if moments:
            at = np.array(moments)
            values: Columns = {"time": microseconds(at), "at": at, "collector": [self._name] * len(at)}
            self.writer.write(shapes.MOMENTS, len(at), values)

    def _exporter_keys(self, rows: I32) -> U64:
        # Of a burst many rows that follow each other are of one exporter.
        begins = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
        found, places = np.unique(rows[begins], return_inverse=True)
        given = np.array([self._exporter_key(row) for row in found.tolist()], np.uint64)
        return np.repeat(given[places], np.diff(begins, append=len(rows)))

    def _exporter_key(self, row: int) -> int:
        generation = self._generation(row)
        before = self._exporters.get(row)
        if before is None or before[0] != generation:
            report = self._exporter(row)
            before = self._exporters[row] = (generation, keys.exporter_key(report))
            self._fresh[before[1]] = report
        return before[1]

    def _tell_exporters(self) -> None:
        reports = self._fresh.values()
        if not reports:
            return
        values: Columns = {
            "time": np.full(len(reports), int(self._sealed_at * 1e6), np.int64),
            "key": np.array(list(self._fresh), np.uint64),
            "address": [r.address for r in reports],
            "protocol": [r.protocol for r in reports],
            "domain": np.array([r.domain for r in reports], np.uint32),
        }
        if self.writer.write(shapes.EXPORTERS, len(reports), values):
            self._fresh = {}

    def _meet(self, met: _Met) -> None:
        """Write what changed since the inventory before, or everybody where that is due."""
        self._unmet = met
        # By one word each: of a hundred thousand pairs a look for cycles takes 80 ms, and stops everybody.
        there: dict[str, Noun] = {f"host {host.name}": host for host in met.inventory.hosts}
        for subject in met.inventory.subjects:
            there[f"subject {subject.id}"] = subject
        whole = not 0 <= met.at - self._whole_at < WHOLE_EVERY
        before = {} if whole else self._known
        changed: list[tuple[str, Noun | None]] = [
            (name, noun) for name, noun in there.items() if before.get(name) != noun
        ]
        changed += [(name, None) for name in before if name not in there]
        if whole:
            changed.insert(0, ("whole ", None))
        if changed and not self.writer.write(shapes.INVENTORY, len(changed), self._changes(changed, met.at)):
            return
        self._unmet, before, self._known = None, self._known, there
        self._whole_at = met.at if whole else self._whole_at
        while before:  # one by one: to let go of so many at once would hold up the other threads
            before.popitem()

    def _changes(self, changed: list[tuple[str, Noun | None]], at: float) -> Columns:
        who = [noun if isinstance(noun, Subject) else None for _, noun in changed]
        words = [word.partition(" ") for word, _ in changed]
        names = [name for _, _, name in words]
        return {
            "time": np.full(len(changed), int(at * 1e6), np.int64),
            "collector": [self._name] * len(changed),
            "kind": [kind for kind, _, _ in words],
            "name": names,
            "key": np.array([keys.key(name) if name else 0 for name in names], np.uint64),
            "project": [s.project if s else "" for s in who],
            "server": [s.server if s else "" for s in who],
            "body": [_ENCODE(noun) if noun else "" for _, noun in changed],
        }


def subject_keys(inventory: Inventory) -> U64:
    """Make beforehand what `Tap.meet` needs of an inventory, in any thread."""
    return keys.keys(subject.id for subject in inventory.subjects)


def _first(rows: int) -> Filling:
    try:
        return Filling(rows)
    except (MemoryError, OSError) as error:
        raise Unavailable(
            "There is no memory for the archive's blocks.", f"block_rows = {rows}: {error}."
        ) from error


def _try(step: Callable[[], None], troubles: list[Unavailable]) -> None:
    try:
        step()
    except Unavailable as error:
        troubles.append(error)

"""Archived windows through the same detectors and judge, as fast as they go; evidence out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.archive import replay
from sekisho.detect.highest import Highest
from sekisho.detect.settings import DetectSettings
from sekisho.detect.window import Detection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sekisho.archive.replay import Chunk, Known, Outline
    from sekisho.archive.store import Store
    from sekisho.model.inventory import Subject
    from sekisho.model.policy import PolicySet
    from sekisho.model.restriction import Evidence
    from sekisho.tables import F64, U64, FlowBatch

# Windows are filled from before the span, but not from further back than this.
MOST_WARMING: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played: policies over a span, closed every `step` seconds; `settings` of the detection."""

    policies: PolicySet
    since: float
    until: float
    step: float
    settings: DetectSettings = field(default_factory=DetectSettings)

    @property
    def longest(self) -> float:
        """The longest window of any condition."""
        return max((c.threshold.window for p in self.policies.policies for c in p.conditions), default=0.0)

    @property
    def start(self) -> float:
        """When windows begin to fill."""
        return max(0.0, self.since - min(self.longest, MOST_WARMING))


class Player:
    """Plays a plan over a store, once; `judged` hears the evidence of each close within the span."""

    def __init__(self, store: Store, plan: Plan, judged: Callable[[Sequence[Evidence], float], None]) -> None:
        self._store = store
        self._plan = plan
        self._judged = judged
        self._names = replay.exporters(store)
        self._rows_of_exporters: dict[int, int] = {}
        self.detection = Detection(plan.settings, plan.policies, exporter_name=self._exporter)
        self.ports = self._mail()
        self.outline: Outline = replay.outline(store, plan.start, plan.until, self.ports)
        self._known = replay.inventories(store, plan.start, plan.until)
        self.has_inventory = bool(self._known)
        self._here: Known | None = None
        self.subjects: dict[str, Subject] = {}
        self._grid = False  # seconds are closed by our own clock, not by the collector's
        self._moments = self._closes()
        self._heard = float("-inf")  # when something was last heard
        self.gaps = tuple(gap for gap in self.outline.gaps if gap[1] > plan.since + 60)
        self.highest = {judge.policy.name: Highest(judge) for judge in self.detection.judges}
        self.records = 0

    def _mail(self) -> tuple[int, ...]:
        """Name the ports that are enough to read, where all detectors say theirs."""
        own = {line.lane.detector.exact_ports for judge in self.detection.judges for line in judge.lines}
        return tuple(sorted({port for ports in own for port in ports})) if own and all(own) else ()

    def _closes(self) -> F64:
        """Give the moments that seconds were closed at, those of the collector itself where they are kept."""
        plan = self._plan
        if plan.step == 1.0:
            kept = replay.moments(self._store, plan.start, plan.until)
            if kept is not None and len(kept) >= 0.9 * self._covered():
                return kept
        self._grid = True
        return np.arange(plan.start + plan.step, plan.until + plan.step / 2, plan.step)

    def _covered(self) -> float:
        silent = sum(end - begin for begin, end in self.outline.gaps)
        return self._plan.until - self._plan.start - silent

    def play(self, told: Callable[[float], None], stop: Callable[[], bool]) -> None:
        """Play all of it; `told` hears the share that is done. Ends early where `stop` says so."""
        place = 0
        chunks = self.outline.chunks
        # The store reads one chunk while another one is judged.
        with ThreadPoolExecutor(1, "back-test") as ahead:
            reading = [ahead.submit(self._heard_of, chunk) for chunk in chunks[:1]]
            for number, chunk in enumerate(chunks):
                if stop():
                    return
                heard = reading.pop().result()
                reading = [ahead.submit(self._heard_of, after) for after in chunks[number + 1 : number + 2]]
                place = self._chunk(chunk, heard, place)
                told(self.records / max(self.outline.rows, 1))
        self._until(place, len(self._moments))
        for highest in self.highest.values():
            highest.end()

    def _heard_of(self, chunk: Chunk) -> tuple[FlowBatch, U64, U64, U64]:
        return replay.heard(self._store, chunk, self._plan.start, self._plan.until, self.ports)

    def _chunk(self, chunk: Chunk, heard: tuple[FlowBatch, U64, U64, U64], place: int) -> int:
        """Play a chunk, from the close at `place` on; gives the place of the first close after it."""
        batch, *given = heard
        self.records += len(batch)
        batch.exporter = self._exporters(given[2])
        time = batch.time
        last = int(np.searchsorted(self._moments, chunk.until, "left"))
        # What arrived up to the very moment of a close belongs to it.
        edges = np.searchsorted(time, self._moments[place:last], "right").tolist()
        begin = 0
        for at, edge in enumerate(edges, place):
            self._add(batch, given, begin, edge)
            begin = edge
            self._until(at, at + 1)
        self._add(batch, given, begin, len(batch))
        return last

    def _add(self, batch: FlowBatch, given: list[U64], begin: int, end: int) -> None:
        """Count rows, each by the inventory of its time."""
        while begin < end:
            first = float(batch.time[begin])
            self._meet(first)
            until = end
            if self._known:
                until = begin + int(np.searchsorted(batch.time[begin:end], self._known[0].time, "left"))
            rows = slice(begin, max(until, begin + 1))
            piece = batch.take(rows)
            if self._here is not None:
                piece.sender = self._here.rows_of(given[0][rows])
                piece.receiver = self._here.rows_of(given[1][rows])
            self.detection.add(piece)
            begin = rows.stop
            self._heard = float(batch.time[begin - 1])

    def _meet(self, time: float) -> None:
        """Take over the inventories that hold by then; before the first one is the first one."""
        while self._known and (self._known[0].time <= time or self._here is None):
            self._here = self._known.pop(0)
            self.subjects |= {s.id: s for s in self._here.inventory.subjects}
            self.detection.replace_inventory(self._here.inventory)

    def _until(self, place: int, end: int) -> None:
        """Close the seconds of these places; long after the last row there is nothing left to judge.

        A collector closes them all the same, and what it closed is played as it was.
        """
        plan = self._plan
        for at in self._moments[place:end].tolist():
            if self._grid and at - self._heard > plan.longest + 2 * plan.settings.repeat + 2 * plan.step:
                return
            self._meet(at)
            evidence = self.detection.close(at)
            if at >= plan.since:
                for highest in self.highest.values():
                    highest.look(at)
                if evidence:
                    self._judged(evidence, at)

    def _exporters(self, given: U64) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        found, inverse = np.unique(given, return_inverse=True)
        rows = [self._rows_of_exporters.setdefault(int(k), len(self._rows_of_exporters)) for k in found]
        return np.array(rows, np.int32)[inverse]

    def _exporter(self, row: int) -> str:
        key = next((key for key, given in self._rows_of_exporters.items() if given == row), 0)
        return self._names.get(key, "")

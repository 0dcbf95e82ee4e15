"""Archived windows through the same detectors and judge, as fast as they go; evidence out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.app.backtest_wanted import wanted
from sekisho.archive import keys, replay
from sekisho.detect.highest import Highest
from sekisho.detect.settings import DetectSettings
from sekisho.detect.window import Detection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sekisho.archive.replay import Chunk, Heard, Known, Outline
    from sekisho.archive.store import Store
    from sekisho.model.inventory import Subject
    from sekisho.model.policy import PolicySet
    from sekisho.model.restriction import Evidence
    from sekisho.tables import F64, FlowBatch

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
        named = replay.exporters(store)
        self._names = tuple(named.values())
        self._exporters = keys.places(np.array([*named, 0], np.uint64))
        self.detection = Detection(
            plan.settings, plan.policies, exporter_name=self._exporter, wall=plan.start
        )
        self.wanted = wanted(line.lane.stream for judge in self.detection.judges for line in judge.lines)
        self.outline: Outline = replay.outline(store, plan.start, plan.until, self.wanted)
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

    def _heard_of(self, chunk: Chunk) -> Heard:
        return replay.heard(self._store, chunk, self._plan.start, self._plan.until, self.wanted)

    def _chunk(self, chunk: Chunk, heard: Heard, place: int) -> int:
        """Play a chunk, from the close at `place` on; gives the place of the first close after it."""
        batch = heard.batch
        self.records += len(batch)
        batch.exporter = self._exporters.rows_of(heard.exporter)
        time = batch.time
        last = int(np.searchsorted(self._moments, chunk.until, "left"))
        # What arrived up to the very moment of a close belongs to it.
        edges = np.searchsorted(time, self._moments[place:last], "right").tolist()
        begin = 0
        for at, edge in enumerate(edges, place):
            self._add(heard, begin, edge)
            begin = edge
            self._until(at, at + 1)
        self._add(heard, begin, len(batch))
        return last

    def _add(self, heard: Heard, begin: int, end: int) -> None:
        """Count rows, each by the inventory of its time."""
        batch = heard.batch
        while begin < end:
            first = float(batch.time[begin])
            self._meet(first)
            until = end
            if self._known:
                until = begin + int(np.searchsorted(batch.time[begin:end], self._known[0].time, "left"))
            rows = slice(begin, max(until, begin + 1))
            piece = batch.take(rows)
            self._resolve(piece, heard, rows)
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

    def _resolve(self, piece: FlowBatch, heard: Heard, rows: slice) -> None:
        """Say whose rows these are; a side that was not read is nobody's."""
        if self._here is None:
            return
        if "sender" in self.wanted.columns:
            piece.sender = self._here.rows_of(heard.sender[rows])
        if "receiver" in self.wanted.columns:
            piece.receiver = self._here.rows_of(heard.receiver[rows])

    def _exporter(self, row: int) -> str:
        return self._names[row] if row >= 0 else ""

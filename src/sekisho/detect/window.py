"""Detection: batches in, and each second the evidence of who crossed which policy's line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sekisho import native
from sekisho.detect.buckets import Steady
from sekisho.detect.counting import Counting
from sekisho.detect.detector import Rows
from sekisho.detect.detectors import registered
from sekisho.detect.evidence import compose
from sekisho.detect.histograms import histograms
from sekisho.detect.judge import Judge, Kinds, Line, Standing
from sekisho.detect.lanes import Key, Lane, Stream
from sekisho.detect.roster import Roster
from sekisho.detect.talkers import RATES, Present

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sekisho.detect.detector import Detector
    from sekisho.detect.settings import DetectSettings
    from sekisho.model.inventory import Inventory
    from sekisho.model.policy import Policy, PolicySet, Scope
    from sekisho.model.report import Histogram, Talker
    from sekisho.model.restriction import Evidence
    from sekisho.tables import I64, Bool, FlowBatch

_SLOTS = 256  # to begin with; doubles as needed


@dataclass(slots=True)
class Ready:
    """All that is made of an inventory before it is taken over, from the roster `before` it.

    scopes: bool[slots], who is in the scope of each policy of then.
    """

    before: Roster
    roster: Roster
    kinds: Kinds
    scopes: dict[Scope, Bool]


class Detection:
    """What every subject did lately, judged by the policies in force.

    `add` for every resolved batch, `close` each second, from one thread. `detectors` defaults to the
    registered ones; `exporter_name` tells an exporter row's address, for the evidence; `wall` is the time
    (unix seconds) until the first close, by which scopes know how old a project is. Nothing here raises
    on traffic or on a clock that jumps: a step back is no time at all, a step forward ages the windows.
    What a policy asks of an unknown detector is counted and left out.
    """

    def __init__(
        self,
        settings: DetectSettings,
        policies: PolicySet,
        detectors: Mapping[str, Detector] | None = None,
        exporter_name: Callable[[int], str] = lambda _row: "",
        wall: float = 0.0,
    ) -> None:
        self._settings = settings
        self._detectors = registered() if detectors is None else detectors
        self._exporter_name = exporter_name
        self._steady = Steady()
        self._wall = wall  # at the last close
        self._slots = _SLOTS
        self._roster = Roster()
        self._kinds = Kinds((), {})
        self._streams: dict[Key, Stream] = {}
        self._judges: list[Judge] = []
        self._counters = dict.fromkeys(("rows", "rows_ours", "closes", "evidence", "policies_unjudged"), 0)
        self._present: Present | None = None
        self._one_pass: Counting | None = None
        self._span = np.zeros(2)  # when the first and the last row of a batch arrived
        self._span_at = self._span.ctypes.data
        self.replace_policies(policies)

    def replace_policies(self, policies: PolicySet) -> None:
        """Judge by these from now on; windows still needed stay filled, standings go by policy name."""
        self._pour()
        before = {judge.policy.name: judge.standing for judge in self._judges}
        streams, self._streams = self._streams, {}
        self._judges = []
        self._counters["policies_unjudged"] = 0
        self._present = self._talking(streams)
        for policy in policies.policies:
            if not policy.conditions or any(c.detector not in self._detectors for c in policy.conditions):
                self._counters["policies_unjudged"] += 1
                continue
            self._judges.append(self._judge(policy, streams, before))
        self._drop_lanes()
        self._one_pass = None
        self._rescope({})

    def _judge(self, policy: Policy, streams: dict[Key, Stream], before: dict[str, Standing]) -> Judge:
        internet = policy.destinations == "internet"
        lines = tuple(
            Line(
                self._lane(streams, c.detector, c.threshold.window, internet=internet),
                c.threshold.amount,
                c.clear or c.threshold.amount,
            )
            for c in policy.conditions
        )
        return Judge(policy, lines, before.get(policy.name) or Standing.make(self._slots))

    def _lane(self, streams: dict[Key, Stream], name: str, window: float, *, internet: bool) -> Lane:
        key = (name, internet)
        if key not in self._streams:
            detector = self._detectors[name]
            kept = streams.get(key)
            self._streams[key] = kept or Stream(detector, self._slots, self._settings, internet=internet)
        return self._streams[key].lane(window, self._steady.now)

    def _talking(self, streams: dict[Key, Stream]) -> Present | None:
        window = self._settings.talker_window
        if window <= 0 or not RATES.keys() <= self._detectors.keys():
            return None
        return Present(lambda name, span: self._lane(streams, name, span, internet=False), window)

    def _drop_lanes(self) -> None:
        """Let go of windows nobody asks about any more."""
        needed = {id(line.lane) for judge in self._judges for line in judge.lines}
        if self._present:
            needed |= {id(lane) for lane in self._present.lanes}
        for stream in self._streams.values():
            stream.lanes = {w: lane for w, lane in stream.lanes.items() if id(lane) in needed}

    def replace_inventory(self, inventory: Inventory, ready: Ready | None = None) -> None:
        """Take new rows from the next batch on; subjects are known by id and keep what they did.

        `ready` is what `make_ready` made of it. Afterwards it holds what it took the place of, which is
        a lot to let go of.
        """
        if ready is None or ready.before is not self._roster:
            ready = self.make_ready(inventory)
        ready.roster, self._roster = self._roster, ready.roster
        ready.kinds, self._kinds = self._kinds, ready.kinds
        self._widen(len(self._roster))
        self._rescope(ready.scopes)

    def make_ready(self, inventory: Inventory) -> Ready:
        """Make beforehand what an inventory is taken over with, in any thread; all else may go on."""
        before = self._roster
        try:
            roster = before.after(inventory, self._steady.now)
            kinds = Kinds(roster.subjects, roster.slot_of)
            asked = {judge.policy.scope for judge in tuple(self._judges)}
            scopes = {scope: kinds.within(scope, self._wall) for scope in asked}
        except BaseException:
            before.release()
            raise
        return Ready(before, roster, kinds, scopes)

    def _widen(self, slots: int) -> None:
        if slots <= self._slots:
            return
        while self._slots < slots:
            self._slots *= 2
        self._pour()
        for stream in self._streams.values():
            stream.widen(self._slots)
        self._one_pass = None
        for judge in self._judges:
            judge.standing = judge.standing.widen(self._slots)

    def _rescope(self, scopes: Mapping[Scope, Bool]) -> None:
        """Find out who is in each policy's scope, unless `scopes` knows it."""
        roster = self._roster
        for judge in self._judges:
            known = scopes.get(judge.policy.scope)
            inside = np.zeros(self._slots, np.bool_)
            inside[: len(roster)] = (
                self._kinds.within(judge.policy.scope, self._wall) if known is None else known
            )
            inside[: len(roster)] &= roster.present
            judge.rescope(inside)

    def add(self, batch: FlowBatch) -> None:
        """Count a resolved batch; rows of nobody's are left out."""
        self._counters["rows"] += len(batch)
        if not len(batch):
            return
        columns = None if native.LIBRARY is None else native.columns_of(batch)
        known, first, last = self._glance(batch, columns)
        if not known:
            return
        self._counters["rows_ours"] += known
        if known < len(batch) // 2:
            batch, columns = batch.take(_ours(batch)), None
        if last - first <= self._settings.tick:
            self._add(batch, last, columns)
            return
        for piece in _by_second(batch, self._settings.tick):
            self._add(piece, float(piece.time.max()))

    def _glance(self, batch: FlowBatch, columns: native.Structure | None) -> tuple[int, float, float]:
        """Tell how many rows of a batch are of ours, and when the first and the last of all arrived."""
        if native.LIBRARY is None or columns is None:
            return int(np.count_nonzero(_ours(batch))), float(batch.time.min()), float(batch.time.max())
        known = native.LIBRARY.sk_glance(columns.address, len(batch), self._span_at)
        return known, *self._span.tolist()

    def _add(self, batch: FlowBatch, arrived: float, columns: native.Structure | None = None) -> None:
        """Count a batch; `columns` is its C side, if somebody has made it already."""
        self._advance(arrived)
        if native.LIBRARY is None:
            self._add_in_columns(batch, [*self._streams.values()])
            return
        if self._one_pass is None:
            self._one_pass = Counting(self._streams.values(), self._settings, native.LIBRARY)
        columns = columns or native.columns_of(batch)
        self._one_pass.add(columns, len(batch), self._roster, self._steady.now)
        if self._one_pass.rest:
            self._add_in_columns(batch, self._one_pass.rest)

    def _add_in_columns(self, batch: FlowBatch, streams: list[Stream]) -> None:
        roster = self._roster
        rows = Rows(
            batch,
            roster.slots(batch.sender),
            roster.slots(batch.receiver),
            roster.tells(batch.sender),
            roster.tells(batch.receiver),
            self._settings,
        )
        with np.errstate(all="ignore"):
            for stream in streams:
                stream.add(rows, self._steady.now)

    def _advance(self, arrival: float) -> None:
        """Turn the buckets where rows arrive long after the last close, so that none grows too long."""
        steady = self._steady
        if steady.last is None or arrival - steady.last <= self._settings.tick:
            return
        now = steady.read(arrival)
        self._leave(now)
        self._turn(now)

    def _counting(self) -> Iterator[Lane]:
        for stream in self._streams.values():
            yield from stream.lanes.values()

    def _pour(self) -> None:
        if self._one_pass is not None:
            self._one_pass.pour()

    def _leave(self, now: float) -> None:
        self._settle()
        for lane in self._counting():
            lane.counter.leave(now)

    def _turn(self, now: float) -> None:
        for lane in self._counting():
            lane.counter.turn(now)

    def close(self, now: float) -> list[Evidence]:
        """End a second at wall time `now`: measure, judge, and tell what is due."""
        self._wall, steady = now, self._steady.read(now)
        self._counters["closes"] += 1
        self._leave(steady)
        # A tick that comes a little early must not wait for the next one.
        repeat = self._settings.repeat - self._settings.tick / 10
        evidence: list[Evidence] = []
        with np.errstate(all="ignore"):
            for stream in self._streams.values():
                stream.recent.suspects.fill(False)
            for judge in self._judges:
                due = judge.close(now, steady, repeat)
                evidence += compose(
                    judge, due, self._roster.ids, now, steady, self._settings, self._exporter_name
                )
        self._turn(steady)
        self._forget(self._roster.expire(steady - self._settings.retain))
        self._counters["evidence"] += len(evidence)
        return evidence

    def _forget(self, slots: I64) -> None:
        if not len(slots):
            return
        for stream in self._streams.values():
            stream.forget(slots)
        for judge in self._judges:
            judge.standing.forget(slots)

    def talkers(self, limit: int) -> tuple[Talker, ...]:
        """Give the present rates of those who stand out in any of them, at most `limit`."""
        if self._present is None:
            return ()
        self._settle()
        return self._present.top(limit, self._roster, self._slots)

    def distributions(self) -> tuple[Histogram, ...]:
        """Set everybody in scope against each line of each policy; subjects with nothing are in no bar."""
        self._settle()
        with np.errstate(all="ignore"):
            return histograms(self._judges)

    def _settle(self) -> None:
        """Hand the lanes all that was counted so far."""
        self._pour()
        for stream in self._streams.values():
            stream.flush()

    @property
    def judges(self) -> tuple[Judge, ...]:
        """Who judges, for whoever wants to know how near everybody came."""
        return tuple(self._judges)

    @property
    def exact_ports(self) -> tuple[int, ...]:
        """TCP ports whose new connections the agents should tell exactly."""
        streams = self._streams.values()
        return tuple(sorted({port for stream in streams for port in stream.detector.exact_ports}))

    def counters(self) -> dict[str, float]:
        """Totals and gauges by name."""
        lanes = list(self._counting())
        return {
            **{name: float(value) for name, value in self._counters.items()},
            "subjects": float(self._roster.present.sum()),
            "lanes": float(len(lanes)),
            "crossed": float(sum(int(judge.standing.crossed.sum()) for judge in self._judges)),
            "window_bytes": float(sum(lane.counter.nbytes for lane in lanes)),
        }


def _ours(batch: FlowBatch) -> Bool:
    mask: Bool = (batch.sender >= 0) | (batch.receiver >= 0)
    return mask


def _by_second(batch: FlowBatch, tick: float) -> Iterator[FlowBatch]:
    """Split what arrived over more than one tick; a burst arrives at once."""
    first, last = float(batch.time.min()), float(batch.time.max())
    if not last - first > tick:
        yield batch
        return
    second = np.floor((batch.time - first) / tick)
    for value in np.unique(second):
        yield batch.take(second == value)

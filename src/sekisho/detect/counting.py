"""One pass over a batch for all streams whose detectors say by traits what they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sekisho import native
from sekisho.detect.distinct import Distinct
from sekisho.detect.picking import Pick, Picking, Trait
from sekisho.model.policy import Direction

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from sekisho.detect.lanes import Stream
    from sekisho.detect.roster import Roster
    from sekisho.detect.settings import DetectSettings
    from sekisho.tables import I32, I64, U64, FlowBatch

_AT_ONCE: Final = 64  # picks to a call, a bit each
_CLASSES: Final = 8  # lists of ports on either side, a bit each
_SOURCE, _DESTINATION = 16, 24  # the first trait of either side's classes
_WORTH: Final = {"bytes": 0, "packets": 1, "events": 2}
_SIGNED_PACKETS: Final = 3
# `pick` of native/count.c; eight octets each but the first eight.
PICK: Final = np.dtype(
    [
        ("need", np.uint32, 2),
        ("lack", np.uint32, 2),
        *[(name, np.uint32) for name in ("terms", "outward", "worth", "unused")],
        *[(n, np.int64) for n in ("sums", "stride", "samples", "suspects", "ring", "source_port")],
        *[(name, np.int64) for name in ("rows", "suspected", "others")],
    ]
)


class Counting:
    """The picks of some streams, made once; `rest` are the streams that must be counted in columns."""

    def __init__(self, streams: Iterable[Stream], settings: DetectSettings, library: ctypes.CDLL) -> None:
        self._library = library
        self._settings = settings
        self._classes: dict[tuple[str, tuple[int, ...]], int] = {}
        self._ports = np.zeros((2, 65_536), np.uint8)
        self.rest: list[Stream] = []
        self._streams: list[tuple[Pick, Stream]] = []  # whose each pick is
        self._held: list[NDArray[Any]] = []
        picks: list[Any] = []
        first: list[bool] = []
        for stream in streams:
            made = self._picks_of(stream)
            if not made:
                self.rest.append(stream)
                continue
            self._streams += [(pick, stream) for pick, _ in made]
            picks += [compiled for _, compiled in made]
            first += [True, *[False] * (len(made) - 1)]
        self._picks = np.array(picks, PICK) if picks else np.zeros(0, PICK)
        # Of a stream's later parts nobody asks for the rows.
        self._listed = np.array(first, np.bool_)

    def add(self, batch: FlowBatch, roster: Roster, now: float) -> None:
        """Count a batch, and keep of each stream's rows what its evidence may name."""
        n, picks = len(batch), self._picks
        if not n or not len(picks):
            return
        rows = np.empty((len(picks), n), np.int32)
        picks["rows"] = np.where(self._listed, rows.ctypes.data + np.arange(len(picks)) * n * 4, 0)
        picks["suspected"] = picks["others"] = 0
        columns, known = native.columns_of(batch), _known(roster)
        for first in range(0, len(picks), _AT_ONCE):
            some = picks[first : first + _AT_ONCE]
            self._library.sk_count(
                *(columns.address, n, known.address, self._ports[0].ctypes.data, self._ports[1].ctypes.data),
                *(some.ctypes.data, len(some)),
            )
        self._library.sk_remember(columns.address, n, known.address, picks.ctypes.data, len(picks), now)
        taken = zip(picks["suspected"].tolist(), picks["others"].tolist(), strict=True)
        for number, (suspected, others) in enumerate(taken):
            pick, stream = self._streams[number]
            if stream.detector.distinct and (suspected or others):
                chosen = np.concatenate([rows[number, :suspected], rows[number, n - others :]])
                self._see(columns, known, pick, stream, chosen)

    def _see(
        self, columns: native.Structure, known: native.Structure, pick: Pick, stream: Stream, chosen: I32
    ) -> None:
        slots: I64 = np.empty(len(chosen), np.int64)
        items: U64 = np.empty(len(chosen), np.uint64)
        self._library.sk_items(
            *(columns.address, chosen.ctypes.data, len(chosen), known.address),
            *(int(pick.direction is Direction.EGRESS), int(pick.item == "port")),
            *(slots.ctypes.data, items.ctypes.data),
        )
        for lane in stream.lanes.values():
            if isinstance(lane.counter, Distinct):
                lane.counter.see(slots, items)

    def _picks_of(self, stream: Stream) -> list[tuple[Pick, Any]]:
        detector = stream.detector
        if not isinstance(detector, Picking):
            return []
        picks = detector.picks(self._settings)
        made = [self._compiled(pick, part, stream) for part, pick in enumerate(picks)]
        whole = [compiled for compiled in made if compiled is not None]
        return list(zip(picks, whole, strict=True)) if len(whole) == len(picks) else []

    def _compiled(self, pick: Pick, part: int, stream: Stream) -> Any:
        """Give one row of PICK; None for a pick that the core cannot do."""
        extra = self._extra(pick, internet=stream.internet)
        if extra is None or not 0 < len(pick.terms) <= 2 or (pick.signed and pick.worth != "packets"):
            return None
        made = np.zeros(1, PICK)[0]
        for number, (has, has_not) in enumerate(pick.terms):
            made["need"][number], made["lack"][number] = int(has) | extra, int(has_not)
        made["terms"] = len(pick.terms)
        made["outward"] = pick.direction is Direction.EGRESS
        made["worth"] = _SIGNED_PACKETS if pick.signed else _WORTH[pick.worth]
        if not stream.detector.distinct:
            fresh = stream.fresh  # slot by slot in memory
            made["sums"] = fresh[2 * part :].ctypes.data
            made["samples"] = fresh[-1:].ctypes.data
            made["stride"] = fresh.strides[1] // fresh.itemsize
        made["suspects"] = stream.recent.suspects.ctypes.data
        made["ring"] = stream.recent.ring.address
        made["source_port"] = stream.detector.source_port
        self._held += [stream.fresh, stream.recent.suspects]
        return made

    def _extra(self, pick: Pick, *, internet: bool) -> int | None:
        """Traits of a pick beside its terms; None where there are more lists of ports than bits."""
        outward = pick.direction is Direction.EGRESS
        extra = int(Trait.TO_INTERNET if outward else Trait.FROM_INTERNET) if internet else 0
        for at, (side, first, ports) in enumerate(
            (
                ("source", _SOURCE, pick.source_ports),
                ("destination", _DESTINATION, pick.destination_ports),
            )
        ):
            if not ports:
                continue
            if (side, ports) not in self._classes:
                number = sum(known == side for known, _ in self._classes)
                if number >= _CLASSES:
                    return None
                self._classes[side, ports] = number
                self._ports[at, list(ports)] |= np.uint8(1 << number)
            extra |= 1 << first + self._classes[side, ports]
        return extra


def _known(roster: Roster) -> native.Structure:
    return native.Structure(roster.row_slot, roster.told, len(roster.row_slot) - 1)

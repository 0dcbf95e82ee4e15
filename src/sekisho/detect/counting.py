"""One pass over a batch for all streams whose detectors say by traits what they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from sekisho import native
from sekisho.detect.distinct import listed
from sekisho.detect.picking import Pick, Picking, Trait
from sekisho.model.policy import Direction

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from sekisho.detect.distinct import Distinct, Listed
    from sekisho.detect.lanes import Stream
    from sekisho.detect.roster import Roster
    from sekisho.detect.settings import DetectSettings
    from sekisho.tables import I64, U32, U64, Bool

_AT_ONCE: Final = 64  # picks that gather together, a bit each
_CLASSES: Final = 8  # lists of ports on either side, a bit each
_SOURCE, _DESTINATION = 16, 24  # the first trait of either side's classes
_WORTH: Final = {"bytes": 0, "packets": 1, "events": 2}
_SIGNED_PACKETS: Final = 3
_ITEMS: Final = {"": 0, "address": 1, "port": 2}
# `pick` of native/count.h; eight octets each but the first eight.
PICK: Final = np.dtype(
    [
        ("need", np.uint32, 2),
        ("lack", np.uint32, 2),
        *[(name, np.uint32) for name in ("terms", "outward", "worth", "item")],
        *[(n, np.int64) for n in ("sums", "stride", "samples", "ring", "source_port")],
        *[(n, np.int64) for n in ("slots", "items", "listed")],
    ]
)
# Places of `counting` of native/keep.c, in order; and one of `gathered` of native/count.h.
_WITH: Final = ("gathered", "roster", "found", "sights", "many", "unseen")
_TOUCHED: Final = 21
ENTRY: Final = 8  # words of `entry`
_BLOCK: Final = 32  # rows: which picks take any of so many stands behind what takes each
_KIND: Final = 4  # words of `kind`
_KINDS: Final = 1024
_MASKS: Final = 256  # different sets of picks that slots are suspects of
_MEMORY: Final = 1024 * 8  # octets of all of `memory`
_SHAPES: Final = 2048
_OURS, _TOLD, _SUSPECT, _SLOT = 1, 2, 4, 8  # what a roster's code is made of
# Kinds of rows that one subject has in a second beside the first, of which there is room for before all is
# poured out.
_EACH: Final = 3
_FEWEST, _MOST = 4096, 1 << 18


class Tables(NamedTuple):
    """What all picks look up: traits by a row's shape, and each side's classes by port up to the last."""

    shapes: NDArray[np.uint16]
    source: NDArray[np.uint8]
    destination: NDArray[np.uint8]


class Gathered:
    """Up to 64 picks, and what rows were worth to them, by slot and kind of row, until it is poured out.

    suspects: uint64[slots], of which picks a slot is a suspect.
    """

    def __init__(self, streams: list[tuple[Pick, Stream]], picks: NDArray[Any], tables: Tables) -> None:
        slots = streams[0][1].slots
        self.streams = streams
        self.suspects: U64 = np.zeros(slots, np.uint64)
        # What the distinct counts took of a batch, by the number of the pick: slots and items.
        self._lists: dict[int, Listed] = {}
        self._sights: list[tuple[int, Distinct]] = []  # where they are told apart
        self._sighted: native.Structure | None = None  # the C side of these
        self._picks = picks
        room = slots + min(max(_EACH * slots, _FEWEST), _MOST)
        # An entry is as long as a line of the cache, and lies in one.
        spare = np.zeros((room + 1) * ENTRY)
        entries = spare[-spare.ctypes.data % 64 // 8 :][: room * ENTRY]
        self.structure = native.Structure(
            *(entries, room, slots, 0),
            *(self.suspects, np.zeros(slots, np.uint8), np.zeros(_MASKS, np.uint64)),
            *(np.zeros((_KINDS + 1, _KIND), np.int64), _KINDS + 1, 1, np.full(_MEMORY, 0xFF, np.uint8)),
            *(tables.shapes, picks, len(picks), tables.source, tables.destination),
            *(len(tables.source) - 1, len(tables.destination) - 1),
            *(np.zeros(len(picks), np.int64), np.zeros(len(picks), np.int64), slots, 0),
        )
        self._with = native.Places(*_WITH)
        self._with.point(gathered=self.structure)

    def fit(self, rows: int, found: U64) -> None:
        """Make room for what is listed of so many rows; `found` is for the picks that take each."""
        self._with.point(found=found)
        for number in np.flatnonzero(self._picks["item"]).tolist():
            made = listed(np.empty(rows, np.int64), np.empty(rows, np.uint64))
            self._lists[number] = made
            self._picks["slots"][number], self._picks["items"][number] = made.slots_at, made.items_at

    def suspect(self, library: ctypes.CDLL) -> Bool:
        """Learn who is a suspect of whom now; tell who is any's, by slot."""
        self.suspects.fill(0)
        for number, (_, stream) in enumerate(self.streams):
            self.suspects[np.flatnonzero(stream.recent.suspects)] |= np.uint64(1 << number)
        library.sk_suspects(self.structure.address)
        anybody: Bool = self.suspects != 0
        return anybody

    def know(self, roster: native.Structure) -> None:
        """Take the roster of the rows to come, and what the buckets of the distinct counts are now."""
        self._with.point(roster=roster)
        self._sights = [
            (number, counter)
            for number in np.flatnonzero(self._picks["item"]).tolist()
            for counter in self.streams[number][1].distinct()
        ]
        self._look()

    def _look(self) -> None:
        """Give the compiled core the distinct counts, and a word each for how many slots it misses."""
        words = [(counter.structure(), number, 0) for number, counter in self._sights]
        self._sighted = native.Structure(*(word for each in words for word in each))
        self._with.point(sights=self._sighted)
        self._with.put(many=len(words))

    def add(self, library: ctypes.CDLL, columns: int, n: int, now: float) -> None:
        """Count a batch of n rows, for which there is room."""
        done = 0
        while (done := library.sk_count(self._with.address, columns, done, n, now)) < n:
            library.sk_pour(self.structure.address)
        if self._with.told("unseen"):
            self._see_rest(library)

    def _see_rest(self, library: ctypes.CDLL) -> None:
        """Count in the distinct counts which lack rows for some of whom was listed."""
        assert self._sighted is not None  # noqa: S101 - it was just asked
        for missing, (number, counter) in zip(self._sighted.values[2::3].tolist(), self._sights, strict=True):
            if missing:
                counter.see_listed(library, self._lists[number], int(self._picks["listed"][number]))
        self._look()

    def pour(self, library: ctypes.CDLL) -> None:
        """Pour what has gathered into the streams' sums."""
        library.sk_pour(self.structure.address)
        touched, self.structure.words[_TOUCHED] = self.structure.words[_TOUCHED], 0
        for number, (_, stream) in enumerate(self.streams):
            stream.touched |= bool(touched >> number & 1)


class Counting:
    """The picks of some streams, made once; `rest` are the streams that must be counted in columns.

    What `add` counts is in the streams' sums after the next `pour`.
    """

    def __init__(self, streams: Iterable[Stream], settings: DetectSettings, library: ctypes.CDLL) -> None:
        self._library = library
        self._settings = settings
        self._classes: dict[tuple[str, tuple[int, ...]], int] = {}
        self._ports = np.zeros((2, 65_536), np.uint8)
        self._room = 0  # rows there is room for
        self._row_slot: I64 | None = None  # of the roster that is known; None: not any more
        self.rest: list[Stream] = []
        self._held: list[NDArray[Any]] = []
        made: list[tuple[Pick, Stream, Any]] = []
        for stream in streams:
            picks = self._picks_of(stream)
            made += [(pick, stream, compiled) for pick, compiled in picks]
            if not picks:
                self.rest.append(stream)
        shapes = np.zeros(_SHAPES, np.uint16)
        library.sk_shapes(shapes.ctypes.data)
        tables = Tables(shapes, *map(_listed, self._ports))
        self._gathered = [
            _gather(made[first : first + _AT_ONCE], tables) for first in range(0, len(made), _AT_ONCE)
        ]

    def add(self, columns: native.Structure, n: int, roster: Roster, now: float) -> None:
        """Count a batch of n rows, given as its C side; keep of each stream's rows what evidence may name."""
        if not n or not self._gathered:
            return
        if n > self._room:
            self._make_room(n + n // 4)
        if self._row_slot is not roster.row_slot:
            self._know(roster)
        for gathered in self._gathered:
            gathered.add(self._library, columns.address, n, now)

    def _make_room(self, rows: int) -> None:
        """Have room for batches of so many rows, and for the marks of their blocks."""
        self._room = rows
        found = np.zeros(rows + 2 * (rows // _BLOCK + 1), np.uint64)
        for gathered in self._gathered:
            gathered.fit(rows, found)

    def _know(self, roster: Roster) -> None:
        """Take a roster, with the suspects of the last tick."""
        suspects = np.any([gathered.suspect(self._library) for gathered in self._gathered], axis=0)
        codes = _codes(roster.row_slot, roster.told, suspects)
        known = native.Structure(codes, len(codes) - 1)
        for gathered in self._gathered:
            gathered.know(known)
        self._row_slot = roster.row_slot

    def pour(self) -> None:
        """Pour what has gathered into the streams' sums; the next tick has other suspects and buckets."""
        for gathered in self._gathered:
            gathered.pour(self._library)
        self._row_slot = None

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
        if stream.detector.distinct:
            made["item"] = _ITEMS[pick.item]
        else:
            fresh = stream.fresh  # slot by slot in memory
            made["sums"] = fresh[2 * part :].ctypes.data
            made["samples"] = fresh[-1:].ctypes.data
            made["stride"] = fresh.strides[1] // fresh.itemsize
            self._held.append(fresh)
        # Of a stream's later parts nobody asks for the rows.
        made["ring"] = stream.recent.ring.address if part == 0 else 0
        made["source_port"] = stream.detector.source_port
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


def _gather(made: list[tuple[Pick, Stream, Any]], tables: Tables) -> Gathered:
    picks = np.array([compiled for *_, compiled in made], PICK)
    return Gathered([(pick, stream) for pick, stream, _ in made], picks, tables)


def _listed(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Leave out the ports above the last one that is listed: a short table stays in the nearest cache.

    The last of what is left stands for all above it, and is of no class; unless every port is there.
    """
    listed = np.flatnonzero(classes)
    return np.append(classes, np.uint8(0))[: min(listed[-1] + 2 if len(listed) else 1, len(classes))].copy()


def _codes(row_slot: I64, told: Bool, suspects: Bool) -> U32:
    """Give each row's slot, whether its SMTP is told, and whether it is a suspect, in one number."""
    slots = np.where(row_slot < len(suspects), row_slot, -1)
    codes = slots * _SLOT + suspects[slots] * _SUSPECT + told * _TOLD + _OURS
    return np.where(slots >= 0, codes, 0).astype(np.uint32)

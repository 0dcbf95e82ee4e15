"""Who sends us flow datagrams, and how much of it got lost on the way."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sekisho import native
from sekisho.flows.addresses import Inside
from sekisho.flows.exporters_compiled import CompiledExporters
from sekisho.flows.wire.protocol import PROTOCOL_NAMES
from sekisho.model.report import ExporterReport
from sekisho.tables import address_text

if TYPE_CHECKING:
    import ctypes

    from sekisho.flows.exporters_compiled import Columns
    from sekisho.tables import F32, I32, I64, U8, U32, U64, Bool

# A datagram this many datagrams behind the newest is late; further behind, its exporter restarted.
REORDER: Final = 64
# A jump forward over RESET_FROM counts that lands below RESET_TO is a counter that began anew.
RESET_FROM: Final = 1 << 24
RESET_TO: Final = 1 << 16
# The clock may jump; silence is measured in steps of at most this many seconds.
CLOCK_STEP: Final = 60.0

IDENTITY: Final = np.dtype(
    [
        ("address_hi", np.uint64),
        ("address_lo", np.uint64),
        ("agent_hi", np.uint64),
        ("agent_lo", np.uint64),
        ("domain", np.uint32),
        ("protocol", np.uint8),
    ]
)
Identities: TypeAlias = NDArray[np.void]  # of dtype IDENTITY


@dataclass(frozen=True, slots=True)
class ExporterSettings:
    """How many exporters are remembered, and for how long (seconds of silence).

    `sources` are prefixes of addresses that are heard; none: everybody who reaches the port. An exporter
    is believed in all it says, so whoever may send can have anybody bound.
    """

    total: int = 4096
    per_address: int = 256
    idle: float = 3600.0
    sources: tuple[str, ...] = ()


class Exporters:
    """A bounded table of exporters: (source address, protocol, agent address, domain).

    Columns have `settings.total` rows, of which `count` are live; a row's number never moves while it
    lives. A row that was forgotten may be given to another exporter later: `generation` (never 0 for
    a live row, never given twice) tells them apart for whoever keeps something per exporter.
    """

    def __init__(self, settings: ExporterSettings | None = None) -> None:
        self.settings = settings or ExporterSettings()
        n = self.settings.total
        self._identity = np.zeros(n, IDENTITY)
        self.address_hi: U64 = self._identity["address_hi"]
        self.address_lo: U64 = self._identity["address_lo"]
        self.agent_hi: U64 = self._identity["agent_hi"]
        self.agent_lo: U64 = self._identity["agent_lo"]
        self.domain: U32 = self._identity["domain"]
        self.protocol: U8 = self._identity["protocol"]
        self.generation = np.zeros(n, np.int64)
        self.last_seen = np.zeros(n, np.float64)
        self.datagrams, self.records = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.lost, self.late, self.restarted = (np.zeros(n, np.int64) for _ in range(3))
        self.sampling = np.zeros(n, np.float32)  # N of 1:N, as last noted; 0 not told
        self.refused = 0  # datagrams of exporters over a cap
        self.unwelcome = 0  # datagrams from outside `sources`
        self._welcome = Inside(self.settings.sources) if self.settings.sources else None
        self._next = np.zeros(n, np.uint32)  # the sequence number expected next
        self._in_step = np.zeros(n, np.bool_)  # whether _next is known
        self._seen = np.zeros(n, np.float64)  # on our own clock, which never jumps far
        self._clock, self._now, self._swept = 0.0, 0.0, 0.0
        self._generations = 0
        self.changes = 0  # how often rows were given or taken away: `generation` is as it was while this is
        # Salted, so that nobody can choose addresses whose keys collide.
        self._salt = np.array([secrets.randbits(64) | 1 for _ in IDENTITY.names or ()], np.uint64)
        self._keys = np.zeros(0, np.uint64)  # sorted hashes of the live rows
        self._rows = np.zeros(0, np.int32)  # and their rows
        self._compiled = None if native.LIBRARY is None else self._for_the_core(native.LIBRARY)

    @property
    def core(self) -> CompiledExporters | None:
        """What the compiled core knows of them; None where all is done in columns."""
        return self._compiled

    @property
    def clock(self) -> float:
        """Seconds on our own clock, which never jumps far."""
        return self._clock

    def begin(self, now: float) -> None:
        """Let time pass, and forget who was silent for long."""
        self._clock += min(max(now - self._now, 0.0), CLOCK_STEP)
        self._now = now
        if self._clock - self._swept >= self.settings.idle / 16:
            self._sweep()

    def _for_the_core(self, library: ctypes.CDLL) -> CompiledExporters:
        identities = self._identity, IDENTITY.itemsize, self._salt
        rows = self.datagrams, self.last_seen, self._seen
        sequences = self._next, self._in_step, self.lost, self.late, self.restarted
        return CompiledExporters(
            library, identities, rows, (*sequences, REORDER, RESET_FROM, RESET_TO), self.settings.total
        )

    @property
    def count(self) -> int:
        """Live rows."""
        return len(self._keys)

    def rows(
        self,
        protocol: int,
        address_hi: U64,
        address_lo: U64,
        agent_hi: U64,
        agent_lo: U64,
        domain: U32,
        now: float,
    ) -> I32:
        """Row of each datagram's exporter, made where it is new; -1 over a cap and for the unwelcome.

        All arrays have one element per datagram, in arrival order. Counts the datagrams and notes when
        they came; call it once per datagram.
        """
        self.begin(now)
        columns = address_hi, address_lo, agent_hi, agent_lo, domain
        if self._compiled is None:
            return self._rows_in_columns(protocol, columns, now)
        found = self._compiled.find(protocol, columns, now, self._clock)
        self.meet(found, protocol, columns, now)
        return found

    def meet(self, found: I32, protocol: int, columns: Columns, now: float) -> None:
        """Make rows for datagrams whose exporter the core did not know: those of -1 in `found`, in place."""
        new = np.flatnonzero(found < 0)
        if len(new):
            hi, lo, agent_hi, agent_lo, domain = columns
            some = hi[new], lo[new], agent_hi[new], agent_lo[new], domain[new]
            found[new] = self._rows_in_columns(protocol, some, now)

    def _rows_in_columns(self, protocol: int, columns: Columns, now: float) -> I32:
        address_hi, address_lo, agent_hi, agent_lo, domain = columns
        wanted = np.empty(len(domain), IDENTITY)
        wanted["address_hi"], wanted["address_lo"] = address_hi, address_lo
        wanted["agent_hi"], wanted["agent_lo"] = agent_hi, agent_lo
        wanted["domain"], wanted["protocol"] = domain, protocol
        welcome = self._from_sources(address_hi, address_lo)
        found = np.full(len(wanted), -1, np.int32)
        found[welcome] = self._rows_of(wanted[welcome])
        known = found[found >= 0]
        self.refused += int(np.count_nonzero(welcome)) - len(known)
        self.unwelcome += len(found) - int(np.count_nonzero(welcome))
        np.add.at(self.datagrams, known, 1)
        self.last_seen[known] = now
        self._seen[known] = self._clock
        return found

    def _from_sources(self, address_hi: U64, address_lo: U64) -> Bool:
        if self._welcome is None:
            return np.ones(len(address_hi), np.bool_)
        return ~self._welcome.internet(address_hi, address_lo)

    def counted(self, rows: I32, records: I64) -> None:
        """Add the records each datagram held; rows of -1 are passed over."""
        known = rows >= 0
        np.add.at(self.records, rows[known], records[known])

    def sequence(self, rows: I32, seq: U32, step: U32, now: float) -> None:
        """Account for losses, one element per datagram in arrival order.

        `seq` is the datagram's sequence number and `step` how much the counter moves with it, so that
        the next one says ``seq + step`` (modulo 2^32). Rows of -1 are passed over. A gap forward adds
        to `lost`; a datagram a little behind is `late` and takes its loss back; one far behind, or a
        counter that began anew, is `restarted` and loses nothing.
        """
        del now
        if self._compiled is not None:
            self._compiled.sequence(rows, seq, step)
            return
        known = np.nonzero(rows >= 0)[0]
        order = known[np.argsort(rows[known], kind="stable")]
        if len(order):
            self._sequence(rows[order], seq[order].astype(np.int64), step[order].astype(np.int64))

    def note_sampling(self, rows: I32, rate: F32) -> None:
        """Take down how records of these rows were sampled: N of 1:N, 0 where that is not known."""
        told = rate > 0
        self.sampling[rows[told]] = rate[told]

    def resume(self, rows: I32) -> None:
        """Judge nothing by the next datagram of these rows: how far the last one moved is not known."""
        self._in_step[rows[rows >= 0]] = False

    def report(self) -> tuple[ExporterReport, ...]:
        """Live exporters as a collector reports them, by row."""
        return tuple(self.describe(int(row)) for row in np.sort(self._rows))

    def name(self, row: int) -> str:
        """Give the address of one exporter, as evidence names it."""
        return address_text(int(self.address_hi[row]), int(self.address_lo[row]))

    def describe(self, row: int) -> ExporterReport:
        """Tell of one exporter."""
        hi, lo = int(self.agent_hi[row]), int(self.agent_lo[row])
        return ExporterReport(
            address=address_text(int(self.address_hi[row]), int(self.address_lo[row])),
            protocol=PROTOCOL_NAMES.get(int(self.protocol[row]), str(int(self.protocol[row]))),
            domain=int(self.domain[row]),
            agent=address_text(hi, lo) if hi or lo else "",
            datagrams=int(self.datagrams[row]),
            records=int(self.records[row]),
            lost=int(self.lost[row]),
            late=int(self.late[row]),
            restarted=int(self.restarted[row]),
            last_seen=float(self.last_seen[row]),
            sampling=round(float(self.sampling[row])),
        )

    def _rows_of(self, wanted: Identities) -> I32:
        keys = _hash(wanted, self._salt)
        if len(keys) > 1 and bool((keys == keys[0]).all()):
            # One exporter in the whole burst; a collision costs its victim nothing but a refusal.
            return np.repeat(self._rows_of(wanted[:1]), len(keys))
        found = self._lookup(keys)
        missing = np.nonzero(found < 0)[0]
        if len(missing):
            # Who speaks in this burst is no longer silent, and keeps its row.
            self._seen[found[found >= 0]] = self._clock
            new, first = np.unique(keys[missing], return_index=True)
            in_order = np.argsort(first)  # who came first gets the room there is
            self._make(new[in_order], wanted[missing[first[in_order]]])
            found = self._lookup(keys)
        return np.where(self._identity[found] == wanted, found, np.int32(-1))

    def _lookup(self, keys: U64) -> I32:
        if not len(self._keys):
            return np.full(len(keys), -1, np.int32)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[at] == keys, self._rows[at], np.int32(-1))

    def _make(self, keys: U64, new: Identities) -> None:
        """Make rows for distinct new exporters, in order, as far as the caps allow."""
        if self.count + len(keys) > self.settings.total:
            self._sweep()
        allowed = np.nonzero(self._below_address_cap(new))[0][: self.settings.total - self.count]
        if not len(allowed):
            return
        free = np.ones(self.settings.total, np.bool_)
        free[self._rows] = False
        rows = np.nonzero(free)[0][: len(allowed)].astype(np.int32)
        self._identity[rows] = new[allowed]
        self.generation[rows] = self._generations + 1 + np.arange(len(rows))
        self._generations += len(rows)
        self.changes += 1
        for column in (self.datagrams, self.records, self.lost, self.late, self.restarted, self.sampling):
            column[rows] = 0
        self._in_step[rows] = False
        self._seen[rows] = self._clock
        self._index(np.concatenate([self._keys, keys[allowed]]), np.concatenate([self._rows, rows]))

    def _below_address_cap(self, new: Identities) -> Bool:
        """Whether each new exporter, in order, is still within its source address's share."""
        of_new = _hash(_address_of(new), self._salt)
        of_live = np.sort(_hash(_address_of(self._identity[self._rows]), self._salt))
        has = np.searchsorted(of_live, of_new, "right") - np.searchsorted(of_live, of_new, "left")
        order = np.argsort(of_new, kind="stable")
        grouped = of_new[order]
        rank = np.empty(len(new), np.int64)
        rank[order] = np.arange(len(new)) - np.searchsorted(grouped, grouped, "left")
        below: Bool = has + rank < self.settings.per_address
        return below

    def _index(self, keys: U64, rows: I32) -> None:
        order = np.argsort(keys)
        self._keys, self._rows = keys[order], rows[order]
        self._reindex()

    def _reindex(self) -> None:
        if self._compiled is not None:
            self._compiled.fill(self._rows)

    def _sweep(self) -> None:
        self._swept = self._clock
        stay = self._clock - self._seen[self._rows] <= self.settings.idle
        if not stay.all():
            self.generation[self._rows[~stay]] = 0
            self.changes += 1
            self._keys, self._rows = self._keys[stay], self._rows[stay]
            self._reindex()

    def _sequence(self, rows: I32, seq: I64, step: I64) -> None:
        """Account for datagrams sorted by row, each row's in arrival order."""
        opens = np.ones(len(rows), np.bool_)
        opens[1:] = rows[1:] != rows[:-1]
        known = self._in_step[rows]
        expected = np.empty(len(rows), np.int64)
        expected[1:] = seq[:-1] + step[:-1]
        expected[opens] = np.where(known, self._next[rows], seq)[opens]
        jump = _signed(seq - expected)
        anew = (jump < -REORDER * np.maximum(step, 1)) | ((jump > RESET_FROM) & (seq < RESET_TO))
        np.add.at(self.restarted, rows[anew], 1)

        # Within a segment (a row's datagrams up to a restart) the counter only grows.
        begins = opens | anew
        first = np.nonzero(begins)[0]
        segment = np.cumsum(begins) - 1
        base = np.where(anew, seq, expected)[first]
        ahead = _signed(seq - base[segment])
        ends = ahead + step
        high = _running_max(ends, segment)
        before = np.zeros(len(rows), np.int64)
        before[1:] = np.maximum(high[:-1], 0)
        before[first] = 0
        gap = ahead - before
        self._account(rows, gap, step)

        last = np.nonzero(np.append(begins[1:], True))[0]
        reached = (base + np.maximum(high[last], 0)) & 0xFFFF_FFFF
        # Segments of a row stand in order: the last assignment, that of the newest one, stays.
        self._next[rows[last]] = reached.astype(np.uint32)
        self._in_step[rows[last]] = True

    def _account(self, rows: I32, gap: I64, step: I64) -> None:
        late = gap < 0
        np.add.at(self.late, rows[late], 1)
        np.add.at(self.lost, rows, np.where(late, -step, gap))
        # A duplicate is late too, but there is no loss to take back.
        self.lost[rows] = np.maximum(self.lost[rows], 0)


def _address_of(identities: Identities) -> Identities:
    """Identities with nothing but their source address left."""
    bare = np.zeros(len(identities), IDENTITY)
    bare["address_hi"], bare["address_lo"] = identities["address_hi"], identities["address_lo"]
    return bare


def _hash(identities: Identities, salt: U64) -> U64:
    key = np.zeros(len(identities), np.uint64)
    for name, odd in zip(IDENTITY.names or (), salt, strict=True):
        key = (key ^ key >> np.uint64(29) ^ identities[name].astype(np.uint64) ^ odd) * odd
    mixed: U64 = key ^ key >> np.uint64(32)
    return mixed


def _signed(difference: I64) -> I64:
    """Differences modulo 2^32, from -2^31 to 2^31 - 1 (RFC 1982)."""
    wrapped: I64 = (difference + (1 << 31)) % (1 << 32) - (1 << 31)
    return wrapped


def _running_max(values: I64, segment: I64) -> I64:
    """Largest value so far within each segment; values are below 2^33 either way."""
    lift = segment << 36
    high: I64 = np.maximum.accumulate(values + lift) - lift
    return high

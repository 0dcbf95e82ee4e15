"""The plug of this room: what a detector is asked, and in what columns it answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from sekisho.model.policy import Direction
from sekisho.tables import FLAGS_KNOWN

if TYPE_CHECKING:
    from sekisho.detect.settings import DetectSettings
    from sekisho.model.policy import Unit
    from sekisho.tables import F64, I64, U16, U64, Bool, FlowBatch

TCP: Final = 6
UDP: Final = 17
_SYN: Final = 0x02
_ACK: Final = 0x10
_FEW: Final = 2.5  # packets, unscaled: two, with room for the rounding of float32 rates


@dataclass(frozen=True, slots=True)
class Take:
    """Rows a detector counts, in columns of equal length.

    index: rows of the batch; slot: whose they are; amount: what each is worth, scaled; variance: of
    the amount, 0 where nothing was sampled; item: the thing to be told apart, for distinct counts
    (all zeros otherwise).
    """

    index: I64
    slot: I64
    amount: F64
    variance: F64
    item: U64 | None = None


@dataclass(frozen=True, slots=True)
class Observations:
    """What n subjects did in one window: totals and variances float64[parts, n], samples float64[n].

    For a distinct count the total is the count's estimate and the variance that of its own error.
    """

    total: F64
    variance: F64
    samples: F64

    @property
    def first(self) -> tuple[F64, F64]:
        """Give total and variance of the first part, the only one of most detectors."""
        return self.total[0], self.variance[0]


class Rows:
    """A batch seen by detectors: whose rows these are, and columns that several detectors need.

    sender, receiver: int64[n] slots, -1 none. sender_told, receiver_told: whether that subject's
    switch tells its SMTP connections exactly. Every derived column is made once, when first asked.
    """

    def __init__(
        self,
        batch: FlowBatch,
        sender: I64,
        receiver: I64,
        sender_told: Bool,
        receiver_told: Bool,
        settings: DetectSettings,
    ) -> None:
        self.batch = batch
        self.sender = sender
        self.receiver = receiver
        self.sender_told = sender_told
        self.receiver_told = receiver_told
        self.settings = settings
        self._sides: dict[tuple[Direction, bool, bool], Bool] = {}

    @cached_property
    def weight(self) -> F64:
        """How many events one seen event stands for: the sampling rate, 1 where exact or not told."""
        return np.where(self.batch.exact, 1.0, np.maximum(self.batch.rate, 1.0)).astype(np.float64)

    @cached_property
    def packets_seen(self) -> F64:
        """Packets behind the row as the exporter saw them, at least 1: 1 for a sampled packet."""
        return np.maximum(self.batch.packets / self.weight, 1.0)

    @cached_property
    def spread(self) -> F64:
        """Variance of a row's scaled amount x, over x squared: (1 - 1/rate) / packets behind it."""
        spread: F64 = (1.0 - 1.0 / self.weight) / self.packets_seen
        return spread

    @cached_property
    def tcp(self) -> Bool:
        """TCP, not from exact telemetry."""
        mask: Bool = (self.batch.protocol == TCP) & ~self.batch.exact
        return mask

    @cached_property
    def udp(self) -> Bool:
        """UDP, not from exact telemetry."""
        mask: Bool = (self.batch.protocol == UDP) & ~self.batch.exact
        return mask

    @cached_property
    def flags_known(self) -> Bool:
        """TCP whose flags the exporter told."""
        mask: Bool = self.tcp & ((self.batch.tcp_flags & FLAGS_KNOWN) != 0)
        return mask

    @cached_property
    def syn(self) -> Bool:
        """SYN without ACK: a connection asked for, and nothing more in this row."""
        mask: Bool = self.flags_known & ((self.batch.tcp_flags & (_SYN | _ACK)) == _SYN)
        return mask

    @cached_property
    def opening(self) -> Bool:
        """Rows that open a connection: a SYN, or a flow record of several packets that had one."""
        several = self.flags_known & ((self.batch.tcp_flags & _SYN) != 0) & (self.packets_seen > 1.5)
        mask: Bool = self.syn | several
        return mask

    @cached_property
    def accepting(self) -> Bool:
        """Rows that accept one: SYN and ACK together."""
        mask: Bool = self.flags_known & ((self.batch.tcp_flags & (_SYN | _ACK)) == (_SYN | _ACK))
        return mask

    @cached_property
    def probe(self) -> Bool:
        """Rows like a scanner's: SYN without ACK, or where no flags are told, tiny flows to a service.

        Without flags a sampled reply is as tiny as a probe; whoever asks does so from a port above
        the one he asks, whoever answers does not.
        """
        batch = self.batch
        tiny = self.tcp & ((batch.tcp_flags & FLAGS_KNOWN) == 0) & (self.packets_seen < _FEW)
        mask: Bool = self.syn | (tiny & (batch.dst_port < batch.src_port))
        return mask

    def side(self, direction: Direction, *, internet: bool, exact: bool = False) -> Bool:
        """Rows our subjects sent (egress) or were sent (ingress); to or from the internet only, if asked.

        Exact rows are left out, or with `exact` they are all there is.
        """
        key = (direction, internet, exact)
        if key not in self._sides:
            egress = direction is Direction.EGRESS
            mask = self.slot(direction) >= 0
            mask &= self.batch.exact if exact else ~self.batch.exact
            if internet:
                mask &= self.batch.dst_internet if egress else self.batch.src_internet
            self._sides[key] = mask
        return self._sides[key]

    def slot(self, direction: Direction) -> I64:
        """Whose rows these are, seen from this direction."""
        return self.sender if direction is Direction.EGRESS else self.receiver

    def amounts(self, mask: Bool, direction: Direction, column: F64, sign: F64 | None = None) -> Take:
        """Take rows by a volume column (scaled packets or bytes), times `sign` per row if given."""
        index = np.flatnonzero(mask)
        amount = column[index]
        variance = self.spread[index] * amount * amount
        if sign is not None:
            amount = amount * sign[index]
        return Take(index, self.slot(direction)[index], amount, variance)

    def events(self, mask: Bool, direction: Direction, item: U64 | None = None) -> Take:
        """Take rows as one event each, scaled by sampling; `item` is a column of things to tell apart."""
        index = np.flatnonzero(mask)
        weight = self.weight[index]
        picked = None if item is None else item[index]
        return Take(index, self.slot(direction)[index], weight, weight * (weight - 1.0), picked)

    @cached_property
    def dst_address(self) -> U64:
        """Destination addresses, both halves folded into 64 bits."""
        return fold(self.batch.dst_hi, self.batch.dst_lo)


def among(port: U16, ports: tuple[int, ...]) -> Bool:
    """Tell which ports are among a few; a table beats a search."""
    return _port_table(ports)[port]


@cache
def _port_table(ports: tuple[int, ...]) -> Bool:
    table = np.zeros(65_536, np.bool_)
    table[list(ports)] = True
    return table


def fold(hi: U64, lo: U64) -> U64:
    """Mix two halves so that different pairs hardly ever meet (splitmix64's multiplier)."""
    mixed = (hi ^ (hi >> np.uint64(31))) * np.uint64(0x9E37_79B9_7F4A_7C15)
    folded: U64 = mixed ^ lo
    return folded


class Detector(Protocol):
    """One number per subject and window, and its error.

    direction: whose traffic and which ports and addresses the evidence names; parts: how many totals
    `take` fills; distinct: count different items instead of amounts; exact_ports: TCP ports whose
    new connections it wants told exactly; source_port: the evidence names source ports, for
    services that answer.
    """

    @property
    def name(self) -> str:
        """Name in policies, and of the entry point."""
        ...

    @property
    def unit(self) -> Unit:
        """What the number counts."""
        ...

    @property
    def direction(self) -> Direction:
        """Whose traffic: sent by the subject or to it."""
        ...

    @property
    def parts(self) -> int:
        """How many totals are kept."""
        ...

    @property
    def distinct(self) -> bool:
        """Whether different items are counted; then parts is 1."""
        ...

    @property
    def exact_ports(self) -> tuple[int, ...]:
        """TCP ports wanted exactly."""
        ...

    @property
    def source_port(self) -> bool:
        """Whether evidence names source ports."""
        ...

    def take(self, rows: Rows, *, internet: bool) -> tuple[Take, ...]:
        """Choose rows and their worth, one Take per part; never raises, never changes the rows."""
        ...

    def estimate(self, seen: Observations) -> F64:
        """Give the number, float64[n]."""
        ...

    def bounds(self, seen: Observations, z: float) -> tuple[F64, F64]:
        """Give the lower and upper bound, float64[n] each, for a normal deviate z."""
        ...

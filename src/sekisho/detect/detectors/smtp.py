"""Outgoing mail: new connections, distinct destinations, and the share that nobody answers.

Where a subject's switch tells its new connections exactly, only those rows count and nothing is
estimated. Elsewhere sampled rows that open a connection stand in, with their error: at 1:400 they
show a spammer of 100 connections with probability 0.22.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from sekisho.detect import confidence
from sekisho.detect.detector import TCP, among
from sekisho.detect.picking import NOTHING, Pick, Trait
from sekisho.model.policy import Direction, Unit

if TYPE_CHECKING:
    from sekisho.detect.detector import Observations, Rows, Take
    from sekisho.detect.settings import DetectSettings
    from sekisho.tables import F64, Bool

_MAIL: Final = (25,)
_SUBMISSION: Final = (465, 587)


def _attempts(rows: Rows, ports: tuple[int, ...], *, internet: bool) -> Bool:
    told = rows.side(Direction.EGRESS, internet=internet, exact=True) & (rows.batch.protocol == TCP)
    sampled = rows.opening & ~rows.sender_told & rows.side(Direction.EGRESS, internet=internet)
    mask: Bool = (told | sampled) & among(rows.batch.dst_port, ports)
    return mask


def _replies(rows: Rows, ports: tuple[int, ...], *, internet: bool) -> Bool:
    told = rows.side(Direction.INGRESS, internet=internet, exact=True) & (rows.batch.protocol == TCP)
    sampled = rows.accepting & ~rows.receiver_told & rows.side(Direction.INGRESS, internet=internet)
    mask: Bool = (told | sampled) & among(rows.batch.src_port, ports)
    return mask


_ATTEMPTS: Final = (
    (Trait.EXACT_EGRESS | Trait.PROTOCOL_TCP, NOTHING),
    (Trait.OPENING | Trait.EGRESS, Trait.SENDER_TOLD),
)
_REPLIES: Final = (
    (Trait.EXACT_INGRESS | Trait.PROTOCOL_TCP, NOTHING),
    (Trait.ACCEPTING | Trait.INGRESS, Trait.RECEIVER_TOLD),
)


@dataclass(frozen=True, slots=True)
class Mail:
    """New connections to mail ports, or the distinct addresses they go to."""

    name: str
    exact_ports: tuple[int, ...]
    distinct: bool
    direction: Direction = Direction.EGRESS
    unit: Unit = Unit.COUNT
    parts: int = 1
    source_port: bool = False

    def take(self, rows: Rows, *, internet: bool) -> tuple[Take, ...]:
        """Take attempts."""
        mask = _attempts(rows, self.exact_ports, internet=internet)
        return (rows.events(mask, self.direction, rows.dst_address if self.distinct else None),)

    def picks(self, settings: DetectSettings) -> tuple[Pick, ...]:
        """Say the same by traits."""
        del settings
        item: Literal["", "address"] = "address" if self.distinct else ""
        return (Pick(_ATTEMPTS, self.direction, destination_ports=self.exact_ports, item=item),)

    def estimate(self, seen: Observations) -> F64:
        """Give connections or destinations in the window."""
        return seen.first[0]

    def bounds(self, seen: Observations, z: float) -> tuple[F64, F64]:
        """Bound connections by their sampling (exact ones have none), destinations by the counting."""
        bound = confidence.around if self.distinct else confidence.total
        return bound(*seen.first, z)


@dataclass(frozen=True, slots=True)
class Refused:
    """1 - accepted replies / attempts: the share of connections that nobody took."""

    name: str
    exact_ports: tuple[int, ...]
    direction: Direction = Direction.EGRESS
    unit: Unit = Unit.RATIO
    parts: int = 2
    distinct: bool = False
    source_port: bool = False

    def take(self, rows: Rows, *, internet: bool) -> tuple[Take, ...]:
        """Take attempts, and replies that accept."""
        return (
            rows.events(_attempts(rows, self.exact_ports, internet=internet), Direction.EGRESS),
            rows.events(_replies(rows, self.exact_ports, internet=internet), Direction.INGRESS),
        )

    def picks(self, settings: DetectSettings) -> tuple[Pick, ...]:
        """Say the same by traits."""
        del settings
        return (
            Pick(_ATTEMPTS, Direction.EGRESS, destination_ports=self.exact_ports),
            Pick(_REPLIES, Direction.INGRESS, source_ports=self.exact_ports),
        )

    def estimate(self, seen: Observations) -> F64:
        """Give the share refused, 0 where nothing was attempted."""
        attempts, replies = seen.total
        share = 1.0 - replies / np.maximum(attempts, 1e-9)
        return np.where(attempts > 0, np.clip(share, 0.0, 1.0), 0.0)

    def bounds(self, seen: Observations, z: float) -> tuple[F64, F64]:
        """Bound the share: binomial where exact, by the bounds of both totals where sampled."""
        attempts, replies = seen.total
        lower, upper = confidence.share(attempts - replies, attempts, z)
        few, many = confidence.total(attempts, seen.variance[0], z)
        fewest, most = confidence.total(replies, seen.variance[1], z)
        # No reply seen at all is not "none": up to 3.7 samples' worth may have been missed.
        unseen = confidence.poisson(np.zeros(1), z)[1] * _worth(attempts, seen.variance[0])
        most = np.where(replies > 0, most, unseen)
        sampled = (seen.variance[0] > 0) | (seen.variance[1] > 0)
        worst = np.clip(1.0 - fewest / np.maximum(many, 1e-9), 0.0, 1.0)
        best = np.clip(1.0 - most / np.maximum(few, 1e-9), 0.0, 1.0)
        return np.where(sampled, best, lower), np.where(sampled, worst, upper)


def _worth(total: F64, variance: F64) -> F64:
    """Give what one sampled event stands for: about the sampling rate."""
    return np.where(total > 0, variance / np.maximum(total, 1e-9) + 1.0, 1.0)


SMTP_CONNECTIONS: Final = Mail("smtp-connections", _MAIL, distinct=False)
SMTP_DESTINATIONS: Final = Mail("smtp-destinations", _MAIL, distinct=True)
SMTP_REFUSED: Final = Refused("smtp-refused", _MAIL)
SUBMISSION_CONNECTIONS: Final = Mail("submission-connections", _SUBMISSION, distinct=False)
SUBMISSION_DESTINATIONS: Final = Mail("submission-destinations", _SUBMISSION, distinct=True)
SUBMISSION_REFUSED: Final = Refused("submission-refused", _SUBMISSION)

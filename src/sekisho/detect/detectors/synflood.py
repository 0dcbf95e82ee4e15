"""SYN flood: connections asked for without the rest of a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.detect import confidence
from sekisho.detect.picking import NOTHING, Pick, Trait, side
from sekisho.model.policy import Direction, Unit

if TYPE_CHECKING:
    from sekisho.detect.detector import Observations, Rows, Take
    from sekisho.detect.settings import DetectSettings
    from sekisho.tables import F64


@dataclass(frozen=True, slots=True)
class SynFlood:
    """SYN packets minus all other TCP packets of the same direction, not below 0.

    A conversation has at least two packets after its SYN, so whoever talks comes out at 0. Rows
    whose flags were not told count on neither side.
    """

    name: str
    direction: Direction
    unit: Unit = Unit.PACKETS
    parts: int = 1
    distinct: bool = False
    exact_ports: tuple[int, ...] = ()
    source_port: bool = False

    def take(self, rows: Rows, *, internet: bool) -> tuple[Take, ...]:
        """Take TCP with known flags: SYNs for, the rest against."""
        mask = rows.flags_known & rows.side(self.direction, internet=internet)
        return (rows.amounts(mask, self.direction, rows.batch.packets, np.where(rows.syn, 1.0, -1.0)),)

    def picks(self, settings: DetectSettings) -> tuple[Pick, ...]:
        """Say the same by traits."""
        del settings
        terms = ((Trait.FLAGS_KNOWN | side(self.direction), NOTHING),)
        return (Pick(terms, self.direction, "packets", signed=True),)

    def estimate(self, seen: Observations) -> F64:
        """Give the packets by which SYNs outnumber the rest."""
        excess: F64 = np.maximum(seen.total[0], 0.0)
        return excess

    def bounds(self, seen: Observations, z: float) -> tuple[F64, F64]:
        """Bound the difference by the sampling of both sides."""
        return confidence.total(self.estimate(seen), seen.variance[0], z)


EGRESS: Final = SynFlood("syn-flood", Direction.EGRESS)
INGRESS: Final = SynFlood("ingress-syn-flood", Direction.INGRESS)

"""Answers of services that reflect and amplify, by UDP source port: from our VM, or toward it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sekisho.detect import confidence
from sekisho.detect.detector import among
from sekisho.detect.picking import NOTHING, Pick, Trait, side
from sekisho.model.policy import Direction, Unit

if TYPE_CHECKING:
    from sekisho.detect.detector import Observations, Rows, Take
    from sekisho.detect.settings import DetectSettings
    from sekisho.tables import F64


@dataclass(frozen=True, slots=True)
class Amplification:
    """Sum of bytes or packets of UDP from the ports in settings.amplification_ports."""

    name: str
    unit: Unit
    direction: Direction
    parts: int = 1
    distinct: bool = False
    exact_ports: tuple[int, ...] = ()
    source_port: bool = True

    def take(self, rows: Rows, *, internet: bool) -> tuple[Take, ...]:
        """Take UDP from a reflecting service's port."""
        mask = rows.udp & rows.side(self.direction, internet=internet)
        mask &= among(rows.batch.src_port, rows.settings.amplification_ports)
        column = rows.batch.bytes if self.unit is Unit.BYTES else rows.batch.packets
        return (rows.amounts(mask, self.direction, column),)

    def picks(self, settings: DetectSettings) -> tuple[Pick, ...]:
        """Say the same by traits."""
        if not settings.amplification_ports:  # none, where a pick without ports means any
            return ()
        worth: Literal["bytes", "packets"] = "bytes" if self.unit is Unit.BYTES else "packets"
        terms = ((Trait.UDP | side(self.direction), NOTHING),)
        return (Pick(terms, self.direction, worth, source_ports=settings.amplification_ports),)

    def estimate(self, seen: Observations) -> F64:
        """Give bytes or packets in the window."""
        return seen.first[0]

    def bounds(self, seen: Observations, z: float) -> tuple[F64, F64]:
        """Bound them by their sampling."""
        return confidence.total(*seen.first, z)


BYTES: Final = Amplification("amplification-bytes", Unit.BYTES, Direction.EGRESS)
PACKETS: Final = Amplification("amplification-packets", Unit.PACKETS, Direction.EGRESS)
INGRESS_BYTES: Final = Amplification("ingress-amplification-bytes", Unit.BYTES, Direction.INGRESS)

"""How much a subject sends or is sent: bytes and packets, exact telemetry left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sekisho.detect import confidence
from sekisho.detect.picking import NOTHING, Pick, side
from sekisho.model.policy import Direction, Unit

if TYPE_CHECKING:
    from sekisho.detect.detector import Observations, Rows, Take
    from sekisho.detect.settings import DetectSettings
    from sekisho.tables import F64


@dataclass(frozen=True, slots=True)
class Volume:
    """Sum of bytes or packets, as exported and scaled by sampling."""

    name: str
    unit: Unit
    direction: Direction
    parts: int = 1
    distinct: bool = False
    exact_ports: tuple[int, ...] = ()
    source_port: bool = False

    def take(self, rows: Rows, *, internet: bool) -> tuple[Take, ...]:
        """Take everything of this direction."""
        column = rows.batch.bytes if self.unit is Unit.BYTES else rows.batch.packets
        return (rows.amounts(rows.side(self.direction, internet=internet), self.direction, column),)

    def picks(self, settings: DetectSettings) -> tuple[Pick, ...]:
        """Say the same by traits."""
        del settings
        worth: Literal["bytes", "packets"] = "bytes" if self.unit is Unit.BYTES else "packets"
        return (Pick(((side(self.direction), NOTHING),), self.direction, worth),)

    def estimate(self, seen: Observations) -> F64:
        """Give bytes or packets in the window."""
        return seen.first[0]

    def bounds(self, seen: Observations, z: float) -> tuple[F64, F64]:
        """Bound them by their sampling."""
        return confidence.total(*seen.first, z)


EGRESS_BYTES: Final = Volume("egress-bytes", Unit.BYTES, Direction.EGRESS)
EGRESS_PACKETS: Final = Volume("egress-packets", Unit.PACKETS, Direction.EGRESS)
INGRESS_BYTES: Final = Volume("ingress-bytes", Unit.BYTES, Direction.INGRESS)
INGRESS_PACKETS: Final = Volume("ingress-packets", Unit.PACKETS, Direction.INGRESS)

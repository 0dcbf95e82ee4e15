"""Scans: how many different ports, or different hosts, a subject knocks at over TCP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from sekisho.detect import confidence
from sekisho.detect.picking import NOTHING, Pick, Trait, side
from sekisho.model.policy import Direction, Unit

if TYPE_CHECKING:
    from sekisho.detect.detector import Observations, Rows, Take
    from sekisho.detect.settings import DetectSettings
    from sekisho.tables import F64


@dataclass(frozen=True, slots=True)
class Scan:
    """Distinct destination ports or addresses of probes (see Rows.probe).

    Under sampling the estimate is itself a lower bound of the truth: what was not seen cannot be
    told apart.
    """

    name: str
    item: Literal["port", "host"]
    direction: Direction = Direction.EGRESS
    unit: Unit = Unit.COUNT
    parts: int = 1
    distinct: bool = True
    exact_ports: tuple[int, ...] = ()
    source_port: bool = False

    def take(self, rows: Rows, *, internet: bool) -> tuple[Take, ...]:
        """Take probes."""
        mask = rows.probe & rows.side(self.direction, internet=internet)
        item = rows.dst_address if self.item == "host" else rows.batch.dst_port.astype(np.uint64)
        return (rows.events(mask, self.direction, item),)

    def picks(self, settings: DetectSettings) -> tuple[Pick, ...]:
        """Say the same by traits."""
        del settings
        terms = ((Trait.PROBE | side(self.direction), NOTHING),)
        return (Pick(terms, self.direction, item="address" if self.item == "host" else "port"),)

    def estimate(self, seen: Observations) -> F64:
        """Give the number of different ports or hosts seen in the window."""
        return seen.first[0]

    def bounds(self, seen: Observations, z: float) -> tuple[F64, F64]:
        """Bound it by the counting's own error."""
        return confidence.around(*seen.first, z)


PORTS: Final = Scan("scan-ports", "port")
HOSTS: Final = Scan("scan-hosts", "host")

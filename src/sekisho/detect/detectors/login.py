"""Login brute force: connections asked for at the ports in settings.login_ports, and at how many hosts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.detect import confidence
from sekisho.detect.detector import among
from sekisho.detect.picking import NOTHING, Pick, Trait, side
from sekisho.model.policy import Direction, Unit

if TYPE_CHECKING:
    from sekisho.detect.detector import Observations, Rows, Take
    from sekisho.detect.settings import DetectSettings
    from sekisho.tables import F64


@dataclass(frozen=True, slots=True)
class Login:
    """New connections to login services, or distinct hosts they go to.

    Attempts need TCP flags: without them a long session looks like many. Hosts do not: whatever
    goes to a login port is talking to it. Hosts are biased low under sampling, as in a scan.
    """

    name: str
    distinct: bool
    direction: Direction = Direction.EGRESS
    unit: Unit = Unit.COUNT
    parts: int = 1
    exact_ports: tuple[int, ...] = ()
    source_port: bool = False

    def take(self, rows: Rows, *, internet: bool) -> tuple[Take, ...]:
        """Take openings (for hosts also rows without flags) to a login port."""
        mask = rows.opening | (rows.tcp & ~rows.flags_known) if self.distinct else rows.opening
        mask = mask & rows.side(self.direction, internet=internet)
        mask &= among(rows.batch.dst_port, rows.settings.login_ports)
        return (rows.events(mask, self.direction, rows.dst_address if self.distinct else None),)

    def picks(self, settings: DetectSettings) -> tuple[Pick, ...]:
        """Say the same by traits."""
        ours, ports = side(self.direction), settings.login_ports
        if not ports:  # none, where a pick without ports means any
            return ()
        opening = Trait.OPENING | ours, NOTHING
        if not self.distinct:
            return (Pick((opening,), self.direction, destination_ports=ports),)
        terms = opening, (Trait.TCP | ours, Trait.FLAGS_KNOWN)
        return (Pick(terms, self.direction, destination_ports=ports, item="address"),)

    def estimate(self, seen: Observations) -> F64:
        """Give attempts or hosts in the window."""
        return seen.first[0]

    def bounds(self, seen: Observations, z: float) -> tuple[F64, F64]:
        """Bound attempts by their sampling, hosts by the counting's own error."""
        bound = confidence.around if self.distinct else confidence.total
        return bound(*seen.first, z)


ATTEMPTS: Final = Login("login-attempts", distinct=False)
HOSTS: Final = Login("login-hosts", distinct=True)

"""How balancers on an ADX do: its servers' states and counters in, operating statuses and totals out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.adx import calls
from sekisho.devices.balancer.adx.pieces import pool_of, real
from sekisho.devices.balancer.driver import Health
from sekisho.model.balancer import Operating, Statistics
from sekisho.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sekisho.devices.balancer.adx.calls import Totals
    from sekisho.devices.balancer.adx.soap import Soap
    from sekisho.model.balancer import Balancer, Listener, Member, Pool

_DOWN: Final = ("FAILED", "SUSPECT")
_UP: Final = (Operating.ONLINE, Operating.NO_MONITOR)


@dataclass(slots=True)
class Counters:
    """Listeners' totals: they go on where a member leaves, or a box begins to count anew."""

    _last: dict[tuple[str, str, str, int], Totals] = field(default_factory=dict)
    _sums: dict[str, list[int]] = field(default_factory=dict)

    def add(self, box: str, listener: str, server: str, port: int, totals: Totals) -> None:
        """Add what passed a real server's port since it was last looked at."""
        key = (box, listener, server, port)
        last = self._last.get(key)
        again = last is None or totals.total < last.total or totals.received < last.received
        sums = self._sums.setdefault(listener, [0, 0])
        sums[0] += totals.total - (0 if again or last is None else last.total)
        sums[1] += totals.received - (0 if again or last is None else last.received)
        self._last[key] = totals

    def of(self, listener: str, active: int) -> Statistics:
        """Give a listener's statistics; replies do not pass the box, so it sent nothing."""
        total, received = self._sums.get(listener, (0, 0))
        return Statistics(listener, active, total, received)


def health(soap: Soap, balancers: Iterable[Balancer], counters: Counters) -> Health:
    """Ask a box how all do."""
    operating: dict[str, Operating] = {}
    statistics: list[Statistics] = []
    for balancer in balancers:
        for pool in balancer.pools:
            operating |= {m.id: _member(soap, pool, m) for m in pool.members}
            operating[pool.id] = _pool(pool, operating)
        for listener in balancer.listeners:
            behind = pool_of(balancer, listener)
            below = [operating[behind.id]] if behind else []
            operating[listener.id] = _over(below) if listener.enabled else Operating.OFFLINE
            statistics.append(_count(soap, listener, behind, counters))
        below = [operating[listener.id] for listener in balancer.listeners if listener.enabled]
        operating[balancer.id] = _over(below) if balancer.enabled else Operating.OFFLINE
    return Health(operating, tuple(statistics))


def _member(soap: Soap, pool: Pool, member: Member) -> Operating:
    if not member.enabled or not pool.enabled:
        return Operating.OFFLINE
    if member.weight == 0:
        return Operating.DRAINING
    try:
        status = calls.real_port_status(soap, real(member), member.port)
    except Refused:  # it is not on the box: no listener has its pool
        return Operating.OFFLINE
    if status in _DOWN:
        return Operating.ERROR
    if status != "ACTIVE":
        return Operating.OFFLINE
    checked = pool.monitor is not None and pool.monitor.enabled
    return Operating.ONLINE if checked else Operating.NO_MONITOR


def _pool(pool: Pool, operating: dict[str, Operating]) -> Operating:
    if not pool.enabled:
        return Operating.OFFLINE
    return _over([operating[member.id] for member in pool.members if member.enabled])


def _over(below: list[Operating]) -> Operating:
    """Sum up those below; a member that drains is no fault."""
    counted = [state for state in below if state is not Operating.DRAINING]
    if not counted or all(state in _UP for state in counted):
        return Operating.ONLINE
    if all(state is Operating.OFFLINE for state in counted):
        return Operating.OFFLINE
    down = all(state in (Operating.ERROR, Operating.OFFLINE) for state in counted)
    return Operating.ERROR if down else Operating.DEGRADED


def _count(soap: Soap, listener: Listener, pool: Pool | None, counters: Counters) -> Statistics:
    active = 0
    for server, port, totals in _totals(soap, pool):
        counters.add(soap.address, listener.id, server, port, totals)
        active += totals.active
    return counters.of(listener.id, active)


def _totals(soap: Soap, pool: Pool | None) -> Iterator[tuple[str, int, Totals]]:
    for member in pool.members if pool and pool.enabled else ():
        try:
            totals = calls.real_port_totals(soap, real(member), member.port)
        except Refused:
            continue
        yield member.address, member.port, totals

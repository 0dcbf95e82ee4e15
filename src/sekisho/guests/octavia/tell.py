"""A page of the keeper's news in Octavia's words, told through its driver agent: StatusPage in, nothing out.

What Octavia has no more is not news to it, and keeps nothing else from being told.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from octavia_lib.api.drivers import exceptions

from sekisho.model.balancer import Kind, ObjectStatus, Provisioning, Statistics
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.model.balancer import StatusPage

log = logging.getLogger(__name__)

# The driver agent has 30 s for a message (octavia-lib), and writes each of its records by itself.
TOGETHER: Final = 100
# What Octavia's database holds.
_MOST: Final = (1 << 63) - 1

# From the inside out, as the driver agent takes them: a balancer may change again when all in it is right.
_ORDER: Final = (Kind.MEMBER, Kind.MONITOR, Kind.POOL, Kind.LISTENER, Kind.BALANCER)


class Library(Protocol):
    """What of octavia-lib's `DriverLibrary` is used."""

    def update_loadbalancer_status(self, status: dict[str, Any]) -> None:
        """Tell statuses; raises UpdateStatusError."""
        ...

    def update_listener_statistics(self, statistics: dict[str, Any]) -> None:
        """Tell totals; raises UpdateStatisticsError."""
        ...

    def get_loadbalancer(self, loadbalancer_id: str) -> Any:
        """Give it, or None; raises DriverError or DriverAgentTimeout."""
        ...

    def get_listener(self, listener_id: str) -> Any:
        """Give it, or None; raises DriverError or DriverAgentTimeout."""
        ...

    def get_pool(self, pool_id: str) -> Any:
        """Give it, or None; raises DriverError or DriverAgentTimeout."""
        ...

    def get_member(self, member_id: str) -> Any:
        """Give it, or None; raises DriverError or DriverAgentTimeout."""
        ...

    def get_healthmonitor(self, healthmonitor_id: str) -> Any:
        """Give it, or None; raises DriverError or DriverAgentTimeout."""
        ...


def tell(library: Library, page: StatusPage) -> None:
    """Tell a page; raises Unavailable when some of it could not be told and has to be told again."""
    news = [s for s in page.statuses if s.only_operating or s.provisioning is not Provisioning.PENDING]
    news.sort(key=lambda s: _ORDER.index(s.kind))
    for start in range(0, len(news), TOGETHER):
        _tell_statuses(library, news[start : start + TOGETHER])
    for start in range(0, len(page.statistics), TOGETHER):
        _tell_statistics(library, page.statistics[start : start + TOGETHER])


def _tell_statuses(library: Library, news: list[ObjectStatus]) -> None:
    try:
        library.update_loadbalancer_status(message(news))
    except exceptions.UpdateStatusError as error:
        if not error.status_object_id:
            raise _away(error) from error
        _one_by_one(library, news)


def _one_by_one(library: Library, news: list[ObjectStatus]) -> None:
    failed: Exception | None = None
    for status in news:
        try:
            library.update_loadbalancer_status(message([status]))
        except exceptions.UpdateStatusError as error:
            if known(library, status):
                failed = error
            else:
                log.info("Octavia has no %s %s any more", status.kind, status.id)
    if failed is not None:
        raise _away(failed) from failed


def message(news: Iterable[ObjectStatus]) -> dict[str, list[dict[str, str]]]:
    """Write statuses as octavia-lib's `update_loadbalancer_status` takes them."""
    found: dict[str, list[dict[str, str]]] = {}
    for status in news:
        record = {"id": status.id}
        if not status.only_operating:
            record["provisioning_status"] = status.provisioning.value
        if status.provisioning is not Provisioning.DELETED:
            record["operating_status"] = status.operating.value
        found.setdefault(status.kind.value, []).append(record)
    return found


def known(library: Library, status: ObjectStatus) -> bool:
    """Tell whether Octavia has an object; raises Unavailable when it does not say."""
    asks = {
        Kind.BALANCER: library.get_loadbalancer,
        Kind.LISTENER: library.get_listener,
        Kind.POOL: library.get_pool,
        Kind.MEMBER: library.get_member,
        Kind.MONITOR: library.get_healthmonitor,
    }
    try:
        return asks[status.kind](status.id) is not None
    except (exceptions.DriverError, exceptions.DriverAgentTimeout) as error:
        raise _away(error) from error


def _tell_statistics(library: Library, totals: Iterable[Statistics]) -> None:
    try:
        library.update_listener_statistics({"listeners": [_totals(each) for each in totals]})
    except exceptions.UpdateStatisticsError as error:
        # the next totals hold these too
        log.warning("Octavia does not take statistics: %s", error.fault_string)


def _totals(of: Statistics) -> dict[str, str | int]:
    return {
        "id": of.listener,
        "active_connections": min(of.active, _MOST),
        "total_connections": min(of.total, _MOST),
        "bytes_in": min(of.bytes_in, _MOST),
        "bytes_out": min(of.bytes_out, _MOST),
        "request_errors": min(of.errors, _MOST),
    }


def _away(error: Exception) -> Unavailable:
    said = getattr(error, "fault_string", None) or str(error.__cause__ or error)
    return Unavailable("Octavia's driver agent does not take statuses.", f"Octavia's driver agent: {said}")

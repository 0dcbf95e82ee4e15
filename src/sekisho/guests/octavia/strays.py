"""What the keeper has and Octavia never kept: its API died, or took its change back, after the keeper knew.

Octavia is asked for a balancer some time after its last change, and again later; what it did not have both
times is taken away at the keeper.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from octavia_lib.api.drivers import exceptions

from sekisho.model.balancer import Kind, Provisioning
from sekisho.model.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sekisho.client.balancers import Balancers
    from sekisho.guests.octavia.tell import Library
    from sekisho.model.balancer import Balancer, ObjectStatus

log = logging.getLogger(__name__)

# Seconds: Octavia holds a change open while the keeper is told of it, for some time-outs at most.
FIRST: Final = 15.0
AGAIN: Final = 60.0


class Strays:
    """Looks for them, one balancer at a time; `passed` is a clock that only grows, in seconds."""

    def __init__(self, library: Library, keeper: Balancers, passed: Callable[[], float]) -> None:
        self._library = library
        self._keeper = keeper
        self._passed = passed
        self._due: dict[str, float] = {}
        self._seen: dict[str, frozenset[str]] = {}

    def changed(self, statuses: Iterable[ObjectStatus]) -> None:
        """Take down which balancers have changed."""
        for status in statuses:
            if status.kind is not Kind.BALANCER or status.only_operating:
                continue
            if status.provisioning is Provisioning.DELETED:
                self._due.pop(status.id, None)
                self._seen.pop(status.id, None)
            else:
                self._due[status.id] = self._passed() + FIRST

    def look(self) -> bool:
        """Look at one balancer that is due; tell whether there was one."""
        now = self._passed()
        balancer = next((b for b, when in self._due.items() if when <= now), "")
        if not balancer:
            return False
        del self._due[balancer]
        extra = self._extra(balancer)
        twice = {t: k for t, k in extra.items() if t in self._seen.get(balancer, ())}
        self._seen.pop(balancer, None)
        if twice:
            self._take_away(balancer, twice)
        elif extra:
            self._seen[balancer] = frozenset(extra)
            self._due[balancer] = now + AGAIN
        return True

    def _extra(self, balancer: str) -> Mapping[str, Kind]:
        try:
            view = self._keeper.show(balancer)
        except NotFound:
            return {}
        try:
            theirs = self._library.get_loadbalancer(balancer)
        except (exceptions.DriverError, exceptions.DriverAgentTimeout) as error:
            self._due[balancer] = self._passed() + FIRST
            raise Unavailable("Octavia's driver agent does not answer.", str(error)) from error
        if theirs is None:
            return {balancer: Kind.BALANCER}
        has = _ids(theirs)
        return {thing: kind for thing, kind in _ours(view.balancer).items() if thing not in has}

    def _take_away(self, balancer: str, things: Mapping[str, Kind]) -> None:
        log.warning("Octavia does not have %s of %s: taken away at the keeper", ", ".join(things), balancer)
        if balancer in things:
            self._keeper.delete(balancer, cascade=True)
            return
        for thing, kind in things.items():
            self._keeper.delete_object(thing, kind)


def _ours(balancer: Balancer) -> Mapping[str, Kind]:
    found = {each.id: Kind.LISTENER for each in balancer.listeners}
    for pool in balancer.pools:
        found |= {m.id: Kind.MEMBER for m in pool.members}
        if pool.monitor is not None:
            found[pool.monitor.id] = Kind.MONITOR
        found[pool.id] = Kind.POOL
    return found


def _ids(thing: Any) -> frozenset[str]:
    """Find all ids in what the driver agent gives, which are objects outside and mappings inside."""
    told = vars(thing) if hasattr(thing, "__dict__") else thing
    if isinstance(told, dict):
        own = [v for k, v in told.items() if k.endswith("_id") and isinstance(v, str)]
        return frozenset(own).union(*(_ids(v) for v in told.values() if isinstance(v, dict | list)))
    return frozenset().union(*(_ids(each) for each in told)) if isinstance(told, list) else frozenset()

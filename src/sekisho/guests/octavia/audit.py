"""Whether the keeper has what Octavia has: its API died, or took its change back, after the keeper knew.

Octavia is asked for a balancer some time after its last change, and again later; what was otherwise both
times is made at the keeper as Octavia has it. After a start all are looked at once.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from octavia_lib.api.drivers import exceptions

from sekisho.guests.octavia.agree import Difference, difference, parts
from sekisho.model.balancer import Kind, Provisioning
from sekisho.model.errors import Conflict, NotFound, SekishoError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sekisho.client.balancers import Balancers
    from sekisho.guests.octavia.tell import Library
    from sekisho.model.balancer import BalancerView, ObjectStatus

log = logging.getLogger(__name__)

# Octavia holds a change open while the keeper is told of it, for some time-outs at most.
AGAIN: Final = 4


class Audit:
    """Looks at one balancer at a time; `passed` is a clock that only grows, in seconds.

    The first look is `after` seconds from a change, the second one `AGAIN` times as long after that.
    """

    def __init__(
        self, library: Library, keeper: Balancers, passed: Callable[[], float], after: float = 15.0
    ) -> None:
        self._library = library
        self._keeper = keeper
        self._passed = passed
        self._after = after
        self._began = False
        self._due: dict[str, float] = {}
        self._seen: dict[str, tuple[float, Difference]] = {}
        self._made: dict[str, Difference] = {}  # what was made and must not be needed again

    def changed(self, statuses: Iterable[ObjectStatus]) -> None:
        """Take down which balancers have changed."""
        for status in statuses:
            if status.kind is not Kind.BALANCER or status.only_operating:
                continue
            if status.provisioning is Provisioning.DELETED:
                for known in (self._due, self._seen, self._made):
                    known.pop(status.id, None)
            else:
                self._due[status.id] = self._passed() + self._after

    def waiting(self) -> bool:
        """Tell whether some balancer is to be looked at now."""
        now = self._passed()
        return any(when <= now for when in self._due.values())

    def look(self) -> bool:
        """Look at one balancer that is due; tell whether there was one. Raises SekishoError."""
        if not self._began:
            self._due |= dict.fromkeys((v.balancer.id for v in self._keeper.list()), self._passed())
            self._began = True
        now = self._passed()
        balancer = next((b for b, when in self._due.items() if when <= now), "")
        if not balancer:
            return False
        del self._due[balancer]
        view, found = self._difference(balancer)
        before, self._seen = self._seen.get(balancer), {k: v for k, v in self._seen.items() if k != balancer}
        if view is None or not found:
            self._made.pop(balancer, None)
        elif before == (view.changed, found):
            self._make(view, found)
        else:
            self._seen[balancer] = view.changed, found
            self._due[balancer] = now + AGAIN * self._after
        return True

    def _difference(self, balancer: str) -> tuple[BalancerView | None, Difference]:
        try:
            view = self._keeper.show(balancer)
        except NotFound:
            return None, Difference()
        if view.balancer.id != balancer or _leaves(view):
            return None, Difference()
        try:
            theirs = self._library.get_loadbalancer(balancer)
        except (exceptions.DriverError, exceptions.DriverAgentTimeout) as error:
            self._due[balancer] = self._passed() + self._after
            raise Unavailable("Octavia's driver agent does not answer.", str(error)) from error
        return view, difference(theirs, view.balancer, (s.id for s in view.statuses))

    def _make(self, view: BalancerView, found: Difference) -> None:
        balancer = view.balancer.id
        if self._made.get(balancer) == found:
            log.error(
                "%s is otherwise than Octavia has it again, and is left so: %s", balancer, _named(found)
            )
            return
        log.warning("%s is made as Octavia has it: %s", balancer, _named(found))
        self._made[balancer] = found
        try:
            self._agree(view, found)
        except (Unavailable, Unauthenticated):
            self._due[balancer] = self._passed() + self._after
            del self._made[balancer]
            raise
        except Conflict as error:  # it has changed meanwhile: that is looked at by itself
            log.info("%s: %s", balancer, error.fixer)
            self._due[balancer] = self._passed() + self._after
        except SekishoError as error:
            log.error("%s cannot be made as Octavia has it: %s", balancer, error.fixer)  # noqa: TRY400 - said

    def _agree(self, view: BalancerView, found: Difference) -> None:
        if view.balancer.id in found.gone:
            self._keeper.delete(view.balancer.id, cascade=True)
            return
        if found.put is not None:
            self._keeper.put(found.put, view.changed)
        for thing, kind in found.gone.items():
            try:
                self._keeper.delete_object(thing, kind)
            except NotFound:
                continue  # it went along with another


def _leaves(view: BalancerView) -> bool:
    """Tell whether it is being taken away."""
    own = next((s for s in view.statuses if s.id == view.balancer.id), None)
    return own is not None and own.provisioning is Provisioning.DELETED


def _named(found: Difference) -> str:
    changed = [] if found.put is None else [each.id for each in parts(found.put)] or ["itself"]
    return f"{', '.join(changed) or 'nothing'} changed, {', '.join(found.gone) or 'nothing'} taken away"

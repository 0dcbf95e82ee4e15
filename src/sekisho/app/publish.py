"""Tells Gnocchi what the keeper does: who is restricted, and what that dropped."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sekisho.metering.publish import Figures
from sekisho.model.errors import NotFound, SekishoError
from sekisho.model.restriction import State

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from sekisho.app.keeper import Keeper
    from sekisho.host.tasks import Troubles
    from sekisho.metering.publish import Publisher
    from sekisho.metering.settings import PublishSettings
    from sekisho.model.restriction import Restriction

NAME: Final = "publishing to Gnocchi"
# Of its own, as that which asks the cloud.
THREAD: Final = "the thread that publishes to Gnocchi"
# The pause after a failure, at most.
RETRY: Final = 30.0
PAGE: Final = 500


class Publishing:
    """Publishes figures of the restricted every so often; used from one thread."""

    def __init__(
        self, settings: PublishSettings, keeper: Keeper, publisher: Publisher, troubles: Troubles
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._publisher = publisher
        self._troubles = troubles
        self._before: dict[str, set[str]] = {}  # whom the last figures were of: ports by project

    def look(self, now: float, stop: threading.Event) -> None:
        """Publish once, and pause."""
        stop.wait(self.publish(now))

    def publish(self, now: float) -> float:
        """Publish once; how long to pause then. What fails is counted, and newer figures go next time."""
        try:
            active = self._active()
            n = self._publisher.publish(self._figures(active), now)
        except SekishoError as error:
            self._count("publish_failed", 1)
            self._troubles.begin(NAME, error.fixer)
            return min(self._settings.every, RETRY)
        self._before = active
        self._count("published", n)
        self._troubles.end(NAME)
        return self._settings.every

    def _active(self) -> dict[str, set[str]]:
        """Name the ports that are restricted now, by project; whose project nobody knows is left out."""
        found = defaultdict(set)
        for each in self._entries((State.ACTIVE,)):
            if each.project and each.actions:
                found[each.project].add(each.subject)
        return dict(found)

    def _figures(self, active: dict[str, set[str]]) -> list[Figures]:
        """Sum up whoever is restricted, and once more whoever has just become free."""
        found: list[Figures] = []
        for project in sorted(active.keys() | self._before.keys()):
            wanted = active.get(project, set()) | self._before.get(project, set())
            whole, ports = Figures(project), {port: self._port(project, port) for port in wanted}
            for each in self._entries((), project):
                whole = _with(whole, each)
                if each.subject in ports:
                    ports[each.subject] = _with(ports[each.subject], each)
            found += [whole, *(ports[name] for name in sorted(ports))]
        return found

    def _port(self, project: str, port: str) -> Figures:
        try:
            return Figures(project, port, self._keeper.subject(port).server)
        except NotFound:  # it is gone, and its restriction not over
            return Figures(project, port)

    def _entries(self, states: tuple[State, ...], project: str = "") -> Iterator[Restriction]:
        marker = ""
        while True:
            page = self._keeper.restrictions("", "", states, PAGE, marker, project)
            yield from page.items
            marker = page.next
            if not marker:
                return

    def _count(self, name: str, n: int) -> None:
        key = f"metering_{name}_total"
        self._keeper.totals[key] = self._keeper.totals.get(key, 0.0) + n


def _with(figures: Figures, entry: Restriction) -> Figures:
    return replace(
        figures,
        active=figures.active + (entry.state is State.ACTIVE and bool(entry.actions)),
        packets=figures.packets + entry.dropped_packets,
        octets=figures.octets + entry.dropped_bytes,
    )

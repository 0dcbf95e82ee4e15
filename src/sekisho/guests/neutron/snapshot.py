"""What binds each port now, a few seconds old, so that showing a port never waits for the keeper."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from sekisho.guests.neutron.aside import Aside
from sekisho.host.tasks import Troubles
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.client import Client
    from sekisho.model.restriction import Restriction

log = logging.getLogger(__name__)

# How old it may be (seconds) while somebody looks, and how many looks may fail before nothing is said.
EVERY: Final = 2.0
MISSED: Final = 5
# So many looks ask for what has changed; then all is read again, should a ledger have been put back.
LOOKS: Final = 150
_NAME: Final = "reading restrictions"
_PAGE: Final = 1000


class Snapshot:
    """Follows the ledger's revision in a thread of its own, begun when first asked."""

    def __init__(self, make: Callable[[], Client], show: Callable[[Restriction], dict[str, Any]]) -> None:
        self._make = make
        self._show = show
        self._active: dict[str, Restriction] = {}
        self._by_port: dict[str, list[dict[str, Any]]] | None = None
        self._revision = 0
        self._looks = 0
        self._missed = 0
        self._again = threading.Event()
        self._troubles = Troubles(log)
        self._aside = Aside("sekisho-snapshot", self._run)

    def of(self, port: str) -> list[dict[str, Any]] | None:
        """Tell what binds a port; None while nobody knows."""
        self._aside.need()
        known = self._by_port
        return None if known is None else known.get(port, [])

    def look(self) -> None:
        """Look again now: something was changed."""
        self._again.set()

    def _run(self) -> None:
        while True:
            try:
                self.refresh(self._make())
            except Exception as error:  # noqa: BLE001 - who would tell ports, if this thread died?
                self._troubles.begin(_NAME, error)
                self._missed += 1
                if self._missed >= MISSED:
                    self._by_port = None
            self._again.wait(EVERY)
            self._again.clear()

    def refresh(self, client: Client) -> None:
        """Read what has changed, or all there is; raises what the client raises."""
        if self._by_port is None or self._looks >= LOOKS:
            self._read_all(client)
        else:
            self._read_changes(client)
        self._missed = 0
        self._troubles.end(_NAME)

    def _read_all(self, client: Client) -> None:
        # The revision first, or what changes while the list is read would be missed.
        revision = client.status().revision
        entries = client.restrictions(states=(State.ACTIVE,), limit=_PAGE)
        self._active = {e.id: e for e in entries}
        self._revision, self._looks = revision, 0
        self._lay_out()

    def _read_changes(self, client: Client) -> None:
        changed = {e.id: e for e in client.restrictions(since=self._revision, limit=_PAGE)}
        # More than a page is not of one moment: all is read again.
        self._looks = LOOKS if len(changed) > _PAGE else self._looks + 1
        if changed:
            self._revision = max(e.revision for e in changed.values())
            self._active = {i: e for i, e in (self._active | changed).items() if e.state is State.ACTIVE}
            self._lay_out()

    def _lay_out(self) -> None:
        found: dict[str, list[dict[str, Any]]] = {}
        for entry in self._active.values():
            found.setdefault(entry.subject, []).append(self._show(entry))
        self._by_port = found

"""What binds each port now, a few seconds old, so that showing a port never waits for the keeper."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from sekisho.host.tasks import Troubles
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.client import Client
    from sekisho.model.restriction import Restriction

log = logging.getLogger(__name__)

# How old it may be while somebody looks, and how many looks may fail before nothing is said any more.
EVERY: Final = 2.0
MISSED: Final = 5
_PAGE: Final = 1000


class Snapshot:
    """Follows the ledger's revision in a thread of its own, begun where it is first asked.

    The process that asks may be a child of the one that made it: threads do not live through a fork.
    """

    def __init__(self, make: Callable[[], Client], show: Callable[[Restriction], dict[str, Any]]) -> None:
        self._make = make
        self._show = show
        self._by_port: dict[str, list[dict[str, Any]]] | None = None
        self._revision = -1
        self._missed = 0
        self._pid = 0
        self._lock = threading.Lock()
        self._again = threading.Event()
        self._troubles = Troubles(log)

    def of(self, port: str) -> list[dict[str, Any]] | None:
        """Tell what binds a port; None while nobody knows."""
        self._follow()
        known = self._by_port
        return None if known is None else known.get(port, [])

    def look(self) -> None:
        """Look again now: something was changed."""
        self._again.set()

    def _follow(self) -> None:
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._run, name="sekisho-snapshot", daemon=True).start()

    def _run(self) -> None:
        client: Client | None = None
        while True:
            try:
                client = client or self._make()
                self.refresh(client)
            except Exception as error:  # noqa: BLE001 - who would tell ports, if this thread died?
                self._troubles.begin("reading restrictions", error)
                self._missed += 1
                if self._missed >= MISSED:
                    self._by_port = None
            self._again.wait(EVERY)
            self._again.clear()

    def refresh(self, client: Client) -> None:
        """Read what is in force, if anything has changed; raises what the client raises."""
        revision = client.status().revision
        if revision != self._revision or self._by_port is None:
            found: dict[str, list[dict[str, Any]]] = {}
            for entry in client.restrictions(states=(State.ACTIVE,), limit=_PAGE):
                found.setdefault(entry.subject, []).append(self._show(entry))
            self._by_port, self._revision = found, revision
        self._missed = 0
        self._troubles.end("reading restrictions")

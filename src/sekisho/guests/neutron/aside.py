"""A thread beside Neutron's own, begun where it is first needed, and again where it has ended."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Aside:
    """Runs `work` in a thread of whichever process needs it: threads do not live through a fork."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def need(self) -> None:
        """See to it that the thread runs; costs next to nothing when it does."""
        if self._runs():
            return
        with self._lock:
            if not self._runs():
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()

    def _runs(self) -> bool:
        # In a child of the process that began it, it does not.
        return self._thread is not None and self._thread.is_alive()

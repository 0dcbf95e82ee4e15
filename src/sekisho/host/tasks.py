"""Tasks that go on whatever happens: repeated until told to stop, each trouble told once."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from sekisho.model.errors import SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("sekisho")


class Troubles:
    """Says a trouble once when it begins and once when it ends, and counts every time in between."""

    def __init__(self, logger: logging.Logger) -> None:
        self._log = logger
        self._present: dict[str, int] = {}
        self.counts: dict[str, int] = {}

    def begin(self, name: str, what: object) -> None:
        """Take down one more failure of `name`."""
        self.counts[name] = self.counts.get(name, 0) + 1
        if name not in self._present:
            self._log.warning("%s: %s", name, what)
        self._present[name] = self._present.get(name, 0) + 1

    def end(self, name: str) -> None:
        """Say that `name` works again, if it did not."""
        times = self._present.pop(name, 0)
        if times:
            self._log.warning("%s: works again after %d failures", name, times)

    def present(self) -> tuple[str, ...]:
        """Name what is failing now."""
        return tuple(sorted(self._present))


def repeat(stop: threading.Event, troubles: Troubles, name: str, task: Callable[[], None]) -> None:
    """Run `task` until `stop`; after a failure wait as long as it says, or up to 5 s, and go on."""
    wait = 0.2
    while not stop.is_set():
        try:
            task()
        except Unavailable as error:
            troubles.begin(name, error.fixer)
            stop.wait(max(0.05, min(error.retry_after, wait)))
        except SekishoError as error:
            troubles.begin(name, error.fixer)
            stop.wait(wait)
        except Exception as error:  # a thread that dies in silence is worse than any bug it met
            troubles.begin(name, repr(error))
            log.debug("%s", name, exc_info=True)
            stop.wait(wait)
        else:
            troubles.end(name)
            wait = 0.2
            continue
        wait = min(5.0, wait * 2)


def spawn(stop: threading.Event, troubles: Troubles, name: str, task: Callable[[], None]) -> threading.Thread:
    """Repeat a task in a daemon thread of that name."""
    thread = threading.Thread(target=repeat, args=(stop, troubles, name, task), name=name, daemon=True)
    thread.start()
    return thread

"""The provider agent ``sekisho`` in Octavia's driver agent: tells Octavia what the keeper says.

The keeper keeps what is not acknowledged, so a status is late when a process dies, and never lost.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final, Protocol

from octavia_lib.api.drivers import driver_lib
from oslo_config import cfg

from sekisho.guests.octavia import config
from sekisho.guests.octavia.audit import Audit
from sekisho.guests.octavia.tell import Library, tell
from sekisho.host.clock import Clock
from sekisho.model.errors import SekishoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.client.balancers import Balancers

log = logging.getLogger(__name__)

# Seconds: how long a poll is held (and so how long an end takes), and the pauses after what went wrong.
WAIT: Final = 5.0
_FIRST: Final = 0.2
_LONGEST: Final = 5.0


class Event(Protocol):
    """What of a process's event is used."""

    def is_set(self) -> bool:
        """Tell whether it has come."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait for it, seconds at most."""
        ...


class Teller:
    """Goes between a keeper and Octavia's driver agent; used by one thread."""

    def __init__(self, keeper: Balancers, library: Library, audit: Audit) -> None:
        self._keeper = keeper
        self._library = library
        self._audit = audit

    def turn(self, wait: float) -> None:
        """Tell what there is within `wait` seconds; raises SekishoError when that was not all told."""
        # Nothing that was told and acknowledged is given again, so no revision needs to be named.
        page = self._keeper.statuses(None, 0.0 if self._audit.waiting() else wait)
        if page is not None:
            tell(self._library, page)
            self._keeper.told(page.revision)
            self._audit.changed(page.statuses)
        self._audit.look()


def run(teller: Teller, exit_event: Event, alive: Callable[[], bool], wait: float = WAIT) -> None:
    """Tell until told to end, or until whoever would tell that is no more."""
    pause = 0.0
    while alive() and not exit_event.is_set():
        try:
            teller.turn(wait)
            pause = 0.0
        except SekishoError as error:
            log.warning("%s", error.fixer)
            pause = min(_LONGEST, pause * 2 or _FIRST)
            exit_event.wait(pause)


def provider_agent(exit_event: Any) -> None:
    """Run inside Octavia's driver agent, which starts this anew when it raises."""
    options = config.register(cfg.CONF)
    parent = os.getppid()
    library = driver_lib.DriverLibrary(**config.sockets(cfg.CONF))
    with config.client(options) as client:
        keeper = client.balancers
        audit = Audit(library, keeper, Clock().passed, options.audit)
        teller = Teller(keeper, library, audit)
        # killed, the driver agent cannot say so
        run(teller, exit_event, lambda: os.getppid() == parent)

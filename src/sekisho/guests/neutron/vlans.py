"""Tells the keeper in which VLANs each host's ports are, as Neutron binds them; Neutron never waits for it.

A host is told whole, as the database has it when its turn comes: many ports of a host cost one word. It is
read once more afterwards, so that of two processes that tell of the same host the later word is right.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from sekisho.guests.neutron.aside import Aside
from sekisho.host.tasks import Troubles
from sekisho.model.errors import SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sekisho.client import Client
    from sekisho.model.attachment import HostVlans

log = logging.getLogger(__name__)

NAME: Final = "telling the keeper of hosts' VLANs"
WHOLE: Final = "comparing hosts' VLANs with the keeper's"
# Seconds between attempts while the keeper is away.
PAUSE: Final = 2.0
# Seconds after a driver was asked to bind, by when it has been written whether and how.
BOUND: Final = 3.0
# Words about one host in a turn; it comes again, behind the others.
ROUNDS: Final = 5


class VlanNews:
    """Hosts of which the keeper is to be told, each once, the longest waiting first.

    `read` gives a host's VLANs by Neutron's database, `hosts` all hosts that have any. Every `every` seconds
    all of them are compared with what the keeper knows, which mends what was lost.
    """

    def __init__(
        self,
        make: Callable[[], Client],
        read: Callable[[str], HostVlans],
        hosts: Callable[[], Iterable[str]],
        every: float,
        pause: float = PAUSE,
        bound: float = BOUND,
    ) -> None:
        self._make = make
        self._read = read
        self._hosts = hosts
        self._every = every
        self._pause = pause
        self._bound = bound
        self._waiting: dict[str, None] = {}
        self._binding: set[str] = set()
        self._whole = True
        self._some = threading.Condition()
        self._aside = Aside("sekisho-vlans", self._run)
        self._troubles = Troubles(log)

    def changed(self, *hosts: str) -> None:
        """Let the keeper be told of hosts, soon; "" is no host."""
        with self._some:
            self._waiting.update(dict.fromkeys(h for h in hosts if h))
            self._some.notify()
        self._aside.need()

    def binding(self, host: str) -> None:
        """Let the keeper be told of a host now and once more when what is being bound has been written."""
        with self._some:
            known = host in self._binding
            self._binding.add(host)
        if not known:
            self._later(self._bound, lambda: self._written(host))
        self.changed(host)

    def _written(self, host: str) -> None:
        with self._some:
            self._binding.discard(host)
        self.changed(host)

    def _run(self) -> None:
        # A process that was forked off in between has none of the timers of the one before.
        self._binding.clear()
        self._compare_soon()
        while True:
            with self._some:
                self._some.wait_for(lambda: self._waiting or self._whole)
                host = next(iter(self._waiting), "")
                self._waiting.pop(host, None)
            if host and not self.tell(host):
                self.changed(host)
                threading.Event().wait(self._pause)
            elif not host:
                self._whole = False
                self.compare()
                self._later(self._every, self._compare_soon)

    def _compare_soon(self) -> None:
        with self._some:
            self._whole = True
            self._some.notify()

    @staticmethod
    def _later(seconds: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        timer.start()

    def tell(self, host: str) -> bool:
        """Tell of one host now; False when that is to be tried again."""
        told: HostVlans | None = None
        try:
            client = self._make()
            for _ in range(ROUNDS):
                now = self._read(host)
                if now == told:
                    break
                client.report_vlans(host, now)
                told = now
        except Exception as error:  # noqa: BLE001 - who would tell of the next one, if this thread died?
            return self._failed(NAME, error)
        self._well()
        return now == told

    def compare(self) -> None:
        """Find the hosts whose VLANs the keeper has otherwise, and let it be told of them."""
        try:
            known = {a.host: frozenset(v.id for v in a.vlans) for a in self._make().attachments()}
            hosts = {*known, *self._hosts()}
            here = {h: frozenset(v.id for v in self._read(h).vlans) for h in hosts}
        except Exception as error:  # noqa: BLE001 - likewise
            self._failed(WHOLE, error)
            return
        self._troubles.end(WHOLE)
        self.changed(*(h for h, ids in here.items() if ids != known.get(h, frozenset())))

    def _failed(self, name: str, error: Exception) -> bool:
        """Take down a failure; True when asking again the same way will not help."""
        self._troubles.begin(name, error.fixer if isinstance(error, SekishoError) else repr(error))
        return isinstance(error, SekishoError) and not isinstance(error, Unavailable)

    def _well(self) -> None:
        self._troubles.end(NAME)

"""Tells the keeper of ports as Neutron makes, changes and deletes them; Neutron never waits for it.

Neutron says that a port has changed, and the port is read when its turn comes: what is told is what the
database has by then, whichever of Neutron's processes heard of it first, and many changes cost one word.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from neutron_lib import context as neutron_context
from neutron_lib import exceptions
from neutron_lib.callbacks import events, registry, resources
from neutron_lib.plugins import directory

from sekisho.guests.neutron.aside import Aside
from sekisho.host.tasks import Troubles
from sekisho.model.cloud import is_infrastructure, read_port
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sekisho.client import Client
    from sekisho.model.cloud import CloudPort

log = logging.getLogger(__name__)

NAME: Final = "telling the keeper of ports"
# So many wait while the keeper is away; what is more, its next full list of the cloud tells it.
MOST: Final = 10_000
# Seconds between attempts while it is away.
PAUSE: Final = 2.0
_EVENTS: Final = (events.AFTER_CREATE, events.AFTER_UPDATE, events.AFTER_DELETE)


class PortNews:
    """Ports of which the keeper is to be told, each once, the longest waiting first."""

    def __init__(
        self,
        make: Callable[[], Client],
        read: Callable[[str], Mapping[str, Any] | None],
        on_network: Callable[[str], Iterable[str]],
        most: int = MOST,
        pause: float = PAUSE,
    ) -> None:
        self._make = make
        self._read = read
        self._on_network = on_network
        self._most = most
        self._pause = pause
        self._waiting: dict[str, None] = {}
        self._some = threading.Condition()
        self._aside = Aside("sekisho-ports", self._run)
        self._troubles = Troubles(log)
        self.lost = 0

    def subscribe(self) -> None:
        """Hear of ports from here on."""
        for event in _EVENTS:
            registry.subscribe(self.heard, resources.PORT, event)
        registry.subscribe(self.heard_of_network, resources.NETWORK, events.AFTER_UPDATE)

    def heard(self, resource: str, event: str, trigger: Any, payload: Any) -> None:
        """Take down that a port is new, changed or gone, as Neutron calls back."""
        del resource, event, trigger
        self.changed(str(payload.resource_id))

    def heard_of_network(self, resource: str, event: str, trigger: Any, payload: Any) -> None:
        """Take down every port of a network that has got another QoS policy: it may be theirs, too."""
        del resource, event, trigger
        before, after = (state.get("qos_policy_id") for state in payload.states)
        if before != after:
            for port in self._on_network(str(payload.resource_id)):
                self.changed(port)

    def changed(self, port: str) -> None:
        """Let the keeper be told of a port, soon."""
        with self._some:
            if port not in self._waiting and len(self._waiting) >= self._most:
                self.lost += 1
                self._troubles.begin(f"{NAME}: too many wait", "the next full list mends it")
                return
            self._waiting[port] = None
            self._some.notify()
        self._aside.need()

    def _run(self) -> None:
        while True:
            with self._some:
                self._some.wait_for(lambda: self._waiting)
                port = next(iter(self._waiting))
                del self._waiting[port]
            if not self.tell(port):
                self.changed(port)
                threading.Event().wait(self._pause)

    def tell(self, port: str) -> bool:
        """Tell of one port now; False when that is to be tried again."""
        try:
            client, found = self._make(), self._read(port)
            if found is None or is_infrastructure(found):
                client.forget_port(port)
            else:
                client.report_port(facts(found))
        except Unavailable as error:
            self._troubles.begin(NAME, error.fixer)
            return False
        except Exception as error:  # noqa: BLE001 - who would tell of the next one, if this thread died?
            self.lost += 1
            self._troubles.begin(f"{NAME}: refused", repr(error))
            return True
        for trouble in self._troubles.present():
            self._troubles.end(trouble)
        return True


def facts(port: Mapping[str, Any]) -> CloudPort:
    """Say what a port of Neutron's database is."""
    return read_port(port, port.get("qos_network_policy_id") or "")


def read(port: str) -> Mapping[str, Any] | None:
    """Read a port from Neutron's database; None when it is not there."""
    try:
        found: Mapping[str, Any] = directory.get_plugin().get_port(neutron_context.get_admin_context(), port)
    except exceptions.PortNotFound:
        return None
    return found


def on_network(network: str) -> list[str]:
    """List a network's ports by id."""
    admin = neutron_context.get_admin_context()
    found = directory.get_plugin().get_ports(admin, filters={"network_id": [network]}, fields=["id"])
    return [port["id"] for port in found]

"""Tells the agents that there is news. A nudge that is lost costs nothing: they follow the keeper anyway."""

from __future__ import annotations

import logging
import queue
from typing import Any, Final

import oslo_messaging
from neutron_lib import context as neutron_context
from neutron_lib import rpc

from sekisho.guests.neutron.aside import Aside
from sekisho.guests.neutron.config import TOPIC
from sekisho.host.tasks import Troubles

log = logging.getLogger(__name__)

# More than these wait only while the message bus is away, when none of them would be heard.
_MOST: Final = 8


class Nudger:
    """Casts from a thread of its own, begun with the first nudge: a bus that is away delays nobody."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[int] = queue.Queue(_MOST)
        self._aside = Aside("sekisho-nudge", self._run)
        self._client: Any = None
        self._troubles = Troubles(log)

    def nudge(self, revision: int) -> None:
        """Tell every agent, soon."""
        self._aside.need()
        try:
            self._waiting.put_nowait(revision)
        except queue.Full:
            self._troubles.begin("nudging agents", "the message bus is away")

    def _run(self) -> None:
        while True:
            revision = self._waiting.get()
            try:
                self._cast(revision)
            except Exception as error:  # noqa: BLE001 - whatever the bus raises, the next one may be heard
                self._troubles.begin("nudging agents", repr(error))
            else:
                self._troubles.end("nudging agents")

    def _cast(self, revision: int) -> None:
        if self._client is None:
            self._client = rpc.get_client(oslo_messaging.Target(topic=TOPIC, version="1.0"))
        everybody = self._client.prepare(fanout=True)
        everybody.cast(neutron_context.get_admin_context(), "nudge", revision=revision)

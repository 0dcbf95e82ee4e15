"""Which host, bridge and kind of telemetry stands behind each exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.flows.index import address_number
from sekisho.flows.wire.protocol import IPFIX, NETFLOW5, PROTOCOL_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.flows.exporters import Exporters
    from sekisho.model.inventory import Host, Inventory, Telemetry
    from sekisho.tables import FlowBatch

_SPARSEST: Final = 10**9  # a sparser sampling is a lie
_LOOKED_AT: Final = 64  # records of a batch at most, for how they are sampled


class Sources:
    """What is known of each row of Exporters, looked up once in the row's life.

    Columns by exporter row: `host` (row of Inventory.hosts, -1 a stranger), `exact` telemetry or not,
    `ofports`: whether its interface numbers are OpenFlow ports, `ipfix`: whether it speaks IPFIX,
    `bridge` (-1 unknown), `sampling` N of 1:N as the host says it (0 unknown).
    """

    def __init__(
        self, inventory: Inventory, exporters: Exporters, bridges: Mapping[tuple[int, str], int]
    ) -> None:
        n = exporters.settings.total
        self.host, self.bridge = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
        self.exact, self.ofports, self.ipfix = (np.zeros(n, np.bool_) for _ in range(3))
        self.sampling = np.zeros(n, np.float32)
        self.shared = 0  # exporters that two hosts could be
        self._hosts, self._exporters, self._bridges = inventory.hosts, exporters, bridges
        self._by_address = _hosts_by_address(inventory)
        self._generation = np.zeros(n, np.int64)
        self._changes = -1  # of Exporters, so many of which are known

    def structure(self) -> native.Structure:
        """Give the columns to the compiled core."""
        columns = self.host, self.bridge, self.exact, self.ofports, self.sampling
        return native.Structure(*columns, self.ipfix, self._exporters.sampling)

    def note_sampling(self, batch: FlowBatch) -> None:
        """Tell the exporters how their records were sampled; the compiled core does it itself."""
        some = slice(None, None, len(batch) // _LOOKED_AT + 1)
        self._exporters.note_sampling(batch.exporter[some], batch.rate[some])

    def meet(self) -> None:
        """Look up the exporters that are new since last asked.

        The first time may be beside the thread that makes and forgets them: what it changes meanwhile is
        looked up again, for a row's generation is written after all else, and read here before.
        """
        if self._changes == self._exporters.changes:
            return
        self._changes, now = self._exporters.changes, self._exporters.generation.copy()
        for row in np.flatnonzero(self._generation != now):
            if now[row]:  # else it was forgotten
                self._look_up(int(row))
            self._generation[row] = now[row]

    def _look_up(self, row: int) -> None:
        protocol, domain = int(self._exporters.protocol[row]), int(self._exporters.domain[row])
        host = self._host(row, protocol, domain)
        self.host[row], self.ipfix[row] = host, protocol == IPFIX
        self.exact[row], self.bridge[row], self.sampling[row] = False, -1, 0
        # Even where it is not known which bridge's they are, they are no ifIndexes.
        self.ofports[row] = (
            protocol == NETFLOW5
            and host >= 0
            and any(t.protocol == "netflow5" for t in self._hosts[host].telemetry)
        )
        told = _telemetry(self._hosts[host], protocol, domain) if host >= 0 else None
        if told is None:
            return
        self.bridge[row] = self._bridges[host, told.bridge]
        self.exact[row] = _is_exact(told, protocol, domain)
        self.sampling[row] = 1 if self.exact[row] else min(max(told.sampling, 0), _SPARSEST)

    def _host(self, row: int, protocol: int, domain: int) -> int:
        """Tell the host by its addresses, and by the domain where several share one or tell none."""
        e = self._exporters
        hosts = self._by_address.get(int(e.address_hi[row]) << 64 | int(e.address_lo[row]), set())
        agent = int(e.agent_hi[row]) << 64 | int(e.agent_lo[row])
        hosts = hosts | (self._by_address.get(agent, set()) if agent else set())
        if len(hosts) == 1:
            return next(iter(hosts))
        asked = hosts or {i for i, host in enumerate(self._hosts) if not host.addresses}
        fitting = [i for i in asked if any(_fits(t, protocol, domain) for t in self._hosts[i].telemetry)]
        if len(fitting) == 1:
            return fitting[0]
        self.shared += len(hosts) > 1 or len(fitting) > 1
        return -1


def _hosts_by_address(inventory: Inventory) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for row, host in enumerate(inventory.hosts):
        for text in host.addresses:
            number = address_number(text)
            if number is not None:
                found.setdefault(number, set()).add(row)
    return found


def _is_exact(told: Telemetry, protocol: int, domain: int) -> bool:
    return protocol == IPFIX and told.exact_domain != 0 and told.exact_domain == domain


def _fits(told: Telemetry, protocol: int, domain: int) -> bool:
    own = told.protocol == PROTOCOL_NAMES.get(protocol) and told.domain == domain
    return own or _is_exact(told, protocol, domain)


def _telemetry(host: Host, protocol: int, domain: int) -> Telemetry | None:
    """Tell which bridge sent it: by domain, or the only one that speaks this protocol."""
    fitting = [t for t in host.telemetry if _fits(t, protocol, domain)]
    speaking = fitting or [t for t in host.telemetry if t.protocol == PROTOCOL_NAMES.get(protocol)]
    return speaking[0] if len(speaking) == 1 else None

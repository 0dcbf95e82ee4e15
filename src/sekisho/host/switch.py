"""One bridge of a host as the agent drives it: rules, meters and flow export together."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.devices.vswitch.bridge import Bridge
from sekisho.devices.vswitch.compile import CompileSettings
from sekisho.devices.vswitch.ofctl import OfctlSettings
from sekisho.devices.vswitch.ovsdb import Database, Happening
from sekisho.devices.vswitch.program import Bound
from sekisho.devices.vswitch.telemetry import (
    converge_telemetry,
    refresh_templates,
    remove_telemetry,
)
from sekisho.model.inventory import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sekisho.devices.vswitch.ofctl import Asks
    from sekisho.devices.vswitch.openflow import Lays
    from sekisho.devices.vswitch.telemetry import TelemetrySettings
    from sekisho.host.agent import AgentSettings
    from sekisho.host.memory import Memory
    from sekisho.model.inventory import Subject
    from sekisho.model.restriction import Receipt

# Set in a domain of exact telemetry, clear in one of a bridge's own sampling.
EXACT = 0x8000_0000


class VSwitch:
    """Implements `host.roles.Switch` over a real Open vSwitch; `ofctl` and `lays` are as for `Bridge`."""

    def __init__(
        self,
        bridge: str,
        settings: AgentSettings,
        database: Database,
        ofctl: Asks | None = None,
        lays: Lays | None = None,
    ) -> None:
        self.bridge = bridge
        self._database = database
        self._telemetry = own_domains(settings, bridge)
        self._driver = Bridge(
            bridge,
            settings.host,
            database,
            CompileSettings(
                settings.layout, self._telemetry.collector_set, self._telemetry.exact_domain, settings.burst
            ),
            OfctlSettings(settings.run_dir, settings.timeout, settings.first_meter),
            ofctl,
            lays,
        )
        self._templates = 0.0

    def carry(self, subjects: Sequence[Subject], memory: Memory, now: float) -> tuple[Receipt, ...]:
        """Make the bridge carry what the memory holds."""
        bounds = _bounds(memory)
        access = self._database.access(self.bridge)
        ports = memory.exact_ports
        return self._driver.carry(subjects, bounds, memory.baselines, ports, now, access).receipts

    def hasten(self, subject: Subject, subjects: Sequence[Subject], memory: Memory, now: float) -> bool:
        """Let one subject carry what the memory holds for it, ahead of all; False if that cannot be."""
        mine = [b for b in _bounds(memory) if b.subject == subject.id]
        return self._driver.hasten(subject, subjects, mine, memory.baselines, memory.exact_ports, now)

    def clear(self, now: float) -> int:
        """Take everything of ours off the bridge; give how many rules and meters there were."""
        gone = self._driver.clear(now)
        remove_telemetry(self._database, self.bridge)
        return gone

    def export(self, templates: float) -> Telemetry:
        """Point the bridge's export at the collector; send the IPFIX templates again for a new collector."""
        settings = self._telemetry
        converge_telemetry(self._database, self.bridge, settings)
        if templates != self._templates:
            refresh_templates(self._database, self.bridge, settings)
            self._templates = templates
        domain = 0 if settings.protocol == "sflow" else settings.domain
        return Telemetry(self.bridge, settings.protocol, settings.sampling, domain, settings.exact_domain)


def _bounds(memory: Memory) -> list[Bound]:
    return [
        Bound(h.binding.restriction, h.binding.subject, h.binding.actions, h.deadline) for h in memory.held
    ]


def own_domains(agent: AgentSettings, bridge: str) -> TelemetrySettings:
    """Give a bridge observation domains of its own, so that hosts behind one address are told apart."""
    number = zlib.crc32(f"{agent.host}/{bridge}".encode()) & ~EXACT | 1
    settings = agent.telemetry
    return replace(
        settings,
        domain=settings.domain or (number if settings.protocol == "ipfix" else 0),
        exact_domain=(settings.exact_domain or number | EXACT) if agent.exact else 0,
    )


def open_switch(settings: AgentSettings) -> tuple[FilteredPorts, list[VSwitch]]:
    """Open the database of this host's switch and its bridges."""
    bare = settings.bridges if settings.bare else ()
    socket = str(Path(settings.run_dir) / "db.sock")
    database = Database(socket, settings.host, bare, settings.run_dir, settings.bridges)
    return FilteredPorts(database, settings), [VSwitch(b, settings, database) for b in settings.bridges]


class FilteredPorts:
    """The subjects on the bridges this agent keeps; implements `host.roles.Ports`."""

    def __init__(self, database: Database, settings: AgentSettings) -> None:
        self._database = database
        self._bridges = frozenset(settings.bridges)

    def subjects(self) -> tuple[Subject, ...]:
        """List the subjects on our bridges."""
        return tuple(s for s in self._database.subjects() if s.bridge in self._bridges)

    def listen(self, callback: Callable[[bool], None]) -> None:
        """Call back when something happened to a port (False) or to the switch itself (True)."""
        self._database.listen(lambda happening: callback(happening is not Happening.PORTS))

    def close(self) -> None:
        """Stop watching."""
        self._database.close()

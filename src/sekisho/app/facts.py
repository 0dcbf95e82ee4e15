"""What a host says of its ports and what the cloud says of them: one subject.

The host is right about what its switch does: bridge, interface, OpenFlow port, index, VLAN. The cloud is
right about whose the port is: project, server, network, addresses, tags, flavor. Of the QoS policy a host
hears first, where Neutron's own agent tells it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sekisho.model.cloud import Cloud, CloudPort
from sekisho.model.inventory import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(slots=True)
class Facts:
    """All that the cloud said; not thread-safe, for whoever holds it has a lock."""

    ports: dict[str, CloudPort] = field(default_factory=dict)
    _told: dict[str, Subject] = field(default_factory=dict)
    _names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _ages: dict[str, float] = field(default_factory=dict)
    _flavors: Mapping[str, str] = field(default_factory=dict)
    _expected: dict[str, set[str]] = field(default_factory=dict)
    # What was said of single ports while a full list is under way is newer than the list.
    _meanwhile: dict[str, CloudPort | None] | None = None

    # --- what is said ------------------------------------------------------------------------------

    def put(self, port: CloudPort) -> bool:
        """Take one port's facts; True when they are news."""
        if self._meanwhile is not None:
            self._meanwhile[port.id] = port
        if self.ports.get(port.id) == port:
            return False
        self._keep(port)
        return True

    def forget(self, port: str) -> bool:
        """Forget a port that is no more; True when it was known."""
        if self._meanwhile is not None:
            self._meanwhile[port] = None
        return self._drop(port)

    def lose_plan(self, port: str) -> None:
        """Take down that a port has no QoS policy any more, as its host says before the cloud does."""
        found = self.ports.get(port)
        if found is not None and found.qos:
            self._keep(replace(found, qos=""))

    def begin(self) -> None:
        """Mark that a full list is being read."""
        self._meanwhile = {}

    def take(self, cloud: Cloud) -> frozenset[str]:
        """Replace everything by a full list; the ids of all ports of which anything changed."""
        meanwhile, self._meanwhile = self._meanwhile or {}, None
        before, places = self._told, self._expected
        self._names = {p.id: (p.id, *filter(None, (p.name, *p.tags))) for p in cloud.plans}
        self._ages = {p.id: p.created for p in cloud.projects}
        self._flavors = cloud.flavors
        self.ports, self._told, self._expected = {}, {}, {}
        listed = {p.id: p for p in cloud.ports} | meanwhile
        for port in filter(None, listed.values()):
            self._keep(port)
        moved = {i for host in places.keys() | self._expected.keys() for i in self._moved(host, places)}
        changed = {i for i in before.keys() | self._told.keys() if before.get(i) != self._told.get(i)}
        return frozenset(changed | moved)

    def _moved(self, host: str, before: Mapping[str, set[str]]) -> set[str]:
        return before.get(host, set()) ^ self._expected.get(host, set())

    def _keep(self, port: CloudPort) -> None:
        self._drop(port.id)
        self.ports[port.id] = port
        self._told[port.id] = self._as_subject(port)
        for host in self.hosts(port.id):
            self._expected.setdefault(host, set()).add(port.id)

    def _drop(self, port: str) -> bool:
        for host in self.hosts(port):
            self._expected[host].discard(port)
            if not self._expected[host]:
                del self._expected[host]
        self._told.pop(port, None)
        return self.ports.pop(port, None) is not None

    # --- what follows ------------------------------------------------------------------------------

    def hosts(self, port: str) -> tuple[str, ...]:
        """Name the hosts where the cloud has a port, or is taking it."""
        found = self.ports.get(port)
        return tuple(sorted({found.host, found.coming} - {""})) if found else ()

    def expected(self, host: str) -> Iterable[str]:
        """List the ports that are on a host or about to be, as the cloud says."""
        return self._expected.get(host, ())

    def plans(self) -> frozenset[str]:
        """Give the ids, names and tags of all plans of the last full list."""
        return frozenset(name for names in self._names.values() for name in names)

    def alone(self, port: str) -> Subject | None:
        """Give a port by what the cloud alone says."""
        return self._told.get(port)

    def all(self) -> Iterable[Subject]:
        """Give every port by what the cloud alone says."""
        return self._told.values()

    def merged(self, local: Subject) -> Subject:
        """Join what a host says to what the cloud says."""
        told = self._told.get(local.id, local)
        project, server = told.project or local.project, told.server or local.server
        return replace(
            local,
            project=project,
            server=server,
            network=told.network or local.network,
            mac=told.mac or local.mac,
            addresses=told.addresses or local.addresses,
            tags=told.tags or local.tags,
            flavor=told.flavor or local.flavor or self._flavors.get(server, ""),
            qos=self._plan(local.qos) or told.qos,
            project_created=self._ages.get(project, 0.0) or local.project_created,
        )

    def _as_subject(self, port: CloudPort) -> Subject:
        return Subject(
            port.id,
            port.host,
            port.project,
            port.server,
            port.network,
            port.mac.lower(),
            port.addresses,
            port.tags,
            flavor=port.flavor or self._flavors.get(port.server, ""),
            qos=self._plan((port.qos,)) if port.qos else (),
            project_created=self._ages.get(port.project, 0.0),
        )

    def _plan(self, named: tuple[str, ...]) -> tuple[str, ...]:
        """Add name and tags to a plan's id, where the cloud told them."""
        return self._names.get(named[0], named) if named else ()

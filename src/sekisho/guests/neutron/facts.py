"""What Neutron says of the ports it wires, joined to what the switch says of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from sekisho.host.tasks import Troubles
from sekisho.model.errors import Malformed
from sekisho.model.plain import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sekisho.model.inventory import Subject

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Facts:
    """What Neutron's agent was told of one port."""

    project: str = ""
    network: str = ""
    server: str = ""
    mac: str = ""
    addresses: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()


class Switch(Protocol):
    """The ports of the switch (`host.switch.FilteredPorts`)."""

    def subjects(self) -> tuple[Subject, ...]:
        """List the subjects on the switch."""
        ...

    def listen(self, callback: Callable[[bool], None]) -> None:
        """Call back when something happened to a port (False) or to the switch itself (True)."""
        ...

    def close(self) -> None:
        """Stop watching."""
        ...


@dataclass(frozen=True, slots=True)
class _Page:
    """What stands in the book."""

    ports: Mapping[str, Facts] = field(default_factory=dict)


class FactBook:
    """Facts by port, kept on disk: after a restart Neutron tells of each port only when it wires it again.

    Neutron's thread learns and forgets, ours reads and saves; each change is one assignment.
    """

    def __init__(self, facts: Mapping[str, Facts] | None = None) -> None:
        self._facts = dict(facts or {})
        self._path: Path | None = None
        self._saved: dict[str, Facts] = {}

    def recall(self, folder: Path) -> None:
        """Remember what an earlier run knew, and keep the book in that folder; a torn one is begun anew."""
        self._path = folder / "ports.json"
        with suppress(OSError, ValueError, RecursionError, Malformed):
            book = from_plain(_Page, {"ports": json.loads(self._path.read_text())}, strict=False)
            self._saved, self._facts = dict(book.ports), {**book.ports, **self._facts}

    def of(self, port: str) -> Facts | None:
        """Tell what is known of a port."""
        return self._facts.get(port)

    def learn(self, port: str, facts: Facts) -> None:
        """Take down what Neutron says now."""
        self._facts = {**self._facts, port: facts}

    def forget(self, port: str) -> None:
        """Forget a port that is gone."""
        self._facts = {p: f for p, f in self._facts.items() if p != port}

    def save(self) -> None:
        """Write the book, whole or not at all, if there is anything new; raises OSError."""
        facts = self._facts
        if self._path is None or facts == self._saved:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(to_plain(facts)))
        fresh.replace(self._path)
        self._saved = facts


@dataclass(slots=True)
class NeutronPorts:
    """Subjects as switch and Neutron know them together; implements `host.roles.Ports`."""

    switch: Switch
    facts: FactBook = field(default_factory=FactBook)
    _troubles: Troubles = field(default_factory=lambda: Troubles(log))

    def subjects(self) -> tuple[Subject, ...]:
        """List the subjects on the switch with what Neutron says of them; that is kept for the next start."""
        try:
            self.facts.save()
        except OSError as error:
            self._troubles.begin("keeping what Neutron says of ports", error)
        else:
            self._troubles.end("keeping what Neutron says of ports")
        return self.known()

    def known(self) -> tuple[Subject, ...]:
        """List them and keep nothing, for whoever has no time to write."""
        return tuple(self._joined(s) for s in self.switch.subjects())

    def find(self, port: str) -> Subject | None:
        """Find one port's subject, None while the switch does not know it."""
        return next((self._joined(s) for s in self.switch.subjects() if s.id == port), None)

    def _joined(self, subject: Subject) -> Subject:
        facts = self.facts.of(subject.id)
        if facts is None:
            return subject
        return replace(
            subject,
            project=facts.project or subject.project,
            network=facts.network or subject.network,
            server=facts.server or subject.server,
            mac=facts.mac or subject.mac,
            addresses=facts.addresses or subject.addresses,
            qos=facts.qos,
        )

    def listen(self, callback: Callable[[bool], None]) -> None:
        """Call back when something happened to a port (False) or to the switch itself (True)."""
        self.switch.listen(callback)

    def close(self) -> None:
        """Stop watching."""
        self.switch.close()


def read_facts(details: Mapping[str, Any], port: Any) -> Facts:
    """Read what the server sent for a port and, where the agent has it, the cached Port object.

    The port's own QoS policy counts, and its network's only where it has none.
    """
    qos = details.get("qos_policy_id") or details.get("network_qos_policy_id")
    fixed = details.get("fixed_ips") or ()
    return Facts(
        project=str(getattr(port, "project_id", "") or ""),
        network=str(details.get("network_id") or ""),
        server=str(getattr(port, "device_id", "") or ""),
        mac=str(details.get("mac_address") or "").lower(),
        addresses=tuple(str(ip["ip_address"]) for ip in fixed if ip.get("ip_address")),
        qos=(str(qos),) if qos else (),
    )

"""What Neutron says of the ports it wires, joined to what the switch says of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sekisho.model.inventory import Subject


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

    def listen(self, callback: Callable[[], None]) -> None:
        """Call back whenever anything happened to the switch."""
        ...

    def close(self) -> None:
        """Stop watching."""
        ...


@dataclass(slots=True)
class NeutronPorts:
    """Subjects as switch and Neutron know them together; implements `host.agent.Ports`.

    Facts come from Neutron's thread and are read in ours: each is one assignment.
    """

    switch: Switch
    facts: dict[str, Facts] = field(default_factory=dict)

    def subjects(self) -> tuple[Subject, ...]:
        """List the subjects on the switch with what Neutron says of them."""
        return tuple(self._joined(s) for s in self.switch.subjects())

    def find(self, port: str) -> Subject | None:
        """Find one port's subject, None while the switch does not know it."""
        return next((self._joined(s) for s in self.switch.subjects() if s.id == port), None)

    def _joined(self, subject: Subject) -> Subject:
        facts = self.facts.get(subject.id)
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

    def listen(self, callback: Callable[[], None]) -> None:
        """Call back whenever anything happened to the switch."""
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

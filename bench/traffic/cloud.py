"""The cloud that the datagrams speak of: how many subjects and exporters in, an inventory out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.metering.catalogue import METERED
from sekisho.model.inventory import Host, Inventory, Subject, Telemetry
from sekisho.model.policy import PolicySet
from sekisho.model.policy_file import parse

FIRST_IFINDEX: Final = 10
FIRST_ADDRESS: Final = int(IPv4Address("10.0.0.0"))
# Exporters are addresses of the loopback network: the machine has all of them, and nobody else has any.
FIRST_EXPORTER: Final = int(IPv4Address("127.0.1.0"))
POLICIES: Final = Path(__file__).parents[2] / "policies"


@dataclass(frozen=True, slots=True)
class Cloud:
    """How many subjects there are, on how many hosts; each host exports."""

    subjects: int = 20_000
    exporters: int = 1


def exporter_address(row: int) -> str:
    """Where the datagrams of an exporter come from."""
    return str(IPv4Address(FIRST_EXPORTER + row))


def inventory(cloud: Cloud, version: int = 1) -> Inventory:
    """Make the hosts and their subjects: subject i is on host i modulo the hosts, with an interface there."""
    telemetry = tuple(Telemetry("br-int", p, sampling=400) for p in ("sflow", "ipfix", "netflow5"))
    hosts = tuple(Host(f"host-{i}", (exporter_address(i),), telemetry) for i in range(cloud.exporters))
    return Inventory(version, hosts, tuple(_subject(cloud, i) for i in range(cloud.subjects)))


def _subject(cloud: Cloud, i: int) -> Subject:
    return Subject(
        f"port-{i}",
        f"host-{i % cloud.exporters}",
        f"project-{i % 50}",
        mac=":".join(f"{octet:02x}" for octet in (0xFA163E000000 + i).to_bytes(6)),
        addresses=(str(IPv4Address(FIRST_ADDRESS + i)),),
        bridge="br-int",
        ifindex=FIRST_IFINDEX + i // cloud.exporters,
        ofport=FIRST_IFINDEX + i // cloud.exporters,
    )


def policies(folder: Path = POLICIES) -> PolicySet:
    """Read the policies that are shipped, or others; those by counters cost a collector nothing."""
    files = sorted(folder.glob("*.toml"))
    found = [parse(file.read_text(), CATALOGUE | METERED, file.name)[0] for file in files]
    return PolicySet(1, tuple(policy for several in found for policy in several))

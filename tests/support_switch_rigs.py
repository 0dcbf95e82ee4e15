"""Rigs of `contract_switch`: a switch in memory, and an emulated Nexus by each of its doors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.driver import Step, SwitchDriver
from sekisho.devices.switch.intent import Facts, Feature, Part, Port, State, System, User, Vlan, parts
from sekisho.devices.switch.nexus.driver import Nexus, connect
from sekisho.host.clock import Clock
from sekisho.testing.contract_switch import Case, ports
from sekisho.testing.nexus import Box, Door, serve
from sekisho.testing.switch import ALL_KINDS, MemorySwitch
from sekisho.testing.switch_cases import whole_cases
from sekisho.testing.switch_rules import whole
from support_certificates import certificate

FEATURES = ("lacp", "vpc", "svi", "vxlan", "lldp")


class MemoryRig:
    def __init__(self, *, timer: bool = False) -> None:
        standing: tuple[Part, ...] = (
            *(Feature(name, enabled=False) for name in FEATURES),
            *(whole(Port(f"Ethernet1/{number}")) for number in range(1, 6)),
            Vlan(1, "default", 0),
            User("admin", "network-admin", "$5$hash"),
            System("leaf-1", "", "", ""),
        )
        state = State(Facts("leaf-1", "memory", "0", "1"), parts(*standing))
        self.switch = MemorySwitch(state, replace(ALL_KINDS, timer=timer))

    def driver(self) -> SwitchDriver:
        return self.switch

    def cases(self, state: State) -> tuple[Case, ...]:
        return whole_cases(state)

    def refused(self, state: State) -> Step | None:
        return Step(ports(state)[0], None)

    def cut(self) -> None:
        self.switch.gone = True

    def mend(self) -> None:
        self.switch.gone = False

    def restart(self) -> bool:
        self.switch.reboot()
        return True

    def advance(self, seconds: float) -> bool:
        del seconds
        self.switch.expire()
        return True

    def stranger(self) -> SwitchDriver | None:
        return None

    def hold(self) -> bool:
        return False


class NexusRig:
    """An emulated Nexus; the emulator's clock is moved on by the checks."""

    def __init__(self, door: Door, transport: Literal["nxapi", "ssh"]) -> None:
        self.door = door
        self.transport = transport
        self.ahead = 0.0

    def _connect(self, password: str) -> Nexus:
        by_ssh = self.transport == "ssh"
        port = self.door.ssh_port if by_ssh else self.door.port
        made = Connection(
            "nexus",
            self.door.address,
            port,
            self.door.box.username,
            ca_file=self.door.certificate,
            # The emulator's SSH key is another one each time.
            verify=not by_ssh,
            transport=self.transport,
            timeout=5.0,
        )
        return connect(made, password)

    def driver(self) -> SwitchDriver:
        return self._connect(self.door.box.password)

    def stranger(self) -> SwitchDriver | None:
        return self._connect("not the password")

    def cases(self, state: State) -> tuple[Case, ...]:
        return whole_cases(state)

    def refused(self, state: State) -> Step | None:
        self.door.box.faults.dme_object = self.door.box.faults.config_line = 1
        port = ports(state)[0]
        return Step(port, replace(port, description="refused"))

    def cut(self) -> None:
        self.door.box.faults.unreachable = True

    def hold(self) -> bool:
        self.door.box.faults.locked_by = "bob"
        return True

    def mend(self) -> None:
        self.door.box.faults.unreachable = False
        self.door.box.faults.locked_by = ""

    def restart(self) -> bool:
        self.door.box.reboot()
        return True

    def advance(self, seconds: float) -> bool:
        self.ahead += seconds
        return True


@contextmanager
def nexus(transport: Literal["nxapi", "ssh"], folder: Path, version: str = "9.3(10)") -> Iterator[NexusRig]:
    clock = Clock()
    ahead: list[NexusRig] = []
    box = Box(
        hostname="leaf-1", version=version, ports=6, clock=lambda: clock.now() + sum(r.ahead for r in ahead)
    )
    with serve(box, tls=certificate(folder, "127.0.0.1"), ssh_port=None if transport == "ssh" else 0) as door:
        ahead.append(NexusRig(door, transport))
        yield ahead[0]

"""Rigs for what runs against a switch, and the subjects of its tests."""

from __future__ import annotations

from typing import Any

from sekisho.devices.vswitch.bridge import Bridge
from sekisho.devices.vswitch.compile import CompileSettings
from sekisho.devices.vswitch.pipeline import Layout
from sekisho.model.inventory import Subject
from sekisho.testing.packets import Packet
from sekisho.testing.vswitch import FakeSwitch, Fate

EXACT_DOMAIN = 77


def mac(number: int) -> str:
    return f"02:00:00:00:00:{number:02x}"


def subject(number: int, **changes: Any) -> Subject:
    fields = {"id": f"port-{number}", "host": "h1", "mac": mac(number), "ofport": number, **changes}
    return Subject(**fields)


class FakeRig:
    """Subjects 1 and 2 on the fake switch; nothing waits."""

    def __init__(self, layout: Layout | None = None) -> None:
        self.switch = FakeSwitch(layout=layout)
        self.settings = CompileSettings(self.switch.layout, exact_domain=EXACT_DOMAIN)
        self.subjects: tuple[Subject, ...] = (subject(1), subject(2))
        if self.switch.layout.table:
            self._lead()

    def _lead(self) -> None:
        """Lead packets to our table, as Neutron's tables do."""
        self.switch("add-flow", f"priority=0,actions=resubmit(,{self.switch.layout.table})")
        self.switch("add-flow", f"table={self.switch.layout.table},priority=0,actions=NORMAL")

    @property
    def now(self) -> float:
        return self.switch.now

    def advance(self, seconds: float) -> None:
        self.switch.now += seconds

    def agent(self) -> Bridge:
        return Bridge("br0", "h1", self.switch, self.settings, ofctl=self.switch)

    def send(self, source: int, target: int, **fields: Any) -> Fate:
        return self.switch.send(source, Packet(mac(source), mac(target), **fields))

    def sends(self, source: int, target: int, **fields: Any) -> bool:
        return self.send(source, target, **fields).passed

    def ofctl(self, command: str, *arguments: str) -> str:
        return self.switch(command, *arguments)

    def restart(self) -> None:
        self.switch.restart()
        if self.switch.layout.table:
            self._lead()

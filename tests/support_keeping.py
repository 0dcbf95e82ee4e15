"""A keeper's switches over switches in memory: files in a folder, a ledger, and a clock that a test turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sekisho.app.switches import Switches
from sekisho.app.switches_settings import SwitchesSettings
from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.driver import SwitchDriver
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.switch import ChangeState, RolloutView, Wanted
from sekisho.testing.switch import MemorySwitch
from support_switches import state

ADA = Principal("ada", Role.ADMIN)
NOW = 1_800_000_000.0
WIDER = """
[vlan.20]
name = "mail"
[port."Ethernet1/1"]
allowed = "10,20"
"""


@dataclass
class Rig:
    """Everything that a keeper's switches stand on; `keeper` makes them anew, as after a restart."""

    root: Path
    switches: dict[str, MemorySwitch] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    time: float = 0.0
    news: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        (self.root / "files").mkdir()
        (self.root / "state").mkdir(mode=0o700)
        self.ledger = Ledger(self.root / "ledger.db")
        self.clock = Clock(lambda: NOW + self.time, lambda: 1000.0 + self.time, "boot")

    def add(self, name: str, text: str = WIDER, peer: str = "") -> MemorySwitch:
        """Put a switch there, and its file."""
        self.switches[name] = MemorySwitch(state(name=name))
        self.write(name, text, peer)
        return self.switches[name]

    def write(self, name: str, text: str, peer: str = "") -> None:
        connect = f'[connect]\ndriver = "memory"\naddress = "{name}"\nusername = "sekisho"\n'
        pair = f'[pair]\npeer = "{peer}"\n' if peer else ""
        (self.root / "files" / f"{name}.toml").write_text(connect + pair + text)

    def connect(self, connection: Connection) -> SwitchDriver:
        return self.switches[connection.address]

    def _connected(self, connection: Connection) -> SwitchDriver:
        return self.connect(connection)  # as it is then: a test may put something else there

    @contextmanager
    def keeper(self) -> Iterator[Switches]:
        chosen = {"retry": 0.01, "settle": 0.0, "wait": 5.0} | self.settings
        settings = SwitchesSettings(folder=str(self.root / "files"), **chosen)
        made = Switches(settings, self.ledger, self.clock, self.root / "state", self._connected)
        made.listen(self._hear)
        try:
            yield made
        finally:
            made.close(10.0)

    def _hear(self, topic: str) -> None:
        del topic
        with self.news:
            self.news.notify_all()

    def until(self, there: Callable[[], bool]) -> None:
        """Wait for news until something is so."""
        with self.news:
            assert self.news.wait_for(there, 20.0), "it never came"

    def ended(self, keeper: Switches, begun: RolloutView) -> dict[str, ChangeState]:
        """Wait for the end of a rollout; gives the states by switch."""
        self.until(lambda: keeper.rollout(begun.id).ended)
        return {c.switch: c.state for c in keeper.rollout(begun.id).changes}

    def apply(self, keeper: Switches, *names: str, **more: Any) -> dict[str, ChangeState]:
        """Let switches become what their files say."""
        return self.ended(keeper, keeper.want(ADA, Wanted(names, "as planned", **more)))

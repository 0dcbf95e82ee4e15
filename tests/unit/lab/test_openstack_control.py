"""Words to the laboratory: a VM on a port, parts that start again, and what cannot be done said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sekisho.lab.openstack import control
from sekisho.lab.openstack.stack import Stack
from sekisho.model.errors import Unavailable

PORT = {"id": "p1", "name": "web-1", "binding:host_id": "", "device_id": ""}


@dataclass
class Fake:
    """Two hosts, one port, and what was asked of them."""

    hosts: dict[str, Any] = field(
        default_factory=lambda: {"h1": SimpleNamespace(vms={}), "h2": SimpleNamespace(vms={})}
    )
    restarted: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    place: Any = field(default_factory=lambda: SimpleNamespace(services={"keeper": 0, "agent-h1": 0}))

    def api(self, _kind: str, method: str, path: str, body: Any = None) -> Any:
        if method == "PUT":
            self.bodies.append(body["port"])
            return None
        return {"ports": [PORT] if path in ("/ports?id=p1", "/ports?name=web-1") else []}

    def plug(self, port: Any) -> Any:
        host = self.bodies[-1]["binding:host_id"]
        made = SimpleNamespace(port=port["id"], addresses=("10.0.0.5/24",), host=host, namespace="vm-p1")
        self.hosts[host].vms[made.port] = made
        return made

    def unplug(self, vm: Any) -> None:
        del self.hosts[vm.host].vms[vm.port]

    def restart(self, name: str) -> None:
        if name == "agent-h1":
            raise Unavailable("It has ended.", "agent-h1 ended with 1")
        self.restarted.append(name)


@pytest.fixture
def said(tmp_path: Path) -> Any:
    fake, path = Fake(), tmp_path / "control"

    def ask(*words: str) -> tuple[int, str]:
        told: list[str] = []
        code = control.main([str(path), *words], told.append)
        return code, "".join(told)

    with control.listening(cast("Stack", fake), path):
        yield fake, ask
    assert not path.exists()
    assert ask("parts")[0] == 1, "nobody is there any more"


def test_a_vm_is_plugged_and_taken_away(said: Any) -> None:
    fake, ask = said
    code, told = ask("plug", "web-1", "h2")
    assert code == 0
    assert "10.0.0.5/24 on h2" in told
    assert "/run/netns/vm-p1" in told
    assert fake.bodies[0]["device_owner"] == "compute:nova"
    assert fake.bodies[0]["device_id"]
    assert ask("plug", "web-1") == (1, "Port p1 has a VM already.\n")
    assert ask("unplug", "p1")[0] == 0
    assert ask("unplug", "p1") == (1, "Port p1 has no VM.\n")
    assert "on h1" in ask("plug", "p1")[1]


def test_a_part_is_started_again_and_what_fails_is_said(said: Any) -> None:
    fake, ask = said
    assert ask("parts") == (0, "agent-h1\nkeeper\n")
    assert ask("restart", "keeper") == (0, "keeper runs again.\n")
    assert fake.restarted == ["keeper"]
    assert ask("restart", "agent-h1") == (1, "agent-h1 ended with 1\n")
    assert "there are agent-h1, keeper" in ask("restart", "nova")[1]


@pytest.mark.parametrize("words", [(), ("plug",), ("plug", "gone"), ("plug", "p1", "h9"), ("dance",)])
def test_what_cannot_be_done_is_said(said: Any, words: tuple[str, ...]) -> None:
    code, told = said[1](*words)
    assert code == 1
    assert told.startswith(("Say one of", "There is no"))

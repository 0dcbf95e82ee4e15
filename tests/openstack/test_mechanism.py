"""The mechanism driver inside the real ML2, without the rest of OpenStack: what the keeper's API is told."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sekisho
from sekisho.api import create_app, start
from sekisho.api.settings import ApiSettings
from sekisho.app.attachments import Attachments
from sekisho.model.access import Role
from sekisho.testing.keeper import SECRETS, FakeKeeper

PROGRAMS = Path(__file__).parents[2] / ".make" / "openstack" / "bin"
LONG = 30.0


class Memory(dict[str, str]):
    """The ledger's memory; tells when something was kept."""

    def __init__(self) -> None:
        super().__init__()
        self.news = threading.Condition()

    def remember(self, name: str, value: str) -> None:
        with self.news:
            self[name] = value
            self.news.notify_all()

    def recall(self, name: str) -> str:
        return self.get(name, "")


class Bed:
    """The real plugin in a process of its own, and our API with nothing behind but what hosts want."""

    def __init__(self, folder: Path) -> None:
        self.memory = Memory()
        self.wants = Attachments(self.memory, dict)
        settings = ApiSettings(port=0)
        self.server = start(create_app(FakeKeeper(), settings, attachments=self.wants), settings)
        (folder / "token").write_text(SECRETS[Role.CLOUD])
        program = Path(__file__).parents[1] / "support_ml2.py"
        source = str(Path(sekisho.__file__).parents[1])
        path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH", ""))))
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [str(PROGRAMS / "python"), str(program), str(folder), self.server.url],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def begun(self) -> None:
        self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("["):
                return next(iter(json.loads(line)), None)
        self.log.seek(0)
        raise AssertionError(self.log.read()[-3000:])

    def ask(self, *question: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def wanted(self, host: str) -> dict[int, str]:
        return {v.id: v.network for v in self.wants.attachment(host).vlans}

    def until(self, true: Callable[[], bool]) -> None:
        with self.memory.news:
            assert self.memory.news.wait_for(true, LONG), self.wants.attachments()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(LONG)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
        self.server.stop()


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    made = Bed(tmp_path_factory.mktemp("ml2"))
    try:
        made.begun()
        yield made
    finally:
        made.end()


def test_a_vlan_is_wanted_while_a_port_is_bound(bed: Bed) -> None:
    vlan, tunnel = bed.ask("network", "vlan"), bed.ask("network", "vxlan")
    there = {vlan["vlan"]: vlan["id"]}
    bed.ask("port", tunnel["id"], "h2")
    first, second = (bed.ask("port", vlan["id"], "h1") for _ in range(2))
    bed.until(lambda: bed.wanted("h1") == there)
    bed.ask("delete", first)
    third = bed.ask("port", vlan["id"], "h2")
    bed.until(lambda: bed.wanted("h2") == there)
    assert bed.wanted("h1") == there
    bed.ask("move", second, "h2")
    bed.until(lambda: not bed.wanted("h1"))
    bed.ask("delete", second)
    bed.ask("delete", third)
    bed.until(lambda: not bed.wanted("h2"))


def test_a_live_migrations_new_host_is_ready_before_the_server_moves(bed: Bed) -> None:
    vlan = bed.ask("network", "vlan")
    there = {vlan["vlan"]: vlan["id"]}
    port = bed.ask("port", vlan["id"], "h1")
    bed.until(lambda: bed.wanted("h1") == there)
    bed.ask("ahead", port, "h2")
    bed.until(lambda: bed.wanted("h2") == there)
    assert bed.wanted("h1") == there
    bed.ask("activate", port, "h2")
    bed.ask("back", port, "h1")
    bed.until(lambda: not bed.wanted("h1"))
    assert bed.wanted("h2") == there
    bed.ask("delete", port)
    bed.until(lambda: not bed.wanted("h2"))


def test_neutron_goes_on_without_the_keeper_which_hears_it_later(bed: Bed) -> None:
    vlan = bed.ask("network", "vlan")
    port = bed.server.url.rpartition(":")[2]
    bed.server.stop()
    bed.ask("port", vlan["id"], "h1")
    settings = ApiSettings(port=int(port))
    bed.server = start(create_app(FakeKeeper(), settings, attachments=bed.wants), settings)
    bed.until(lambda: bed.wanted("h1") == {vlan["vlan"]: vlan["id"]})

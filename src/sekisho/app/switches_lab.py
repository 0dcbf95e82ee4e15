"""`sekisho lab switches`: a vPC pair of emulated Nexus switches and a keeper for them, to try things on."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sekisho.app import all_in_one
from sekisho.app.all_in_one import Child, Supervisor
from sekisho.app.all_in_one import command as ours
from sekisho.app.lab import toml
from sekisho.app.process import stop_on_signal
from sekisho.client import Client
from sekisho.host.clock import Clock
from sekisho.lab import sockets
from sekisho.model.errors import Refused, SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from socket import socket

EMULATOR: Final = "sekisho.testing.nexus"
PATIENCE: Final = 30.0

_SHARED: Final = """\
# What all leaves have. A leaf's own file takes it with use = ["leaf"].
[connect]
driver = "nexus"
username = "admin"
password_file = "{secret}"

[vlan.10]
name = "web"

[vlan.20]
name = "db"

[port.port-channel1]
description = "peer link"
mode = "trunk"
allowed = "all"
lacp = "active"
members = ["Ethernet1/47", "Ethernet1/48"]
peer_link = true

[port.port-channel11]
description = "compute-1"
mode = "trunk"
allowed = "10,20"
lacp = "active"
members = ["Ethernet1/1"]
vpc = 11
"""
_OWN: Final = """\
use = ["leaf"]

[connect]
address = "{url}"
port = {port}

[pair]
peer = "{peer}"
domain = 10
keepalive = {{ destination = "192.0.2.{other}", source = "192.0.2.{number}", vrf = "management" }}

[system]
hostname = "{name}"
"""


@dataclass(slots=True)
class SwitchLab:
    """A folder with the switches' files, the emulator, and a keeper; it needs no root."""

    folder: Path
    version: str = ""
    url: str = ""
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    _children: list[Child] = field(default_factory=list)
    _socket: socket | None = None

    def start(self) -> None:
        """Start both; returns when the keeper has its switches. Raises Unavailable."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._emulate()
        self._write()
        self._keep()

    def stop(self) -> None:
        """Stop both; the folder stays."""
        Supervisor(tuple(self._children)).end()
        if self._socket is not None:
            self._socket.close()

    @property
    def client(self) -> Client:
        """A client with the administrator's token."""
        token = (self.folder / "state" / "tokens" / "admin").read_text().strip()
        return Client(self.url, token, 60.0)

    def _emulate(self) -> None:
        words = ["--pair", "--ssh-port", "0", *(["--version", self.version] if self.version else [])]
        log = self.folder / "emulator.log"
        self._child("emulator", [sys.executable, "-m", EMULATOR, *words], log)
        lines: list[dict[str, Any]] = []

        def ready() -> bool:
            lines[:] = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
            return any("ready" in line for line in lines)

        self._wait(ready, log)
        self.told = {line["hostname"]: line for line in lines if "hostname" in line}

    def _write(self) -> None:
        common, secret = self.folder / "switches" / "common", self.folder / "password"
        common.mkdir(parents=True, exist_ok=True)
        secret.touch(0o600)
        secret.write_text("admin\n")
        (common / "leaf.toml").write_text(_SHARED.format(secret=secret))
        for (name, told), peer, number in zip(self.told.items(), reversed(self.told), (1, 2), strict=True):
            url = str(told["url"]).rpartition(":")[0]
            own = {"name": name, "peer": peer, "url": url, "port": told["port"]}
            text = _OWN.format(**own, number=number, other=3 - number)
            (self.folder / "switches" / f"{name}.toml").write_text(text)

    def _keep(self) -> None:
        self._socket = sockets.listen(0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        state, policies = self.folder / "state", self.folder / "policies"
        policies.mkdir(exist_ok=True)
        all_in_one.prepare(state, self.url, Clock())
        switches = {"folder": str(self.folder / "switches"), "every": 30.0}
        told: Mapping[str, Any] = {
            "client": {"url": self.url},
            "keeper": {"state": str(state), "policies": str(policies), "switches": switches},
        }
        file, log = self.folder / "sekisho.toml", self.folder / "keeper.log"
        file.write_text(toml(told))
        fd = self._socket.fileno()
        self._child("keeper", ours("keeper", "--config", str(file), "--listen-fd", str(fd)), log, (fd,))

        def ready() -> bool:
            try:
                with self.client as client:
                    return len(client.switches.list()) == len(self.told)
            except SekishoError:
                return False

        self._wait(ready, log)

    def _child(self, name: str, argv: list[str], log: Path, fds: tuple[int, ...] = ()) -> None:
        log.unlink(missing_ok=True)
        child = Child(name, argv, fds, output=log)
        self._children.append(child)
        child.start()

    def _wait(self, ready: Any, log: Path) -> None:
        until = time.monotonic() + PATIENCE
        while not ready():
            ended = [c.name for c in self._children if c.process is not None and c.process.poll() is not None]
            if ended or time.monotonic() > until:
                raise Unavailable("The lab did not start.", f"see {log}")
            time.sleep(0.05)


def command(
    *,
    folder: Annotated[
        Path | None, typer.Option(help="Where everything is kept; else a new folder that is removed again.")
    ] = None,
    version: Annotated[str, typer.Option(help='The NX-OS they say they are, for example "10.6(3)".')] = "",
) -> None:
    """Run a vPC pair of emulated Nexus switches, and a keeper for them, until Ctrl-C."""
    if folder is not None and folder.exists() and any(folder.iterdir()) and not _made(folder):
        raise Refused(f"{folder} is not a lab's: nothing in it is touched. Choose another --folder.")
    lab = SwitchLab((folder or Path(tempfile.mkdtemp(prefix="sekisho-switches-"))).absolute(), version)
    stop = threading.Event()
    stop_on_signal(stop)
    print(f"Starting two emulated switches and a keeper in {lab.folder} …", flush=True)
    try:
        lab.start()
        for line in _hints(lab):
            print(line)
        sys.stdout.flush()
        stop.wait()
    finally:
        lab.stop()
        if folder is None:
            shutil.rmtree(lab.folder, ignore_errors=True)


def _made(folder: Path) -> bool:
    return (folder / "emulator.log").exists()


def _hints(lab: SwitchLab) -> list[str]:
    program = Path(sys.executable).with_name("sekisho")
    search = "" if shutil.which("sekisho") else f"{program.parent}{os.pathsep}"
    path = f"PATH={search}$PATH " if search else ""
    doors = [f"  {n}: NX-API {t['url']}, ssh -p {t['ssh_port']} admin@127.0.0.1" for n, t in lab.told.items()]
    return [
        "Two emulated switches run, a vPC pair with nothing configured yet (user and password: admin):",
        *doors,
        f"What they should be is in {lab.folder}/switches. From another shell:",
        f"  export {path}SEKISHO_CLIENT={lab.folder}/state/client.toml",
        "  sekisho switch list",
        "  sekisho switch plan",
        '  sekisho switch apply leaf-1 leaf-2 --reason "first day"',
        "Ctrl-C takes everything away.",
    ]

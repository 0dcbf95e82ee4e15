"""A whole cloud in a folder: a private switch with VMs, and our own processes watching it.

The switch's namespace has the collector and the agents in it; the keeper stays outside and listens
in both, so that the lab's console and command line work from any shell.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sekisho.app import all_in_one
from sekisho.app.all_in_one import Child, Supervisor, command
from sekisho.app.archive_reach import SECRET
from sekisho.client import Client
from sekisho.host.clock import Clock
from sekisho.lab import sockets
from sekisho.lab.ovs import PrivateSwitch
from sekisho.model.errors import NotFound, SekishoError, Unavailable
from sekisho.model.restriction import Restriction, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from socket import socket


# Where the command line looks first.
USUAL_PORT = 8790
COLLECTOR_PORT = 6343


@dataclass(frozen=True, slots=True)
class LabHost:
    """One hypervisor of the lab: a bridge of the switch with an agent of its own, and its own settings."""

    name: str = "lab"
    bridge: str = "br-lab"
    telemetry: Mapping[str, Any] = field(default_factory=lambda: {"protocol": "sflow", "sampling": 50})
    agent: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabSettings:
    """What to start; `policies` is the text of the policy file in force, the mappings add settings.

    With `archive` flows are kept, which needs chdb.
    """

    folder: Path
    policies: str = ""
    hosts: tuple[LabHost, ...] = (LabHost(),)
    port: int = 0
    keeper: Mapping[str, Any] = field(default_factory=dict)
    collector: Mapping[str, Any] = field(default_factory=dict)
    agent: Mapping[str, Any] = field(default_factory=dict)
    collectors: bool = True
    archive: bool = False


class Lab:
    """Starts, stops and crashes the parts of a small cloud."""

    def __init__(self, settings: LabSettings) -> None:
        self.settings = settings
        self.folder = settings.folder.absolute()
        self.switch = PrivateSwitch(self.folder / "ovs")
        self.url = ""
        self._sockets: list[socket] = []
        self.children: dict[str, Child] = {}
        self._client: Client | None = None

    def start(self) -> None:
        """Start all, and return when every host has reported."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.switch.start()
        for host in self.settings.hosts:
            self.switch.add_bridge(host.bridge)
        self._listen()
        self._prepare()
        for child in self.children.values():
            child.start()
        self.wait(lambda: len(self.client.status().hosts) == len(self.settings.hosts), "every host to report")
        if self.settings.collectors:
            self.wait(lambda: bool(self.client.status().collectors), "the collector to report")

    def stop(self) -> None:
        """Stop all and remove the namespaces; the folder's logs and ledger stay."""
        Supervisor(tuple(self.children.values())).end()
        self.switch.stop()
        for each in self._sockets:
            each.close()
        if self._client is not None:
            self._client.close()

    @property
    def client(self) -> Client:
        """A client with the administrator's token."""
        if self._client is None:
            token = (self.folder / "state" / "tokens" / "admin").read_text().strip()
            self._client = Client(self.url, token, 10.0)
        return self._client

    # --- crash and come back ---------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """Kill a process as the kernel would: without a word."""
        process = self.children[name].process
        if process is not None:
            process.kill()
            process.wait()

    def restart(self, name: str) -> None:
        """Start a process that was killed."""
        self.children[name].start()

    # --- looking ---------------------------------------------------------------------------------

    def wait(self, done: Callable[[], bool], what: str, timeout: float = 20.0) -> float:
        """Wait until `done`; gives the seconds it took. Raises Unavailable when it takes too long."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < timeout:
            try:
                if done():
                    return passed
            except (Unavailable, NotFound):
                pass
            self._look_after()
            time.sleep(0.02)
        raise Unavailable(f"Waited {timeout:g} s for {what} in vain.", f"see the logs in {self.folder}")

    def _look_after(self) -> None:
        for child in self.children.values():
            if child.process is not None and child.process.returncode is None:
                code = child.process.poll()
                if code:
                    raise Unavailable(
                        f"The lab's {child.name} ended with {code}.", f"its log is {child.output}"
                    )

    def bound(self, subject: str) -> tuple[Restriction, ...]:
        """List what binds a subject now."""
        return tuple(self.client.restrictions(subject=subject, states=(State.ACTIVE,)))

    # --- inside ----------------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            self._sockets = [sockets.listen(self.settings.port)]
        except SekishoError:
            self._sockets = [sockets.listen(0)]
        port = self._sockets[0].getsockname()[1]
        self._sockets.append(sockets.listen(port, self.switch.namespace))
        self.url = f"http://127.0.0.1:{port}"

    def _prepare(self) -> None:
        """Write settings and tokens, and say what to start."""
        s, state, policies = self.settings, self.folder / "state", self.folder / "policies"
        policies.mkdir(exist_ok=True)
        (policies / "lab.toml").write_text(s.policies)
        files = all_in_one.prepare(state, self.url, Clock())
        receive = {"host": "127.0.0.1", "ports": [COLLECTOR_PORT]}
        shared = {"client": {"url": self.url}}
        keeper = {"state": str(state), "policies": str(policies), **s.keeper}
        fds = [each.fileno() for each in self._sockets]  # the archive's door is not the keeper's to answer at
        if s.archive:
            keeper["archive"] = self._listen_archive(state)
        inside = self.switch.enter()
        words = [w for fd in fds for w in ("--listen-fd", str(fd))]
        self._child("keeper", {**shared, "keeper": keeper}, [], words, fds)
        if s.collectors:
            kept = {"on": s.archive, "every": 1.0, "spool": {"folder": str(state / "spool")}}
            collector = {"name": "lab", "receive": receive, "archive": kept, **s.collector}
            settings = {**shared, "collector": collector}
            self._child("collector", settings, inside, ["--token-file", str(files["collector"])])
        for host in s.hosts:
            target = f"127.0.0.1:{COLLECTOR_PORT}"
            agent = {
                "host": host.name,
                "bridges": [host.bridge],
                "run_dir": str(self.switch.folder),
                "state": str(self.folder / f"agent-{host.name}"),
                "telemetry": {"target": target, "polling": 5, **host.telemetry},
                **s.agent,
                **host.agent,
            }
            name = f"agent-{host.name}"
            self._child(name, {**shared, "agent": agent}, inside, ["--token-file", str(files["agent"])])
        if s.archive:
            self._add_archive(state)

    def _listen_archive(self, state: Path) -> dict[str, str]:
        """Open the archive's door; gives what the keeper must know of it."""
        self._sockets.append(sockets.listen(0))
        all_in_one.prepare_archive(state, elsewhere=False)
        url = f"http://127.0.0.1:{self._sockets[-1].getsockname()[1]}"
        return {"url": url, "token_file": str(state / "tokens" / SECRET)}

    def _add_archive(self, state: Path) -> None:
        """Let the archive start last: nobody waits for it."""
        fd = self._sockets[-1].fileno()
        words = ["--state", str(state), "--listen-fd", str(fd)]
        self._child("archive", {"archive": {"keep": {"raw_days": 1}}}, [], words, [fd])

    def _child(
        self,
        name: str,
        settings: Mapping[str, Any],
        inside: Sequence[str],
        words: Sequence[str],
        fds: Sequence[int] = (),
    ) -> None:
        file = self.folder / f"{name}.toml"
        file.write_text(toml(settings))
        argv = [*inside, *command(name.partition("-")[0], "--config", str(file), *words)]
        path = {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        self.children[name] = Child(name, argv, fds, path, self.folder / f"{name}.log")


def toml(settings: Mapping[str, Any], path: str = "") -> str:
    """Write plain nested settings as TOML."""
    lines = [f"{k} = {json.dumps(v)}" for k, v in settings.items() if not isinstance(v, dict)]
    text = "\n".join([f"[{path}]", *lines, ""]) if path else "\n".join(lines)
    inner = [toml(v, f"{path}.{k}" if path else k) for k, v in settings.items() if isinstance(v, dict)]
    return "\n".join([text, *inner])

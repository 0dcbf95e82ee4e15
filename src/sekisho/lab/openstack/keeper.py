"""Our own keeper beside the stack: it sees the stack's services, and listens in both worlds."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from sekisho.client import Client
from sekisho.lab import sockets
from sekisho.lab.openstack.files import toml
from sekisho.lab.openstack.settings import COLLECTOR_PORT, CONTROLLER, KEEPER_PORT
from sekisho.model.access import Role

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    from sekisho.lab.openstack.place import Place
    from sekisho.lab.openstack.settings import Ini

# Where hosts and controller reach it.
INSIDE = f"http://{CONTROLLER}:{KEEPER_PORT}"
# What our plugin and our extension are called in Neutron's settings.
NAME = "sekisho"
PLUGINS = "neutron.service_plugins"
EXTENSIONS = "neutron.agent.l2.extensions"
# Who gets a token: Neutron's server, Octavia, Neutron's agents, and the collector.
_TOKENS = {
    "neutron": Role.CLOUD,
    "octavia": Role.OCTAVIA,
    "agent": Role.AGENT,
    "collector": Role.AGENT,
}
_OURS = (sys.executable, "-m", "sekisho.app.main")


@dataclass(slots=True)
class KeeperProcess:
    """A `sekisho keeper` with its client and tokens, and a collector that hears what the hosts export."""

    place: Place
    client: Client = field(init=False)
    _sockets: list[socket.socket] = field(default_factory=list)

    def start(self) -> None:
        """Start it and make the tokens of those who will ask it."""
        (self.place.room("keeper") / "policies").mkdir()
        outside = sockets.listen(0)
        self._sockets = [outside, sockets.listen(KEEPER_PORT, self.place.controller, CONTROLLER)]
        fds = [each.fileno() for each in self._sockets]
        words = [word for fd in fds for word in ("--listen-fd", str(fd))]
        argv = [*_OURS, "keeper", "--config", str(self._write_settings({})), *words]
        self.place.service("keeper", argv, self._ready, fds=fds).start()
        for name, role in _TOKENS.items():
            file = token_file(self.place, name)
            file.touch(0o600)
            file.write_text(self.client.create_token(name, role)[1])

    def restart(self, added: Mapping[str, Mapping[str, object]]) -> None:
        """Start it again with more settings, section by section; policies are files in `policies`."""
        self._write_settings(added)
        self.place.services["keeper"].restart()

    def start_collector(self, added: Mapping[str, object]) -> None:
        """Start a collector on the controller's port for flows, with more settings of [collector]."""
        receive = {"host": CONTROLLER, "ports": [COLLECTOR_PORT]}
        ours: Ini = {"client": {"url": INSIDE}, "collector": {"name": "stack", "receive": receive, **added}}
        file = toml(self.place.folder / "keeper" / "collector.toml", ours)
        token = str(token_file(self.place, "collector"))
        argv = [*_OURS, "collector", "--config", str(file), "--token-file", token]
        self.place.service("collector", argv, lambda: bool(self.client.status().collectors)).start()

    def _ready(self) -> bool:
        file = token_file(self.place, "admin")
        if not file.exists():
            return False
        if not hasattr(self, "client"):
            port = self._sockets[0].getsockname()[1]
            self.client = Client(f"http://127.0.0.1:{port}", file.read_text().strip(), 10.0)
        return bool(self.client.status())

    def stop(self) -> None:
        """Stop both."""
        for name in ("collector", "keeper"):
            if name in self.place.services:
                self.place.services[name].stop()
        if hasattr(self, "client"):
            self.client.close()
        for each in self._sockets:
            each.close()

    def _write_settings(self, added: Mapping[str, Mapping[str, object]]) -> Path:
        folder = self.place.folder / "keeper"
        base: Ini = {
            "client": {"url": INSIDE},
            "keeper": {"state": str(folder / "state"), "policies": str(folder / "policies")},
        }
        for sections in (self.place.settings.keeper, added):
            for name, options in sections.items():
                base.setdefault(name, {}).update(options)
        return toml(folder / "keeper.toml", base)


def token_file(place: Place, name: str) -> Path:
    """Say where the token of somebody is kept."""
    return place.folder / "keeper" / "state" / "tokens" / name


def options(place: Place, name: str) -> Ini:
    """Give the section [sekisho] of a process of Neutron's."""
    return {NAME: {"keeper_url": INSIDE, "token_file": token_file(place, name), "timeout": 5}}


def guests(environment: Path) -> set[str]:
    """Name the groups of entry points by which a Python environment offers ours to Neutron."""
    folders = [str(each) for each in environment.glob("lib/python*/site-packages")]
    found = distributions(name=NAME, path=folders)
    return {point.group for each in found for point in each.entry_points if point.name == NAME}

"""Our own keeper beside the stack: it sees the stack's services, and listens in both worlds."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from sekisho.client import Client
from sekisho.lab import sockets
from sekisho.lab.openstack.files import toml
from sekisho.lab.openstack.settings import CONTROLLER, KEEPER_PORT
from sekisho.model.access import Role

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from sekisho.lab.openstack.place import Place
    from sekisho.lab.openstack.service import Service
    from sekisho.lab.openstack.settings import Ini

# Where hosts and controller reach it.
INSIDE = f"http://{CONTROLLER}:{KEEPER_PORT}"
# What our plugin and our extension are called in Neutron's settings.
NAME = "sekisho"
PLUGINS = "neutron.service_plugins"
EXTENSIONS = "neutron.agent.l2.extensions"
# Who gets a token: Neutron's server and its agents.
_TOKENS = {"neutron": Role.ADMIN, "agent": Role.AGENT}


@dataclass(slots=True)
class KeeperProcess:
    """A `sekisho keeper`, its client and its tokens."""

    place: Place
    service: Service = field(init=False)
    client: Client = field(init=False)
    url: str = field(init=False)
    _sockets: list[socket.socket] = field(default_factory=list)

    def start(self) -> None:
        """Start it and make the tokens of those who will ask it."""
        folder = self.place.room("keeper")
        outside = sockets.listen(0)
        self._sockets = [outside, sockets.listen(KEEPER_PORT, self.place.controller, CONTROLLER)]
        self.url = f"http://127.0.0.1:{outside.getsockname()[1]}"
        fds = [each.fileno() for each in self._sockets]
        argv = [sys.executable, "-m", "sekisho.app.main", "keeper", "--config", str(self._settings(folder))]
        argv += [word for fd in fds for word in ("--listen-fd", str(fd))]
        self.service = self.place.service("keeper", argv, self._ready, fds=fds)
        self.service.start()
        for name, role in _TOKENS.items():
            token_file(self.place, name).write_text(self.client.create_token(name, role)[1])

    def _ready(self) -> bool:
        file = token_file(self.place, "admin")
        if not file.exists():
            return False
        self.client = Client(self.url, file.read_text().strip(), 10.0)
        return bool(self.client.status())

    def stop(self) -> None:
        """Stop it."""
        if hasattr(self, "client"):
            self.client.close()
        if hasattr(self, "service"):
            self.service.stop()
        for each in self._sockets:
            each.close()

    def _settings(self, folder: Path) -> Path:
        policies = folder / "policies"
        policies.mkdir()
        base: Ini = {
            "client": {"url": self.url},
            "keeper": {"state": str(folder / "state"), "policies": str(policies)},
        }
        for name, options in self.place.settings.keeper.items():
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

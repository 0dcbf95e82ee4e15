"""A real Octavia in a network namespace: API, driver agent and MariaDB, with our providers and a keeper.

Octavia's own network driver that does nothing stands for Neutron, so a load balancer names its VIP's address.
Nobody carries what is asked unless directors report; an emulated pair of ADX is driven by the keeper.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass, field, replace
from shutil import rmtree
from typing import TYPE_CHECKING, Any, Final

from sekisho.lab.openstack import database
from sekisho.lab.openstack.files import ini
from sekisho.lab.openstack.keeper import INSIDE, KeeperProcess, token_file
from sekisho.lab.openstack.place import Place
from sekisho.lab.openstack.settings import CONTROLLER, PORTS, StackSettings
from sekisho.lab.openstack.shell import call, enter, links, namespaces, remove_namespace
from sekisho.lab.processes import SEARCH
from sekisho.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sekisho.client import Client
    from sekisho.lab.openstack.rest import Answer
    from sekisho.lab.openstack.service import Service
    from sekisho.lab.openstack.settings import Ini

SERVICE: Final = "load-balancer"
PROJECT: Final = "0123456789abcdef0123456789abcdef"
ADX_PORT: Final = 8081
_SOCKETS: Final = ("status", "stats", "get")
_SECRET: Final = "emulated"  # noqa: S105 - of an emulated box
_PROVIDERS: Final = "sekisho-lvs:Direct return on Linux,sekisho-adx:Direct return on a Brocade ADX"


@dataclass(slots=True)
class Octavia:
    """Starts it all in a folder, which is emptied; `environment` is a Python that has Octavia and Sekisho."""

    folder: Path
    environment: Path
    pairs: Mapping[str, Mapping[str, object]]
    keeper_settings: Mapping[str, object] = field(default_factory=dict)
    guest: Mapping[str, object] = field(default_factory=dict)  # more of [sekisho]
    adx: bool = False
    place: Place = field(init=False)
    keeper: KeeperProcess = field(init=False)

    def __post_init__(self) -> None:
        sections: Ini = {"keeper.balancers": dict(self.keeper_settings)}
        sections |= {f"keeper.balancers.pairs.{name}": dict(pair) for name, pair in self.pairs.items()}
        settings = StackSettings(self.folder, self.environment, self.environment, ())
        self.place = Place(replace(settings, keeper=sections))
        self.keeper = KeeperProcess(self.place)

    # --- start and stop ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything; returns when the API and the driver agent work."""
        self.clean()
        self.place.logs.mkdir(parents=True)
        call("ip", "netns", "add", self.place.controller)
        links(self.place.controller, "link set lo up", f"addr add {CONTROLLER}/32 dev lo")
        database.start(self.place)
        if self.adx:
            self._start_adx()
        self.keeper.start()
        self._write_settings()
        call(*enter(self.place.controller), self._program("db-manage"), *self._words, "upgrade", "head")
        self.service("agent").launch()
        self.service("api").start()
        self.service("agent").await_ready()

    def _start_adx(self) -> None:
        words = ["-m", "sekisho.testing.adx", "--pair", "--port", str(ADX_PORT), "--password", _SECRET]
        words += ["--befall", str(self._befalls)]
        log = self.place.logs / "adx.log"
        ready = lambda: log.exists() and "ready" in log.read_text()  # noqa: E731
        self.place.service("adx", [sys.executable, *words], ready).start()

    @property
    def _befalls(self) -> Path:
        return self.folder / "adx-befall"

    def befall(self, what: str) -> None:
        """Let something befall every call to the emulated boxes; "" ends it. See `sekisho.testing.adx`."""
        fresh = self._befalls.with_suffix(".new")
        fresh.write_text(what)
        fresh.replace(self._befalls)

    def service(self, name: str) -> Service:
        """Give Octavia's ``api`` or ``agent``, started or not, or another service of the place."""
        if name in self.place.services:
            return self.place.services[name]
        if name == "api":
            return self.place.service(name, [self._program("api"), *self._words], self._answers)
        # it leaves its sockets behind when it is killed
        ready = lambda: all((self.folder / f"{each}.sock").is_socket() for each in _SOCKETS)  # noqa: E731
        return self.place.service(name, [self._program("driver-agent"), *self._words], ready)

    def _answers(self) -> bool:
        return self.ask("GET", "/lbaas/providers").status == 200

    def stop(self) -> None:
        """Stop everything and remove the namespace; the logs stay."""
        self.keeper.stop()
        for service in self.place.services.values():
            service.kill()
        self._remove()

    def clean(self) -> None:
        """Remove what an earlier run left."""
        self._remove()
        rmtree(self.folder, ignore_errors=True)

    def _remove(self) -> None:
        for name in namespaces(self.place.prefix):
            remove_namespace(name)

    # --- settings ---------------------------------------------------------------------------------

    @property
    def _words(self) -> list[str]:
        return ["--config-file", str(self.folder / "octavia.conf")]

    def _program(self, name: str) -> str:
        return str(self.environment / "bin" / f"octavia-{name}")

    def _write_settings(self) -> None:
        sockets = {f"{each}_socket_path": self.folder / f"{each}.sock" for each in _SOCKETS}
        ini(
            self.folder / "octavia.conf",
            {
                "DEFAULT": {"transport_url": "fake://"},
                "api_settings": {
                    "auth_strategy": "noauth",
                    "bind_host": CONTROLLER,
                    "bind_port": PORTS[SERVICE],
                    "enabled_provider_drivers": _PROVIDERS,
                    "default_provider_driver": "sekisho-lvs",
                    "allow_tls_terminated_listeners": True,
                    "allow_prometheus_listeners": True,
                },
                "database": {"connection": database.url("octavia")},
                "controller_worker": {
                    "network_driver": "network_noop_driver",
                    "compute_driver": "compute_noop_driver",
                },
                "certificates": {"cert_manager": "noop_cert_manager"},
                "driver_agent": {"enabled_provider_agents": "sekisho", **sockets},
                "sekisho": {
                    "keeper_url": INSIDE,
                    "token_file": token_file(self.place, "octavia"),
                    "timeout": 20,  # on a busy machine a step takes long
                    **self.guest,
                },
            },
        )

    def secret_file(self) -> Path:
        """Write the password of the emulated boxes, for a pair's `password_file`."""
        file = self.folder.with_name(f"{self.folder.name}-adx")
        file.touch(0o600)
        file.write_text(_SECRET)
        return file

    # --- ask --------------------------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """An administrator's client of the keeper."""
        return self.keeper.client

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Ask Octavia's API, and give whatever it answers; raises Unavailable."""
        return self.place.rest.ask(SERVICE, method, path, body, {"X-Project-Id": PROJECT})

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Ask Octavia's API and give the answer's JSON; raises Refused with what it says."""
        answer = self.ask(method, f"/lbaas/{path}", body)
        if answer.status >= 400:
            raise Refused(answer.text, f"{method} {path}: {answer.status} {answer.text}")
        return answer.json()

    def openstack(self, words: str) -> subprocess.CompletedProcess[str]:
        """Run the `openstack` client without Keystone, to its end; never raises for its code."""
        program = str(self.environment / "bin" / "openstack")
        door = f"http://{CONTROLLER}:{PORTS[SERVICE]}"
        argv = [*enter(self.place.controller), program, "--os-auth-type", "none", "--os-endpoint", door]
        return subprocess.run(  # noqa: S603 - our own words, no shell
            [*argv, *shlex.split(words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": SEARCH, "HOME": str(self.folder)},
        )

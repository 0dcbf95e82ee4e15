"""Where a stack lives: its folder, its namespaces, and what every service of it is made from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sekisho.lab.openstack.rest import Rest
from sekisho.lab.openstack.service import Service
from sekisho.lab.openstack.settings import CONTROLLER, PORTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sekisho.lab.openstack.settings import StackSettings


@dataclass(slots=True)
class Place:
    """One stack's folder and namespaces. All it starts is remembered here, in order."""

    settings: StackSettings
    prefix: str = field(init=False)
    rest: Rest = field(init=False)
    services: dict[str, Service] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.prefix = "sk" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]
        self.rest = Rest(self.controller)

    @property
    def folder(self) -> Path:
        """The stack's folder."""
        return self.settings.folder.absolute()

    @property
    def controller(self) -> str:
        """The namespace of all that runs on no host."""
        return f"{self.prefix}-controller"

    @property
    def logs(self) -> Path:
        """Where every log is."""
        return self.folder / "log"

    def room(self, name: str) -> Path:
        """Make a folder for a service."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def service(
        self, name: str, argv: Sequence[str], ready: Callable[[], bool], namespace: str = "", **more: Any
    ) -> Service:
        """Make a service that is not started yet, and remember it; one of that name is forgotten."""
        log = self.logs / f"{name}.log"
        made = Service(name, namespace or self.controller, argv, log, ready, **more)
        self.services[name] = made
        return made

    def wsgi(self, name: str, kind: str, venv: Path, words: Sequence[str], **more: Any) -> Service:
        """Make a service that uwsgi runs; it works when it answers anything but its own failure."""
        argv = [str(venv / "bin" / "uwsgi"), "--http-socket", f"{CONTROLLER}:{PORTS[kind]}", "--master"]
        argv += ["--processes", "1", "--threads", "4", "--enable-threads", "--lazy-apps", "--need-app"]
        # It closes each connection after one answer, and unless it says so clients try to use it again.
        argv += ["--die-on-term", "--add-header", "Connection: close", *words]

        def ready() -> bool:
            return self.rest.ask(kind, "GET", "/").status < 500

        return self.service(name, argv, ready, **more)

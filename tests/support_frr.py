"""A real FRRouting, zebra and staticd, in a network namespace and a folder of its own; needs root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.driver import Step
from sekisho.devices.switch.frr.driver import Frr, connect
from sekisho.devices.switch.intent import Ace, Acl, Port, Route, State
from sekisho.model.errors import SekishoError
from sekisho.testing.contract_switch import Case, ports

DAEMONS = ("zebra", "staticd")
FILES = (*(f"{name}.conf" for name in DAEMONS), "vtysh.conf")
LONG = 10.0


class Router:
    """Has the interfaces eth1 and eth2, the ends of one cable. Its processes end with `stop`."""

    def __init__(self) -> None:
        # Its daemons give up being root, and must find their way here all the same.
        self.folder = Path(tempfile.mkdtemp(prefix="sekisho-frr-"))
        self.folder.chmod(0o755)
        for name in FILES:
            (self.folder / name).touch()
            shutil.chown(self.folder / name, "frr", "frr")
        shutil.chown(self.folder, "frr", "frrvty")
        self.namespace = self.folder.name
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self._ip("netns", "add", self.namespace)
        self._ip("-n", self.namespace, "link", "add", "eth1", "type", "veth", "peer", "name", "eth2")
        for name in ("eth1", "eth2"):
            self._ip("-n", self.namespace, "link", "set", name, "up")
        self._ip("-n", self.namespace, "address", "add", "10.0.0.1/24", "dev", "eth1")
        for name in DAEMONS:
            self._daemon(name)
        for _ in range(int(LONG / 0.02)):
            if self._ready():
                return
            threading.Event().wait(0.02)
        raise AssertionError("FRRouting does not start")

    def _daemon(self, name: str) -> None:
        place = ["-f", f"{name}.conf", "-i", f"{name}.pid", "-z", "zserv.api", "--vty_socket", ""]
        place = [str(self.folder / word) if not word.startswith("-") else word for word in place]
        command = ["ip", "netns", "exec", self.namespace, f"/usr/lib/frr/{name}", *place, "-P", "0"]
        quiet = subprocess.DEVNULL
        self.processes.append(subprocess.Popen(command, stdout=quiet, stderr=quiet))

    def _ready(self) -> bool:
        try:
            return bool(self.driver().running())
        except SekishoError:
            return False

    def driver(self, timeout: float = LONG) -> Frr:
        return connect(Connection("frr", str(self.folder), timeout=timeout), "")

    def signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            process.send_signal(number)

    def end(self) -> None:
        """End the daemons and all that they know."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(LONG)
        self.processes.clear()
        self._ip("netns", "delete", self.namespace)

    def stop(self) -> None:
        self.end()
        shutil.rmtree(self.folder)

    @staticmethod
    def _ip(*words: str) -> None:
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        subprocess.run(["ip", *words], check=True, env={**os.environ, "PATH": path})


@contextmanager
def router() -> Iterator[Router]:
    made = Router()
    made.start()
    try:
        yield made
    finally:
        made.stop()


class FrrRig:
    """`contract_switch.Rig` over a real FRRouting."""

    def __init__(self, router: Router) -> None:
        self.router = router

    def driver(self) -> Frr:
        return self.router.driver(timeout=2.0)

    def cases(self, state: State) -> tuple[Case, ...]:
        first, second = ports(state)[:2]
        return (
            Case(
                Port(first.name, "to the east", enabled=True), Port(first.name, "to the west", enabled=False)
            ),
            Case(Port(second.name, "", enabled=False), Port(second.name, "down", enabled=False)),
            Case(
                Route("default", "10.9.0.0/16", ("10.0.0.253",), 1),
                Route("default", "10.9.0.0/16", ("10.0.0.254",), 1),
            ),
            Case(
                Route("default", "10.8.0.0/16", ("10.0.0.253", "10.0.0.254"), 5),
                Route("default", "10.8.0.0/16", ("discard",), 250),
            ),
            Case(
                Route("default", "2001:db8:9::/48", ("2001:db8::1",), 1),
                Route("default", "2001:db8:9::/48", ("2001:db8::1",), 77),
            ),
            Case(
                Route("blue", "0.0.0.0/0", ("10.0.0.253",), 1), Route("blue", "0.0.0.0/0", ("10.0.0.252",), 1)
            ),
            *_lists(),
        )

    def refused(self, state: State) -> Step | None:
        del state
        return Step(None, Route("default", "10.7.0.0/16", ("10.0.0.1", "discard"), 1))

    def cut(self) -> None:
        self.router.signal(signal.SIGSTOP)

    def mend(self) -> None:
        self.router.signal(signal.SIGCONT)

    def restart(self) -> bool:
        self.router.end()
        self.router.start()
        return True

    def advance(self, seconds: float) -> bool:
        del seconds
        return False

    def stranger(self) -> None:
        return None

    def hold(self) -> bool:
        return False


def _lists() -> tuple[Case, ...]:
    permit, deny = Ace(5, True, "ip", "10.0.0.0/24"), Ace(10, False, "ip")
    wide = Ace(7, True, "ip", "10.1.1.1/32", "10.2.0.0/16")
    return (
        Case(
            Acl(4, "web", (permit, deny)),
            # The same words under other numbers, and an end that is a network.
            Acl(4, "web", (Ace(5, False, "ip"), wide, Ace(10, True, "ip", "10.0.0.0/24"))),
        ),
        Case(
            Acl(6, "web", (Ace(5, True, "ipv6", "2001:db8::/32"),)),
            Acl(6, "web", (Ace(5, True, "ipv6", "2001:db8::/32"), Ace(9, False, "ipv6"))),
        ),
    )

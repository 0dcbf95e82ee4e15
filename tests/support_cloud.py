"""A small cloud for end-to-end tests: real switch, keeper, collector, agents; VMs and their packets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

import sekisho
from sekisho.app.lab import Lab, LabHost, LabSettings
from sekisho.lab.ovs import Identity
from sekisho.model.errors import Conflict
from sekisho.model.policy import Direction, Drop, Protocol
from sekisho.model.restriction import Restriction, State

INTERNET = "internet"
FAR = "198.51.100.5"
BLOCKED = 9999
# Says a number every 10 ms; whoever hears it writes down when.
_SPEAK = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + 120
while time.monotonic() < end:
    try:
        s.sendto(b"x" * 32, (sys.argv[1], int(sys.argv[2])))
    except OSError:
        pass
    time.sleep(0.01)
"""
_HEAR = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", int(sys.argv[1])))
s.settimeout(120)
while True:
    _, (address, _) = s.recvfrom(2048)
    print(time.monotonic(), address, flush=True)
"""


@dataclass
class Stream:
    """What arrived of a VM's datagrams, by the far end's account."""

    log: Path
    address: str

    def arrivals(self, since: float = 0.0) -> list[float]:
        """List when datagrams of this VM arrived, monotonic."""
        lines = [line.split() for line in self.log.read_text().splitlines() if line.count(" ") == 1]
        return [float(when) for when, address in lines if address == self.address and float(when) > since]

    def last(self) -> float:
        """Tell when the last one arrived, 0.0 if none ever has."""
        return max(self.arrivals(), default=0.0)

    def flows(self) -> bool:
        """Tell whether datagrams arrive now."""
        return time.monotonic() - self.last() < 0.1

    def silent(self, seconds: float = 0.4) -> bool:
        """Tell whether nothing has arrived for a while."""
        return time.monotonic() - self.last() > seconds


class Cloud:
    """A lab with the internet plugged in, and what a test does to it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.switch = lab.switch
        self.client = lab.client
        self._hearing: dict[int, Path] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def bridge(self) -> str:
        return self.lab.settings.hosts[0].bridge

    def connect(self) -> None:
        """Plug in the internet: 198.51.100.0/24 and 203.0.113.0/24 behind 10.0.0.254."""
        self.uplink(INTERNET)

    def uplink(self, name: str, vlan: int = 0) -> None:
        """Plug the internet into one network."""
        self.switch.plug_vm(
            name, self.bridge, mac=f"02:00:00:00:ff:{vlan & 255:02x}", addresses=("10.0.0.254/24",), vlan=vlan
        )
        log = self.lab.folder / f"{name}.jsonl"
        log.unlink(missing_ok=True)
        self.traffic(name, "internet", "--network", "198.51.100.0/24", "--network", "203.0.113.0/24", log=log)
        self.lab.wait(lambda: log.exists() and "ready" in log.read_text(), "the internet")

    def vm(
        self, name: str, number: int, *, bridge: str = "", identity: str = "", vlan: int = 0, address: int = 0
    ) -> str:
        """Plug in a VM and wait until it is in the inventory; gives its subject id.

        `number` ends its MAC, and its IP address unless `address` is given.
        """
        subject = identity or f"port-{name}"
        self.switch.plug_vm(
            name,
            bridge or self.bridge,
            mac=f"fa:16:3e:00:00:{number:02x}",
            addresses=(f"10.0.0.{address or number}/24",),
            gateway="10.0.0.254",
            vlan=vlan,
            identity=Identity(subject, f"server-{name}", f"project-{name}"),
        )
        where = bridge or self.bridge
        self.lab.wait(lambda: self.on(subject) == where, f"{subject} on {where}")
        return subject

    def on(self, subject: str) -> str:
        """Tell on which bridge a subject is by the inventory, empty if nowhere."""
        found = [s for s in self.client.subjects() if s.id == subject and s.ofport]
        return found[-1].bridge if found else ""

    def traffic(
        self, vm: str, role: str, *words: str, seconds: float = 120.0, log: Path | None = None
    ) -> Path:
        """Start a traffic program in a VM; gives its log."""
        out = log or self.lab.folder / f"{vm}-{role}-{len(self._processes)}.jsonl"
        argv = [
            sys.executable,
            "-m",
            "sekisho.lab.traffic",
            role,
            "--out",
            str(out),
            "--seconds",
            str(seconds),
        ]
        self._start(vm, [*argv, *words])
        return out

    def stream(self, vm: str, port: int = BLOCKED) -> Stream:
        """Let a VM send a datagram to the internet every 10 ms."""
        if port not in self._hearing:
            log = self.lab.folder / f"heard-{port}"
            log.touch()
            self._hearing[port] = log
            self._start(INTERNET, [sys.executable, "-c", _HEAR, str(port)], log)
        self._start(vm, [sys.executable, "-c", _SPEAK, FAR, str(port)])
        address = self.switch.vms[vm].addresses[0].partition("/")[0]
        return Stream(self._hearing[port], address)

    def _start(self, vm: str, argv: list[str], log: Path | None = None) -> None:
        env = {**self.switch.environment, "PYTHONPATH": str(Path(sekisho.__file__).parent.parent)}
        with (log or self.lab.folder / f"{vm}.out").open("ab") as out:
            started = self.switch.popen(vm, argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self._processes.append(started)

    def block(self, subject: str, seconds: float) -> Restriction:
        """Close the stream's port of a subject by hand."""
        drop = Drop(Protocol.UDP, Direction.EGRESS, BLOCKED, BLOCKED)
        return self.client.impose(subject, (drop,), "a test", seconds)

    def end_of(self, entry: Restriction) -> float:
        """Tell when an entry ends, monotonic."""
        return entry.until - self.client.status().now + time.monotonic()

    def bound_by(self, subject: str) -> set[str]:
        """Name the policies that bind a subject or did."""
        return {r.policy for r in self.client.restrictions(subject)}

    def active(self, subject: str) -> list[Restriction]:
        """List what binds a subject now."""
        return list(self.client.restrictions(subject, states=(State.ACTIVE,)))

    def clear(self) -> None:
        """Unplug every VM but the internet, and lift what is left."""
        for name in tuple(self.switch.vms):
            if name != INTERNET:
                self.switch.unplug(name)
        for entry in list(self.client.restrictions(states=(State.ACTIVE,))):
            with suppress(Conflict):  # it came to its end meanwhile
                self.client.lift(entry.id, "the test is over")
        self.lab.wait(lambda: not any(self.client.subjects()), "the inventory to be empty")

    def reaches(self, vm: str, address: str) -> bool:
        """Tell whether a VM's packets get to an address and its answer back: refused is an answer."""
        ask = f"import socket; socket.create_connection(({address!r}, 7), 0.5)"
        return "Refused" in self.switch.run(vm, [sys.executable, "-c", ask]).stderr

    def close(self) -> None:
        """End every program."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()


@contextmanager
def cloud_of(settings: LabSettings) -> Iterator[Cloud]:
    """Start a cloud; the logs of its processes are shown when the test fails."""
    lab = Lab(settings)
    cloud = None
    try:
        lab.start()
        cloud = Cloud(lab)
        cloud.connect()
        yield cloud
    finally:
        if cloud is not None:
            cloud.close()
        lab.stop()
        for name, child in lab.children.items():
            if child.output is not None and child.output.exists():
                print(f"--- {name}:\n{child.output.read_text()[-4000:]}")  # noqa: T201 - shown on failure
        shutil.rmtree(lab.folder, ignore_errors=True)
        shutil.rmtree(lab.folder, ignore_errors=True)


def settings(
    policies: str = "", hosts: tuple[LabHost, ...] = (LabHost(),), *, exact: bool = True, every: float = 30.0
) -> LabSettings:
    """Give settings of a cloud in a short folder of its own: a socket's path has 107 bytes."""
    if os.geteuid():
        pytest.skip("needs root")
    folder = Path(tempfile.mkdtemp(prefix="sek-"))
    return LabSettings(
        folder,
        policies,
        hosts,
        keeper={"lift_grace": 0.5},
        collector={"report_every": 0.3, "detect": {"repeat": 1.0}},
        agent={"counters_every": 0.5, "every": every, "exact": exact},
    )

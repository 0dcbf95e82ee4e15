"""What a contender is: a program that hears datagrams, started in a folder of its own; how to look at it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from traffic.rings import Watched, rings
from traffic.sender import queued

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from traffic.streams import Stream

TICK: Final = os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Heard:
    """What a contender says of itself: flow records counted, and datagrams the kernel dropped before it."""

    records: int
    counters: dict[str, float] = field(default_factory=dict)


class Running(Protocol):
    """A contender at work."""

    @property
    def pid(self) -> int:
        """Its first process; all others are children of it."""

    @property
    def port(self) -> int:
        """Where it listens."""

    def finish(self) -> Heard:
        """Say what was counted, and end the process."""

    def close(self) -> None:
        """End the process, whatever it does; nothing where it has ended."""


class Contender(Protocol):
    """A program to be measured. `window` octets may wait for it in its socket without being lost."""

    name: str
    what: str  # what it does with the records, in a few words
    window: int

    def missing(self) -> str:
        """Say what must be installed, nothing where all is there."""

    def hears(self, stream: str) -> bool:
        """Whether it understands a stream."""

    def start(self, made: Stream, folder: Path) -> Running:
        """Start it, with its files in `folder`, until it listens."""


def free_port() -> int:
    """Find a UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def together(command: Sequence[str]) -> list[str]:
    """Have a program, and all it starts, share the sender's core and stand behind it.

    So the sender fills the window before anybody takes from it, and bursts are as full as under load.
    """
    return ["taskset", "-c", str(core()), "chrt", "--batch", "0", "nice", "-n", "10", *command]


def apart(command: Sequence[str]) -> list[str]:
    """Have a program run on a core that is not the sender's, where there are two."""
    return ["taskset", "-c", str(min(os.sched_getaffinity(0))), *command]


def core() -> int:
    """Name the core that senders and contenders share: the last one this process may use."""
    return max(os.sched_getaffinity(0))


def spawn(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, with what it says in a file."""
    with log.open("wb") as out:
        return subprocess.Popen(
            together(command), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, process_group=0
        )


def end(process: subprocess.Popen[bytes], *, patience: float = 10.0) -> None:
    """Ask a program to end, and end it and all it started where it does not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(true: Callable[[], bool], what: str, *, seconds: float = 20.0) -> None:
    """Wait for something. Raises TimeoutError with what it was."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"After {seconds:g} s still not: {what}.")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether anybody has a UDP port."""
    wanted = f":{port:04X}"
    tables = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
    lines = [line for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return any(line.split()[1].endswith(wanted) for line in lines)


def tree(pid: int) -> list[int]:
    """Name a process and all it started."""
    found = [pid]
    for each in found:
        children = Path(f"/proc/{each}/task").glob("*/children")
        found += [int(child) for file in children for child in file.read_text().split()]
    return found


def cpu(pid: int) -> float:
    """Tell the processor seconds, user and system, that a process and all it started have had."""
    return sum(_stat(each) for each in tree(pid)) / TICK


def _stat(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended between two looks; its parent has its time
        return 0
    return sum(int(value) for value in fields[11:15])


def resident(pid: int) -> int:
    """Tell the octets that a process and all it started have in memory; what they share counts for each."""
    return sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in tree(pid)) * PAGE


def rings_of(pid: int) -> list[int]:
    """Name the rings that a process and all it started share with the kernel."""
    return sorted({number for each in tree(pid) for number in rings(each)})


def at_rest(pid: int, port: int, *, seconds: float = 20.0) -> None:
    """Wait until nothing waits in the socket and the program hardly works any more."""
    watched = [Watched(number) for number in rings_of(pid)]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = cpu(pid)
        time.sleep(0.25)
        if not queued(port, watched) and cpu(pid) - before <= 0.05:
            return

"""One trial: a contender, a stream and a load in; records by processor time, and what was lost, out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contenders.contender import at_rest, core, cpu, resident, rings_of
from traffic.sender import teach
from traffic.streams import SHAPES, stream

if TYPE_CHECKING:
    from contenders.contender import Contender, Running
    from traffic.cloud import Cloud

BENCH: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: at `pace` datagrams a second, 0 for as fast as it is taken, so many seconds long.

    With `datagrams` it ends after so many. Before anything is measured it is sent for `warm` seconds: memory
    that is taken once costs everybody, and nobody again.
    """

    seconds: float = 3.0
    pace: float = 0.0
    datagrams: int = 0
    shapes: int = SHAPES
    warm: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a trial. `heard` is -1 where a contender does not count records."""

    sent: int
    heard: int
    datagrams: int
    cpu_seconds: float
    seconds: float
    resident: int
    counters: dict[str, float]

    @property
    def per_core(self) -> float:
        """Records a second of processor time; of those that were counted, else of those sent."""
        return (self.heard if self.heard >= 0 else self.sent) / max(self.cpu_seconds, 1e-9)

    @property
    def lost(self) -> int:
        """Records that were sent and never counted; 0 where nobody counts."""
        return self.sent - self.heard if self.heard >= 0 else 0


class Sending:
    """The sender's process; it begins when told to."""

    def __init__(self, name: str, running: Running, cloud: Cloud, load: Load, window: int) -> None:
        self._warm = load.warm > 0
        command = [
            "taskset",
            "-c",
            str(core()),
            sys.executable,
            "-m",
            "traffic.sender",
            name,
            str(running.port),
        ]
        for option, value in (
            ("subjects", cloud.subjects),
            ("exporters", cloud.exporters),
            ("seconds", load.seconds),
            ("pace", load.pace),
            ("datagrams", load.datagrams),
            ("shapes", load.shapes),
            ("window", window),
            ("warm", load.warm),
        ):
            command += [f"--{option}", str(value)]
        for number in rings_of(running.pid):
            command += ["--ring", str(number)]
        path = os.pathsep.join(filter(None, (str(BENCH), os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self.process.stdout  # noqa: S101 - a pipe
        self.process.stdout.readline()

    def warm(self) -> int:
        """Have it send what nobody measures, and hear how many records that was."""
        if not self._warm:
            return 0
        self.begin()
        assert self.process.stdout  # noqa: S101 - a pipe
        return int(json.loads(self.process.stdout.readline())["records"])

    def begin(self) -> None:
        """Let it send."""
        assert self.process.stdin  # noqa: S101 - a pipe
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> dict[str, float]:
        """Wait until it has sent all, and hear how much that was."""
        told: dict[str, float] = json.loads(self.process.communicate()[0])
        return told


def trial(contender: Contender, name: str, cloud: Cloud, load: Load) -> Result:
    """Measure a contender with one stream."""
    made = stream(name, cloud, load.shapes)
    with tempfile.TemporaryDirectory(prefix="sekisho-bench-") as folder:
        running = contender.start(made, Path(folder))
        try:
            sending = Sending(name, running, cloud, load, contender.window)
            teach(made, running.port, cloud.exporters)
            return _measure(running, sending)
        finally:
            running.close()


def _measure(running: Running, sending: Sending) -> Result:
    at_rest(running.pid, running.port)
    warmed = sending.warm()
    at_rest(running.pid, running.port)
    before, began = cpu(running.pid), time.monotonic()
    sending.begin()
    sent = sending.end()
    at_rest(running.pid, running.port)
    spent, took, octets = cpu(running.pid) - before, time.monotonic() - began, resident(running.pid)
    heard = running.finish()
    # Whatever was lost, it counts as lost of what was measured.
    records = heard.records - warmed if heard.records >= 0 else heard.records
    return Result(int(sent["records"]), records, int(sent["datagrams"]), spent, took, octets, heard.counters)

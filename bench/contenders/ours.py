"""Sekisho's collector as it runs, with and without detectors; and `recvmmsg` alone, the kernel's part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contenders.contender import Heard, together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from traffic.cloud import Cloud
    from traffic.streams import Stream

BENCH: Final = Path(__file__).parents[1]


@dataclass(slots=True)
class Listening:
    """A process of ours at work, that answers through its pipes."""

    process: subprocess.Popen[str]
    port: int
    each: float = 1.0  # records a datagram, where it counts datagrams only
    taught: int = 0  # datagrams with templates and no records, where it counts those too

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def ask(self) -> dict[str, float]:
        """Have its counters told, those of its last report among them."""
        assert self.process.stdin  # noqa: S101 - both are pipes
        assert self.process.stdout  # noqa: S101
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        told: dict[str, float] = json.loads(self.process.stdout.readline())
        return told

    def finish(self) -> Heard:
        """Have its counters told, and end it."""
        told = self.ask()
        self.close()
        records = told.get("detect.rows", (told["datagrams"] - self.taught) * self.each)
        return Heard(round(records), told)

    def close(self) -> None:
        """End it."""
        assert self.process.stdin  # noqa: S101 - a pipe
        if not self.process.stdin.closed:
            self.process.stdin.close()
        if self.process.stdout:
            self.process.stdout.close()
        self.process.wait(30)


def listen(
    what: str,
    cloud: Cloud,
    options: Sequence[str] = (),
    place: Callable[[Sequence[str]], list[str]] = together,
) -> Listening:
    """Start a process of ours, in this environment with `bench` on its path, until it listens.

    `place` says on which core it is to run, and how.
    """
    command = [sys.executable, "-m", "contenders.listening", what, *options]
    command += ["--subjects", str(cloud.subjects), "--exporters", str(cloud.exporters)]
    path = os.pathsep.join(filter(None, (str(BENCH), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        place(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        process_group=0,
    )
    assert process.stdout  # noqa: S101 - a pipe
    return Listening(process, int(json.loads(process.stdout.readline())["port"]))


class Sekisho:
    """The collector, whole; without detectors the archive gets nothing either."""

    window = 32 << 20  # its buffer takes twice as much

    def __init__(
        self, cloud: Cloud, *, detectors: bool = True, workers: int = 1, method: str = "auto"
    ) -> None:
        self._cloud, self._detectors, self._workers, self._method = cloud, detectors, workers, method
        self.name = "sekisho" if detectors else "sekisho, no detectors"
        self.what = "decodes, resolves, counts, judges" if detectors else "decodes and resolves"

    def missing(self) -> str:
        """Nothing."""
        return ""

    def hears(self, stream: str) -> bool:
        """Everything."""
        del stream
        return True

    def start(self, made: Stream, folder: Path) -> Listening:
        """Start it."""
        del made
        spool = ("--spool", str(folder / "spool"))
        options = spool if self._detectors else ("--no-detectors",)
        how = "--workers", str(self._workers), "--method", self._method
        return listen("collector", self._cloud, (*options, *how))


class Alone:
    """`recvmmsg` and nothing else, with the collector's own receiver."""

    name = "recvmmsg alone"
    what = "nothing"
    window = 32 << 20  # its buffer takes twice as much

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def missing(self) -> str:
        """Nothing."""
        return ""

    def hears(self, stream: str) -> bool:
        """Everything."""
        del stream
        return True

    def start(self, made: Stream, folder: Path) -> Listening:
        """Start it."""
        del folder
        running = listen("alone", self._cloud, ("--method", "recvmmsg"))
        running.each = sum(made.records) / len(made.records)
        running.taught = len(made.first) * self._cloud.exporters
        return running

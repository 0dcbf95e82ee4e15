"""A process of ours that hears: `recvmmsg` alone, or the whole collector with a keeper that only listens.

    python bench/contenders/listening.py alone | collector [options]

Says where it listens in one line of JSON. Each line it reads is answered with its counters; it ends with
its standard input. The collector is the one that `sekisho collector` runs, whole: threads, reports and all.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from dataclasses import fields, replace
from email.message import Message
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeAlias, cast

from sekisho.app.collector import Collector, CollectorSettings
from sekisho.app.process import let_a_loop_go_first
from sekisho.client.problems import Answer, fitting
from sekisho.detect.settings import DetectSettings
from sekisho.flows.memory import keep_freed
from sekisho.flows.receive import Receiver, ReceiveSettings, open_shared
from sekisho.host.clock import Clock
from sekisho.model.inventory import Inventory
from sekisho.model.plain import to_plain
from sekisho.model.policy import PolicySet
from sekisho.model.report import PolicyView
from traffic.cloud import POLICIES, Cloud, inventory, policies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from socket import socket

    from sekisho.model.report import CollectorReport, Verdict
    from sekisho.model.restriction import Evidence


Pipes: TypeAlias = "list[tuple[TextIO, TextIO]]"
SPOOL: Final = 8_000_000_000  # octets that may lie on the disk; what comes later is dropped and counted


class Keeper:
    """Hands out an inventory, anew every `every` seconds, and policies; takes down when evidence comes."""

    def __init__(self, cloud: Cloud, watched: PolicySet, every: float) -> None:
        self._inventory, self._policies, self._every = inventory(cloud), watched, every
        self._words = json.dumps(to_plain(self._inventory)).encode() if every else b""
        self._stop = threading.Event()
        self._reported = threading.Event()
        self.known = threading.Event()  # whether the collector has taken over an inventory
        self.came: dict[str, float] = {}
        self.report: CollectorReport | None = None

    def inventory(self, since: int, wait: float) -> Inventory | None:
        """Give the inventory to who has none; later one that is alike, read as a client reads it."""
        if since < self._inventory.version:
            return self._inventory
        self.known.set()
        if self._stop.wait(self._every or wait) or not self._every:
            return None
        read = fitting(Inventory, Answer(200, Message(), self._words).json())
        self._inventory = replace(read, version=self._inventory.version + 1)
        return self._inventory

    def follow_policies(self, since: int, wait: float) -> PolicyView | None:
        """Give the policies once."""
        if since < self._policies.version:
            return PolicyView(self._policies)
        self._stop.wait(wait)
        return None

    def evidence(self, evidence: tuple[Evidence, ...]) -> tuple[Verdict, ...]:
        """Take down when each subject was told of first."""
        now = time.time()
        for each in evidence:
            self.came.setdefault(each.subject, now)
        return ()

    def report_collector(self, report: CollectorReport) -> None:
        """Keep the newest report."""
        self.report = report
        self._reported.set()

    def wait_for_report(self) -> None:
        """Wait until two reports have come: the first may have been on its way before somebody asked."""
        for _ in range(2):
            self._reported.clear()
            self._reported.wait(5.0)

    def close(self) -> None:
        """Let go whoever waits."""
        self._stop.set()


def alone(given: argparse.Namespace) -> tuple[int, Callable[[], dict[str, float]], Callable[[], None]]:
    """Receive, and do nothing else."""
    receiver, stop, bursts = (
        Receiver(ReceiveSettings(ports=(0,), method=given.method)),
        threading.Event(),
        [0],
    )

    def run() -> None:
        while not stop.is_set():
            if receiver.wait(0.2):
                while receiver.receive(0.0) is not None:
                    bursts[0] += 1

    thread = threading.Thread(target=run)
    thread.start()

    def close() -> None:
        stop.set()
        thread.join()

    counters = lambda: {"datagrams": float(receiver.datagrams), "bursts": float(bursts[0])}  # noqa: E731
    return receiver.addresses[0][1], counters, close


def tapped(settings: CollectorSettings, spool: str) -> CollectorSettings:
    """Have the archive's tap filled too, where this collector has one."""
    if not spool or "archive" not in {each.name for each in fields(settings)}:
        return settings
    kept = import_module("sekisho.archive.settings")
    tap = kept.TapSettings(on=True, spool=kept.SpoolSettings(folder=spool, most_bytes=SPOOL))
    changed: dict[str, Any] = {"archive": tap}
    return replace(settings, **changed)


def collector(
    given: argparse.Namespace, sockets: Sequence[socket] = ()
) -> tuple[int, Callable[[], dict[str, float]], Callable[[], None]]:
    """Run the collector, or one worker of it, over its sockets."""
    if given.workers > 1 and not sockets:
        return workers(given)
    watched = PolicySet(1) if given.no_detectors else policies(given.policies)
    keeper = Keeper(Cloud(given.subjects, given.exporters), watched, given.replace_every)
    detect = DetectSettings(talker_window=0.0) if given.no_detectors else DetectSettings()
    settings = CollectorSettings(
        "bench", receive=ReceiveSettings(ports=(0,), method=given.method), detect=detect
    )
    made = Collector(tapped(settings, given.spool), cast("Any", keeper), Clock(), sockets)
    thread = threading.Thread(target=made.run)
    thread.start()
    keeper.known.wait()

    def counters() -> dict[str, float]:
        keeper.wait_for_report()
        told = dict(keeper.report.counters) if keeper.report else {}
        exporters = keeper.report.exporters if keeper.report else ()
        told["datagrams"] = float(made.receiver.datagrams)
        told["exporters.lost"] = float(sum(each.lost for each in exporters))
        return told | {f"came.{subject}": at for subject, at in keeper.came.items()}

    def close() -> None:
        keeper.close()
        made.stop.set()
        thread.join()

    return made.receiver.addresses[0][1], counters, close


def forked(given: argparse.Namespace, sockets: Sequence[socket], others: Pipes) -> tuple[TextIO, TextIO]:
    """Run one worker in a process of its own; give where it is asked, and where it answers."""
    (asked, asking), (answering, answered) = os.pipe(), os.pipe()
    if not os.fork():
        os.close(asking)
        for end in (end for ends in others for end in ends):  # left open, its worker would never see the end
            end.close()
        answer(os.fdopen(asked), os.fdopen(answered, "w"), collector(given, sockets))
        os._exit(0)
    os.close(asked)
    os.close(answered)
    return os.fdopen(asking, "w"), os.fdopen(answering)


def workers(given: argparse.Namespace) -> tuple[int, Callable[[], dict[str, float]], Callable[[], None]]:
    """Run each worker of a collector in a process of its own, as `sekisho collector` does."""
    shared = open_shared(ReceiveSettings(ports=(0,), reuse_port=True, workers=given.workers))
    pipes: Pipes = []
    for mine in shared:
        pipes.append(forked(given, mine, pipes))

    def counters() -> dict[str, float]:
        for words, _ in pipes:
            print(file=words, flush=True)
        told: dict[str, float] = {}
        for _, answers in pipes:
            for name, count in json.loads(answers.readline()).items():
                told[name] = told.get(name, 0.0) + count
        return told

    def close() -> None:
        for words, _ in pipes:
            words.close()
        for _ in pipes:
            os.wait()

    counters()  # all of them are there now
    return shared[0][0].getsockname()[1], counters, close


def answer(
    asked: TextIO, answers: TextIO, running: tuple[int, Callable[[], dict[str, float]], Callable[[], None]]
) -> None:
    """Answer each line with counters, and end with the lines."""
    _, counters, close = running
    for _ in asked:
        print(json.dumps(counters()), file=answers, flush=True)
    close()


def main() -> None:
    """Hear until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=("alone", "collector"))
    parser.add_argument("--subjects", type=int, default=20_000)
    parser.add_argument("--exporters", type=int, default=1)
    parser.add_argument("--policies", type=Path, default=POLICIES, help="a folder")
    parser.add_argument("--spool", default="", help="a folder for the archive's blocks")
    parser.add_argument("--workers", type=int, default=1, help="processes of the collector")
    parser.add_argument("--method", default="auto", help="how it receives")
    parser.add_argument("--no-detectors", action="store_true")
    parser.add_argument("--replace-every", type=float, default=0.0, help="seconds between two inventories")
    given = parser.parse_args()
    keep_freed()
    let_a_loop_go_first()
    running = (alone if given.what == "alone" else collector)(given)
    print(json.dumps({"port": running[0]}), flush=True)
    answer(sys.stdin, sys.stdout, running)


if __name__ == "__main__":
    main()

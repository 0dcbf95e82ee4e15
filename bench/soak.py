"""How the collector holds out: for long, under far too much, and with very many subjects.

    python bench/soak.py [steady] [overload] [delay] [memory] [tick] [--json]

`steady`    ten minutes at a share of what it takes, archive written, inventory replaced every ten seconds
`overload`  the sender waits for nobody: what was dropped, and whether all of it was counted; memory
`delay`     a million records a second, and now and then a subject crosses a line: until evidence leaves
`memory`    resident octets with 1,000 exporters and all detectors, 20,000 and 100,000 subjects
`tick`      the close of a second with 100,000 subjects: all windows, detectors, judge, present rates
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import statistics
import struct
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from contenders.contender import apart, at_rest, resident, together
from contenders.ours import Sekisho, listen
from contenders.trial import Load, Sending, trial
from road import BEGAN, Road, burst_of, learn
from sekisho.archive import spool
from traffic.cloud import FIRST_IFINDEX, Cloud, exporter_address
from traffic.sender import teach
from traffic.streams import FLOW, SHAPES, a_set, stream, v9

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from contenders.ours import Listening

WINDOW: Final = 8 << 20
MANY: Final = 8192  # different datagrams: enough to speak of 100,000 subjects
POLICY: Final = """\
[policy.crossing]
mode = "watch"
for = 1
[[policy.crossing.when]]
detector = "egress-packets"
threshold = "1 Mpps"
[[policy.crossing.then]]
warn = true
for = "1h"
"""


@dataclass(slots=True)
class Watch:
    """Looks at a process's memory every second, in a thread of its own."""

    pid: int
    seen: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            self.seen.append(resident(self.pid))

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def told(self) -> dict[str, float]:
        """Give the median of the first and of the last quarter, and the most: a leak shows as growth."""
        quarter = max(1, len(self.seen) // 4)
        return {
            "resident_early": statistics.median(self.seen[:quarter]),
            "resident_late": statistics.median(self.seen[-quarter:]),
            "resident_most": max(self.seen),
        }


def run(running: Listening, name: str, cloud: Cloud, load: Load, window: int) -> dict[str, float]:
    """Send to a collector, watch its memory, and account for every datagram."""
    made = stream(name, cloud, load.shapes)
    teach(made, running.port, cloud.exporters)
    at_rest(running.pid, running.port)
    before = running.ask()
    sending = Sending(name, running, cloud, load, window)
    with Watch(running.pid) as watch:
        sending.begin()
        sent = sending.end()
        # What stands in the socket is still heard, however long that takes.
        at_rest(running.pid, running.port, seconds=120.0)
    # The kernel tells what it dropped with the next datagram it delivers.
    teach(made, running.port, 1)
    after = running.ask()
    taught = len(made.first)
    received = after["datagrams"] - before["datagrams"] - taught
    dropped = after.get("receive.dropped", 0.0) - before.get("receive.dropped", 0.0)
    return {
        "datagrams_sent": sent["datagrams"],
        "records_sent": sent["records"],
        "seconds": round(sent["seconds"], 1),
        "datagrams_received": received,
        "datagrams_dropped_by_kernel_and_counted": dropped,
        "datagrams_unaccounted_for": sent["datagrams"] - received - dropped,
        "lost_by_sequence_numbers": after["exporters.lost"] - before["exporters.lost"],
        "records_counted": after["detect.rows"] - before.get("detect.rows", 0.0),
        "not_kept": after.get("archive.dropped", 0.0),
        **watch.told(),
    }


def steady(given: argparse.Namespace) -> dict[str, float]:
    """Send at a share of what one core takes, for long; flows are kept, and the inventory is replaced."""
    cloud = Cloud(given.subjects, given.exporters)
    if given.rate:
        per_core, pace = 0.0, given.rate / stream(given.stream, cloud).records[0]
    else:
        most = trial(Sekisho(cloud), given.stream, cloud, Load(given.measure, warm=given.measure))
        per_core = most.per_core
        pace = given.share * per_core * most.datagrams / max(most.sent, 1)
    with tempfile.TemporaryDirectory(prefix="sekisho-bench-") as folder:
        options = ("--replace-every", "10", "--spool", folder)
        with taking(Path(folder)) as taken:
            running = listen("collector", cloud, options, place=apart)
            try:
                told = run(running, given.stream, cloud, Load(given.seconds, pace), 0)
            finally:
                running.close()  # it writes what it still has
    lost = told.pop("not_kept")
    rate = {"records_per_second": round(told["records_sent"] / told["seconds"])}
    if per_core:
        rate |= {"records_per_second_per_core": round(per_core), "share": given.share}
    return {**rate, **told, "records_kept": sum(taken), "records_not_kept": lost}


@contextmanager
def taking(folder: Path) -> Iterator[list[int]]:
    """Take blocks from a spool as the archive does, and tell the rows of each."""
    rows: list[int] = []
    stop = threading.Event()

    def take() -> None:
        over = False
        while not over:
            over = stop.wait(0.2)
            for block in spool.blocks(folder):
                rows.append(block.rows if block.table == "flows" else 0)
                block.path.unlink(missing_ok=True)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield rows
    finally:
        stop.set()
        thread.join()


def overload(given: argparse.Namespace) -> dict[str, float]:
    """Send without waiting, on the core of a collector that stands behind the sender."""
    cloud = Cloud(given.subjects, given.exporters)
    running = listen("collector", cloud, place=together)
    try:
        told = run(running, given.stream, cloud, Load(min(given.seconds, given.overload_seconds)), 0)
    finally:
        running.close()
    return {
        "times_what_it_took": round(told["datagrams_sent"] / max(told["datagrams_received"], 1), 2),
        **told,
    }


def crossing(subject: int) -> bytes:
    """Build a datagram whose one record alone is over the line."""
    record = FLOW.pack(0x0A00_0000 + subject, 0xC633_0001, 40_000, 443, 6, 0x1B, 0, 1, 2**40, 10**8)
    # The first host's interfaces are numbered in the order of its subjects.
    at = struct.calcsize(">IIHHBB")
    record = record[:at] + struct.pack(">I", FIRST_IFINDEX + subject) + record[at + 4 :]
    return v9(0, 1, a_set(256, record))


def delay(given: argparse.Namespace) -> dict[str, float]:
    """Have subjects cross a line at any part of a second, and see when evidence of each leaves."""
    cloud, name = Cloud(given.subjects, 1), "netflow9"
    with tempfile.TemporaryDirectory(prefix="sekisho-bench-") as folder:
        Path(folder, "crossing.toml").write_text(POLICY)
        running = listen("collector", cloud, ("--policies", folder), place=apart)
        try:
            made = stream(name, cloud)
            teach(made, running.port, 1)
            load = Load(given.crossings * 0.37 + 3.0, given.records / made.records[0])
            sending = Sending(name, running, cloud, load, WINDOW)
            sending.begin()
            sent_at = cross(running.port, given.crossings)
            sent = sending.end()
            came = running.ask()
        finally:
            running.close()
    waited = [came[f"came.port-{s}"] - at for s, at in sent_at.items() if f"came.port-{s}" in came]
    return {
        "records_per_second": round(sent["records"] / sent["seconds"]),
        "crossings": len(sent_at),
        "told": len(waited),
        "seconds_median": round(statistics.median(waited), 3),
        "seconds_most": round(max(waited), 3),
    }


def cross(port: int, count: int) -> dict[int, float]:
    """Let `count` subjects cross, one after another, and take down when."""
    when = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((exporter_address(0), 0))
        time.sleep(1.5)
        for subject in range(count):
            time.sleep(random.uniform(0.25, 0.45))
            when[subject] = time.time()
            sock.sendto(crossing(subject), ("127.0.0.1", port))
        time.sleep(1.5)
    return when


def memory(given: argparse.Namespace) -> dict[str, float]:
    """Fill every table and every window, and see what is resident."""
    told = {}
    for subjects in (20_000, 100_000):
        cloud = Cloud(subjects, 1000)
        running = listen("collector", cloud, place=apart)
        try:
            load = Load(given.measure * 3, shapes=MANY)
            figures = run(running, "netflow9_mixed", cloud, load, WINDOW)
        finally:
            running.close()
        told[f"resident_bytes_{subjects}_subjects"] = figures["resident_most"]
    return told


def tick(given: argparse.Namespace) -> dict[str, float]:
    """Close seconds one after another, with traffic of all subjects between them."""
    subjects = given.tick_subjects
    cloud = Cloud(subjects, 100)
    made, road = stream("netflow9", cloud, subjects // 28 + 1), Road(cloud)
    learn(road, made, cloud.exporters)
    whole = [
        burst_of(made.datagrams[at : at + SHAPES], cloud.exporters)
        for at in range(0, len(made.datagrams), SHAPES)
    ]
    spent = []
    for second in range(given.ticks):
        for burst in whole:
            burst.time = BEGAN + second + 0.5
            road.take(burst)
        spent.append(road.close(BEGAN + second + 1.0))
    late = spent[len(spent) // 3 :]  # lanes and tables are made in the first ones
    return {
        "subjects": subjects,
        "ms_median": round(statistics.median(late) * 1000, 1),
        "ms_most": round(max(late) * 1000, 1),
    }


PROGRAMS: Final[dict[str, Callable[[argparse.Namespace], dict[str, float]]]] = {
    "steady": steady,
    "overload": overload,
    "delay": delay,
    "memory": memory,
    "tick": tick,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for, everything if nothing is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("programs", nargs="*", metavar="program", help=", ".join(PROGRAMS))
    parser.add_argument("--stream", default="netflow9")
    parser.add_argument("--subjects", type=int, default=20_000)
    parser.add_argument("--exporters", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=600.0, help="of steady")
    parser.add_argument("--overload-seconds", type=float, default=30.0)
    parser.add_argument("--measure", type=float, default=4.0, help="seconds to find out what a core takes")
    parser.add_argument("--share", type=float, default=0.6, help="of what a core takes, for steady")
    parser.add_argument("--rate", type=float, default=0.0, help="records a second of steady, not a share")
    parser.add_argument("--records", type=float, default=1e6, help="a second, behind delay")
    parser.add_argument("--crossings", type=int, default=40)
    parser.add_argument("--ticks", type=int, default=15)
    parser.add_argument("--tick-subjects", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    given = parser.parse_args(arguments)
    unknown = [program for program in given.programs if program not in PROGRAMS]
    if unknown:
        parser.error(f"no such program: {', '.join(unknown)}; there are {', '.join(PROGRAMS)}")
    told = {}
    for program in given.programs or PROGRAMS:
        told[program] = PROGRAMS[program](given)
        if not given.json:
            print(program)
            for figure, value in told[program].items():
                print(f"  {figure:42} {value:,}")
    if given.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()

"""How many instructions our code spends on a flow record: the same on a busy machine as on a quiet one.

    python bench/instructions.py [--json] [--write]

Valgrind counts them (Cachegrind without caches). One process makes everything ready, then forks: a child that
does nothing, for each stream one that takes full bursts within a second, and one that closes seconds; what a
child has more than the idle one is what that took. The kernel's part is not in it. `--write` puts the figures
into instructions.json, against which a test holds the next change; without Valgrind there are no figures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from road import Road, bursts, learn
from traffic.cloud import Cloud
from traffic.streams import stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.tables import Burst

BENCH: Final = Path(__file__).parent
KEPT: Final = BENCH / "instructions.json"
STREAMS: Final = ("sflow", "netflow5", "netflow9", "ipfix", "ipfix_ovs")
SUBJECTS: Final = 1000  # enough for every table; more would only take longer to make
BURSTS: Final = 4
CLOSE: Final = "a close"  # of a second, all that is due then
CLOSES: Final = 4
SLACK: Final = 1.15  # NumPy chooses its loops by the processor
COUNTED: Final = re.compile(r"I +refs: +([\d,]+)")


def ready(name: str) -> tuple[Road, list[Burst]]:
    """Make a road that has seen its stream: templates known, lanes made, memory there."""
    made, road = stream(name, Cloud(SUBJECTS)), Road(Cloud(SUBJECTS))
    learn(road, made, 1)
    whole = list(bursts(made, 1, 1))
    road.take(whole[0])
    return road, whole


def child(name: str, road: Road, whole: Sequence[Burst], count: int) -> None:
    """Take so many bursts in a process of its own; say which it was, and how many records they held."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    before, burst = road.tally.records, whole[0]
    for _ in range(count):
        burst.time += 0.1  # the second is not over
        road.take(burst)
    tell(name, road.tally.records - before)


def closing(road: Road, now: float) -> None:
    """Close seconds in a process of its own."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    for i in range(CLOSES):
        road.close(now + 1.0 + i)
    tell(CLOSE, CLOSES)


def tell(name: str, times: int) -> None:
    """Say which child this was, and how often it did what is counted; and end it."""
    os.write(1, f"{os.getpid()}\t{name}\t{times}\n".encode())
    os._exit(0)


def under_valgrind() -> None:
    """Be what Valgrind watches."""
    roads = {name: ready(name) for name in STREAMS}
    child("nothing", *roads[STREAMS[0]], 0)
    for name, (road, whole) in roads.items():
        child(name, road, whole, BURSTS)
    road, whole = roads["netflow9"]
    closing(road, whole[0].time)


def measure() -> dict[str, float]:
    """Count instructions a record, by stream, and of a close. Raises FileNotFoundError without Valgrind."""
    if not shutil.which("valgrind"):
        raise FileNotFoundError("Valgrind is not installed: nobody counts instructions.")
    with tempfile.TemporaryDirectory(prefix="sekisho-bench-") as folder:
        command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--log-file={folder}/%p"]
        command += ["--cachegrind-out-file=/dev/null", sys.executable, __file__, "--under-valgrind"]
        # One thread, one order of dictionaries: two runs of the same code count nearly the same.
        environment = {**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
        told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        counted = {
            pid: (name, int(n), total(Path(folder) / pid))
            for pid, name, n in (line.split("\t") for line in told.splitlines())
        }
    base = next(instructions for name, _, instructions in counted.values() if name == "nothing")
    return {
        name: round((instructions - base) / times, 1)
        for name, times, instructions in counted.values()
        if times
    }


def total(log: Path) -> int:
    """Read how many instructions a process took, from Valgrind's last words on it."""
    found = COUNTED.findall(log.read_text())
    return int(found[-1].replace(",", ""))


def kept() -> Mapping[str, float]:
    """Read the figures that are held to be right."""
    figures: dict[str, float] = json.loads(KEPT.read_text())
    return figures


def grown(told: Mapping[str, float], before: Mapping[str, float], slack: float = SLACK) -> list[str]:
    """Name each stream that takes more than it did, by more than `slack`, with both figures."""
    return [
        f"{name}: {told[name]:.0f} instructions each, {each:.0f} are kept"
        for name, each in before.items()
        if told[name] > each * slack
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, and compare with what is kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {KEPT.name}")
    parser.add_argument("--under-valgrind", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.under_valgrind:
        under_valgrind()
        return
    told = measure()
    before = kept() if KEPT.exists() else {}
    if given.write:
        KEPT.write_text(json.dumps(told, indent=2) + "\n")
    if given.json:
        print(json.dumps(told))
        return
    for name, each in told.items():
        change = f"  ({each / before[name] - 1:+.1%} of what is kept)" if name in before else ""
        print(f"{name:12} {each:12.1f} instructions each{change}")


if __name__ == "__main__":
    main()

"""How fast the archive takes rows, answers questions and plays policies again.

    python bench/archive.py [--rows 10000000] [--seconds 3600] [--folder DIR] [--json]

Rows are made up: an hour of a cloud of 20,000 ports, of which few send most. Each is taken the whole way
as a FlowBatch: tap, spool (with fsync), store, rollups. Only the last is loaded by one thread; what the
store spends on merging its parts in the background is measured by itself. What an hour of 100 million rows
costs is seen from any part of it that is as dense: 5 million rows of 180 seconds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sekisho.app.backtests import Backtests
from sekisho.archive import questions, shapes
from sekisho.archive.embedded import open_embedded
from sekisho.archive.loader import Loader, prepare
from sekisho.archive.settings import Keeping, SpoolSettings, TapSettings
from sekisho.archive.store import Store, ask
from sekisho.archive.tap import Tap
from sekisho.model.archived import BacktestOrder
from sekisho.model.inventory import Host, Inventory, Subject
from sekisho.model.report import ExporterReport
from sekisho.tables import FLAGS_KNOWN, FlowBatch, map_v4

PORTS = 20_000
HOUR = 3600.0
BLOCK = 500_000
BEGIN = 1_790_000_000.0 // HOUR * HOUR
FOREVER = Keeping(9000, 9000, 9000)
POLICIES = """
[policy.spam]
when = [{ detector = "smtp-connections", threshold = "3k/min" }]
then = [{ drop = ["tcp/25"], for = "1h" }]

[policy.heavy]
for = 3
when = [{ detector = "egress-bytes", threshold = "200 Mbit/s" }]
then = [{ limit = "10 Mbit/s", for = "1h" }]
"""


def inventory() -> Inventory:
    """Make the ports."""
    subjects = tuple(Subject(f"port-{n}", f"h{n % 200}", f"project-{n % 2000}") for n in range(PORTS))
    return Inventory(1, tuple(Host(f"h{n}") for n in range(200)), subjects)


class Traffic:
    """Batches of an hour of sampled packets, 1 of 400."""

    def __init__(self, rows: int, seconds: float = HOUR) -> None:
        self.seconds = seconds
        self.rng = np.random.default_rng(1)
        self.total, self.made = rows, 0
        self.far = (self.rng.zipf(1.2, 1 << 20) % 200_000 + 0x0800_0000).astype(np.uint32)

    def batch(self, count: int) -> FlowBatch:
        """Make the next rows."""
        rng, rows = self.rng, FlowBatch.empty(count)
        times = BEGIN + self.seconds * (self.made + np.arange(count)) / self.total
        # bursts of one arrival, as a receiver has them
        rows.time[:] = np.floor(times * 200) / 200
        self.made += count
        port = (np.minimum(rng.zipf(1.25, count), PORTS) - 1).astype(np.int32)
        sent = rng.random(count) < 0.5
        near = map_v4((0x0A00_0000 + port).astype(np.uint32))
        far = map_v4(self.far[rng.integers(0, len(self.far), count)])
        rows.sender[:], rows.receiver[:] = np.where(sent, port, -1), np.where(sent, -1, port)
        rows.src_lo[:], rows.dst_lo[:] = np.where(sent, near, far), np.where(sent, far, near)
        rows.src_internet[:], rows.dst_internet[:] = ~sent, sent
        service = rng.choice(np.array([443, 443, 443, 80, 53, 25, 22, 8080], np.uint16), count)
        client = rng.integers(1024, 65536, count).astype(np.uint16)
        rows.src_port[:], rows.dst_port[:] = np.where(sent, client, service), np.where(sent, service, client)
        rows.protocol[:] = np.where(service == 53, 17, 6)
        rows.tcp_flags[:] = rng.choice(np.array([0x10, 0x18, 0x02], np.uint16), count) | FLAGS_KNOWN
        rows.ip_version[:], rows.rate[:], rows.packets[:] = 4, 400.0, 400.0
        rows.exporter[:] = port % 200
        rows.in_if[:], rows.out_if[:] = port % 101, 1
        rows.bytes[:] = rng.choice(np.array([66.0, 90.0, 400.0, 1514.0, 1514.0]), count) * 400.0
        return rows


def fill(store: Store, folder: Path, rows: int, span: float) -> dict[str, float]:
    """Take rows the whole way; what making them costs is not counted."""
    store.run("SYSTEM STOP MERGES")
    traffic = Traffic(rows, span)
    settings = TapSettings(True, rows + 1, BLOCK, 1e9, SpoolSettings(str(folder), 10**12))
    tap = Tap(settings, "bench", BEGIN, lambda row: ExporterReport(f"192.0.2.{row}", "sflow"))
    loader = Loader(store, str(folder))
    tap.meet(inventory(), BEGIN)
    tap.work(0.0)
    loader.look()
    wall = cpu = spooled = 0.0
    while traffic.made < rows:
        batch = traffic.batch(min(BLOCK, rows - traffic.made))
        pieces = [batch.take(slice(at, at + 2000)) for at in range(0, len(batch), 2000)]
        began, spent = time.perf_counter(), time.process_time()
        for piece in pieces:
            tap.put(piece)
        tap.close(float(batch.time[-1]))
        tap.work(0.0)
        spooled += time.process_time() - spent
        loader.look()
        wall += time.perf_counter() - began
        cpu += time.process_time() - spent
        print(f"\r{traffic.made:,} rows", end="", file=sys.stderr)
    # The rest, which is less than a block.
    began, spent = time.perf_counter(), time.process_time()
    tap.finish()
    spooled += time.process_time() - spent
    loader.look()
    wall += time.perf_counter() - began
    cpu += time.process_time() - spent
    print(file=sys.stderr)
    loaded = int(ask(store, "SELECT count() FROM flows").rows[0][0])
    if loaded != rows:
        raise SystemExit(f"{loaded:,} of {rows:,} rows were loaded")
    store.run("SYSTEM START MERGES")
    spent = time.process_time()
    for table in (shapes.FLOWS, shapes.MINUTES, shapes.HOURS):
        store.run(f"OPTIMIZE TABLE {table} FINAL")
    merged = time.process_time() - spent
    return {
        "rows": rows,
        "rows_per_second": rows / wall,
        "rows_per_cpu_second": rows / cpu,
        "tap_rows_per_cpu_second": rows / spooled,
        "rows_per_cpu_second_with_one_merge": rows / (cpu + merged),
    }


def seconds(act: object) -> float:
    """Time a question, the best of three."""
    found = []
    for _ in range(3):
        began = time.perf_counter()
        act()  # type: ignore[operator]
        found.append(time.perf_counter() - began)
    return min(found)


def read(store: Store, span: float) -> dict[str, float]:
    """Time the questions."""
    until = BEGIN + span
    size = ask(store, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'flows'").rows[0][
        0
    ]
    top = questions.top
    count = ask(store, "SELECT count() FROM flows").rows[0][0]
    return {
        "top_seconds": seconds(lambda: top(store, BEGIN, until, "egress_bytes", 20, "subject")),
        "top_raw_seconds": seconds(
            lambda: ask(
                store, "SELECT sender, sum(bytes) AS b FROM flows GROUP BY sender ORDER BY b DESC LIMIT 20"
            )
        ),
        "subject_day_seconds": seconds(
            lambda: questions.series(store, "port-17", until - 24 * HOUR, until, 60)
        ),
        "far_ends_seconds": seconds(lambda: questions.subject_flows(store, "port-17", BEGIN, until, 20)),
        "bytes_per_row": int(size) / int(count),
    }


def backtest(store: Store, span: float) -> dict[str, float]:
    """Time a back-test of everything."""
    tests = Backtests(store, 1000, time.monotonic)
    begun = tests.begin(BacktestOrder(POLICIES, BEGIN, BEGIN + span))
    spent = time.process_time()
    tests.wait()
    found = tests.show(begun.id)
    if found.state != "done":
        raise SystemExit(found.problem)
    return {
        "backtest_seconds": found.seconds,
        "backtest_cpu_seconds": time.process_time() - spent,
        "backtest_records": int(ask(store, "SELECT count() FROM flows").rows[0][0]),
        "backtest_rows_read": found.records,
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=HOUR, help="how long the rows took to come")
    parser.add_argument("--folder", type=Path, help="where; kept afterwards, and asked again if it is filled")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="sekisho-bench-"))
    store = open_embedded(str(folder / "store"))
    try:
        prepare(store, FOREVER)
        there = int(ask(store, "SELECT count() FROM flows").rows[0][0])
        found = (
            fill(store, folder / "spool", given.rows, given.seconds) if not there else {"rows": float(there)}
        )
        found |= read(store, given.seconds)
        found |= backtest(store, given.seconds)
    finally:
        store.close()
        if given.folder is None:
            shutil.rmtree(folder)
    if given.json:
        print(json.dumps({name: round(value, 4) for name, value in found.items()}))
        return
    for name, value in found.items():
        print(f"{name:28} {value:,.3f}")


if __name__ == "__main__":
    main()

"""A store whose disk is truly full: blocks wait, and every row is there once when there is room again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sekisho.archive import embedded, loader
from sekisho.archive.settings import Keeping
from sekisho.model.errors import Unavailable
from support_archive import BEGIN, batch, inventory, tap

pytest.importorskip("chdb")
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root"),
]

# The disk, what is left of it before anything is loaded, and by how much more there is after each look.
DISK, LEFT, STEP = "24m", 3_000_000, 300_000
BLOCKS, ROWS = 16, 4000
QUESTIONS = {
    "flows": "SELECT count() AS n, sum(bytes) AS b FROM flows",
    "flows_minute": "SELECT sum(rows) AS n, sum(bytes) AS b FROM flows_minute",
    "flows_hour": "SELECT sum(rows) AS n, sum(bytes) AS b FROM flows_hour",
}


def test_blocks_wait_while_the_disk_is_full_and_are_there_once_when_there_is_room(tmp_path: Path) -> None:
    # The mount is of a namespace that ends with its process.
    code = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, *{sys.path!r}]
from pathlib import Path
import test_full_disk
test_full_disk.full_disk(Path({str(tmp_path)!r}))
"""
    words = ["unshare", "-m", sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    # It was full in between blocks, and in the middle of one: the raw rows written, those of a rollup not.
    assert any("NOT_ENOUGH_SPACE" in why for why in told["refused"])
    assert any("pushing to view" in why for why in told["refused"]), told["refused"]
    assert told["waiting"][1] > BLOCKS // 2
    assert (told["waiting"][-1], told["bad"]) == (0, 0)
    for table in QUESTIONS:
        assert told["found"][table] == {"n": BLOCKS * ROWS, "b": told["octets"]}, table


def full_disk(folder: Path) -> None:
    """Fill a disk but for a little, load until it is full, give it room in steps, and count all rows."""
    disk, ballast = folder / "disk", folder / "disk" / "ballast"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(disk)], check=True)
    octets = fill(folder / "spool")
    store = embedded.Embedded(disk / "store")
    loader.prepare(store, Keeping(9000, 9000, 9000))
    size = shutil.disk_usage(disk).free - LEFT
    ballast.write_bytes(bytes(size))
    loads = loader.Loader(store, str(folder / "spool"))
    refused, waiting = [], [loads.waiting()[0]]
    while waiting[-1]:
        try:
            loads.look()
        except Unavailable as error:
            refused.append(error.fixer)
        waiting.append(loads.waiting()[0])
        size = max(0, size - STEP)
        os.truncate(ballast, size)
    found = {t: json.loads(store.ask(question, "JSONEachRow", {}, {})) for t, question in QUESTIONS.items()}
    answer = {"waiting": waiting, "refused": refused, "bad": loads.bad, "found": found, "octets": octets}
    sys.stdout.write(json.dumps(answer) + "\n")


def fill(folder: Path) -> float:
    """Spool blocks of rows that no codec makes small, of a thousand subjects; the sum of their octets."""
    rng = np.random.default_rng(5)
    kept, octets = tap(folder, every=0.5), 0.0
    kept.meet(inventory(1000), BEGIN)
    for n in range(BLOCKS):
        rows = batch(BEGIN + 20 * n, rng.integers(0, 1000, ROWS).tolist())
        rows.ip_version[:] = 6
        rows.dst_hi[:], rows.dst_lo[:] = rng.integers(0, 1 << 62, (2, ROWS))
        rows.dst_port[:] = rng.integers(0, 1024, ROWS)
        rows.bytes[:] = rng.integers(64, 1500, ROWS)
        octets += float(rows.bytes.sum())
        kept.put(rows)
        kept.close(BEGIN + 20 * n + 1)
        kept.work(0.0)
    kept.finish()
    return octets

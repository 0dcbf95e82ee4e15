"""The tap keeps what it is given in blocks, bounded; what is lost is counted, and said at the next start."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sekisho.archive import native, spool
from sekisho.archive import tap as tap_module
from sekisho.archive.filling import Filling
from sekisho.archive.settings import SpoolSettings, TapSettings
from sekisho.archive.tap import Tap
from sekisho.model.errors import Malformed, Unavailable
from sekisho.tables import FlowBatch
from support_archive import BEGIN, batch, exporter, inventory, tap


def rows(folder: Path, table: str = "flows") -> int:
    return sum(b.rows for b in spool.blocks(folder) if b.table == table)


def test_blocks_come_out_in_the_order_in_which_they_went_in(tmp_path: Path) -> None:
    kept = tap(tmp_path, every=1.0)
    for second in range(3):
        kept.put(batch(BEGIN + second, [0] * (second + 1)))
        kept.close(BEGIN + second + 1.0)
        kept.work(0.0)
    kept.finish()
    assert [b.rows for b in spool.blocks(tmp_path) if b.table == "flows"] == [1, 2, 3]
    # The next run of the same collector comes after it.
    again = tap(tmp_path, BEGIN + 60, every=1.0)
    again.put(batch(BEGIN + 60, [0] * 9))
    again.finish()
    assert [b.rows for b in spool.blocks(tmp_path) if b.table == "flows"] == [1, 2, 3, 9]


def test_a_queue_that_is_full_drops_and_counts_and_nobody_waits(tmp_path: Path) -> None:
    settings = TapSettings(True, queue_rows=10, spool=SpoolSettings(str(tmp_path)))
    kept = Tap(settings, "c", BEGIN, exporter)
    for _ in range(4):
        kept.put(batch(BEGIN, [0] * 4))
    assert kept.counters()["dropped"] == 8
    kept.finish()
    assert rows(tmp_path) == 8
    kept.put(batch(BEGIN, [0] * 4))
    assert kept.counters()["dropped"] == 8


def test_a_spool_that_is_full_drops_and_counts(tmp_path: Path) -> None:
    kept = tap(tmp_path, most_bytes=30_000, every=1.0)
    for second in range(50):
        kept.put(batch(BEGIN + second, [0] * 20))
        kept.close(BEGIN + second + 1)
        kept.work(0.0)
    assert sum(b.size for b in spool.blocks(tmp_path)) <= 30_000
    assert 0 < kept.counters()["dropped"] == 50 * 20 - rows(tmp_path)
    for block in spool.blocks(tmp_path):
        block.path.unlink()
    kept.put(batch(BEGIN + 60, [0]))
    kept.finish()
    assert rows(tmp_path) == 1


def test_a_disk_that_is_full_costs_rows_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tap(tmp_path, every=1.0)
    real = os.fsync

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    kept.meet(inventory(), BEGIN)
    kept.put(batch(BEGIN, [0, 0]))
    kept.close(BEGIN + 1)
    with pytest.raises(Unavailable, match="does not take more"):
        kept.work(0.0)
    with pytest.raises(Unavailable, match="does not take more") as told:
        kept.work(0.0)
    assert "2 rows of flows are dropped" in told.value.fixer
    assert list(tmp_path.glob("*.part")) == []
    monkeypatch.setattr(os, "fsync", real)
    kept.put(batch(BEGIN + 2, [0]))
    kept.finish()
    assert (rows(tmp_path), kept.counters()["dropped"], kept.counters()["waiting"]) == (1, 2, 0)
    # Who and what was there is not forgotten meanwhile.
    assert (rows(tmp_path, "inventory"), rows(tmp_path, "exporters")) == (5, 1)


def test_a_disk_that_is_full_in_the_middle_of_a_block_keeps_nothing_of_it(tmp_path: Path) -> None:
    kept = tap(tmp_path, every=1.0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept.put(batch(BEGIN, [0] * 5000))
    kept.close(BEGIN + 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(Unavailable, match="does not take more"):
            kept.work(0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [*tmp_path.glob("*.part"), *tmp_path.glob("*flows*")] == []
    kept.put(batch(BEGIN + 2, [0, 1]))
    kept.finish()
    assert (rows(tmp_path), kept.counters()["dropped"]) == (2, 5000)


def test_a_disk_that_takes_a_little_at_a_time_gets_all_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.writev

    def little(fd: int, pieces: Sequence[memoryview]) -> int:
        return real(fd, [*pieces[:2], pieces[2][:5]] if len(pieces) > 2 else [pieces[0][:3]])

    monkeypatch.setattr(os, "writev", little)
    kept = tap(tmp_path)
    batches = [batch(BEGIN + n, [n % 3] * n, octets=float(n), port=n) for n in range(40)]
    for each in batches:
        kept.put(each)
    kept.finish()
    block = next(b for b in spool.blocks(tmp_path) if b.table == "flows")
    found, told = native.read(block.path.read_bytes()), FlowBatch.concat(batches)
    for name in ("dst_lo", "dst_port", "bytes", "dst_internet"):
        assert found[name].tolist() == getattr(told, name).tolist(), name
    assert (found["time"] / 1e6).tolist() == told.time.tolist()


def test_a_file_system_without_a_way_past_the_cache_gets_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = os.open, []

    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        asked.append(bool(flags & spool.DIRECT))
        if asked[-1]:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    kept = tap(tmp_path)
    kept.put(batch(BEGIN, [0, 1, 2]))
    kept.finish()
    monkeypatch.undo()
    (block,) = (b for b in spool.blocks(tmp_path) if b.table == "flows")
    assert native.read(block.path.read_bytes())["dst_port"].tolist() == [443] * 3
    assert True in asked


def test_a_block_is_cut_to_its_size_before_it_is_said_to_be_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, sizes = os.fsync, []

    def noting(fd: int) -> None:
        sizes.append(os.fstat(fd).st_size)
        real(fd)

    monkeypatch.setattr(os, "fsync", noting)
    kept = tap(tmp_path)
    kept.put(batch(BEGIN, [0, 1, 2]))
    kept.finish()
    assert {b.size for b in spool.blocks(tmp_path) if b.table == "flows"} <= set(sizes)


def test_more_rows_than_a_block_holds_are_several_blocks_in_order(tmp_path: Path) -> None:
    settings = TapSettings(True, block_rows=10, spool=SpoolSettings(str(tmp_path)))
    kept = Tap(settings, "c", BEGIN, exporter)
    told = batch(BEGIN, [n % 3 for n in range(25)])
    kept.put(told)
    kept.work(0.0)
    assert (rows(tmp_path), kept.counters()["waiting"]) == (20, 5)
    kept.finish()
    blocks = [b for b in spool.blocks(tmp_path) if b.table == "flows"]
    assert [b.rows for b in blocks] == [10, 10, 5]
    found = [native.read(b.path.read_bytes())["dst_lo"] for b in blocks]
    assert np.concatenate(found).tolist() == told.dst_lo.tolist()


def test_a_disk_that_hangs_gets_full_blocks_only(tmp_path: Path) -> None:
    kept = tap(tmp_path, every=1.0)
    for second in range(500):
        kept.put(batch(BEGIN + second, [0]))
        kept.close(BEGIN + second + 1)
    assert kept.counters()["waiting"] == 500
    kept.finish()
    written = [b.rows for b in spool.blocks(tmp_path) if b.table == "flows"]
    assert (len(written), sum(written)) == (tap_module.WAITING + 1, 500)


def moments(folder: Path) -> list[float]:
    found = [b for b in spool.blocks(folder) if b.table == "moments"]
    return [at for b in found for at in native.read(b.path.read_bytes())["at"].tolist()]


def test_a_second_is_said_to_be_judged_only_once_its_rows_are_on_disk(tmp_path: Path) -> None:
    kept = tap(tmp_path)
    for second in range(200):
        kept.put(batch(BEGIN + second + 0.5, [0]))
        kept.close(BEGIN + second + 1.01)
        kept.work(0.0)
        times = [t for b in spool.blocks(tmp_path) if b.table == "flows" for t in _times(b)]
        assert max(moments(tmp_path), default=0.0) <= max(times, default=0.0) + 1.0
    assert moments(tmp_path)
    kept.finish()
    assert len(moments(tmp_path)) == 200


def _times(block: spool.Block) -> list[float]:
    found: list[float] = (native.read(block.path.read_bytes())["time"] / 1e6).tolist()
    return found


def test_an_inventory_that_found_no_room_is_tried_again_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tap(tmp_path, most_bytes=0, every=5.0)
    tried: list[str] = []
    real = kept.writer.write

    def noting(table: str, count: int, values: spool.Columns) -> bool:
        tried.append(table)
        return real(table, count, values)

    monkeypatch.setattr(kept.writer, "write", noting)
    kept.meet(inventory(), BEGIN)
    for second in range(50):
        kept.put(batch(BEGIN + second, [0]))
        kept.close(BEGIN + second + 1)
        kept.work(0.0)
    assert 5 <= tried.count("inventory") <= 12


def test_one_trouble_at_the_end_does_not_keep_the_rest_from_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Tap(TapSettings(True, block_rows=100, spool=SpoolSettings(str(tmp_path))), "c", BEGIN, exporter)
    kept.meet(inventory(), BEGIN)
    kept.put(batch(BEGIN, [0] * 350))
    real, failed = spool._write_past, list[bool]()

    def once(*given: Any) -> None:
        if not failed:
            failed.append(True)
            raise OSError(errno.EIO, "Input/output error")
        real(*given)

    monkeypatch.setattr(spool, "_write_past", once)
    with pytest.raises(Unavailable, match="does not take more"):
        kept.finish()
    assert (rows(tmp_path), kept.counters()["dropped"], kept.counters()["waiting"]) == (250, 100, 0)
    assert rows(tmp_path, "inventory") == 5
    assert (
        Tap(TapSettings(True, spool=SpoolSettings(str(tmp_path))), "c", BEGIN + 9, exporter).writer.unclean
        is False
    )


def test_without_memory_for_another_block_rows_are_dropped_and_nobody_falls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TapSettings(True, block_rows=10, spool=SpoolSettings(str(tmp_path)))
    kept = Tap(settings, "c", BEGIN, exporter)

    def none(_room: int) -> Filling:
        raise MemoryError

    monkeypatch.setattr(tap_module, "Filling", none)
    kept.put(batch(BEGIN, [0] * 25))
    assert (kept.counters()["dropped"], kept.counters()["waiting"]) == (15, 10)
    with pytest.raises(Unavailable, match="no memory"):
        Tap(settings, "d", BEGIN, exporter)


@pytest.mark.parametrize("wrong", [{"block_rows": 0}, {"block_rows": -1}, {"queue_rows": 0}], ids=str)
def test_blocks_of_no_rows_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match=f"archive.{next(iter(wrong))}"):
        TapSettings(True, **wrong)


def test_a_disk_that_hangs_keeps_the_newest_inventories_waiting(tmp_path: Path) -> None:
    kept = tap(tmp_path)
    for version in range(50):
        kept.meet(inventory(3 + version % 5, version), BEGIN + version)
    assert len(kept._met) == tap_module.INVENTORIES
    kept.finish()
    # The first that is written is whole; after the last one everybody is who the last one says.
    assert [b.rows for b in spool.blocks(tmp_path) if b.table == "inventory"] == [6, 1, 1, 1]


def test_memory_of_a_block_that_was_written_is_taken_again(tmp_path: Path) -> None:
    kept = tap(tmp_path, every=1.0)
    made = []
    for second in range(5):
        kept.put(batch(BEGIN + second, [0] * (second + 1)))
        made.append(kept._filling)
        kept.close(BEGIN + second + 1)
        kept.work(0.0)
    assert len(set(map(id, made))) == 1
    kept.finish()


PROGRAM = """
import sys
from pathlib import Path
from support_archive import BEGIN, batch, tap
kept = tap(Path(sys.argv[1]), every=1.0)
kept.put(batch(BEGIN, [0] * 5)); kept.close(BEGIN + 1); kept.work(0.0)
kept.put(batch(BEGIN + 1, [0] * 7))
Path(sys.argv[1], "x-test-y.part").touch()
print("ready", flush=True)
sys.stdin.read()
"""


def test_who_is_killed_loses_the_block_in_flight_and_the_next_one_says_so(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert rows(tmp_path) == 5
    again = tap(tmp_path, BEGIN + 10)
    assert again.counters()["unclean"] == 1
    assert list(tmp_path.glob("*.part")) == []
    again.finish()
    assert tap(tmp_path, BEGIN + 20).counters()["unclean"] == 0


def test_only_what_changed_of_an_inventory_is_written(tmp_path: Path) -> None:
    kept = tap(tmp_path)
    for version, count in enumerate((3, 3, 4, 2)):
        kept.meet(inventory(count, version), BEGIN + version)
    kept.finish()
    # all and the mark that it is whole; nothing; one came; two left
    assert [b.rows for b in spool.blocks(tmp_path) if b.table == "inventory"] == [5, 1, 2]


def test_a_row_given_to_another_exporter_has_another_key(tmp_path: Path) -> None:
    names = {0: "192.0.2.1"}
    generation = [1]
    settings = TapSettings(True, every=1.0, spool=SpoolSettings(str(tmp_path)))
    kept = Tap(
        settings, "c", BEGIN, lambda row: type(exporter(row))(names[row], "sflow"), lambda _row: generation[0]
    )
    kept.put(batch(BEGIN, [0]))
    kept.close(BEGIN + 1)
    kept.work(0.0)
    names[0], generation[0] = "192.0.2.9", 2
    kept.put(batch(BEGIN, [0]))
    kept.finish()
    blocks = [b for b in spool.blocks(tmp_path) if b.table == "flows"]
    keys = {native.read(b.path.read_bytes())["exporter"][0] for b in blocks}
    assert len(keys) == 2


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable) as told:
        tap(tmp_path / "file")
    assert str(tmp_path / "file") in told.value.fixer

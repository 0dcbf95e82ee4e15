"""A block that fills holds what was put into it, whichever way it was copied and however full it is."""

from __future__ import annotations

import mmap
import random
from typing import Any

import numpy as np
import pytest

from sekisho.archive import native, shapes
from sekisho.archive.filling import Filling
from sekisho.archive.native import microseconds
from sekisho.tables import FlowBatch, columns
from support_native import WAYS, way

ROOM = 700


def anything(rows: int, seed: int, nothing: float = 0.0) -> FlowBatch:
    """Rows of random octets, but times that are ones; a share of the columns holds zeros, or nobody."""
    rng = np.random.default_rng(seed)
    batch = FlowBatch.empty(rows)
    for name, dtype in columns(FlowBatch).items():
        if dtype == np.bool_:
            setattr(batch, name, rng.integers(0, 2, rows).astype(np.bool_))
        elif dtype.kind != "f":
            setattr(batch, name, np.frombuffer(rng.bytes(rows * dtype.itemsize), dtype).copy())
    batch.time[:] = 1.7e9 + rng.random(rows) * 1e6
    batch.bytes[:], batch.packets[:], batch.rate[:] = rng.random((3, rows))
    batch.sender[:] = rng.integers(-1, 60, rows)
    batch.receiver[:] = rng.integers(-1, 60, rows)
    for name in columns(FlowBatch):
        if name not in ("time", "exporter") and rng.random() < nothing:
            getattr(batch, name)[:] = -1 if name in ("sender", "receiver") else 0
    return batch


def read(filled: Filling, exporters: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    pages, length = filled.finish(exporters)
    assert len(pages) % 4096 == 0
    assert len(pages) - length < 4096
    return native.read(bytes(pages[:length]))


@pytest.mark.parametrize("compiled", WAYS)
@pytest.mark.parametrize("nothing", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("sizes", [(700,), (1, 2, 3), (699,), (90, 0, 1, 127, 128, 129), (1,)], ids=str)
def test_a_block_holds_what_was_put_in(*, compiled: bool, nothing: float, sizes: tuple[int, ...]) -> None:
    subjects = np.array([1000 + n for n in range(50)] + [0], np.uint64)  # the rows from 50 on are nobody
    filled = Filling(ROOM)
    # Again and again: what is left of the first block must not be seen in the next one.
    for seed in (random.randrange(1000), 7, 8, 9):
        filled.clear()
        batches = [anything(size, seed + size, nothing) for size in sizes]
        with way(compiled=compiled):
            assert [filled.take(batch, 0, subjects) for batch in batches] == list(sizes)
        told = FlowBatch.concat(batches)
        assert filled.exporters.tolist() == told.exporter.tolist()
        found = read(filled, np.arange(len(told), dtype=np.uint64) + 5)
        whose = [1000 + row if 0 <= row < 50 else 0 for row in range(-1, 60)]
        for name in shapes.flow_columns():
            want = getattr(told, name)
            if name in ("sender", "receiver"):
                want = np.array([whose[row + 1] for row in want], np.uint64)
            elif name == "exporter":
                want = np.arange(len(told)) + 5
            elif name == "time":
                want = microseconds(want)
            # What is not there is zero.
            assert name in found or not want.any(), name
            assert name not in found or want.any(), name
            assert np.array_equal(found.get(name, np.zeros(len(told))), want), name


@pytest.mark.parametrize("compiled", WAYS)
def test_a_column_that_begins_or_ends_within_a_block_is_whole(*, compiled: bool) -> None:
    filled, subjects = Filling(ROOM), np.zeros(1, np.uint64)
    for _ in range(2):
        filled.clear()
        with way(compiled=compiled):
            for vlan in (0, 5, 0):
                batch = FlowBatch.empty(100)
                batch.vlan[:] = vlan
                filled.take(batch, 0, subjects)
        found = read(filled, np.ones(300, np.uint64))
        assert (list(found), found["vlan"].tolist()) == (
            ["time", "exporter", "vlan"],
            [0] * 100 + [5] * 100 + [0] * 100,
        )


@pytest.mark.parametrize("compiled", WAYS)
def test_what_finds_no_room_is_left_for_the_next_block(*, compiled: bool) -> None:
    batch, subjects = anything(ROOM + 50, 3), np.zeros(1, np.uint64)
    one, other = Filling(ROOM), Filling(ROOM)
    with way(compiled=compiled):
        first = one.take(batch, 0, subjects)
        assert (first, one.take(batch, first, subjects)) == (ROOM, 0)
        assert other.take(batch, first, subjects) == 50
    found = [read(each, np.zeros(each.rows, np.uint64))["src_lo"] for each in (one, other)]
    assert np.concatenate(found).tolist() == batch.src_lo.tolist()


@pytest.mark.parametrize("compiled", WAYS)
def test_each_batch_is_keyed_by_the_inventory_it_was_resolved_by(*, compiled: bool) -> None:
    filled, batch = Filling(ROOM), FlowBatch.empty(1)
    batch.sender[:] = 0
    with way(compiled=compiled):
        for key in (11, 12):
            filled.take(batch, 0, np.array([key, 0], np.uint64))
    assert read(filled, np.zeros(2, np.uint64))["sender"].tolist() == [11, 12]


def test_a_full_block_is_filled_again_where_the_system_knows_no_large_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    filled, subjects = Filling(ROOM), np.zeros(1, np.uint64)
    for _ in range(2):
        assert filled.take(FlowBatch.empty(ROOM), 0, subjects) == ROOM
        filled.clear()
    assert filled.rows == 0


@pytest.mark.parametrize("compiled", WAYS)
def test_columns_with_gaps_are_taken_too(*, compiled: bool) -> None:
    """A decoder that is a plug-in may make such."""
    filled, batch = Filling(ROOM), anything(100, 3).take(slice(None, None, 2))
    want = batch.vlan.tolist()
    with way(compiled=compiled):
        assert filled.take(batch, 0, np.zeros(1, np.uint64)) == 50
    assert read(filled, np.ones(50, np.uint64))["vlan"].tolist() == want

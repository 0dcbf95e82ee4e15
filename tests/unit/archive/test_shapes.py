"""The tables are those of the columns, and their statements are ClickHouse's."""

from __future__ import annotations

import numpy as np
import pytest

from sekisho.archive import native, shapes
from sekisho.archive.settings import Keeping
from sekisho.model.errors import Unavailable
from sekisho.tables import FlowBatch, columns


def test_every_column_of_a_batch_is_kept() -> None:
    assert list(shapes.flow_columns()) == list(columns(FlowBatch))
    for name, dtype in columns(FlowBatch).items():
        kind = shapes.flow_columns()[name]
        if name not in shapes.KEYED and name != "time":
            assert np.dtype(native._DTYPES[kind]) == dtype, name


def test_the_times_to_live_are_those_of_the_settings() -> None:
    told = " ".join(shapes.statements(Keeping(3, 40, 500)))
    for days in ("toIntervalDay(3)", "toIntervalDay(40)", "toIntervalDay(500)"):
        assert told.count(days) == (4 if days == "toIntervalDay(3)" else 2)


def test_the_statements_for_a_cluster_are_clickhouse_s() -> None:
    session = pytest.importorskip("chdb.session").Session(":memory:")
    found = shapes.cluster_statements(Keeping(), "flows")
    for statement in found:
        tree = str(session.query(f"EXPLAIN AST {statement}", "TSVRaw"))
        assert tree.startswith("CreateQuery"), statement
        assert "ON CLUSTER flows" in statement
    session.close()
    local = [each for each in found if "Distributed(" not in each]
    assert all("_local" in each for each in local)
    assert sum("Replicated" in each for each in local) == 6
    assert not any("non_replicated" in each for each in found)


def test_columns_come_back_from_the_format_as_they_went_in() -> None:
    types = {"a": "UInt64", "b": "String", "c": "Bool", "d": "Float32"}
    values = {
        "a": np.arange(300, dtype=np.uint64),
        "b": [f"é{n}" * 20 for n in range(300)],
        "c": np.arange(300) % 2 == 0,
        "d": np.arange(300, dtype=np.float32),
    }
    raw = b"".join(bytes(piece) for piece in native.block(types, values))
    found = native.read(raw + raw)
    for name, column in values.items():
        assert found[name].tolist() == [*list(column), *list(column)]
    assert native.read(b"") == {}
    with pytest.raises(Unavailable):
        native.read(raw[:-3])

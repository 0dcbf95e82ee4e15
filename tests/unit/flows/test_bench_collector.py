from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PROGRAM = Path(__file__).parents[3] / "bench" / "collector.py"


@pytest.fixture
def bench() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("bench_collector", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_collector"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_collector"]


def test_every_protocol_is_measured(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["--datagrams", "20", "--json"])
    told = json.loads(capsys.readouterr().out)
    records = {name: figures["records"] for name, figures in told.items()}
    assert records == {"sflow": 140, "netflow5": 600, "netflow9": 560, "ipfix": 560, "ipfix_ovs": 20}
    for figures in told.values():
        assert figures["records_per_second_per_core"] > 0
        assert figures["records_per_second_recvmmsg_alone"] > 0
        assert figures["dropped"] == 0


def test_people_get_a_line_each(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["--datagrams", "5", "--protocols", "netflow5"])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("netflow5")
    assert "records/s/core" in line


def test_all_that_is_sent_belongs_to_a_subject(bench: ModuleType) -> None:
    """Else the windows would have nothing to do and the figure would lie."""
    for name in ("sflow", "netflow5", "netflow9", "ipfix"):
        tally = bench.Tally()
        road = bench.Road(tally)
        stream = bench.streams()[name]()
        burst = bench_burst([*stream.first, *stream.datagrams[:4]])
        road.take(burst)
        counted = road._detection.counters()
        assert counted["rows_ours"] == counted["rows"] == tally.records > 0, name


def bench_burst(datagrams: list[bytes]) -> object:
    from support_datagrams import burst_of

    return burst_of(datagrams, "127.0.0.1")

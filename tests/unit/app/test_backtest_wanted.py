"""A back-test reads only what its detectors look at, and finds what it would find in everything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sekisho.app import backtest_play
from sekisho.app.backtest_play import Plan, Player
from sekisho.app.backtest_wanted import wanted
from sekisho.archive.loader import Loader, prepare
from sekisho.archive.replay import COLUMNS, EVERYTHING
from sekisho.archive.settings import Keeping
from sekisho.archive.store import Store
from sekisho.detect.detectors import registered
from sekisho.detect.settings import DetectSettings
from sekisho.model.policy import Policy, PolicySet, Unit
from sekisho.model.restriction import Evidence
from sekisho.tables import FLAGS_KNOWN, FlowBatch
from support_archive import BEGIN, inventory, tap
from support_detect import condition, detection, policy

pytest.importorskip("chdb")
from sekisho.archive.embedded import open_embedded

SECONDS = 7
PORTS = np.array([19, 22, 25, 53, 123, 443, 465, 1900, 3389, 40000, 50000], np.uint16)


def traffic(rng: np.random.Generator, at: float, count: int = 150) -> FlowBatch:
    """Make rows of every kind, at one moment."""
    rows = FlowBatch.empty(count)
    rows.time[:] = at
    rows.exporter[:] = rng.integers(0, 3, count)
    rows.src_lo[:], rows.dst_lo[:] = rng.integers(1, 9, count), rng.integers(1, 99, count)
    rows.protocol[:] = rng.choice(np.array([6, 6, 6, 17, 1], np.uint8), count)
    rows.src_port[:], rows.dst_port[:] = rng.choice(PORTS, count), rng.choice(PORTS, count)
    flags = rng.choice(np.array([0x02, 0x02, 0x02, 0x02, 0x12, 0x10], np.uint16), count)
    rows.tcp_flags[:] = np.where(rng.random(count) < 0.8, flags | FLAGS_KNOWN, 0)
    rows.rate[:] = rng.choice(np.array([1.0, 20.0, 100.0], np.float32), count)
    rows.packets[:] = rows.rate * rng.integers(1, 4, count)
    rows.bytes[:] = rows.packets * rng.integers(60, 1500, count)
    rows.sender[:], rows.receiver[:] = rng.integers(-1, 3, count), rng.integers(-1, 3, count)
    for column in (rows.src_internet, rows.dst_internet):
        column[:] = rng.random(count) < 0.7
    rows.exact[:] = rng.random(count) < 0.1
    return rows


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder, rng = tmp_path_factory.mktemp("archive"), np.random.default_rng(8)
    kept = tap(folder / "spool", every=5.0)
    kept.meet(inventory(3), BEGIN)
    for second in range(SECONDS):
        kept.put(traffic(rng, BEGIN + second + 0.25))
        kept.put(traffic(rng, BEGIN + second + 0.75))
        kept.close(BEGIN + second + 1.0)
    kept.finish()
    opened = open_embedded(str(folder / "store"))
    prepare(opened, Keeping(9000, 9000, 9000))
    Loader(opened, str(folder / "spool")).look()
    yield opened
    opened.close()


def play(store: Store, asked: Policy) -> list[Evidence]:
    found: list[Evidence] = []
    plan = Plan(PolicySet(1, (asked,)), BEGIN, BEGIN + SECONDS + 1, 1.0, DetectSettings(seed=3))
    player = Player(store, plan, lambda evidence, _at: found.extend(evidence))
    player.play(lambda _: None, lambda: False)
    return found


@pytest.mark.parametrize("detector", sorted(registered()))
def test_what_is_read_is_enough(store: Store, detector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    amount = 0.01 if registered()[detector].unit is Unit.RATIO else 1.0
    asked = policy(condition(detector, amount, 5.0), destinations="internet")
    found = play(store, asked)
    monkeypatch.setattr(backtest_play, "wanted", lambda _: EVERYTHING)
    assert found
    assert found == play(store, asked)


def test_less_is_read_for_less() -> None:
    def asked(*detectors: str) -> set[str]:
        judged = detection(*(policy(condition(d, 1.0, 5.0), name=d) for d in detectors)).judges
        return {*wanted(line.lane.stream for judge in judged for line in judge.lines).columns}

    assert "bytes" not in asked("egress-packets")
    assert not {"src_hi", "src_lo", "receiver", "src_internet"} & asked("egress-bytes", "smtp-connections")
    assert not {"dst_hi", "dst_lo", "sender", "dst_internet"} & asked("ingress-bytes")
    assert asked(*registered()) == {*COLUMNS}


def test_of_a_detector_that_only_takes_columns_everything_is_read() -> None:
    class Stranger:
        settings, internet = DetectSettings(), False
        detector = object()

    assert wanted([Stranger()]) is EVERYTHING  # type: ignore[list-item]

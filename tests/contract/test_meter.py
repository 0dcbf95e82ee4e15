"""The fake Gnocchi and port counters pass what every meter must."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sekisho.metering.counters import Counters
from sekisho.metering.gnocchi import Gnocchi
from sekisho.metering.readings import Volumes
from sekisho.metering.settings import CounterSettings, GnocchiSettings
from sekisho.model.inventory import Subject
from sekisho.model.report import PortCounter
from sekisho.testing import contract_meter
from sekisho.testing.contract_meter import DAY, Rig
from sekisho.testing.meter import FakeGnocchi

NOW = 20_000 * DAY + 10.0


class OverGnocchi:
    def __init__(self, _folder: Path) -> None:
        self.now = NOW
        self.fake = FakeGnocchi()
        self.meter = Gnocchi(GnocchiSettings(chunk=1), self.fake)

    def play(self, polled: Mapping[Subject, Mapping[float, tuple[int, int]]]) -> None:
        for who, measures in polled.items():
            self.fake.add(f"r-{who.id}", f"tap{who.id}"[:14], who.server)
            self.fake.push(f"r-{who.id}", measures)
        assert not self.meter.read(tuple(polled), self.now).problems

    def volumes(self, window: float) -> Volumes:
        return self.meter.volumes(window, self.now)


class OverCounters:
    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.meter = Counters(CounterSettings(), folder / "counters.db")

    def play(self, polled: Mapping[Subject, Mapping[float, tuple[int, int]]]) -> None:
        for moment in sorted({m for measures in polled.values() for m in measures}):
            told = [
                PortCounter(w.id, "if", *measures[moment])
                for w, measures in polled.items()
                if moment in measures
            ]
            self.meter.take("h1", told, moment)
            self.meter.read(tuple(polled), moment)

    def volumes(self, window: float) -> Volumes:
        return self.meter.volumes(window, self.now)


@pytest.mark.parametrize("check", contract_meter.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("rig", [OverGnocchi, OverCounters])
def test_meter(rig: Callable[[Path], Rig], check: Callable[[Rig], None], tmp_path: Path) -> None:
    check(rig(tmp_path))

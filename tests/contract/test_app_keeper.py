"""The real keeper, over a real ledger, behaves as every keeper must."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sekisho.app.keeper import Keeper
from sekisho.app.settings import KeeperSettings
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.model.policy import Baseline, Policy, PolicySet
from sekisho.testing.contract_keeper import CHECKS, POLICIES, Check, name


class RealRig:
    def __init__(self, folder: Path) -> None:
        self._passed = 1000.0
        self._staged = POLICIES
        self.ledger = Ledger(folder / "ledger.db")
        clock = Clock(lambda: 1_700_000_000 + self._passed, lambda: self._passed, "boot")
        self.keeper = Keeper(KeeperSettings(), self.ledger, clock, self._source)

    def _source(self) -> tuple[tuple[Policy, ...], tuple[Baseline, ...]]:
        return self._staged.policies, self._staged.baselines

    def advance(self, seconds: float) -> None:
        self._passed += seconds
        self.keeper.tick()

    def stage(self, policies: PolicySet) -> None:
        self._staged = policies


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[RealRig]:
    made = RealRig(tmp_path)
    yield made
    made.ledger.close()


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_app_keeper(check: Check, rig: RealRig) -> None:
    check(rig)

"""The fake keeper behaves as every keeper must."""

from __future__ import annotations

import pytest

from sekisho.model.policy import PolicySet
from sekisho.testing.contract_keeper import CHECKS, POLICIES, Check, name
from sekisho.testing.keeper import FakeKeeper


class FakeRig:
    def __init__(self) -> None:
        self.keeper = FakeKeeper(POLICIES)

    def advance(self, seconds: float) -> None:
        self.keeper.advance(seconds)

    def stage(self, policies: PolicySet) -> None:
        self.keeper.stage_policies(policies)


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_fake_keeper(check: Check) -> None:
    check(FakeRig())

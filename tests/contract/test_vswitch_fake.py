"""The fake switch behaves as every switch must, in table 0 and behind Neutron's tables."""

from __future__ import annotations

import pytest

from sekisho.devices.vswitch.pipeline import Layout
from sekisho.testing.contract_vswitch import CHECKS, Check, name
from support_vswitch import FakeRig


@pytest.mark.parametrize("check", CHECKS, ids=name)
@pytest.mark.parametrize("layout", [Layout(), Layout(table=60, register=14)], ids=["bare", "neutron"])
def test_fake_switch(check: Check, layout: Layout) -> None:
    check(FakeRig(layout))

"""A real Open vSwitch behaves as every switch must."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sekisho.testing.contract_vswitch import CHECKS, Check, name
from support_frames import RealRig
from support_ovs import bridge, switch

if TYPE_CHECKING:
    from sekisho.lab.ovs import PrivateSwitch

__all__ = ["bridge", "switch"]

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("bridge")]


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_real_switch(check: Check, switch: PrivateSwitch) -> None:
    with RealRig(switch) as rig:
        check(rig)

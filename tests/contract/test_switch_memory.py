"""The switch in memory behaves as every switch must: what is tested over it holds for real ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sekisho.testing.contract_switch import CHECKS, Rig
from support_switch_rigs import MemoryRig


@pytest.mark.parametrize("timer", [False, True], ids=["watched", "timed"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_memory(check: Callable[[Rig], None], *, timer: bool) -> None:
    check(MemoryRig(timer=timer))

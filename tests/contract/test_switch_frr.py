"""A real FRRouting by vtysh is driven as every switch must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sekisho.testing.contract_switch import CHECKS, Rig
from support_frr import FrrRig, router

pytestmark = pytest.mark.frr


@pytest.fixture
def rig() -> Iterator[FrrRig]:
    with router() as real:
        yield FrrRig(real)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_frr(check: Callable[[Rig], None], rig: FrrRig) -> None:
    check(rig)

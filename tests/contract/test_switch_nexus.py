"""The Nexus driver, by NX-API and by SSH, drives an emulated Nexus as every switch must be driven."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from sekisho.testing.contract_switch import CHECKS, Rig
from support_switch_rigs import nexus


@pytest.mark.parametrize("transport", ["nxapi", "ssh"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_nexus(check: Callable[[Rig], None], transport: Literal["nxapi", "ssh"], tmp_path: Path) -> None:
    with nexus(transport, tmp_path) as rig:
        check(rig)

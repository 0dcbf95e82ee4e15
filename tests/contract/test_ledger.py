"""The ledger on SQLite behaves as a ledger must."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from sekisho.ledger.ledger import Ledger
from sekisho.testing.contract_ledger import CHECKS, Check, name


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_ledger(check: Check, tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        check(ledger)

"""The journal of switches' changes on SQLite behaves as it must."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from sekisho.ledger.ledger import Ledger
from sekisho.ledger.switches import Changes
from sekisho.testing.contract_changes import CHECKS, Check, name


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_changes(check: Check, tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        check(Changes(ledger.store))

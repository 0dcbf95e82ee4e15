"""When projects were first seen, which stands for their age where nobody says it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sekisho.ledger.ledger import Ledger
from sekisho.model.cloud import OLD


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.db")
    yield made
    made.close()


def test_the_first_ones_are_old_and_later_ones_as_old_as_they_were_seen(ledger: Ledger) -> None:
    assert ledger.see_projects({"a", "b"}, 1000.0) == {"a": OLD, "b": OLD}
    assert ledger.see_projects({"b", "c"}, 2000.0) == {"a": OLD, "b": OLD, "c": 2000.0}
    assert ledger.see_projects({"a", "c"}, 3000.0)["c"] == 2000.0


def test_a_cloud_that_was_empty_at_first_has_only_new_projects(ledger: Ledger) -> None:
    assert ledger.see_projects(set(), 1000.0) == {}
    assert ledger.see_projects({"a"}, 2000.0) == {"a": 2000.0}


def test_a_step_of_the_clock_makes_nobody_older(ledger: Ledger) -> None:
    ledger.see_projects({"a"}, 1000.0)
    ledger.see_projects({"b"}, 2000.0)
    ledger.shift(50.0, "keeper", 2001.0)
    assert ledger.see_projects(set(), 2051.0) == {"a": OLD, "b": 2050.0}

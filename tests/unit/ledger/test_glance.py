"""Tokens are recognised without waiting, and never a moment longer than they are good."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Role

NOW = 1_700_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    made = Ledger(path)
    yield made
    made.close()


@pytest.fixture
def other(path: Path) -> Iterator[Ledger]:
    """The same ledger as another process has it."""
    made = Ledger(path)
    yield made
    made.close()


def test_what_another_process_made_and_revoked_is_known_at_once(ledger: Ledger, other: Ledger) -> None:
    for _ in range(20):
        token, secret = other.create_token("a", Role.AGENT, "ada", NOW)
        assert ledger.recognised(secret, NOW) is not None
        other.revoke_token(token.id, "ada", NOW)
        assert ledger.recognised(secret, NOW) is None


def test_an_end_that_moves_with_the_clock_counts_from_then_on(ledger: Ledger, other: Ledger) -> None:
    _, secret = ledger.create_token("a", Role.AGENT, "ada", NOW, until=NOW + 100)
    assert ledger.recognised(secret, NOW + 99) is not None
    other.shift(-50.0, "keeper", NOW)
    assert ledger.recognised(secret, NOW + 99) is None


def test_nobody_is_recognised_nor_waited_for_while_the_file_cannot_be_read(
    ledger: Ledger, path: Path
) -> None:
    _, secret = ledger.create_token("a", Role.AGENT, "ada", NOW)
    ledger.recognised(secret, NOW)
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("BEGIN IMMEDIATE")  # a writer is in nobody's way
        assert ledger.recognised(secret, NOW) is not None
        connection.execute("ROLLBACK")
    ledger.close()
    assert ledger.recognised(secret, NOW) is None


def test_many_at_once_are_each_told_the_truth(ledger: Ledger) -> None:
    secrets = [ledger.create_token(f"a{i}", Role.AGENT, "ada", NOW)[1] for i in range(8)]
    wrong: list[str] = []

    def ask(number: int) -> None:
        for _ in range(200):
            found = ledger.recognised(secrets[number], NOW)
            if found is not None and found.name != f"a{number}":
                wrong.append(found.name)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

"""How a database's trouble is told, and how a ledger is named."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import exc, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from sekisho.ledger import access
from sekisho.ledger.ledger import Ledger
from sekisho.ledger.schema import metadata
from sekisho.ledger.store import _translate
from sekisho.model.access import Role
from sekisho.model.errors import Unavailable

URL = make_url("postgresql://keeper:hidden-password@db.example.net/sekisho")


@pytest.mark.parametrize("named", ["path", "text", "url"])
def test_a_path_and_a_url_name_the_same_ledger(named: str, tmp_path: Path) -> None:
    path = tmp_path / "a b%20c?.db"
    given: dict[str, str | Path] = {"path": path, "text": str(path), "url": f"sqlite:///{tmp_path}/plain.db"}
    with closing(Ledger(given[named])) as ledger:
        ledger.remember("a", "b")
    assert (path if named != "url" else tmp_path / "plain.db").exists()


def test_a_database_that_does_not_answer_is_unavailable_and_its_password_not_told() -> None:
    found = _translate(exc.OperationalError("SELECT 1", None, Exception("gone")), URL)
    assert isinstance(found, Unavailable)
    assert "hidden-password" not in found.fixer + found.asker
    assert "db.example.net" in found.fixer
    assert "db.example.net" not in found.asker


def test_the_tables_are_sayable_to_postgresql() -> None:
    made: Any = postgresql.dialect  # SQLAlchemy leaves it untyped
    dialect = made()
    said = [str(CreateTable(t).compile(dialect=dialect)) for t in metadata.sorted_tables]
    said += [str(CreateIndex(i).compile(dialect=dialect)) for t in metadata.sorted_tables for i in t.indexes]
    assert any("BIGSERIAL" in s for s in said)
    assert any("WHERE state = 'active' AND policy <> ''" in s for s in said)


def test_secrets_are_long_and_only_their_hash_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(Ledger(path)) as ledger:
        secrets = {ledger.create_token("a", Role.VIEWER, "ada", 1.0)[1] for _ in range(20)}
    assert len(secrets) == 20
    assert all(s.startswith(access.PREFIX) and len(s) > 45 for s in secrets)
    kept = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    for secret in secrets:
        assert secret.encode() not in kept
        assert access.hashed(secret).encode() in kept

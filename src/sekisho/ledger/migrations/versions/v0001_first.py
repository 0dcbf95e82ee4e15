"""The first tables: restrictions, journal, receipts, exemptions, tokens, idempotency keys, small memory."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_SQLITE_TRIGGER = (
    "CREATE TRIGGER journal_no_{verb} BEFORE {VERB} ON journal "
    "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
)
_POSTGRES_FUNCTION = (
    "CREATE OR REPLACE FUNCTION journal_append_only() RETURNS trigger AS $$ "
    "BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$ LANGUAGE plpgsql"
)
_POSTGRES_TRIGGER = (
    "CREATE TRIGGER journal_no_{verb} BEFORE {VERB} ON journal "
    "FOR EACH ROW EXECUTE FUNCTION journal_append_only()"
)
_APPEND_ONLY = {"sqlite": (_SQLITE_TRIGGER,), "postgresql": (_POSTGRES_FUNCTION, _POSTGRES_TRIGGER)}


def upgrade() -> None:
    """Make every table from nothing."""
    _revision()
    _restriction()
    _journal()
    _receipt()
    _exemption()
    _token()
    _request()
    op.create_table("memory", sa.Column("name", sa.Text(), primary_key=True), _text("value"))


def _number(name: str = "number") -> sa.Column[Any]:
    return sa.Column(name, _NUMBER, primary_key=True, autoincrement=True)


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=False, server_default="0")


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _revision() -> None:
    op.create_table(
        "revision", sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False), _count("value")
    )
    op.execute("INSERT INTO revision (id, value) VALUES (1, 0)")


def _restriction() -> None:
    op.create_table(
        "restriction",
        _number(),
        *map(_text, ("subject", "policy", "actions")),
        _flag("binds"),
        *map(_text, ("reason", "author", "state")),
        *map(_time, ("created", "until", "duration")),
        _count("revision"),
        _flag("automatic"),
        sa.Column("offence", sa.Integer(), nullable=False, server_default="1"),
        *map(_text, ("project", "host")),
        sa.Column("evidence", sa.Text()),
        *map(_time, ("ended", "in_force")),
        *map(_count, ("dropped_packets", "dropped_bytes")),
        sqlite_autoincrement=True,
    )
    for state in ("active", "proposed"):
        where: Any = sa.text(f"state = '{state}' AND policy <> ''")
        op.create_index(
            f"restriction_one_{state}",
            "restriction",
            ["subject", "policy"],
            unique=True,
            sqlite_where=where,
            postgresql_where=where,
        )
    op.create_index("restriction_by_state", "restriction", ["state", "until"])
    op.create_index("restriction_by_subject", "restriction", ["subject", "number"])
    op.create_index("restriction_by_revision", "restriction", ["revision"])
    op.create_index("restriction_by_creation", "restriction", ["created"])


def _journal() -> None:
    op.create_table(
        "journal",
        _number("id"),
        _time("time"),
        *map(_text, ("author", "verb")),
        _count("restriction"),
        *map(_text, ("subject", "reason", "detail")),
        _count("revision"),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_by_restriction", "journal", ["restriction", "id"])
    op.create_index("journal_by_subject", "journal", ["subject", "id"])
    for verb in ("update", "delete"):
        for statement in _APPEND_ONLY.get(op.get_bind().dialect.name, ()):
            op.execute(statement.format(verb=verb, VERB=verb.upper()))


def _receipt() -> None:
    op.create_table(
        "receipt",
        sa.Column("restriction", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("host", sa.Text(), primary_key=True),
        _flag("in_force"),
        _time("time"),
        *map(_count, ("packets", "bytes")),
        _text("problem"),
    )


def _exemption() -> None:
    op.create_table(
        "exemption",
        _number(),
        *map(_text, ("scope", "reason", "author")),
        *map(_time, ("created", "until")),
        _text("policies"),
        _time("revoked"),
        sqlite_autoincrement=True,
    )


def _token() -> None:
    op.create_table(
        "token",
        _number(),
        *map(_text, ("name", "role", "host")),
        sa.Column("hash", sa.Text(), nullable=False, unique=True),
        *map(_time, ("created", "until", "revoked")),
        sqlite_autoincrement=True,
    )


def _request() -> None:
    op.create_table(
        "request",
        sa.Column("author", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        *map(_text, ("fingerprint", "answer")),
        _time("created"),
    )
    op.create_index("request_by_creation", "request", ["created"])

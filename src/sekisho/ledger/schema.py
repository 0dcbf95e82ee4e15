"""The ledger's tables as they stand after the last migration; a test compares the two.

Only what SQLite and PostgreSQL both have is used. Nouns inside a row (actions, evidence, scopes) are
JSON text by `model.plain`; times are unix seconds.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

# SQLite counts rows up only in a column of exactly this type.
_Number = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _time(name: str) -> Column[float]:
    return Column(name, Double, nullable=False, server_default="0")


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _unique_while(name: str, state: str, *columns: str) -> Index:
    where: Any = text(f"state = '{state}' AND policy <> ''")
    return Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    _count("value"),
)

restriction = Table(
    "restriction",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _text("subject"),
    _text("policy"),
    _text("actions"),
    Column("binds", Boolean, nullable=False),  # False for a warning
    _text("reason"),
    _text("author"),
    _text("state"),
    _time("created"),
    _time("until"),
    _time("duration"),
    _count("revision"),
    Column("automatic", Boolean, nullable=False),
    Column("offence", Integer, nullable=False, server_default="1"),
    _text("project"),
    _text("host"),
    Column("evidence", Text),
    _time("ended"),
    _time("in_force"),
    _count("dropped_packets"),
    _count("dropped_bytes"),
    _unique_while("restriction_one_active", "active", "subject", "policy"),
    _unique_while("restriction_one_proposed", "proposed", "subject", "policy"),
    Index("restriction_by_state", "state", "until"),
    Index("restriction_by_subject", "subject", "number"),
    Index("restriction_by_revision", "revision"),
    Index("restriction_by_creation", "created"),
    sqlite_autoincrement=True,
)

journal = Table(
    "journal",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    _time("time"),
    _text("author"),
    _text("verb"),
    _count("restriction"),  # 0: about none
    _text("subject"),
    _text("reason"),
    _text("detail"),
    _count("revision"),  # the ledger's when this was written
    Index("journal_by_restriction", "restriction", "id"),
    Index("journal_by_subject", "subject", "id"),
    sqlite_autoincrement=True,
)

receipt = Table(
    "receipt",
    metadata,
    Column("restriction", BigInteger, primary_key=True, autoincrement=False),
    Column("host", Text, primary_key=True),
    Column("in_force", Boolean, nullable=False),
    _time("time"),
    _count("packets"),
    _count("bytes"),
    _text("problem"),
)

exemption = Table(
    "exemption",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _text("scope"),
    _text("reason"),
    _text("author"),
    _time("created"),
    _time("until"),
    _text("policies"),
    _time("revoked"),
    sqlite_autoincrement=True,
)

token = Table(
    "token",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _text("name"),
    _text("role"),
    _text("host"),
    Column("hash", Text, nullable=False, unique=True),  # SHA-256 of the secret, hexadecimal
    _time("created"),
    _time("until"),
    _time("revoked"),
    sqlite_autoincrement=True,
)

request = Table(
    "request",
    metadata,
    Column("author", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    _text("fingerprint"),
    _text("answer"),
    _time("created"),
    Index("request_by_creation", "created"),
)

memory = Table(
    "memory",
    metadata,
    Column("name", Text, primary_key=True),
    _text("value"),
)

project = Table(
    "project",
    metadata,
    Column("id", Text, primary_key=True),
    _time("seen"),
)

change = Table(  # of a switch
    "change",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    _count("rollout"),
    *map(_text, ("switch", "unit", "verb", "state", "author", "reason")),
    *map(_time, ("created", "begun", "ended")),
    # What it was before, on the switch, with the keeper and by digest; and by digest what it became.
    *map(_text, ("plan", "checkpoint", "backup", "before_digest", "after_digest", "receipt", "error")),
    Index(
        "change_one_open",
        "switch",
        unique=True,
        sqlite_where=text("state IN ('waiting', 'running')"),
        postgresql_where=text("state IN ('waiting', 'running')"),
    ),
    Index("change_by_switch", "switch", "number"),
    Index("change_by_rollout", "rollout", "number"),
    Index("change_by_state", "state", "number"),
    sqlite_autoincrement=True,
)

balancer = Table(
    "balancer",
    metadata,
    Column("id", Text, primary_key=True),
    *map(_text, ("pair", "body", "problem")),
    *map(_time, ("changed", "in_force")),
    _count("revision"),
    Column("gone", Boolean, nullable=False),
)

balancer_standing = Table(  # of a balancer, and of each object in it
    "balancer_standing",
    metadata,
    Column("id", Text, primary_key=True),
    *map(_text, ("kind", "balancer", "provisioning", "operating")),
    Column("own", Boolean, nullable=False),
    Column("gone", Boolean, nullable=False),
    *map(_count, ("revision", "settled")),
    Index("balancer_standing_by_balancer", "balancer"),
)

balancer_total = Table(  # of a listener on a device: what it counted last, and what before it began anew
    "balancer_total",
    metadata,
    Column("device", Text, primary_key=True),
    Column("listener", Text, primary_key=True),
    *map(_text, ("base", "last")),
)

letter = Table(  # to people: what is to be told, was told, or could not be
    "letter",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    *map(_text, ("channel", "recipient", "title", "body", "payload", "state", "problem")),
    *map(_count, ("notices", "attempts")),
    *map(_time, ("created", "due", "ended")),
    Index("letter_by_state", "state", "channel", "due"),
    sqlite_autoincrement=True,
)

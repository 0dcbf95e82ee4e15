"""Letters to people: what is to be told, was told, or could not be."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=False, server_default="0")


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def upgrade() -> None:
    """Add the table of letters."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "letter",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        *map(_text, ("channel", "recipient", "title", "body", "payload", "state", "problem")),
        *map(_count, ("notices", "attempts")),
        *map(_time, ("created", "due", "ended")),
        sqlite_autoincrement=True,
    )
    op.create_index("letter_by_state", "letter", ["state", "channel", "due"])

"""What was changed on switches, by whom, how it was proven, and what must be undone after a crash."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=False, server_default="0")


def upgrade() -> None:
    """Add the table of changes; one of a switch is open at a time."""
    op.create_table(
        "change",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("rollout", sa.BigInteger(), nullable=False, server_default="0"),
        *map(_text, ("switch", "unit", "verb", "state", "author", "reason")),
        *map(_time, ("created", "begun", "ended")),
        *map(_text, ("plan", "checkpoint", "backup", "before_digest", "after_digest", "receipt", "error")),
        sqlite_autoincrement=True,
    )
    where: Any = sa.text("state IN ('waiting', 'running')")
    op.create_index(
        "change_one_open", "change", ["switch"], unique=True, sqlite_where=where, postgresql_where=where
    )
    op.create_index("change_by_switch", "change", ["switch", "number"])
    op.create_index("change_by_rollout", "change", ["rollout", "number"])
    op.create_index("change_by_state", "change", ["state", "number"])

"""What load balancers are wanted, how each of their objects stands, and what their listeners have carried."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=False, server_default="0")


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def upgrade() -> None:
    """Add the tables of load balancers."""
    op.create_table(
        "balancer",
        sa.Column("id", sa.Text(), primary_key=True),
        *map(_text, ("pair", "body", "problem")),
        *map(_time, ("changed", "in_force")),
        _count("revision"),
        sa.Column("gone", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "balancer_standing",
        sa.Column("id", sa.Text(), primary_key=True),
        *map(_text, ("kind", "balancer", "provisioning", "operating")),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        *map(_count, ("revision", "settled")),
    )
    op.create_index("balancer_standing_by_balancer", "balancer_standing", ["balancer"])
    op.create_table(
        "balancer_total",
        sa.Column("device", sa.Text(), primary_key=True),
        sa.Column("listener", sa.Text(), primary_key=True),
        *map(_text, ("base", "last")),
    )

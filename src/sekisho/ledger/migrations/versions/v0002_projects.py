"""When each project was first seen, for clouds that do not say how old their projects are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the table of projects."""
    op.create_table(
        "project",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("seen", sa.Double(), nullable=False, server_default="0"),
    )

"""When each project was first seen: ids in, moments out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, select, update

from sekisho.ledger import memory
from sekisho.ledger.schema import project as table
from sekisho.model.cloud import OLD

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

_COUNTING: Final = "projects"


def seen(connection: Connection) -> dict[str, float]:
    """Read when each project was first seen."""
    return {row.id: row.seen for row in connection.execute(select(table.c.id, table.c.seen))}


def counting(connection: Connection) -> bool:
    """Tell whether any projects were ever written down."""
    return bool(memory.get(connection, _COUNTING))


def see(connection: Connection, ids: Collection[str], now: float) -> None:
    """Write down projects never seen before; those of the very first time count as old."""
    when = now if counting(connection) else OLD
    new = sorted(set(ids).difference(seen(connection)))
    if new:
        connection.execute(insert(table), [{"id": i, "seen": when} for i in new])
    if when == OLD:
        memory.put(connection, _COUNTING, "seen")


def shift(connection: Connection, delta: float) -> None:
    """Move every moment by the step of a clock."""
    connection.execute(update(table).where(table.c.seen > OLD).values(seen=table.c.seen + delta))

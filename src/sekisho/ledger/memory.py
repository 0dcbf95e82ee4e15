"""Small named values that must survive a restart, the kill switch among them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select

from sekisho.ledger.rows import dump
from sekisho.ledger.schema import memory as table
from sekisho.model.plain import from_plain
from sekisho.model.report import Enforcement, Override

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ENFORCEMENT: Final = "enforcement"
_OVERRIDES: Final = "overrides"


def get(connection: Connection, name: str) -> str:
    """Read a value, empty if there is none."""
    return connection.execute(select(table.c.value).where(table.c.name == name)).scalar() or ""


def put(connection: Connection, name: str, value: str) -> None:
    """Keep a value in the place of the one before."""
    connection.execute(delete(table).where(table.c.name == name))
    connection.execute(insert(table).values(name=name, value=value))


def enforcement(connection: Connection) -> Enforcement:
    """Read the kill switch; it is on until someone turned it off."""
    kept = get(connection, _ENFORCEMENT)
    return from_plain(Enforcement, json.loads(kept)) if kept else Enforcement(enabled=True)


def set_enforcement(connection: Connection, wanted: Enforcement) -> None:
    """Turn the kill switch."""
    put(connection, _ENFORCEMENT, dump(wanted))


def overrides(connection: Connection) -> tuple[Override, ...]:
    """Read which policies' modes people turned, by the policies' names."""
    kept = get(connection, _OVERRIDES)
    return from_plain(tuple[Override, ...], json.loads(kept)) if kept else ()


def set_override(connection: Connection, policy: str, wanted: Override | None) -> None:
    """Keep a policy's override in the place of the one before; None keeps none."""
    others = [o for o in overrides(connection) if o.policy != policy]
    kept = [*others, wanted] if wanted else others
    put(connection, _OVERRIDES, dump(sorted(kept, key=lambda o: o.policy)))

"""What the ledger's tests share: everything a ledger holds, and whether it agrees with itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from sekisho.ledger.ledger import Ledger

_TABLES = ("restriction", "journal", "receipt", "exemption", "memory", "revision")


def contents(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """Read every table whose rows do not depend on chance."""
    with ledger.store.reading() as connection:
        found = {name: connection.execute(text(f"SELECT * FROM {name} ORDER BY 1, 2")) for name in _TABLES}  # noqa: S608 -- names from above
        return {name: [tuple(row) for row in rows] for name, rows in found.items()}


def assert_sound(ledger: Ledger) -> None:
    """The file is whole, no subject is bound twice, and every revision has its line in the journal."""
    with ledger.store.reading() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        told = {r for (r,) in connection.execute(text("SELECT DISTINCT revision FROM journal"))} - {0}
        changed = {r for (r,) in connection.execute(text("SELECT DISTINCT revision FROM restriction"))}
        twice = connection.execute(
            text(
                "SELECT subject FROM restriction WHERE state = 'active' AND policy <> '' "
                "GROUP BY subject, policy HAVING count(*) > 1"
            )
        ).all()
    assert told == set(range(1, ledger.revision() + 1))
    assert changed <= told
    assert not twice

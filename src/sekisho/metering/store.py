"""A day of port counters on disk, so that a keeper that restarts forgets nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sekisho.tables import F64

_TABLES = """
CREATE TABLE IF NOT EXISTS period (number INTEGER PRIMARY KEY, ports TEXT NOT NULL, totals BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class CounterStore:
    """SQLite, one row a period with the totals of all ports in a column: one write each time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._open()) as connection:
            connection.executescript(_TABLES)

    def write(self, number: int, ports: Sequence[str], totals: F64, state: Any, oldest: int) -> None:
        """Write one period and where every counter stands, in one transaction; drop what is too old."""
        with closing(self._open()) as connection, self._translated(), connection:
            connection.execute(
                "INSERT OR REPLACE INTO period VALUES (?, ?, ?)",
                (number, json.dumps(list(ports)), np.ascontiguousarray(totals).tobytes()),
            )
            connection.execute("INSERT OR REPLACE INTO state VALUES ('counters', ?)", (json.dumps(state),))
            connection.execute("DELETE FROM period WHERE number < ?", (oldest,))

    def read(self) -> tuple[Any, list[tuple[int, list[str], F64]]]:
        """Give what was written: where every counter stood, and the periods, oldest first."""
        with closing(self._open()) as connection, self._translated():
            row = connection.execute("SELECT value FROM state WHERE name = 'counters'").fetchone()
            periods = [
                (number, ports := json.loads(text), np.frombuffer(blob).reshape(2, len(ports)))
                for number, text, blob in connection.execute(
                    "SELECT number, ports, totals FROM period ORDER BY number"
                )
            ]
        return (json.loads(row[0]) if row else None), periods

    def _open(self) -> sqlite3.Connection:
        with self._translated():
            connection = sqlite3.connect(self._path, timeout=5.0)
            connection.execute("PRAGMA journal_mode = WAL")
            return connection

    def _translated(self) -> _Translated:
        return _Translated(self._path)


class _Translated:
    """Turns SQLite's errors into ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (sqlite3.Error, ValueError)):
            raise Unavailable("The counters cannot be kept.", f"{self._path}: {error}.") from error

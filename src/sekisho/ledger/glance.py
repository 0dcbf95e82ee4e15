"""Tokens looked up without waiting, for every request: one statement of the driver's, nothing remembered.

What was remembered could be revoked meanwhile, by this process or another. SQLite answers from its file
in some microseconds, so there is nothing to gain by it.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final

from sekisho.ledger.access import hashed, principal

if TYPE_CHECKING:
    from sqlalchemy import URL

    from sekisho.model.access import Principal

_COLUMNS: Final = ("name", "role", "host", "hash", "until", "revoked")
_QUERY: Final = f"SELECT {', '.join(_COLUMNS)} FROM token WHERE hash = ?"  # noqa: S608 - names of ours


class Glance:
    """One connection that only reads tokens; knows nobody where the ledger is no SQLite file. Thread-safe."""

    def __init__(self, url: URL) -> None:
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        if url.get_backend_name() == "sqlite" and url.database:
            # Never waits for anybody: whoever cannot be answered at once is asked about the slow way.
            self._connection = sqlite3.connect(
                url.database, timeout=0.0, isolation_level=None, check_same_thread=False
            )

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def recognised(self, secret: str, now: float) -> Principal | None:
        """Find whom a secret speaks for, if that can be told now."""
        digest = hashed(secret)
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return principal(self._row(digest), digest, now)
        except sqlite3.Error:
            return None
        finally:
            self._lock.release()

    def _row(self, digest: str) -> dict[str, Any] | None:
        if self._connection is None:
            return None
        # All of them: a statement that is not read to its end keeps the snapshot it began with.
        rows = self._connection.execute(_QUERY, (digest,)).fetchall()
        return dict(zip(_COLUMNS, rows[0], strict=True)) if rows else None

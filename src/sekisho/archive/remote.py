"""A ClickHouse server, or any one server of a cluster, by clickhouse-connect."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sekisho.archive.pool import Pool
from sekisho.archive.store import failure
from sekisho.model.errors import Malformed, Unavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

# Sent with each block, so that one that is loaded again after a crash is left out, in the rollups too; and
# what the rollups' views summed up is not looked through for rows of one key again.
LOADING = {
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "insert_deduplicate": 1,
    "optimize_on_insert": 0,
}


class Remote:
    """A `Store`; one client asks one question at a time."""

    def __init__(self, url: str, user: str, password: str, database: str, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Malformed(f"archive.url: {url!r} is no address; write it as http://HOST:8123.")
        self._where = {
            "host": parts.hostname,
            "port": parts.port or (8443 if parts.scheme == "https" else 8123),
            "interface": parts.scheme,
            "username": user,
            "password": password,
            "database": database,
            "connect_timeout": timeout,
            "autogenerate_session_id": False,
        }
        self._library = _library()
        self._url = f"{parts.scheme}://{parts.hostname}:{self._where['port']}/{database}"
        self._clients = Pool(lambda _kind: self._library.get_client(**self._where))

    @property
    def name(self) -> str:
        """What and where it is."""
        return f"ClickHouse at {self._url}"

    def run(self, statement: str) -> None:
        """Carry out a statement of our own."""
        self._said(lambda client: client.command(statement))

    def load(self, table: str, block: Path, token: str) -> None:
        """Put a block of the spool into a table."""
        raw = block.read_bytes()
        settings = {**LOADING, "insert_deduplication_token": token}
        self._said(lambda client: client.raw_insert(table, insert_block=raw, settings=settings, fmt="Native"))

    def ask(self, question: str, form: str, given: Mapping[str, Any], limits: Mapping[str, Any]) -> bytes:
        """Answer a SELECT."""
        settings = {**limits, "readonly": 1} if limits else {}
        found: bytes = self._said(
            lambda client: client.raw_query(question, parameters=dict(given), settings=settings, fmt=form)
        )
        return found

    def close(self) -> None:
        """Close all connections."""
        self._clients.close()

    def _said(self, act: Any) -> Any:
        try:
            with self._clients.lent("") as client:
                return act(client)
        except self._library.driver.exceptions.DatabaseError as error:
            raise failure(str(error), self.name) from error
        except self._library.driver.exceptions.ClickHouseError as error:
            raise Unavailable("The archive's store does not answer.", f"{self.name}: {error}", 5.0) from error
        except OSError as error:
            raise Unavailable("The archive's store does not answer.", f"{self.name}: {error}", 5.0) from error


def _library() -> Any:
    try:
        import clickhouse_connect
    except ImportError as error:
        raise Unsupported(
            "This machine reaches no ClickHouse.",
            "clickhouse-connect is not installed: pip install 'sekisho[archive]'.",
        ) from error
    return clickhouse_connect


def open_remote(
    url: str, user: str = "default", password_file: str = "", database: str = "sekisho", timeout: float = 10.0
) -> Remote:
    """Make the way to a server; nothing is asked yet. Raises Malformed for no address, or no file."""
    password = ""
    if password_file:
        try:
            password = Path(password_file).read_text().strip()
        except OSError as error:
            raise Malformed(f"archive.password_file: {password_file} cannot be read: {error}.") from error
    with suppress(ValueError):
        return Remote(url, user, password, database, timeout)
    raise Malformed(f"archive.url: {url!r} is no address; write it as http://HOST:8123.")

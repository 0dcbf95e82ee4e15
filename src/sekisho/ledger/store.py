"""The database behind the ledger: opening, migrating, transactions, and its errors in our tree."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, event, exc, make_url, select

from sekisho.ledger import schema
from sekisho.model.errors import Conflict, SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_SPACE: Final = ("SQLITE_FULL", "SQLITE_IOERR")
_BUSY: Final = ("SQLITE_BUSY", "SQLITE_LOCKED")


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """How the ledger waits and how finely it writes.

    `busy_timeout`: seconds a write waits for another one before it is Unavailable. `grain`: while a
    line stays crossed, an automatic extension is written only when it moves the end by at least this
    share of its duration, and at least once per `grain_max` seconds: else a subject that misbehaves
    all day would be written every second.
    """

    busy_timeout: float = 5.0
    grain: float = 0.05
    grain_max: float = 60.0


class Store:
    """One database, any number of threads; a writer waits for the one before it."""

    def __init__(self, path_or_url: str | os.PathLike[str], busy_timeout: float) -> None:
        self.url = _url(path_or_url)
        self._busy_timeout = busy_timeout
        self._writer = threading.Lock()
        self.engine = _engine(self.url, busy_timeout)
        try:
            self._migrate()
        except BaseException:
            self.engine.dispose()
            raise

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give one consistent snapshot."""
        with self._translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """Give the one open write transaction; it is committed when the block ends without an error.

        What is not `durable` waits for no disk: whoever told it tells it again after a power failure.
        """
        with self._turn(), self._translated(), self.engine.connect() as plain:
            connection = plain.execution_options(sekisho_write=True, sekisho_durable=durable)
            with connection.begin():
                # On PostgreSQL this row is the one lock of all writers; SQLite has its own by now.
                connection.execute(select(schema.revision.c.value).with_for_update())
                yield connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # Queueing here is fair and wakes at once; SQLite's own waiting is neither.
        if not self._writer.acquire(timeout=self._busy_timeout):
            raise _busy(self.url, "another write of this process")
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exc.DBAPIError, exc.TimeoutError, sqlite3.Error) as error:
            raise _translate(error, self.url) from error

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self._translated(), self.engine.connect() as plain:
            connection = plain.execution_options(sekisho_write=True)
            with connection.begin():
                config.attributes["connection"] = connection
                try:
                    command.upgrade(config, "head")
                except CommandError as error:
                    raise _newer(self.url) from error


def _url(path_or_url: str | os.PathLike[str]) -> URL:
    given = os.fspath(path_or_url)
    return make_url(given) if "://" in given else make_url("sqlite://").set(database=given)


def _engine(url: URL, busy_timeout: float) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    arguments: dict[str, Any] = {"timeout": busy_timeout} if sqlite else {}
    # As many are kept as there are threads at the API: to open one costs more than most questions.
    engine = create_engine(url, connect_args=arguments, pool_size=32, max_overflow=16, pool_timeout=30)
    if sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own guesses about BEGIN off; see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later can fail half way with a stale snapshot: a writer
    # therefore takes the write lock before its first read.
    options = connection.get_execution_options()
    if options.get("sekisho_write", False):
        _wait_for_the_disk(connection, durable=options.get("sekisho_durable", True))
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN")


def _wait_for_the_disk(connection: Connection, *, durable: bool) -> None:
    # In WAL mode NORMAL never corrupts: a power failure takes the last transactions back, in order.
    wanted = "FULL" if durable else "NORMAL"
    if connection.info.get("synchronous", "FULL") != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous = {wanted}")
        connection.info["synchronous"] = wanted


def _busy(url: URL, whom: str) -> Unavailable:
    return Unavailable(
        "The ledger is busy; ask again in a moment.",
        f"The ledger {url.database} waited in vain for {whom}: look for a backup or a shell that holds it.",
        retry_after=1.0,
    )


def _newer(url: URL) -> Conflict:
    return Conflict(
        "The ledger was written by a newer version of Sekisho.",
        f"The ledger {url.database} has migrations unknown to this version: install the newer one again.",
    )


def _translate(error: Exception, url: URL) -> SekishoError:
    """Map a database's error to ours; nothing of it was written, for the transaction is rolled back."""
    cause = getattr(error, "orig", error)  # what fails while connecting comes as the driver raised it
    name = str(getattr(cause, "sqlite_errorname", ""))
    if name.startswith(_BUSY):
        return _busy(url, "another process")
    if name.startswith(_SPACE):
        return Unavailable(
            "The ledger cannot write at the moment; nothing was decided.",
            f"The disk of {url.database} is full or fails ({name}): free some space or replace it.",
            retry_after=10.0,
        )
    if isinstance(error, exc.IntegrityError):
        return Conflict("Somebody else decided the same at the same moment; look again.", f"{cause}")
    return Unavailable(
        "The ledger does not answer; nothing was decided.",
        f"The database {url.render_as_string()} says: {name or type(error).__name__}: {cause}.",
        retry_after=10.0,
    )

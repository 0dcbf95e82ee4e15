"""ClickHouse in this process (chdb): one folder, which belongs to one process at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sekisho.archive.pool import Pool
from sekisho.archive.shapes import TABLES
from sekisho.archive.store import failure
from sekisho.model.errors import Malformed, Unavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.archive.store import Store

# The kind of sessions that nothing is forbidden.
OWN: Final = "own"
# A block is one part: whole or not there, whatever its size. What the rollups' views give is summed up
# already: to look for rows of one key again would cost as much as the raw rows' columns.
_WHOLE: Final = 1_000_000_000
LOADING: Final = (
    "max_threads = 1, max_insert_threads = 1, optimize_on_insert = 0, "
    "deduplicate_blocks_in_dependent_materialized_views = 1, "
    f"max_block_size = {_WHOLE}, max_insert_block_size = {_WHOLE}, "
    f"min_insert_block_size_rows = {_WHOLE}, min_insert_block_size_bytes = 0"
)


class Embedded:
    """A `Store`, with sessions for questions with limits beside those of our own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connect = _library()
        self._sessions = Pool(self._open)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._sessions.lent(OWN):
            pass  # who else has the folder is found out now

    @property
    def name(self) -> str:
        """What and where it is."""
        return f"chdb in {self._folder}"

    def run(self, statement: str) -> None:
        """Carry out a statement of our own."""
        self._query(OWN, statement, "Null", {})

    def load(self, table: str, block: Path, token: str) -> None:
        """Put a block of the spool into a table."""
        self._query(
            OWN,
            f"INSERT INTO {table} SELECT * FROM file({{block:String}}, Native, {{columns:String}}) "
            f"SETTINGS {LOADING}, insert_deduplication_token = {{token:String}}",
            "Null",
            {"block": str(block.absolute()), "token": token, "columns": _columns(table)},
        )

    def ask(self, question: str, form: str, given: Mapping[str, Any], limits: Mapping[str, Any]) -> bytes:
        """Answer a SELECT."""
        return self._query(_limited(limits) if limits else OWN, question, form, given)

    def close(self) -> None:
        """Close all sessions; the folder is free then."""
        self._sessions.close()

    def _query(self, kind: str, question: str, form: str, given: Mapping[str, Any]) -> bytes:
        try:
            # chdb puts what a question that failed had answered so far before its session's next answer:
            # such a session does not come back.
            with self._sessions.lent(kind) as session:
                # its own copy: what it gives lives in the engine's memory
                found: bytes = session.query(question, form, params=dict(given)).bytes() or b""
        except RuntimeError as error:
            raise failure(str(error), self.name) from error
        return found

    def _open(self, kind: str) -> Any:
        try:
            session = self._connect(str(self._folder))
        except RuntimeError as error:
            raise Unavailable(
                "The archive's store cannot be opened.",
                f"{self._folder}: {error} Does another process use this folder?",
                5.0,
            ) from error
        if kind != OWN:
            for setting in kind.split(", "):
                session.query(f"SET {setting}", "Null")
        return session


def _columns(table: str) -> str:
    """Write a table's columns and their types, in order: a block leaves out those that are all zero."""
    return ", ".join(f"{name} {kind}" for name, kind in TABLES[table].items())


def _limited(limits: Mapping[str, Any]) -> str:
    """Write settings, the one last that lets none of them be changed any more."""
    return ", ".join(f"{name} = {value}" for name, value in {**limits, "readonly": 1}.items())


def _library() -> Any:
    try:
        from chdb.session import Session
    except ImportError as error:
        raise Unsupported(
            "This machine keeps no archive.", "chdb is not installed: pip install 'sekisho[archive]'."
        ) from error
    return Session


def open_embedded(folder: str) -> Store:
    """Open the folder of an embedded store; raises Unsupported without chdb, Unavailable if in use."""
    if not folder:
        raise Malformed("archive.folder: name a folder for the archive.")
    return Embedded(Path(folder))

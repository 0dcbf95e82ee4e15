"""The append-only journal, the revision counter, and the answers kept for idempotency keys."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select, update

from sekisho.ledger import schema
from sekisho.ledger.rows import dump, restriction_number, to_journal_entry
from sekisho.model.errors import Conflict, Malformed
from sekisho.model.report import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection

    from sekisho.model.restriction import JournalEntry

KEY_LIFE: Final = 86400.0
LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """What is to be written into the journal."""

    verb: str
    author: str
    time: float
    restriction: str = ""
    subject: str = ""
    reason: str = ""
    detail: str = ""


def next_revision(connection: Connection) -> int:
    """Take the next revision; it counts only if the transaction does."""
    table = schema.revision
    bumped = update(table).values(value=table.c.value + 1).returning(table.c.value)
    return int(connection.execute(bumped).scalar_one())


def present_revision(connection: Connection) -> int:
    """Read the revision of the last decision."""
    return int(connection.execute(select(schema.revision.c.value)).scalar_one())


def write(connection: Connection, lines: Sequence[Line], revision: int | None = None) -> None:
    """Append to the journal, under the present revision unless told another."""
    if not lines:
        return
    at = present_revision(connection) if revision is None else revision
    connection.execute(insert(schema.journal), [_row(line, at) for line in lines])


def decide(connection: Connection, verb: str, author: str, now: float, reason: str, detail: str) -> None:
    """Write a decision that is about no entry, under a new revision."""
    write(connection, [Line(verb, author, now, reason=reason, detail=detail)], next_revision(connection))


def _row(line: Line, revision: int) -> dict[str, Any]:
    return {
        "time": line.time,
        "author": line.author,
        "verb": line.verb,
        "restriction": restriction_number(line.restriction) if line.restriction else 0,
        "subject": line.subject,
        "reason": line.reason,
        "detail": line.detail,
        "revision": revision,
    }


def page(
    connection: Connection, restriction: str, subject: str, limit: int, marker: str
) -> Page[JournalEntry]:
    """Read the journal, newest first."""
    table = schema.journal
    conditions: list[ColumnElement[bool]] = []
    if restriction:
        conditions.append(table.c.restriction == restriction_number(restriction))
    if subject:
        conditions.append(table.c.subject == subject)
    if marker:
        conditions.append(table.c.id < marker_number(marker))
    query = select(table).where(*conditions).order_by(table.c.id.desc())
    rows = connection.execute(query.limit(bounded(limit) + 1)).mappings().all()
    items = tuple(map(to_journal_entry, rows[: bounded(limit)]))
    return Page(items, str(items[-1].id) if len(rows) > len(items) else "")


def marker_number(marker: str) -> int:
    """Read a page's marker; raises Malformed."""
    if not (marker.isascii() and marker.isdecimal() and len(marker) < 18):
        raise Malformed(f"marker {marker!r} is none of ours: use the `next` of the page before.")
    return int(marker)


def bounded(limit: int) -> int:
    """Keep a page's length between 1 and 1,000."""
    return max(1, min(limit, LIMIT))


def fingerprint(*request: Any) -> str:
    """Hash what is asked for, so that a key can tell a repeat from another request."""
    return hashlib.sha256(dump(request).encode()).hexdigest()


def answered(connection: Connection, author: str, key: str, asked: str, now: float) -> Any:
    """Give the plain answer of the same request made before, or None; raises Conflict for another one."""
    table = schema.request
    connection.execute(delete(table).where(table.c.created < now - KEY_LIFE))
    mine = (table.c.author == author) & (table.c.key == key)
    row = connection.execute(select(table.c.fingerprint, table.c.answer).where(mine)).first()
    if row is None:
        return None
    if row.fingerprint != asked:
        raise Conflict(f"The idempotency key {key!r} was used for another request: choose a new one.")
    return json.loads(row.answer)


def keep_answer(connection: Connection, author: str, key: str, asked: str, now: float, answer: Any) -> None:
    """Keep an answer for whoever repeats the request."""
    values = {"author": author, "key": key, "fingerprint": asked, "answer": dump(answer), "created": now}
    connection.execute(insert(schema.request).values(values))

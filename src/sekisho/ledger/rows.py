"""Rows to nouns and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sekisho.model.access import Role, Token
from sekisho.model.errors import NotFound
from sekisho.model.plain import from_plain, to_plain
from sekisho.model.policy import Action, Exemption, Scope
from sekisho.model.restriction import Evidence, JournalEntry, Restriction, State

if TYPE_CHECKING:
    from sqlalchemy import RowMapping


def dump(value: Any) -> str:
    """Write a noun as JSON, the same noun always the same way."""
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"))


def restriction_id(number: int) -> str:
    """Name a restriction's row; 0 is none."""
    return f"r{number}" if number else ""


def restriction_number(name: str) -> int:
    """Find the row number in a restriction's id; raises NotFound."""
    return _number("r", name, "restriction")


def exemption_number(name: str) -> int:
    """Likewise for an exemption."""
    return _number("x", name, "exemption")


def token_number(name: str) -> int:
    """Likewise for a token."""
    return _number("t", name, "token")


def _number(letter: str, name: str, what: str) -> int:
    digits = name[1:]
    if name[:1] == letter and digits.isascii() and digits.isdecimal() and len(digits) < 18:
        return int(digits)
    raise NotFound(f"There is no {what} {name!r}.")


def restriction_row(entry: Restriction) -> dict[str, Any]:
    """Columns of an entry, all but its number."""
    return {
        "subject": entry.subject,
        "policy": entry.policy,
        "actions": dump(entry.actions),
        "binds": bool(entry.actions),
        "reason": entry.reason,
        "author": entry.author,
        "state": entry.state.value,
        "created": entry.created,
        "until": entry.until,
        "duration": entry.duration,
        "revision": entry.revision,
        "automatic": entry.automatic,
        "offence": entry.offence,
        "project": entry.project,
        "host": entry.host,
        "evidence": None if entry.evidence is None else dump(entry.evidence),
    }


def to_restriction(row: RowMapping) -> Restriction:
    """Build an entry from its row."""
    plain: dict[str, Any] = {k: v for k, v in row.items() if k not in _KEPT_APART}
    evidence = row["evidence"]
    return Restriction(
        id=restriction_id(row["number"]),
        actions=from_plain(tuple[Action, ...], json.loads(row["actions"])),
        state=State(row["state"]),
        evidence=None if evidence is None else from_plain(Evidence, json.loads(evidence)),
        **plain,
    )


_KEPT_APART = frozenset({"number", "actions", "state", "evidence", "binds"})


def to_journal_entry(row: RowMapping) -> JournalEntry:
    """Build a line of the journal from its row."""
    return JournalEntry(
        id=row["id"],
        time=row["time"],
        author=row["author"],
        verb=row["verb"],
        restriction=restriction_id(row["restriction"]),
        subject=row["subject"],
        reason=row["reason"],
        detail=row["detail"],
    )


def to_exemption(row: RowMapping) -> Exemption:
    """Build an exemption from its row."""
    return Exemption(
        id=f"x{row['number']}",
        scope=from_plain(Scope, json.loads(row["scope"])),
        reason=row["reason"],
        author=row["author"],
        created=row["created"],
        until=row["until"],
        policies=tuple(json.loads(row["policies"])),
    )


def to_token(row: RowMapping) -> Token:
    """Build a token from its row, without its hash."""
    return Token(
        id=f"t{row['number']}",
        name=row["name"],
        role=Role(row["role"]),
        created=row["created"],
        until=row["until"],
        host=row["host"],
    )

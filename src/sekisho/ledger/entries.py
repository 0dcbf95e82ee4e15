"""What may become of a restriction: each function is one decision inside an open write transaction.

Every decision takes a new revision, changes the entry and writes the journal, or does nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from sekisho.ledger.diary import Line, next_revision, write
from sekisho.ledger.rows import dump, restriction_id, restriction_number, restriction_row, to_restriction
from sekisho.ledger.schema import restriction as table
from sekisho.model.errors import Conflict, NotFound
from sekisho.model.restriction import Restriction, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection


@dataclass(frozen=True, slots=True)
class Ending:
    """Why something ends or changes: who says so, why, when, and the journal's verb for it."""

    verb: str
    author: str
    reason: str
    now: float


def find(connection: Connection, name: str) -> Restriction:
    """Read one entry; raises NotFound."""
    row = (
        connection.execute(select(table).where(table.c.number == restriction_number(name))).mappings().first()
    )
    if row is None:
        raise NotFound(f"There is no restriction {name!r}.")
    return to_restriction(row)


def find_in(connection: Connection, name: str, state: State, now: float) -> Restriction:
    """Read an entry that must be in a state, and before its end; raises NotFound or Conflict."""
    entry = find(connection, name)
    if entry.state is not state:
        raise Conflict(f"{name} is {entry.state.value}, not {state.value}.")
    if state is State.ACTIVE and entry.until <= now:
        raise Conflict(f"{name} has come to its end.")
    return entry


def impose(connection: Connection, draft: Restriction, now: float, grain: float) -> Restriction:
    """Let a draft become active, or extend the active entry of the same subject and policy."""
    standing = _standing(connection, draft, State.ACTIVE)
    if standing is not None and standing.until <= now:
        end(connection, [standing], State.EXPIRED, Ending("expire", "keeper", "Its time was over.", now))
        standing = None
    if standing is None:
        return _insert(connection, draft, "impose", now)
    if not draft.automatic:
        raise Conflict(
            f"{standing.subject} is bound under {standing.policy} already ({standing.id}): extend that one."
        )
    return _extend_automatically(connection, standing, draft, now, grain)


def propose(connection: Connection, draft: Restriction, now: float) -> Restriction:
    """Write a proposal, unless the same subject and policy has one waiting or is bound already."""
    for state in (State.ACTIVE, State.PROPOSED):
        standing = _standing(connection, draft, state)
        if standing is not None and (state is State.PROPOSED or standing.until > now):
            return standing
    return _insert(connection, draft, "propose", now)


def propose_all(connection: Connection, drafts: Sequence[Restriction], now: float) -> list[Restriction]:
    """Write many proposals under one revision; what stands or waits already is answered as by `propose`."""
    known = _known(connection, {d.policy for d in drafts}, now)
    fresh: dict[tuple[str, str], Restriction] = {}
    for draft in drafts:
        key = (draft.subject, draft.policy)
        if key not in known and key not in fresh:
            fresh[key] = draft
    if fresh:
        revision = next_revision(connection)
        made = [replace(d, revision=revision) for d in fresh.values()]
        written = table.insert().returning(table.c.number, sort_by_parameter_order=True)
        numbers = connection.execute(written, [restriction_row(d) for d in made]).scalars()
        made = [replace(d, id=restriction_id(n)) for d, n in zip(made, numbers, strict=True)]
        endings = [Ending("propose", d.author, d.reason, now) for d in made]
        lines = [_line(e, d, dump(_told(d))) for e, d in zip(endings, made, strict=True)]
        write(connection, lines, revision)
        fresh = dict(zip(fresh, made, strict=True))
    return [
        fresh[d.subject, d.policy]
        if (d.subject, d.policy) in fresh
        else find(connection, restriction_id(known[d.subject, d.policy]))
        for d in drafts
    ]


def _known(connection: Connection, policies: set[str], now: float) -> dict[tuple[str, str], int]:
    """Find the number of what each subject is bound by or proposed for under some policies."""
    binds = (table.c.state == State.ACTIVE.value) & (table.c.until > now)
    stands = binds | (table.c.state == State.PROPOSED.value)
    query = select(table.c.subject, table.c.policy, table.c.number).where(
        stands, table.c.policy.in_(sorted(policies))
    )
    return {(subject, policy): number for subject, policy, number in connection.execute(query)}


def extend(
    connection: Connection, entry: Restriction, until: float, ending: Ending, detail: str = ""
) -> Restriction:
    """Move the end of an active entry."""
    return _change(connection, entry, {"until": until}, ending, detail or dump({"until": until}))


def approve(connection: Connection, entry: Restriction, ending: Ending) -> Restriction:
    """Let a proposal become active from now on, by a person's word."""
    standing = _standing(connection, entry, State.ACTIVE)
    if standing is not None:
        if standing.until > ending.now:
            raise Conflict(f"{entry.subject} is bound under {entry.policy} already ({standing.id}).")
        end(connection, [standing], State.EXPIRED, replace(ending, verb="expire", author="keeper"))
    until = ending.now + entry.duration
    values = {"state": State.ACTIVE.value, "until": until, "automatic": False, "author": ending.author}
    return _change(connection, entry, values, ending, dump({"until": until, "proposed_by": entry.author}))


def end(
    connection: Connection, entries: Sequence[Restriction], state: State, ending: Ending
) -> tuple[Restriction, ...]:
    """End entries under one revision, whatever their number."""
    if not entries:
        return ()
    revision = next_revision(connection)
    numbers = [restriction_number(e.id) for e in entries]
    values = {"state": state.value, "ended": ending.now, "revision": revision}
    for part in _parts(numbers):
        connection.execute(update(table).where(table.c.number.in_(part)).values(values))
    write(connection, [_line(ending, e) for e in entries], revision)
    return tuple(replace(e, state=state, ended=ending.now, revision=revision) for e in entries)


def lift_automatic(connection: Connection, ending: Ending) -> tuple[Restriction, ...]:
    """Lift all that was imposed automatically; what people imposed stays."""
    automatic = (table.c.state == State.ACTIVE.value) & table.c.automatic
    return end(connection, having(connection, automatic), State.LIFTED, ending)


def shift(connection: Connection, entries: Sequence[Restriction], delta: float, ending: Ending) -> None:
    """Move active entries and proposals along with a stepped clock: how old they are stays true too."""
    revision = next_revision(connection)
    active = update(table).where(table.c.state == State.ACTIVE.value)
    moved = {"created": table.c.created + delta, "until": table.c.until + delta, "revision": revision}
    connection.execute(active.values(moved))
    connection.execute(active.where(table.c.in_force > 0).values(in_force=table.c.in_force + delta))
    proposed = update(table).where(table.c.state == State.PROPOSED.value)
    connection.execute(proposed.values(created=table.c.created + delta))
    detail = dump({"seconds": delta})
    write(connection, [_line(ending, e, detail) for e in entries] or [_line(ending, None, detail)], revision)


def having(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[Restriction, ...]:
    """Read entries, oldest change first."""
    order = (table.c.revision, table.c.number)
    rows = connection.execute(select(table).where(*conditions).order_by(*order)).mappings()
    return tuple(map(to_restriction, rows))


def _parts(numbers: list[int], size: int = 5000) -> list[list[int]]:
    # Databases bound how many parameters one statement may have (SQLite: 32,766).
    return [numbers[i : i + size] for i in range(0, len(numbers), size)]


def _standing(connection: Connection, draft: Restriction, state: State) -> Restriction | None:
    if not draft.policy:
        return None
    found = having(
        connection,
        table.c.subject == draft.subject,
        table.c.policy == draft.policy,
        table.c.state == state.value,
    )
    return found[0] if found else None


def _insert(connection: Connection, draft: Restriction, verb: str, now: float) -> Restriction:
    revision = next_revision(connection)
    values = restriction_row(replace(draft, revision=revision))
    number = connection.execute(table.insert().values(values)).inserted_primary_key[0]  # type: ignore[index]
    entry = replace(draft, id=restriction_id(number), revision=revision)
    ending = Ending(verb, draft.author, draft.reason, now)
    write(connection, [_line(ending, entry, dump(_told(entry)))], revision)
    return entry


def _told(entry: Restriction) -> dict[str, Any]:
    return {
        "actions": entry.actions,
        "duration": entry.duration,
        "until": entry.until,
        "policy": entry.policy,
        "offence": entry.offence,
        "evidence": entry.evidence,
    }


def _extend_automatically(
    connection: Connection, standing: Restriction, draft: Restriction, now: float, grain: float
) -> Restriction:
    gained = draft.until - standing.until
    # A warning is a deadline: were it moved while the line stays crossed, the next rung would never come.
    if gained <= 0 or gained < grain or not standing.actions:
        return standing
    ending = Ending("extend", draft.author, draft.reason, now)
    detail = dump({"until": draft.until, "evidence": draft.evidence})
    return extend(connection, standing, draft.until, ending, detail)


def _change(
    connection: Connection, entry: Restriction, values: dict[str, Any], ending: Ending, detail: str
) -> Restriction:
    revision = next_revision(connection)
    number = restriction_number(entry.id)
    connection.execute(update(table).where(table.c.number == number).values(revision=revision, **values))
    write(connection, [_line(ending, entry, detail)], revision)
    return find(connection, entry.id)


def _line(ending: Ending, entry: Restriction | None, detail: str = "") -> Line:
    return Line(
        verb=ending.verb,
        author=ending.author,
        time=ending.now,
        restriction="" if entry is None else entry.id,
        subject="" if entry is None else entry.subject,
        reason=ending.reason,
        detail=detail,
    )

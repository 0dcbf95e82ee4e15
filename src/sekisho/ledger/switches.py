"""The journal of changes on switches, written before anything is sent: a crash leaves nothing unknown."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import exists, func, insert, select, update

from sekisho.ledger import diary
from sekisho.ledger.diary import Line
from sekisho.ledger.rows import dump
from sekisho.ledger.schema import change as table
from sekisho.model.errors import Conflict, NotFound
from sekisho.model.plain import from_plain
from sekisho.model.report import Page
from sekisho.model.switch import OPEN, ChangeState, ChangeView, PlanView, Verb

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from sekisho.ledger.store import Store

# After one of these it is known what the switch is.
_SETTLED: Final = (ChangeState.APPLIED, ChangeState.UNCHANGED, ChangeState.ROLLED_BACK, ChangeState.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class Kept:
    """A change with what only the keeper needs: the digests of what the switch was, and of what it became."""

    change: ChangeView
    before: str = ""
    after: str = ""


class Changes:
    """Changes of switches in a ledger's database; thread-safe. Ids are ``c17``, rollouts' ``o9``.

    Raises SekishoErrors as the ledger does: Conflict where a switch has an open change already.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- writing ----------------------------------------------------------------------------------

    def open(self, drafts: Sequence[ChangeView], now: float) -> tuple[ChangeView, ...]:
        """Write changes that belong together as waiting for their turn; all or none.

        A proposal for one of the switches is closed by it.
        """
        with self._store.writing() as connection:
            _need_free(connection, [d.switch for d in drafts])
            _close_proposals(connection, [d.switch for d in drafts], drafts[0].author, now)
            rollout = _next_rollout(connection)
            made = [_insert(connection, d, ChangeState.WAITING, rollout, now) for d in drafts]
            diary.write(connection, [_line(c, "want", c.author, now) for c in made])
            return tuple(made)

    def propose(self, draft: ChangeView, now: float) -> ChangeView:
        """Lay a change before the operator, in the place of an earlier proposal for the same switch."""
        with self._store.writing() as connection:
            standing = _first(connection, _of(draft.switch) & _in(ChangeState.PROPOSED))
            if standing is not None and standing.plan.fingerprint == draft.plan.fingerprint:
                return standing
            _close_proposals(connection, [draft.switch], draft.author, now)
            made = _insert(connection, draft, ChangeState.PROPOSED, _next_rollout(connection), now)
            diary.write(connection, [_line(made, "propose", made.author, now)])
            return made

    def reject(self, change: str, author: str, reason: str, now: float) -> ChangeView:
        """Put a proposal aside."""
        with self._store.writing() as connection:
            found = _find(connection, change).change
            if found.state is not ChangeState.PROPOSED:
                raise Conflict(f"{change} is no proposal any more: it is {found.state.value}.")
            ended = replace(found, state=ChangeState.REJECTED, ended=now, error=reason)
            _put(connection, change, state=ended.state, ended=now, error=reason)
            diary.write(connection, [_line(ended, "reject", author, now)])
            return ended

    def planned(self, change: str, plan: PlanView) -> None:
        """Write what is going to be done; of what is not told yet nothing is sent."""
        with self._store.writing() as connection:
            _put(connection, change, plan=dump(plan))

    def begun(self, before: Mapping[str, tuple[str, str, str]], now: float) -> None:
        """Write that changes are about to send: for each its checkpoint, its backup and its digest before."""
        with self._store.writing() as connection:
            lines = []
            for change, (checkpoint, backup, digest) in before.items():
                running = {"state": ChangeState.RUNNING, "begun": now}
                _put(
                    connection, change, **running, checkpoint=checkpoint, backup=backup, before_digest=digest
                )
                found = _find(connection, change).change
                lines.append(_line(found, "begin", found.author, now))
            diary.write(connection, lines)

    def verified(self, after: Mapping[str, str]) -> None:
        """Write that changes are as they should be, by digest, and about to be saved."""
        with self._store.writing() as connection:
            for change, digest in after.items():
                _put(connection, change, after_digest=digest)

    def end(self, ends: Mapping[str, tuple[ChangeState, str, str]], now: float) -> None:
        """Write how changes ended: for each its state, its receipt and what went wrong."""
        with self._store.writing() as connection:
            lines = []
            for change, (state, receipt, error) in ends.items():
                _put(connection, change, state=state, ended=now, receipt=receipt, error=error)
                found = _find(connection, change).change
                lines.append(_line(found, state.value, found.author, now))
            diary.write(connection, lines)

    # --- reading ----------------------------------------------------------------------------------

    def change(self, change: str) -> Kept:
        """Find one; raises NotFound."""
        with self._store.reading() as connection:
            return _find(connection, change)

    def rollout(self, rollout: str) -> tuple[ChangeView, ...]:
        """Give all that was asked for together; raises NotFound."""
        with self._store.reading() as connection:
            query = select(table).where(table.c.rollout == _number("o", rollout, "rollout"))
            found = connection.execute(query.order_by(table.c.number)).mappings().all()
        if not found:
            raise NotFound(f"There is no rollout {rollout!r}.")
        return tuple(_kept(row).change for row in found)

    def page(self, switch: str, limit: int, marker: str) -> Page[ChangeView]:
        """List changes, newest first, of one switch or of all."""
        conditions: list[ColumnElement[bool]] = [_of(switch)] if switch else []
        if marker:
            conditions.append(table.c.number < diary.marker_number(marker))
        query = select(table).where(*conditions).order_by(table.c.number.desc())
        size = diary.bounded(limit)
        with self._store.reading() as connection:
            rows = connection.execute(query.limit(size + 1)).mappings().all()
        items = tuple(_kept(row).change for row in rows[:size])
        return Page(items, items[-1].id.removeprefix("c") if len(rows) > size else "")

    def open_now(self) -> tuple[Kept, ...]:
        """Give what is waiting or running, oldest first."""
        with self._store.reading() as connection:
            query = select(table).where(_in(*OPEN)).order_by(table.c.number)
            return tuple(map(_kept, connection.execute(query).mappings()))

    def last_applied(self, switch: str) -> Kept:
        """Find the newest change that is in force on a switch; raises NotFound."""
        with self._store.reading() as connection:
            query = select(table).where(_of(switch) & _in(ChangeState.APPLIED))
            row = connection.execute(query.order_by(table.c.number.desc()).limit(1)).mappings().first()
        if row is None:
            raise NotFound(f"Nothing of ours was ever applied on {switch}.")
        return _kept(row)

    def proposals(self) -> tuple[ChangeView, ...]:
        """Give what waits for a yes, oldest first."""
        with self._store.reading() as connection:
            query = select(table).where(_in(ChangeState.PROPOSED)).order_by(table.c.number)
            return tuple(_kept(row).change for row in connection.execute(query).mappings())

    def doubts(self) -> dict[str, str]:
        """Name the change by switch where nobody knows what it left."""
        later = table.alias()
        settled = exists().where(
            later.c.switch == table.c.switch,
            later.c.number > table.c.number,
            later.c.state.in_([s.value for s in _SETTLED]),
        )
        query = select(table.c.switch, table.c.number).where(_in(ChangeState.IN_DOUBT), ~settled)
        with self._store.reading() as connection:
            return {row.switch: f"c{row.number}" for row in connection.execute(query)}


def _need_free(connection: Connection, switches: Collection[str]) -> None:
    query = select(table).where(table.c.switch.in_(switches) & _in(*OPEN)).limit(1)
    row = connection.execute(query).mappings().first()
    if row is not None:
        standing = _kept(row).change
        raise Conflict(
            f"{standing.switch} is being changed already by {standing.author} ({standing.id}): "
            "wait until that has ended."
        )


def _close_proposals(connection: Connection, switches: Collection[str], author: str, now: float) -> None:
    where = table.c.switch.in_(switches) & _in(ChangeState.PROPOSED)
    ended = {
        "state": ChangeState.REJECTED.value,
        "ended": now,
        "error": f"Another change came from {author}.",
    }
    connection.execute(update(table).where(where).values(**ended))


def _next_rollout(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(table.c.rollout), 0))).scalar_one()) + 1


def _insert(
    connection: Connection, draft: ChangeView, state: ChangeState, rollout: int, now: float
) -> ChangeView:
    values = {
        "rollout": rollout,
        "switch": draft.switch,
        "unit": draft.unit or draft.switch,
        "verb": draft.verb.value,
        "state": state.value,
        "author": draft.author,
        "reason": draft.reason,
        "created": now,
        "plan": dump(draft.plan),
    }
    number = connection.execute(insert(table).values(**values).returning(table.c.number)).scalar_one()
    return _find(connection, f"c{number}").change


def _put(connection: Connection, change: str, **values: Any) -> None:
    number = _number("c", change, "change")
    plain = {k: v.value if isinstance(v, ChangeState) else v for k, v in values.items()}
    connection.execute(update(table).where(table.c.number == number).values(**plain))


def _first(connection: Connection, where: ColumnElement[bool]) -> ChangeView | None:
    row = connection.execute(select(table).where(where).limit(1)).mappings().first()
    return None if row is None else _kept(row).change


def _find(connection: Connection, change: str) -> Kept:
    where = table.c.number == _number("c", change, "change")
    row = connection.execute(select(table).where(where)).mappings().first()
    if row is None:
        raise NotFound(f"There is no change {change!r}.")
    return _kept(row)


def _of(switch: str) -> ColumnElement[bool]:
    return table.c.switch == switch


def _in(*states: ChangeState) -> ColumnElement[bool]:
    return table.c.state.in_([s.value for s in states])


def _number(letter: str, name: str, what: str) -> int:
    digits = name[1:]
    if name[:1] == letter and digits.isascii() and digits.isdecimal() and len(digits) < 18:
        return int(digits)
    raise NotFound(f"There is no {what} {name!r}.")


def _kept(row: RowMapping) -> Kept:
    same = ("switch", "unit", "author", "reason", "created", "begun", "ended")
    later = ("checkpoint", "backup", "receipt", "error")
    change = ChangeView(
        id=f"c{row['number']}",
        rollout=f"o{row['rollout']}",
        verb=Verb(row["verb"]),
        state=ChangeState(row["state"]),
        plan=from_plain(PlanView, json.loads(row["plan"])),
        **{name: row[name] for name in (*same, *later)},
    )
    return Kept(change, row["before_digest"], row["after_digest"])


def _line(change: ChangeView, what: str, author: str, now: float) -> Line:
    told = {"change": change.id, "rollout": change.rollout, "switch": change.switch, "what": what}
    more = {"plan": change.plan.fingerprint, "checkpoint": change.checkpoint, "error": change.error}
    detail = json.dumps(told | {k: v for k, v in more.items() if v})
    return Line(f"switch-{change.verb.value}", author, now, reason=change.reason, detail=detail)

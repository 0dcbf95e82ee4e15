"""Letters to people, kept until they are sent: written in the transaction that says what they tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, insert, select, update

from sekisho.ledger import diary, memory
from sekisho.ledger.rows import restriction_number, to_journal_entry, to_restriction
from sekisho.ledger.schema import journal
from sekisho.ledger.schema import letter as table
from sekisho.ledger.schema import restriction as restrictions
from sekisho.model.errors import Conflict, NotFound
from sekisho.model.notice import Letter, LetterState
from sekisho.model.report import Page

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from sekisho.ledger.store import Store
    from sekisho.model.restriction import JournalEntry, Restriction

_PREFIX: Final = "n"
# Databases bound how many parameters one statement may have.
_PART: Final = 1000


class Letters:
    """Letters in a ledger's database; thread-safe. Ids are ``n17``. Raises as the ledger does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def lines_after(self, line: int, limit: int) -> tuple[JournalEntry, ...]:
        """Read the journal's lines after one, oldest first."""
        query = select(journal).where(journal.c.id > line).order_by(journal.c.id).limit(limit)
        with self._store.reading() as connection:
            return tuple(map(to_journal_entry, connection.execute(query).mappings()))

    def entries(self, ids: Collection[str]) -> dict[str, Restriction]:
        """Read entries by their ids; what is not there is left out."""
        numbers = sorted({restriction_number(i) for i in ids})
        found: dict[str, Restriction] = {}
        with self._store.reading() as connection:
            for start in range(0, len(numbers), _PART):
                part = restrictions.c.number.in_(numbers[start : start + _PART])
                rows = connection.execute(select(restrictions).where(part)).mappings()
                found |= {r.id: r for r in map(to_restriction, rows)}
        return found

    def last_line(self) -> int:
        """Tell the journal's last line; 0 while there is none."""
        with self._store.reading() as connection:
            return connection.execute(select(func.max(journal.c.id))).scalar() or 0

    def recall(self, name: str) -> str:
        """Read what `post` was told to remember; empty if nothing was."""
        with self._store.reading() as connection:
            return memory.get(connection, f"notices.{name}")

    def post(self, letters: Sequence[Letter], remember: Mapping[str, str]) -> None:
        """Write letters and how far the telling has come, all or nothing: nothing is told twice or never."""
        with self._store.writing() as connection:
            if letters:
                connection.execute(insert(table), [_row(each) for each in letters])
            for name, value in remember.items():
                memory.put(connection, f"notices.{name}", value)

    def due(self, channel: str, now: float, limit: int = 100) -> tuple[Letter, ...]:
        """Read what a channel should send now, oldest first."""
        mine = (
            (table.c.state == LetterState.WAITING.value) & (table.c.channel == channel) & (table.c.due <= now)
        )
        query = select(table).where(mine).order_by(table.c.number).limit(limit)
        with self._store.reading() as connection:
            return tuple(map(_letter, connection.execute(query).mappings()))

    def sent(self, letter: str, now: float) -> None:
        """Write that a letter was taken."""
        self._put(letter, state=LetterState.SENT.value, ended=now, problem="", attempts=table.c.attempts + 1)

    def put_off(self, letter: str, due: float, problem: str) -> None:
        """Write that a try failed and when the next one is."""
        self._put(letter, due=due, problem=problem, attempts=table.c.attempts + 1)

    def give_up(self, letter: str, now: float, problem: str) -> None:
        """Put a letter among the dead ones."""
        dead = LetterState.DEAD.value
        self._put(letter, state=dead, ended=now, problem=problem, attempts=table.c.attempts + 1)

    def retry(self, letter: str, author: str, now: float) -> Letter:
        """Let a dead letter be tried again from the beginning; raises NotFound, Conflict for another."""
        with self._store.writing() as connection:
            found = _find(connection, letter)
            if found.state is not LetterState.DEAD:
                raise Conflict(f"{letter} is {found.state.value}, not dead.")
            values = {"state": LetterState.WAITING.value, "due": now, "attempts": 0, "ended": 0.0}
            connection.execute(update(table).where(_is(letter)).values(values))
            diary.write(connection, [diary.Line("retry-notice", author, now, reason=letter)])
            return _find(connection, letter)

    def page(self, states: Collection[LetterState], channel: str, limit: int, marker: str) -> Page[Letter]:
        """List letters, newest first; empty arguments mean all."""
        conditions: list[ColumnElement[bool]] = []
        if states:
            conditions.append(table.c.state.in_([s.value for s in states]))
        if channel:
            conditions.append(table.c.channel == channel)
        if marker:
            conditions.append(table.c.number < diary.marker_number(marker))
        length = diary.bounded(limit)
        query = select(table).where(*conditions).order_by(table.c.number.desc()).limit(length + 1)
        with self._store.reading() as connection:
            rows = connection.execute(query).mappings().all()
        items = tuple(map(_letter, rows[:length]))
        return Page(items, items[-1].id.removeprefix(_PREFIX) if len(rows) > length else "")

    def counts(self) -> dict[tuple[str, LetterState], int]:
        """Count letters by channel and state."""
        query = select(table.c.channel, table.c.state, func.count()).group_by(table.c.channel, table.c.state)
        with self._store.reading() as connection:
            return {(channel, LetterState(state)): n for channel, state, n in connection.execute(query)}

    def forget(self, before: float) -> int:
        """Forget letters that ended before then; how many. Costs no write while there is none."""
        old = (table.c.state != LetterState.WAITING.value) & (table.c.ended < before)
        with self._store.reading() as connection:
            if connection.execute(select(table.c.number).where(old).limit(1)).first() is None:
                return 0
        with self._store.writing() as connection:
            return connection.execute(delete(table).where(old)).rowcount

    def _put(self, letter: str, **values: object) -> None:
        with self._store.writing() as connection:
            connection.execute(update(table).where(_is(letter)).values(**values))


def shift(connection: Connection, delta: float) -> None:
    """Move what waits along with a stepped clock."""
    waiting = table.c.state == LetterState.WAITING.value
    connection.execute(update(table).where(waiting).values(due=table.c.due + delta))


def _is(letter: str) -> ColumnElement[bool]:
    digits = letter.removeprefix(_PREFIX)
    if not letter.startswith(_PREFIX) or not (digits.isascii() and digits.isdecimal() and len(digits) < 18):
        raise NotFound(f"There is no letter {letter!r}.")
    return table.c.number == int(digits)


def _find(connection: Connection, letter: str) -> Letter:
    row = connection.execute(select(table).where(_is(letter))).mappings().first()
    if row is None:
        raise NotFound(f"There is no letter {letter!r}.")
    return _letter(row)


def _row(letter: Letter) -> dict[str, object]:
    return {
        "channel": letter.channel,
        "recipient": letter.to,
        "title": letter.title,
        "body": letter.text,
        "payload": letter.payload,
        "state": letter.state.value,
        "problem": letter.problem,
        "notices": letter.notices,
        "attempts": letter.attempts,
        "created": letter.created,
        "due": letter.due,
        "ended": letter.ended,
    }


def _letter(row: RowMapping) -> Letter:
    return Letter(
        id=f"{_PREFIX}{row['number']}",
        channel=row["channel"],
        title=row["title"],
        text=row["body"],
        payload=row["payload"],
        notices=row["notices"],
        created=row["created"],
        due=row["due"],
        state=LetterState(row["state"]),
        to=row["recipient"],
        attempts=row["attempts"],
        problem=row["problem"],
        ended=row["ended"],
    )

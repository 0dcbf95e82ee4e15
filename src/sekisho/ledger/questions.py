"""What is asked of the entries: each function is one question inside an open transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from sekisho.ledger import diary
from sekisho.ledger.entries import having
from sekisho.ledger.rows import restriction_number, to_restriction
from sekisho.ledger.schema import restriction as table
from sekisho.model.report import Page
from sekisho.model.restriction import Imposed, Restriction, State

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection


def page(  # noqa: PLR0913 - each is a part of the question
    connection: Connection,
    subject: str,
    policy: str,
    states: Collection[State],
    limit: int,
    marker: str,
    *,
    project: str = "",
    since: int = 0,
    before: str = "",
) -> Page[Restriction]:
    """Read entries, newest first; empty arguments mean all.

    Only what changed after the revision `since`, only what is older than the entry `before`.
    """
    conditions: list[ColumnElement[bool]] = []
    if subject:
        conditions.append(table.c.subject == subject)
    if policy:
        conditions.append(table.c.policy == policy)
    if project:
        conditions.append(table.c.project == project)
    if states:
        conditions.append(_in(*states))
    if since:
        conditions.append(table.c.revision > since)
    if before:
        conditions.append(table.c.number < restriction_number(before))
    if marker:
        conditions.append(table.c.number < diary.marker_number(marker))
    length = diary.bounded(limit)
    query = select(table).where(*conditions).order_by(table.c.number.desc()).limit(length + 1)
    rows = connection.execute(query).mappings().all()
    items = tuple(map(to_restriction, rows[:length]))
    return Page(items, str(restriction_number(items[-1].id)) if len(rows) > length else "")


def of(connection: Connection, subjects: Collection[str] | None, *states: State) -> tuple[Restriction, ...]:
    """Read the entries of some subjects, or of all, in some states."""
    if subjects is None:
        return having(connection, _in(*states))
    if len(subjects) <= diary.LIMIT:
        return having(connection, _in(*states), table.c.subject.in_(list(subjects)))
    wanted = set(subjects)  # databases bound how many names one statement may have
    return tuple(e for e in having(connection, _in(*states)) if e.subject in wanted)


def binding(connection: Connection, host: str, subjects: Collection[str]) -> tuple[Restriction, ...]:
    """Read the active entries of some subjects and of whoever was on the host when it was bound."""
    there = having(connection, _in(State.ACTIVE), table.c.host == host)
    known = {e.id for e in there}
    return (*there, *(e for e in of(connection, subjects, State.ACTIVE) if e.id not in known))


def released_since(connection: Connection, since: float) -> tuple[Restriction, ...]:
    """Read what was lifted or rejected since."""
    return having(connection, _in(State.LIFTED, State.REJECTED), table.c.ended >= since)


def counts(connection: Connection) -> dict[State, int]:
    """Count entries by state."""
    query = select(table.c.state, func.count()).group_by(table.c.state)
    return {State(state): count for state, count in connection.execute(query)}


def offences(connection: Connection, subject: str, policy: str, since: float) -> int:
    """Count entries that bind now or ended by themselves since; what a person lifted is forgiven."""
    mine = (table.c.subject == subject) & (table.c.policy == policy)
    query = select(func.count()).select_from(table).where(mine, _counts(since))
    return connection.execute(query).scalar_one()


def offence_counts(connection: Connection, policy: str, since: float) -> dict[str, int]:
    """Count the same for every subject that has any."""
    query = select(table.c.subject, func.count()).where(table.c.policy == policy, _counts(since))
    return dict(tuple(row) for row in connection.execute(query.group_by(table.c.subject)))


def _counts(since: float) -> ColumnElement[bool]:
    ended_by_itself = (table.c.state == State.EXPIRED.value) & (table.c.ended >= since)
    return (table.c.state == State.ACTIVE.value) | ended_by_itself


def releases(connection: Connection, subject: str, policy: str, since: float) -> tuple[float, ...]:
    """Read when a subject's entries of a policy were ended early by their owner."""
    ended_early = (table.c.state == State.EXPIRED.value) & (table.c.ended < table.c.until)
    mine = (table.c.subject == subject) & (table.c.policy == policy) & (table.c.ended >= since)
    return tuple(connection.execute(select(table.c.ended).where(mine, ended_early)).scalars())


def imposed_since(connection: Connection, since: float) -> Imposed:
    """Count what was imposed automatically since and binds; what was only proposed does not."""
    told = ~_in(State.PROPOSED, State.REJECTED)
    mine = (table.c.created >= since) & table.c.automatic & table.c.binds & told
    query = select(table.c.project, table.c.host, func.count()).where(mine)
    projects: dict[str, int] = {}
    hosts: dict[str, int] = {}
    for project, host, count in connection.execute(query.group_by(table.c.project, table.c.host)):
        projects[project] = projects.get(project, 0) + count
        hosts[host] = hosts.get(host, 0) + count
    return Imposed(sum(hosts.values()), projects, hosts)


def _in(*states: State) -> ColumnElement[bool]:
    return table.c.state.in_([s.value for s in states])

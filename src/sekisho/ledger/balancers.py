"""Load balancers as they are wanted and how each object stands: written before any device is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import delete, insert, select

from sekisho.ledger import diary, memory, schema
from sekisho.ledger.diary import Line
from sekisho.ledger.rows import dump
from sekisho.model.balancer import Balancer, Kind, Operating, Provisioning, Statistics
from sekisho.model.plain import from_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sqlalchemy import Connection, RowMapping, Table

    from sekisho.ledger.store import Store

# So many ids fit into one statement of any database.
_CHUNK: Final = 500
_TOLD: Final = "balancers.told"


@dataclass(frozen=True, slots=True)
class Kept:
    """A balancer as it is wanted, and the pair that carries it.

    `revision` is the ledger's when it last changed; `gone` that it shall be carried no more.
    """

    balancer: Balancer
    pair: str
    revision: int = 0
    changed: float = 0.0
    in_force: float = 0.0
    problem: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How one object stands. `own` says that a change of its own is not carried yet.

    `gone` says that it shall be away. `revision` is the ledger's when something was last to be told of
    it, `settled` when its provisioning was.
    """

    kind: Kind
    id: str
    balancer: str
    provisioning: Provisioning
    operating: Operating = Operating.OFFLINE
    own: bool = False
    gone: bool = False
    revision: int = 0
    settled: int = 0


@dataclass(frozen=True, slots=True)
class Deed:
    """What is written together. `removed` are ids of balancers that no device carries any more."""

    kept: tuple[Kept, ...] = ()
    removed: tuple[str, ...] = ()
    standings: tuple[Standing, ...] = ()
    lines: tuple[tuple[str, str, str, str, Any], ...] = ()  # verb, author, balancer, reason, detail


Key: TypeAlias = tuple[str, str]  # device and listener


@dataclass(frozen=True, slots=True)
class Total:
    """What a device counted of a listener last, and what it had before it began anew."""

    last: Statistics
    base: Statistics


@dataclass(frozen=True, slots=True)
class Found:
    """All that is known when a keeper starts; `told` is the last revision that was acknowledged."""

    kept: tuple[Kept, ...]
    standings: tuple[Standing, ...]
    totals: Mapping[Key, Total] = field(default_factory=dict)
    told: int = 0
    revision: int = 0


class Balancers:
    """Balancers in a ledger's database; thread-safe. Raises SekishoErrors as the ledger does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def load(self) -> Found:
        """Read everything."""
        with self._store.reading() as connection:
            rows = [
                connection.execute(select(table)).mappings().all()
                for table in (schema.balancer, schema.balancer_standing, schema.balancer_total)
            ]
            return Found(
                tuple(map(_to_kept, rows[0])),
                tuple(map(_to_standing, rows[1])),
                dict(map(_to_total, rows[2])),
                int(memory.get(connection, _TOLD) or 0),
                diary.present_revision(connection),
            )

    def write(self, make: Callable[[int], Deed], now: float, *, durable: bool = True) -> Deed:
        """Write what `make` makes of the next revision, journal and all, or nothing.

        What is not `durable` may be lost with the power: a device tells it again.
        """
        with self._store.writing(durable=durable) as connection:
            revision = diary.next_revision(connection)
            deed = make(revision)
            _replace(connection, schema.balancer, [_kept_row(k) for k in deed.kept])
            _remove(connection, schema.balancer, deed.removed)
            _replace(connection, schema.balancer_standing, [_standing_row(s) for s in deed.standings])
            diary.write(connection, [_line(each, now) for each in deed.lines], revision)
            return deed

    def told(self, revision: int, forgotten: Iterable[str]) -> None:
        """Write that all up to a revision has been told, and forget objects that were told to be away."""
        with self._store.writing() as connection:
            memory.put(connection, _TOLD, str(revision))
            _remove(connection, schema.balancer_standing, tuple(forgotten))

    def count(self, totals: Mapping[Key, Total], forgotten: Iterable[str] = ()) -> None:
        """Write what listeners have carried, and forget listeners."""
        table = schema.balancer_total
        with self._store.writing(durable=False) as connection:
            for chunk in _chunks(tuple(forgotten)):
                connection.execute(delete(table).where(table.c.listener.in_(chunk)))
            for (device, listener), total in totals.items():
                where = (table.c.device == device) & (table.c.listener == listener)
                connection.execute(delete(table).where(where))
                values = {"base": dump(total.base), "last": dump(total.last)}
                connection.execute(insert(table).values(device=device, listener=listener, **values))


def _line(told: tuple[str, str, str, str, Any], now: float) -> Line:
    verb, author, balancer, reason, detail = told
    return Line(verb, author, now, subject=balancer, reason=reason, detail=dump(detail))


def _chunks(ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


def _remove(connection: Connection, table: Table, ids: tuple[str, ...]) -> None:
    for chunk in _chunks(ids):
        connection.execute(delete(table).where(table.c.id.in_(chunk)))


def _replace(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        _remove(connection, table, tuple(row["id"] for row in rows))
        connection.execute(insert(table), rows)


def _kept_row(kept: Kept) -> dict[str, Any]:
    same = ("pair", "revision", "changed", "in_force", "problem", "gone")
    return {"id": kept.balancer.id, "body": dump(kept.balancer)} | {n: getattr(kept, n) for n in same}


def _to_kept(row: RowMapping) -> Kept:
    plain = {k: v for k, v in row.items() if k not in ("id", "body")}
    return Kept(from_plain(Balancer, json.loads(row["body"])), **plain)


def _standing_row(standing: Standing) -> dict[str, Any]:
    words = {n: getattr(standing, n).value for n in ("kind", "provisioning", "operating")}
    same = ("id", "balancer", "own", "gone", "revision", "settled")
    return words | {n: getattr(standing, n) for n in same}


def _to_standing(row: RowMapping) -> Standing:
    words = {
        "kind": Kind(row["kind"]),
        "provisioning": Provisioning(row["provisioning"]),
        "operating": Operating(row["operating"]),
    }
    return Standing(**{**row, **words})


def _to_total(row: RowMapping) -> tuple[Key, Total]:
    last, base = (from_plain(Statistics, json.loads(row[name])) for name in ("last", "base"))
    return (row["device"], row["listener"]), Total(last, base)

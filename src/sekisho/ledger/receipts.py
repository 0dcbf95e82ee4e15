"""What hosts say they did: in force since when, and how much was dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import bindparam, insert, select, update

from sekisho.ledger import schema
from sekisho.ledger.diary import Line, write
from sekisho.ledger.entries import find
from sekisho.ledger.rows import dump, restriction_id, restriction_number
from sekisho.model.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from sekisho.model.restriction import Receipt, Restriction

    Given: TypeAlias = Mapping[str, Sequence[Receipt]]  # by host

_LARGEST: Final = 1 << 62
_AT_ONCE: Final = 5000  # databases bound how many names one statement may have
_table = schema.receipt
_entry = schema.restriction
# Number of the restriction, and host.
_Key: TypeAlias = tuple[int, str]
_Row: TypeAlias = dict[str, Any]


def news(connection: Connection, given: Given) -> dict[str, tuple[Receipt, ...]]:
    """Keep the receipts that say something not written yet, in order."""
    known = _known(connection, given)
    kept = {
        host: tuple(r for r in receipts if _says_more(r, known.get((_number(r), host))))
        for host, receipts in given.items()
    }
    return {host: receipts for host, receipts in kept.items() if receipts}


def of_host(
    connection: Connection, host: str, receipts: Sequence[Receipt], carried: Collection[str]
) -> tuple[Receipt, ...]:
    """Keep the receipts of what the host carries, or carried: it was bound there, or told of there before.

    After a subject has moved on, the last receipts of the host that it left still count.
    """
    known = _known(connection, {host: receipts})
    return tuple(
        r for r in receipts if (_number(r), host) in known or _is_there(connection, host, r, carried)
    )


def _is_there(connection: Connection, host: str, receipt: Receipt, carried: Collection[str]) -> bool:
    try:
        entry = find(connection, receipt.restriction)
    except NotFound:
        return False
    return entry.host == host or entry.subject in carried


def take(connection: Connection, given: Given, now: float) -> tuple[Restriction, ...]:
    """Write receipts; give back the entries that came into force with them, ready to be announced."""
    taken = _Taken(_known(connection, given), _entries(connection, given))
    for host, receipts in given.items():
        for receipt in receipts:
            taken.add(host, receipt, now)
    taken.write(connection)
    return tuple(find(connection, restriction_id(number)) for number in taken.begun)


@dataclass(slots=True)
class _Taken:
    """What receipts change, gathered before it is written: a statement each would cost more than all else."""

    known: dict[_Key, _Row]
    entries: dict[int, _Row]
    changed: set[int] = field(default_factory=set)
    added: dict[_Key, _Row] = field(default_factory=dict)
    moved: dict[_Key, _Row] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)

    def add(self, host: str, receipt: Receipt, now: float) -> None:
        """Take one; a host may still carry what an older ledger told it, which is passed over."""
        number = _number(receipt)
        entry = self.entries.get(number)
        if entry is None:
            return
        before = self.known.get((number, host))
        for name, total in (("packets", receipt.dropped_packets), ("bytes", receipt.dropped_bytes)):
            column = f"dropped_{name}"
            entry[column] = _sane(entry[column] + _gained(before, name, total))
        if receipt.in_force and not entry["in_force"]:
            # The host's clock is believed only where it fits between the decision and this receipt.
            entry["in_force"] = receipt.time if entry["created"] <= receipt.time <= now else now
            self.begun.append(number)
        self.changed.add(number)
        if _is_worth_a_line(receipt, before):
            self.lines.append(_line(host, receipt, entry["subject"], now))
        self._keep((number, host), _values(receipt))

    def _keep(self, key: _Key, values: _Row) -> None:
        written = self.moved if key in self.known and key not in self.added else self.added
        written[key] = self.known[key] = values

    def write(self, connection: Connection) -> None:
        """Write entries, receipts and journal."""
        if self.changed:
            rows = [{f"new_{k}": v for k, v in self.entries[n].items()} for n in sorted(self.changed)]
            connection.execute(_COUNT, rows)
        if self.added:
            rows = [{"restriction": n, "host": h, **row} for (n, h), row in self.added.items()]
            connection.execute(insert(_table), rows)
        if self.moved:
            told = [
                {"new_restriction": n, "new_host": h, **{f"new_{k}": v for k, v in row.items()}}
                for (n, h), row in self.moved.items()
            ]
            connection.execute(_MOVE, told)
        write(connection, self.lines)


_COUNT: Final = (
    update(_entry)
    .where(_entry.c.number == bindparam("new_number"))
    .values({name: bindparam(f"new_{name}") for name in ("in_force", "dropped_packets", "dropped_bytes")})
)
_MOVE: Final = (
    update(_table)
    .where(_table.c.restriction == bindparam("new_restriction"), _table.c.host == bindparam("new_host"))
    .values({name: bindparam(f"new_{name}") for name in ("in_force", "time", "packets", "bytes", "problem")})
)


def _number(receipt: Receipt) -> int:
    try:
        return restriction_number(receipt.restriction)
    except NotFound:
        return 0


def _known(connection: Connection, given: Given) -> dict[_Key, _Row]:
    """Read what these hosts said before of these restrictions."""
    found: dict[_Key, _Row] = {}
    for numbers in _parts(given):
        query = select(_table).where(_table.c.restriction.in_(numbers), _table.c.host.in_(list(given)))
        for row in connection.execute(query).mappings():
            found[row["restriction"], row["host"]] = dict(row)
    return found


def _entries(connection: Connection, given: Given) -> dict[int, _Row]:
    """Read what receipts change of their entries, and what that depends on."""
    c = _entry.c
    query = select(c.number, c.subject, c.created, c.in_force, c.dropped_packets, c.dropped_bytes)
    return {
        row["number"]: dict(row)
        for numbers in _parts(given)
        for row in connection.execute(query.where(c.number.in_(numbers))).mappings()
    }


def _parts(given: Given) -> Iterator[list[int]]:
    numbers = sorted({_number(r) for receipts in given.values() for r in receipts})
    return (numbers[i : i + _AT_ONCE] for i in range(0, len(numbers), _AT_ONCE))


def _says_more(receipt: Receipt, before: _Row | None) -> bool:
    return before is None or any(before[k] != v for k, v in _values(receipt).items() if k != "time")


def _values(receipt: Receipt) -> _Row:
    return {
        "in_force": receipt.in_force,
        "time": receipt.time,
        "packets": _sane(receipt.dropped_packets),
        "bytes": _sane(receipt.dropped_bytes),
        "problem": receipt.problem,
    }


def _gained(before: _Row | None, name: str, total: int) -> int:
    """Count on from the host's last total; a smaller one means its rules were laid anew."""
    last, total = 0 if before is None else int(before[name]), _sane(total)
    return total - last if total >= last else total


def _sane(total: int) -> int:
    """Keep a total within what a database counts to: beyond it becomes a fraction, which nobody can read."""
    return max(0, min(total, _LARGEST))


def _is_worth_a_line(receipt: Receipt, before: _Row | None) -> bool:
    first = receipt.in_force and (before is None or not before["in_force"])
    trouble = bool(receipt.problem) and (before is None or before["problem"] != receipt.problem)
    return first or trouble


def _line(host: str, receipt: Receipt, subject: str, now: float) -> Line:
    """Write a line under the entry's own subject, whatever the receipt calls it."""
    said = receipt.problem or f"In force on {host}."
    return Line("receipt", host, now, receipt.restriction, subject, said, dump(receipt))

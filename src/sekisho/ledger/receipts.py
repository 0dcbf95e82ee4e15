"""What hosts say they did: in force since when, and how much was dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update

from sekisho.ledger import schema
from sekisho.ledger.diary import Line, write
from sekisho.ledger.entries import find
from sekisho.ledger.rows import dump, restriction_number
from sekisho.model.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, RowMapping

    from sekisho.model.restriction import Receipt, Restriction

_LARGEST: Final = 1 << 62
_table = schema.receipt
_entry = schema.restriction


def news(connection: Connection, host: str, receipts: Sequence[Receipt]) -> tuple[Receipt, ...]:
    """Keep the receipts that say something not written yet, in order."""
    known = _known(connection, host)
    return tuple(r for r in receipts if _says_more(r, known.get(_number(r))))


def of_host(
    connection: Connection, host: str, receipts: Sequence[Receipt], carried: Collection[str]
) -> tuple[Receipt, ...]:
    """Keep the receipts of what the host carries, or carried: it was bound there, or told of there before.

    After a subject has moved on, the last receipts of the host that it left still count.
    """
    known = _known(connection, host)
    return tuple(r for r in receipts if _number(r) in known or _is_there(connection, host, r, carried))


def _is_there(connection: Connection, host: str, receipt: Receipt, carried: Collection[str]) -> bool:
    try:
        entry = find(connection, receipt.restriction)
    except NotFound:
        return False
    return entry.host == host or entry.subject in carried


def take(
    connection: Connection, host: str, receipts: Sequence[Receipt], now: float
) -> tuple[Restriction, ...]:
    """Write receipts; give back the entries that came into force with them, ready to be announced."""
    known = _known(connection, host)
    lines: list[Line] = []
    begun: list[str] = []
    for receipt in receipts:
        try:
            entry = find(connection, receipt.restriction)
        except NotFound:  # a host may still carry what an older ledger told it
            continue
        before = known.get(_number(receipt))
        begins = receipt.in_force and not entry.in_force
        _count(connection, entry, receipt, before, now, begins=begins)
        known[_number(receipt)] = _keep(connection, host, receipt, before)
        if _is_worth_a_line(receipt, before):
            lines.append(_line(host, receipt, entry.subject, now))
        if begins:
            begun.append(entry.id)
    write(connection, lines)
    return tuple(find(connection, name) for name in begun)


def _number(receipt: Receipt) -> int:
    try:
        return restriction_number(receipt.restriction)
    except NotFound:
        return 0


def _known(connection: Connection, host: str) -> dict[int, RowMapping | dict[str, Any]]:
    rows = connection.execute(select(_table).where(_table.c.host == host)).mappings()
    return {row["restriction"]: row for row in rows}


def _says_more(receipt: Receipt, before: RowMapping | dict[str, Any] | None) -> bool:
    return before is None or any(before[k] != v for k, v in _values(receipt).items() if k != "time")


def _values(receipt: Receipt) -> dict[str, Any]:
    return {
        "in_force": receipt.in_force,
        "time": receipt.time,
        "packets": _sane(receipt.dropped_packets),
        "bytes": _sane(receipt.dropped_bytes),
        "problem": receipt.problem,
    }


def _keep(
    connection: Connection, host: str, receipt: Receipt, before: RowMapping | dict[str, Any] | None
) -> dict[str, Any]:
    values, number = _values(receipt), _number(receipt)
    if before is None:
        connection.execute(insert(_table).values(restriction=number, host=host, **values))
    else:
        mine = (_table.c.restriction == number) & (_table.c.host == host)
        connection.execute(update(_table).where(mine).values(values))
    return {"restriction": number, "host": host, **values}


def _count(
    connection: Connection,
    entry: Restriction,
    receipt: Receipt,
    before: RowMapping | dict[str, Any] | None,
    now: float,
    *,
    begins: bool,
) -> None:
    values: dict[str, Any] = {
        "dropped_packets": _sane(entry.dropped_packets + _gained(before, "packets", receipt.dropped_packets)),
        "dropped_bytes": _sane(entry.dropped_bytes + _gained(before, "bytes", receipt.dropped_bytes)),
    }
    if begins:
        # The host's clock is believed only where it fits between the decision and this receipt.
        values["in_force"] = receipt.time if entry.created <= receipt.time <= now else now
    connection.execute(update(_entry).where(_entry.c.number == _number(receipt)).values(values))


def _gained(before: RowMapping | dict[str, Any] | None, name: str, total: int) -> int:
    """Count on from the host's last total; a smaller one means its rules were laid anew."""
    last, total = 0 if before is None else int(before[name]), _sane(total)
    return total - last if total >= last else total


def _sane(total: int) -> int:
    """Keep a total within what a database counts to: beyond it becomes a fraction, which nobody can read."""
    return max(0, min(total, _LARGEST))


def _is_worth_a_line(receipt: Receipt, before: RowMapping | dict[str, Any] | None) -> bool:
    first = receipt.in_force and (before is None or not before["in_force"])
    trouble = bool(receipt.problem) and (before is None or before["problem"] != receipt.problem)
    return first or trouble


def _line(host: str, receipt: Receipt, subject: str, now: float) -> Line:
    """Write a line under the entry's own subject, whatever the receipt calls it."""
    said = receipt.problem or f"In force on {host}."
    return Line("receipt", host, now, receipt.restriction, subject, said, dump(receipt))

"""Any span in, SQL of its sums out: whole hours and minutes from the rollups, the ends from raw rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.archive import shapes
from sekisho.archive.store import ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sekisho.archive.store import Store

MINUTE: Final = 60
HOUR: Final = 3600
# From here on a span is asked of the hours.
LONG: Final = 3 * 86400
# An end of more raw rows than this is asked of the whole minute.
MOST_RAW: Final = 20_000_000
# Tables from coarse to fine, and the seconds of their steps; raw rows have none.
_LEVELS: Final = ((shapes.HOURS, HOUR), (shapes.MINUTES, MINUTE), (shapes.FLOWS, 0))
_ENDLESS: Final = 1e18


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a span, and the table that tells it."""

    table: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Cover:
    """What a span is put together from; it is wider than asked for where only whole steps are known."""

    pieces: tuple[Piece, ...]

    @property
    def since(self) -> float:
        """When it begins."""
        return self.pieces[0].since

    @property
    def until(self) -> float:
        """When it ends."""
        return self.pieces[-1].until

    def sums(self, groups: Sequence[str], *, subject: bool = False) -> str:
        """Give SQL: a row for each group, or more, of `groups` and egress and ingress octets and packets.

        Groups are of subject, protocol and port; the columns of sums are eb, ib, ep, ip. With `subject` only
        what is of {subject:UInt64}.
        """
        return " UNION ALL ".join(part for piece in self.pieces for part in _parts(piece, groups, subject))


def cover(store: Store, since: float, until: float) -> Cover:
    """Find out what tells a span exactly, or as exactly as what is still kept."""
    levels = _LEVELS if until - since >= LONG else _LEVELS[1:]
    found = ask(
        store,
        f"SELECT {', '.join(f'({_oldest(table)})' for table, _ in levels)}, "
        f"({_count(since, math.ceil(since / MINUTE) * MINUTE)}), "
        f"({_count(until // MINUTE * MINUTE, until)})",
    ).rows[0]
    oldest = {table: float(time) for (table, _), time in zip(levels, found, strict=False)}
    if max(map(int, found[-2:])) > MOST_RAW:
        oldest[shapes.FLOWS] = _ENDLESS
    return Cover(tuple(_pieces(levels, since, until, oldest)))


def _oldest(table: str) -> str:
    return f"SELECT if(count() = 0, {_ENDLESS}, toFloat64(min(time))) FROM {table}"


def _count(since: float, until: float) -> str:
    return f"SELECT count() FROM {shapes.FLOWS} WHERE {_when_raw(since, until)}"


def _pieces(
    levels: Sequence[tuple[str, int]], since: float, until: float, oldest: Mapping[str, float]
) -> Iterator[Piece]:
    """Put a span together from a level's whole steps, and what is beside them from finer levels."""
    (table, step), finer = levels[0], levels[1:]
    if not step:
        yield Piece(table, since, until)
        return
    # Finer rows go before coarser ones; where both begin together none have gone yet.
    reach = oldest[finer[0][0]]
    if reach // step * step <= oldest[table]:
        reach = 0.0
    first, last = math.ceil(since / step) * step, until // step * step
    if first > last and since >= reach:
        yield from _pieces(finer, since, until, oldest)
        return
    before, after = since < first and since >= reach, last < until and last >= reach
    if before:
        yield from _pieces(finer, since, first, oldest)
    begin = first if before else since // step * step
    end = last if after else math.ceil(until / step) * step
    if begin < end:
        yield Piece(table, float(begin), float(end))
    if after:
        yield from _pieces(finer, last, until, oldest)


def _parts(piece: Piece, groups: Sequence[str], subject: bool) -> Iterator[str]:  # noqa: FBT001 - as in sums
    by = f" GROUP BY {', '.join(groups)}" if groups else ""
    if piece.table == shapes.FLOWS:
        for side, own, other in (("sender", "e", "i"), ("receiver", "i", "e")):
            told = {"subject": f"{side} AS subject", "port": f"{shapes.PORT} AS port"}
            named = "".join(f"{told.get(group, group)}, " for group in groups)
            sums = {f"{own}b": "sum(bytes)", f"{own}p": "sum(packets)", f"{other}b": "0.", f"{other}p": "0."}
            listed = ", ".join(f"{sums[name]} AS {name}" for name in ("eb", "ib", "ep", "ip"))
            whose = f"{side} = {{subject:UInt64}}" if subject else f"{side} != 0"
            when = _when_raw(piece.since, piece.until)
            yield f"SELECT {named}{listed} FROM {shapes.FLOWS} WHERE {when} AND {whose} AND NOT exact{by}"
        return
    named = "".join(f"{group}, " for group in groups)
    whose = "subject = {subject:UInt64} AND " if subject else ""
    yield f"SELECT {named}{_SUMS} FROM {piece.table} WHERE {whose}{_when(piece)}{by}"


_SUMS: Final = ", ".join(
    f"sumIf({column}, direction = '{side}') AS {side[0]}{column[0]}"
    for column in ("bytes", "packets")
    for side in ("egress", "ingress")
)


def _when(piece: Piece) -> str:
    return f"time >= toDateTime({int(piece.since)}, 'UTC') AND time < toDateTime({int(piece.until)}, 'UTC')"


def _when_raw(since: float, until: float) -> str:
    first, last = (
        f"fromUnixTimestamp64Micro({round(edge * shapes.MICROSECONDS)}, 'UTC')" for edge in (since, until)
    )
    return f"time >= {first} AND time < {last}"

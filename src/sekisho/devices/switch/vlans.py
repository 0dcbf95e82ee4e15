"""Sets of VLAN ids as text, ``1-10,20``: compared and joined as sets, never as the text they were written in.

A set is held as its canonical text (ascending, ranges joined, "" for none): small, readable in a plan, and
equal when the sets are. Inside an operation it is a bit mask. IEEE 802.1Q: ids are 1 to 4094.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LOWEST: Final = 1
HIGHEST: Final = 4094
ALL: Final = "1-4094"
NONE: Final = ""


def parse(text: str) -> str:
    """Read ids as an operator or a switch writes them into canonical text; raises Malformed.

    ``none`` and the empty text are the empty set, ``all`` is 1-4094; blanks do not matter.
    """
    plain = text.strip().lower()
    if plain in ("", "none"):
        return NONE
    if plain == "all":
        return ALL
    found = 0
    for item in plain.split(","):
        first, dash, last = item.strip().partition("-")
        found |= _span(first, last if dash else first, item.strip())
    return _text(found)


def of(ids: Iterable[int]) -> str:
    """Write a number of ids as a set; raises Malformed for one that no VLAN can have."""
    found = 0
    for vlan in ids:
        found |= _span(str(vlan), str(vlan), str(vlan))
    return _text(found)


def ids(text: str) -> Iterator[int]:
    """List a canonical set's ids, ascending."""
    found = _mask(text)
    while found:
        lowest = found & -found
        yield lowest.bit_length() - 1
        found ^= lowest


def count(text: str) -> int:
    """Count a canonical set's ids."""
    return _mask(text).bit_count()


def join(one: str, other: str) -> str:
    """Give what is in either set."""
    return _text(_mask(one) | _mask(other))


def common(one: str, other: str) -> str:
    """Give what is in both sets."""
    return _text(_mask(one) & _mask(other))


def without(one: str, other: str) -> str:
    """Give what is in the first set and not in the other."""
    return _text(_mask(one) & ~_mask(other))


def has(text: str, vlan: int) -> bool:
    """Tell whether a canonical set holds an id."""
    return bool(_mask(text) >> vlan & 1)


def _span(first: str, last: str, shown: str) -> int:
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise Malformed(f'"{shown}" is no VLAN id or range; write for example "10,20-29".')
    low, high = int(first), int(last)
    if not LOWEST <= low <= high <= HIGHEST:
        raise Malformed(f'"{shown}": VLAN ids are 1 to 4094, the lower one first.')
    return (1 << high + 1) - (1 << low)


@lru_cache(4096)
def _mask(text: str) -> int:
    found = 0
    for item in text.split(",") if text else ():
        first, _, last = item.partition("-")
        found |= (1 << int(last or first) + 1) - (1 << int(first))
    return found


@lru_cache(4096)
def _text(mask: int) -> str:
    found = []
    while mask:
        low = (mask & -mask).bit_length() - 1
        length = (~(mask >> low) & (mask >> low) + 1).bit_length() - 1
        found.append(str(low) if length == 1 else f"{low}-{low + length - 1}")
        mask &= -1 << low + length
    return ",".join(found)

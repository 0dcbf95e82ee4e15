"""A template as a dtype: which bytes of a record hold the elements we read.

A record is cut into segments of fixed length; a variable-length field stands between two segments.
An all-fixed template is one segment, so all its records are one structured array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sekisho.flows.wire import elements as ie

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.flows.wire.gather import Octets
    from sekisho.tables import I64

VARIABLE: Final = 0xFFFF
Values: TypeAlias = dict[int, NDArray[Any]]
# How Open vSwitch has begun every flow template since it first exported IPFIX.
_OVS_FIRST: Final = (138, 61, 56, 80, 256, 240)
_NATIVE: Final = {1: "u1", 2: ">u2", 4: ">u4", 8: ">u8"}


class Field(NamedTuple):
    """One field specifier (RFC 7011 3.2): `enterprise` 0 is IANA's, `length` VARIABLE or octets."""

    element: int
    enterprise: int
    length: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of fixed-length fields: its size in octets and the elements read from it."""

    size: int
    elements: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A template, compiled. `minimum` is the shortest record; `scopes` how many fields are scope fields."""

    fields: tuple[Field, ...]
    scopes: int
    segments: tuple[Segment, ...]
    minimum: int

    @property
    def fixed(self) -> bool:
        """Tell whether every record has the same length."""
        return len(self.segments) == 1

    @property
    def is_ovs(self) -> bool:
        """Tell whether this is one of Open vSwitch's flow templates."""
        return not self.scopes and tuple(f.element for f in self.fields[:6]) == _OVS_FIRST

    @property
    def is_ovs_statistics(self) -> bool:
        """Tell whether this is Open vSwitch's report on itself (144 scope, 167), sent in domain 0."""
        return self.scopes == 1 and tuple(f.element for f in self.fields) == (144, 167)

    @property
    def scope_elements(self) -> frozenset[int]:
        """IANA elements among the scope fields."""
        return frozenset(f.element for f in self.fields[: self.scopes] if not f.enterprise)


def compile_layout(fields: tuple[Field, ...], scopes: int = 0) -> Layout:
    """Compile field specifiers; the first of two fields of the same element is the one that is read."""
    segments: list[Segment] = []
    reads: dict[int, tuple[str, int]] = {}
    taken: set[int] = set()
    size = 0
    for field in fields:
        if field.length == VARIABLE:
            segments.append(_segment(size, reads))
            reads, size = {}, 0
            continue
        if not field.enterprise and field.element not in taken and (form := _form(field)):
            reads[field.element] = (form, size + _skipped(field))
            taken.add(field.element)
        size += field.length
    segments.append(_segment(size, reads))
    return Layout(fields, scopes, tuple(segments), sum(s.size for s in segments) + len(segments) - 1)


def _segment(size: int, reads: dict[int, tuple[str, int]]) -> Segment:
    dtype = np.dtype(
        {
            "names": [str(e) for e in reads],
            "formats": [form for form, _ in reads.values()],
            "offsets": [offset for _, offset in reads.values()],
            "itemsize": size,
        }
    )
    return Segment(size, tuple(reads), dtype)


def _form(field: Field) -> str:
    """Say how the field's octets are read; empty for what we do not read at all."""
    if field.element not in ie.WANTED or not field.length:
        return ""
    if field.element in ie.ADDRESS_LENGTH:
        right = field.length == ie.ADDRESS_LENGTH[field.element]
        return {4: ">u4", 16: "(2,)>u8"}[field.length] if right else ""
    if field.element == ie.SAMPLING_PROBABILITY:
        return {4: ">f4", 8: ">f8"}.get(field.length, "")
    # Reduced-size encoding (RFC 7011 6.2) may take any length; a longer one has its value at the end.
    return _NATIVE.get(field.length, f"({field.length},)u1" if field.length < 8 else ">u8")


def _skipped(field: Field) -> int:
    return field.length - 8 if field.length > 8 and field.element not in ie.ADDRESS_LENGTH else 0


def read(layout: Layout, octets: Octets, positions: I64) -> Values:
    """Read all wanted elements of n records; `positions` int64[n, segments] of their first octets.

    Integers come as uint64[n], IPv6 addresses as uint64[n, 2], the sampling probability as float64[n].
    """
    return {
        element: values
        for column, segment in enumerate(layout.segments)
        if segment.elements
        for element, values in _read_segment(segment, octets, positions[:, column])
    }


def _read_segment(segment: Segment, octets: Octets, at: I64) -> Iterator[tuple[int, NDArray[Any]]]:
    rows = octets.take(at, segment.size).view(segment.dtype)[:, 0]
    for element in segment.elements:
        yield element, _canonical(rows[str(element)], element)


def _canonical(raw: NDArray[Any], element: int) -> NDArray[Any]:
    if element == ie.SAMPLING_PROBABILITY:
        return raw.astype(np.float64)
    if raw.dtype == np.uint8 and raw.ndim == 2:
        value = np.zeros(len(raw), np.uint64)
        for column in range(raw.shape[1]):
            value = value << np.uint64(8) | raw[:, column]
        return value
    return raw.astype(np.uint64)

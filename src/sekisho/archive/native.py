"""ClickHouse's Native format: columns in, one block of bytes out, and the other way round.

Source: ClickHouse's documentation of the format: number of columns and rows as LEB128, then of each column
its name, its type and its values as they stand in memory (little-endian); a string is its length and it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from sekisho.tables import F64, I64


Column: TypeAlias = "NDArray[Any] | Sequence[str]"


def block(types: Mapping[str, str], values: Mapping[str, Column]) -> Iterator[Any]:
    """Give the pieces of one block, in order, as buffers; every column is of one length."""
    count = len(values[next(iter(types))])
    yield header(len(types), count)
    for name, kind in types.items():
        yield text(name) + text(kind)
        column = values[name]
        if isinstance(column, np.ndarray):
            yield np.ascontiguousarray(column).view(np.uint8).data if len(column) else b""
        else:
            yield b"".join(map(text, column))


def header(columns: int, rows: int) -> bytes:
    """Give what a block begins with."""
    return _varint(columns) + _varint(rows)


def text(text: str) -> bytes:
    """Write a string."""
    raw = text.encode()
    return _varint(len(raw)) + raw


def microseconds(time: F64) -> I64:
    """Give unix seconds as whole microseconds, rounded down."""
    return np.floor(time * 1e6).astype(np.int64)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# How the values of a type stand in memory.
_DTYPES: Final = {
    "UInt8": "u1",
    "UInt16": "<u2",
    "UInt32": "<u4",
    "UInt64": "<u8",
    "Int8": "i1",
    "Int32": "<i4",
    "Int64": "<i8",
    "Float32": "<f4",
    "Float64": "<f8",
    "Bool": "?",
    "DateTime": "<u4",
    "DateTime64": "<i8",
    "Enum8": "i1",
}


def read(data: bytes) -> dict[str, NDArray[Any]]:
    """Read the blocks of an answer as one array per column, strings as objects.

    DateTime64 stays int64 in its own unit. No blocks, as of an empty answer, are no columns. Raises
    Unavailable for what is no such answer.
    """
    parts: dict[str, list[NDArray[Any]]] = {}
    at = 0
    try:
        while at < len(data):
            count, at = _number(data, at)
            rows, at = _number(data, at)
            for _ in range(count):
                name, at = _string(data, at)
                kind, at = _string(data, at)
                values, at = _values(data, at, kind, rows)
                parts.setdefault(name, []).append(values)
    except (IndexError, KeyError, ValueError) as error:
        raise Unavailable("The archive's store gave an answer that cannot be read.", repr(error)) from error
    # A copy, also of a single one: it begins where its type wants to, and does not hold the answer.
    return {name: np.concatenate(found) for name, found in parts.items()}


def _values(data: bytes, at: int, kind: str, rows: int) -> tuple[NDArray[Any], int]:
    if kind == "String":
        texts = np.empty(rows, object)
        for row in range(rows):
            texts[row], at = _string(data, at)
        return texts, at
    dtype = np.dtype(_DTYPES[kind.partition("(")[0]])
    return np.frombuffer(data, dtype, rows, at), at + rows * dtype.itemsize


def _number(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def _string(data: bytes, at: int) -> tuple[str, int]:
    length, at = _number(data, at)
    return data[at : at + length].decode(errors="replace"), at + length

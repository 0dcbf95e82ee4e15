"""The compiled core: columns in, columns out, a row at a time in C what the rooms do in NumPy.

It is optional: where it has not been built, `LIBRARY` is None and everything is done in NumPy, which
gives the same results several times slower. The rooms keep both, and the tests compare them.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from sekisho.native.build import artifact
from sekisho.tables import FlowBatch, columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_COLUMNS: Final = tuple(columns(FlowBatch).items())
_POINTER, _WHOLE, _REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
# Arguments of each function, in the order of its definition in C.
_SIGNATURES: Final[dict[str, Sequence[Any]]] = {
    "sk_gather": (_POINTER, _POINTER, _WHOLE, _WHOLE, _POINTER, _POINTER),
    "sk_pour": (_POINTER,),
    "sk_items": (_POINTER, _POINTER, _WHOLE, _POINTER, _WHOLE, _WHOLE, _WHOLE, _POINTER, _POINTER),
    "sk_sums_pour": (_POINTER, _POINTER, _WHOLE, _WHOLE, _POINTER, _POINTER, _WHOLE),
    "sk_sums_take": (_POINTER, _WHOLE, _WHOLE, _POINTER, _POINTER),
    "sk_sums_leave": (_POINTER, _POINTER, _WHOLE),
    "sk_sums_turn": (_POINTER, _POINTER, _POINTER, _WHOLE, _REAL),
    "sk_see": (_POINTER, _POINTER, _POINTER, _WHOLE),
    "sk_table_fill": (_POINTER, _POINTER, _POINTER, _WHOLE),
    "sk_resolve": (_POINTER, _WHOLE, _POINTER, _POINTER, _POINTER, _POINTER),
    "sk_locate": (_POINTER, _WHOLE, _POINTER),
    "sk_decode": (_POINTER, _WHOLE, _POINTER, _POINTER, _POINTER),
    "sk_exporters_fill": (_POINTER, _POINTER, _WHOLE),
    "sk_exporters_find": (_POINTER, _WHOLE, *(_POINTER,) * 5, _WHOLE, _REAL, _REAL, _POINTER),
    "sk_sequence": (_POINTER, _POINTER, _POINTER, _POINTER, _WHOLE),
    "sk_walk": (_POINTER, _WHOLE, _POINTER, _POINTER, _WHOLE, _WHOLE, *(_POINTER,) * 5),
    "sk_items_of": (_POINTER, _WHOLE, _POINTER, _POINTER, _POINTER, _WHOLE, _WHOLE, *(_POINTER,) * 5),
    "sk_headers": (_POINTER, _WHOLE, _POINTER, _POINTER, _POINTER, _WHOLE, _POINTER, _POINTER, _POINTER),
    "sk_keep": (_POINTER, _POINTER, _WHOLE, _POINTER, _POINTER, _REAL),
}


_COUNTING: Final = (
    "sk_gather",
    "sk_items",
    "sk_sums_take",
    "sk_locate",
    "sk_decode",
    "sk_exporters_find",
    "sk_walk",
    "sk_items_of",
)  # give a number; the others nothing
Value: TypeAlias = "NDArray[Any] | Structure | int"


class Structure:
    """A C structure of octets: named fields of eight octets each, kept alive with what they point to."""

    __slots__ = ("_held", "values")

    def __init__(self, *values: Value) -> None:
        self._held = values
        self.values = np.array([_word(value) for value in values], np.int64)

    @property
    def address(self) -> int:
        """Where it stands."""
        return self.values.ctypes.data


def _word(value: Value) -> int:
    if isinstance(value, int):
        return value
    return value.address if isinstance(value, Structure) else value.ctypes.data


def columns_of(batch: FlowBatch) -> Structure:
    """Give the C side of a batch; columns of another type or with gaps are replaced by ones that fit."""
    found = []
    for name, dtype in _COLUMNS:
        column = getattr(batch, name)
        if column.dtype != dtype or not column.flags.c_contiguous:
            column = np.ascontiguousarray(column, dtype)
            setattr(batch, name, column)
        found.append(column)
    return Structure(*found)


def load(path: Path) -> ctypes.CDLL | None:
    """Load the library; None where it is not there or not for this machine."""
    if not path.exists():
        return None
    try:
        library = ctypes.CDLL(str(path))
        for name, arguments in _SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, _WHOLE if name in _COUNTING else None
    except (OSError, AttributeError):
        return None
    return library


LIBRARY: ctypes.CDLL | None = load(artifact())

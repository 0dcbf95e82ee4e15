"""The compiled core: columns in, columns out, a row at a time in C what the rooms do in NumPy.

It is optional: where it has not been built, `LIBRARY` is None and everything is done in NumPy, which
gives the same results several times slower. The rooms keep both, and the tests compare them.
"""

from __future__ import annotations

import ctypes
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from sekisho.native.build import artifact
from sekisho.tables import FlowBatch, columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_COLUMNS: Final = tuple(columns(FlowBatch).items())
_columns: Final = attrgetter(*(name for name, _ in _COLUMNS))
# All columns of a batch in one block: where each begins, in octets a row; rows are a round number.
_OFFSETS: Final = np.cumsum([0, *(dtype.itemsize for _, dtype in _COLUMNS)])
_PLACED: Final = tuple(zip(_OFFSETS.tolist(), _COLUMNS, strict=False))
_WIDTH: Final = int(_OFFSETS[-1])
_ROUND: Final = 64
_POINTER, _WHOLE, _REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
# Arguments of each function, in the order of its definition in C.
_SIGNATURES: Final[dict[str, Sequence[Any]]] = {
    "sk_gather": (_POINTER, _POINTER, _WHOLE, _WHOLE, _POINTER, _POINTER),
    "sk_pour": (_POINTER,),
    "sk_glance": (_POINTER, _WHOLE, _POINTER),
    "sk_shapes": (_POINTER,),
    "sk_sums_pour": (_POINTER, _POINTER, _WHOLE, _WHOLE, _POINTER, _POINTER, _WHOLE),
    "sk_sums_take": (_POINTER, _WHOLE, _WHOLE, _POINTER, _POINTER),
    "sk_sums_leave": (_POINTER, _POINTER, _WHOLE),
    "sk_sums_turn": (_POINTER, _POINTER, _POINTER, _WHOLE, _REAL),
    "sk_see": (_POINTER, _POINTER, _POINTER, _POINTER, _WHOLE),
    "sk_table_fill": (_POINTER, _POINTER, _POINTER, _WHOLE),
    "sk_resolve": (_POINTER, _WHOLE, _POINTER, _POINTER, _POINTER, _POINTER),
    "sk_locate": (_POINTER, _WHOLE, _POINTER),
    "sk_decode": (_POINTER, _WHOLE, _POINTER, _POINTER, _POINTER),
    "sk_exporters_fill": (_POINTER, _POINTER, _WHOLE),
    "sk_exporters_find": (_POINTER, _WHOLE, *(_POINTER,) * 5, _WHOLE, _REAL, _REAL, _POINTER),
    "sk_sequence": (_POINTER, _POINTER, _POINTER, _POINTER, _WHOLE),
    "sk_walk": (_POINTER, _WHOLE, _POINTER, _POINTER, _WHOLE, _WHOLE, *(_POINTER,) * 5),
    "sk_items_of": (_POINTER, _WHOLE, _POINTER, _POINTER, _POINTER, _WHOLE, _WHOLE, *(_POINTER,) * 5),
    "sk_records5": (_POINTER, _WHOLE, *(_POINTER,) * 4, _WHOLE, _REAL, _POINTER, _WHOLE),
    "sk_sflow_open": (_POINTER,),
    "sk_sflow_decode": (_POINTER, _POINTER, _WHOLE),
    "sk_kinds": (_POINTER, _WHOLE, _WHOLE, _POINTER, _WHOLE, _POINTER, _WHOLE, _POINTER, _POINTER),
    "sk_digest": (ctypes.c_char_p, _WHOLE, _WHOLE),
    "sk_plain_find": (_POINTER,),
    "sk_plain_decode": (_POINTER, _POINTER, _WHOLE),
    "sk_fill": (_POINTER, _WHOLE, _WHOLE, _POINTER, _WHOLE),
    "sk_keep": (_POINTER, _POINTER, _WHOLE, _POINTER, _POINTER, _REAL),
}


_COUNTING: Final = (
    "sk_gather",
    "sk_glance",
    "sk_see",
    "sk_sums_take",
    "sk_locate",
    "sk_decode",
    "sk_exporters_find",
    "sk_walk",
    "sk_items_of",
    "sk_digest",
    "sk_plain_find",
    "sk_plain_decode",
    "sk_sflow_open",
    "sk_sflow_decode",
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


class Places:
    """A C structure whose fields are filled by name: arrays, other structures, and numbers."""

    __slots__ = ("_at", "_held", "_reals", "structure")

    def __init__(self, *names: str) -> None:
        self._at = {name: place for place, name in enumerate(names)}
        self._held: dict[str, NDArray[Any] | Structure] = {}  # what the addresses stand for
        self.structure = Structure(*(0,) * len(names))
        self._reals = self.structure.values.view(np.float64)

    @property
    def address(self) -> int:
        """Where it stands."""
        return self.structure.address

    def point(self, **found: NDArray[Any] | Structure) -> None:
        """Point at what is kept alive from now on; what stands there already is left alone."""
        for name, value in found.items():
            if self._held.get(name) is not value:
                self._held[name] = value
                self.structure.values[self._at[name]] = _word(value)

    def put(self, **numbers: int) -> None:
        """Write whole numbers."""
        for name, number in numbers.items():
            self.structure.values[self._at[name]] = number

    def put_real(self, **numbers: float) -> None:
        """Write numbers of floating point."""
        for name, number in numbers.items():
            self._reals[self._at[name]] = number

    def told(self, name: str) -> int:
        """Read a whole number."""
        return int(self.structure.values[self._at[name]])

    def tail(self, name: str) -> list[int]:
        """Read the whole numbers from one place on."""
        numbers: list[int] = self.structure.values[self._at[name] :].tolist()
        return numbers


class Fresh(NamedTuple):
    """A batch whose columns hold whatever their memory held before, and its C side."""

    batch: FlowBatch
    held: tuple[NDArray[Any], ...]
    structure: Structure

    def is_of(self, batch: FlowBatch) -> bool:
        """Tell whether this is the C side of a batch still: a column may have been put in another's place."""
        return batch is self.batch and all(map(is_, _columns(batch), self.held))


def fresh(rows: int) -> Fresh:
    """Make a batch for the compiled core to fill: all of it, for nothing is in there."""
    global _LAST  # noqa: PLW0603 - a batch goes from room to room, and each asks for its C side
    each = -(-rows // _ROUND) * _ROUND
    block = np.empty(each * _WIDTH, np.uint8)
    held = tuple(np.ndarray(rows, dtype, block.data, each * at) for at, (_, dtype) in _PLACED)
    structure = Structure(block)
    structure.values = block.ctypes.data + each * _OFFSETS
    made = Fresh(FlowBatch(*held), held, structure)
    _LAST = made  # another thread may put its own there at any time
    return made


def columns_of(batch: FlowBatch) -> Structure:
    """Give the C side of a batch; columns of another type or with gaps are replaced by ones that fit."""
    last = _LAST
    if last is not None and last.is_of(batch):
        return last.structure
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


_LAST: Fresh | None = None
LIBRARY: ctypes.CDLL | None = load(artifact())

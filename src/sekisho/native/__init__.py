"""The compiled core: columns in, columns out, a row at a time in C what the rooms do in NumPy.

It is optional: where it has not been built, `LIBRARY` is None and everything is done in NumPy, which
gives the same results several times slower. The rooms keep both, and the tests compare them.
"""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from sekisho.native.build import artifact
from sekisho.tables import FlowBatch, columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_COLUMNS: Final = tuple(columns(FlowBatch).items())
# Columns in a block begin at different lines of the nearest cache: of the same one, few would fit.
_PAGE, _APART, _FEWEST_ROWS = 4096, 192, 4096
# Columns that are filled after the decoders are done; what they left zero in the others stays so.
_OPEN: Final = ("rate", "sender", "receiver", "exact", "src_internet", "dst_internet")
# Blocks that are kept for the next batches, and rows of the largest: some 16 MB.
_KEPT_BLOCKS, _KEPT_ROWS = 2, 1 << 17
_POINTER, _WHOLE, _REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
# Arguments of each function, in the order of its definition in C.
_SIGNATURES: Final[dict[str, Sequence[Any]]] = {
    "sk_count": (_POINTER, _POINTER, _WHOLE, _WHOLE, _REAL),
    "sk_pour": (_POINTER,),
    "sk_suspects": (_POINTER,),
    "sk_glance": (_POINTER, _WHOLE, _POINTER),
    "sk_shapes": (_POINTER,),
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
    "sk_records5": (_POINTER, _WHOLE, *(_POINTER,) * 4, _WHOLE, _REAL, _POINTER, _WHOLE),
    "sk_netflow5_find": (_POINTER,),
    "sk_netflow5_decode": (_POINTER, _POINTER, _WHOLE, _REAL, _REAL, _REAL),
    "sk_sflow_open": (_POINTER, _REAL, _REAL),
    "sk_sflow_decode": (_POINTER, _POINTER, _WHOLE, _WHOLE, _REAL),
    "sk_received": (_POINTER, _POINTER, _POINTER, _WHOLE, *(_POINTER,) * 5),
    "sk_ring_take": (_POINTER,),
    "sk_ring_release": (_POINTER,),
    "sk_bpf": (_WHOLE, _POINTER, _WHOLE),
    "sk_kinds": (_POINTER,),
    "sk_digest": (ctypes.c_char_p, _WHOLE, _WHOLE),
    "sk_plain_find": (_POINTER,),
    "sk_plain_decode": (_POINTER, _POINTER, _WHOLE, _REAL, _REAL, _REAL, _REAL),
    "sk_fill": (_POINTER, _WHOLE, _WHOLE, _POINTER, _WHOLE),
}


_COUNTING: Final = (
    "sk_count",
    "sk_glance",
    "sk_see",
    "sk_sums_take",
    "sk_locate",
    "sk_decode",
    "sk_exporters_find",
    "sk_walk",
    "sk_items_of",
    "sk_digest",
    "sk_netflow5_find",
    "sk_plain_find",
    "sk_plain_decode",
    "sk_sflow_open",
    "sk_sflow_decode",
    "sk_ring_take",
    "sk_bpf",
)  # give a number; the others nothing
# Those that only look through a burst: other threads wait so long, as letting them in would take as long.
_LOOKING: Final = ("sk_kinds", "sk_glance", "sk_netflow5_find", "sk_plain_find", "sk_sflow_open")
Value: TypeAlias = "NDArray[Any] | Structure | int"


class Structure:
    """A C structure of octets: named fields of eight octets each, kept alive with what they point to."""

    __slots__ = ("_held", "address", "reals", "values", "words")

    def __init__(self, *values: Value) -> None:
        self._held = values
        self.values: Final = np.array([_word(value) for value in values], np.int64)
        # The same fields, for whoever writes or reads one of them with every burst.
        self.words: Final = self.values.data
        self.reals: Final = self.values.data.cast("B").cast("d")
        self.address: Final = int(self.values.ctypes.data)  # where it stands: asked for with every call


def _word(value: Value) -> int:
    if isinstance(value, int):
        return value
    return value.address if isinstance(value, Structure) else value.ctypes.data


class Places:
    """A C structure whose fields are filled by name: arrays, other structures, and numbers."""

    __slots__ = ("_at", "_held", "address", "structure")

    def __init__(self, *names: str) -> None:
        self._at = {name: place for place, name in enumerate(names)}
        self._held: dict[str, NDArray[Any] | Structure] = {}  # what the addresses stand for
        self.structure = Structure(*(0,) * len(names))
        self.address: Final = self.structure.address

    def point(self, **found: NDArray[Any] | Structure) -> None:
        """Point at what is kept alive from now on; what stands there already is left alone."""
        for name, value in found.items():
            if self._held.get(name) is not value:
                self._held[name] = value
                self.structure.words[self._at[name]] = _word(value)

    def point_nowhere(self, name: str) -> None:
        """Point at nothing any more."""
        if self._held.pop(name, None) is not None:
            self.structure.words[self._at[name]] = 0

    def put(self, **numbers: int) -> None:
        """Write whole numbers."""
        for name, number in numbers.items():
            self.structure.words[self._at[name]] = number

    def put_real(self, **numbers: float) -> None:
        """Write numbers of floating point."""
        for name, number in numbers.items():
            self.structure.reals[self._at[name]] = number

    def told(self, name: str) -> int:
        """Read a whole number."""
        return self.structure.words[self._at[name]]

    def tail(self, name: str) -> list[int]:
        """Read the whole numbers from one place on."""
        return self.structure.words[self._at[name] :].tolist()


class _Cut(FlowBatch):
    """A batch in a block: a column is cut out of it when somebody asks for it, and the core asks for none.

    `structure` is its C side; None once a column was put in another's place.
    """

    __slots__ = ("_block", "_octets", "structure")
    _block: _Block
    structure: Structure | None

    def __init__(self, block: _Block, rows: int) -> None:
        put = object.__setattr__
        put(self, "_block", block)
        put(self, "_octets", block.octets)  # which keeps the block from being used again
        put(self, "structure", block.structure)
        put(self, "time", block.columns["time"][:rows])

    def __getattr__(self, name: str) -> NDArray[Any]:
        # Only asked for what is not there yet.
        column = self._block.columns.get(name)
        if column is None:
            raise AttributeError(name, name=name, obj=self)
        cut = column[: len(self.time)]
        object.__setattr__(self, name, cut)
        return cut

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        object.__setattr__(self, "structure", None)


class _Block:
    """Memory for columns of so many rows, which batch after batch is made of.

    `dirty` tells of each column how many of its first rows may be something else than zero: the decoders
    clear no column that nobody writes to. So nobody may: from Python such columns are only read.
    """

    __slots__ = ("_idle", "address", "columns", "dirty", "octets", "rows", "structure")

    def __init__(self, rows: int) -> None:
        self.rows = rows
        sizes = [rows * dtype.itemsize for _, dtype in _COLUMNS]
        whole = [-(-size // _PAGE) * _PAGE + _APART for size in sizes]
        self.octets = np.zeros(sum(whole), np.uint8)
        begins = [sum(whole[:place]) for place in range(len(whole))]
        places = zip(_COLUMNS, begins, sizes, strict=True)
        self.columns = {name: self.octets[at : at + n].view(dtype) for (name, dtype), at, n in places}
        for name, column in self.columns.items():
            column.flags.writeable = name in _OPEN
        self.dirty = np.zeros(len(_COLUMNS), np.int64)
        self.structure = Structure(*self.columns.values(), self.dirty)
        self.address: Final = self.structure.address
        self._idle = sys.getrefcount(self.octets)

    @property
    def is_free(self) -> bool:
        """Tell whether no batch is made of it any more: each would hold on to the octets."""
        return sys.getrefcount(self.octets) <= self._idle

    def batch(self, rows: int) -> FlowBatch:
        """Make a batch of the first rows, which the core has filled."""
        made = _Cut(self, rows)
        if len(_BLOCKS) < _KEPT_BLOCKS and self.rows <= _KEPT_ROWS:
            _BLOCKS.append(self)
        return made


def block(rows: int) -> _Block:
    """Give room for a batch for the compiled core to fill: it holds what its memory held before."""
    for _ in range(len(_BLOCKS)):
        try:
            found = _BLOCKS.pop(0)
        except IndexError:  # another thread took it
            break
        if found.rows >= rows and found.is_free:
            return found
        if found.rows >= rows:
            _BLOCKS.append(found)
    return _Block(max(rows + rows // 4, _FEWEST_ROWS))


def columns_of(batch: FlowBatch) -> Structure:
    """Give the C side of a batch; columns of another type or with gaps are replaced by ones that fit."""
    if isinstance(batch, _Cut) and batch.structure is not None:
        return batch.structure
    found = []
    for name, dtype in _COLUMNS:
        column = getattr(batch, name)
        if column.dtype != dtype or not column.flags.c_contiguous:
            column = np.ascontiguousarray(column, dtype)
            setattr(batch, name, column)
        found.append(column)
    return Structure(*found, 0)  # of what is zero in there nothing is known


def load(path: Path) -> ctypes.CDLL | None:
    """Load the library; None where it is not there or not for this machine."""
    if not path.exists() or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    try:
        library, looking = ctypes.CDLL(str(path)), ctypes.PyDLL(str(path))
        for name, arguments in _SIGNATURES.items():
            function = getattr(looking if name in _LOOKING else library, name)
            function.argtypes, function.restype = arguments, _WHOLE if name in _COUNTING else None
            setattr(library, name, function)
    except (OSError, AttributeError):
        return None
    return library


_BLOCKS: Final[list[_Block]] = []
LIBRARY: ctypes.CDLL | None = load(artifact())

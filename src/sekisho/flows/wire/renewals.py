"""Template sets that said nothing new when they came last: the compiled core knows them again as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sekisho import native
from sekisho.flows.index import hashed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sekisho.flows.wire.templates import Definition
    from sekisho.tables import F64

_MOST: Final = 1 << 14  # sets that are remembered
_MOST_OCTETS: Final = 1 << 20
_WORD: Final = (1 << 64) - 1


class Renewal(NamedTuple):
    """One set: whose it is, as sent, and the keys of what it defines."""

    row: int
    content: bytes
    keys: tuple[int, ...]


class Renewals:
    """Remembered sets, and when the core last heard each (`heard`, by the clock of Templates; 0 never).

    All are forgotten when any template changes, and remembered again when they come again.
    """

    def __init__(self) -> None:
        self._sets: dict[int, Renewal] = {}
        self._octets = 0
        self._heard: F64 = np.zeros(0)
        self.core: native.Structure | None = None  # what `structure` gives; None where it must be made anew

    def remember(self, row: int, content: bytes, found: Sequence[Definition], *, options: bool) -> None:
        """Remember a set of which every definition was known, as far as there is room."""
        if native.LIBRARY is None or not found or not all(d.fields for d in found):
            return
        kind = row << 1 | options
        key = int(native.LIBRARY.sk_digest(content, len(content), kind)) & _WORD
        full = len(self._sets) >= _MOST or self._octets + len(content) > _MOST_OCTETS
        if key in self._sets or full:
            return
        self._sets[key] = Renewal(row, content, tuple(row << 16 | d.id for d in found))
        self._octets += len(content)
        self._keep()

    def heard(self) -> Iterator[tuple[int, float]]:
        """Tell keys that the core heard renewed, and when."""
        for renewal, heard in zip(self._sets.values(), self._heard.tolist(), strict=False):
            if heard:
                yield from ((key, heard) for key in renewal.keys)

    def forget(self) -> None:
        """Forget all."""
        if self._sets:
            self._sets, self._octets, self._heard, self.core = {}, 0, np.zeros(0), None

    def structure(self) -> native.Structure:
        """Give them to the compiled core."""
        if self.core is None:
            keys = np.fromiter(self._sets, np.uint64, len(self._sets))
            sizes = np.array([len(s.content) for s in self._sets.values()], np.int64)
            octets = np.frombuffer(b"".join(s.content for s in self._sets.values()) or b"\0", np.uint8)
            rows = np.array([s.row for s in self._sets.values()], np.int64)
            costs = np.array([1 + len(s.keys) for s in self._sets.values()], np.int64)
            places = hashed(keys, np.arange(len(keys), dtype=np.int32))
            self.core = native.Structure(
                places, octets, np.cumsum(sizes) - sizes, sizes, rows, costs, self._heard
            )
        return self.core

    def _keep(self) -> None:
        """Have room to note when each was heard; what was noted stays."""
        if len(self._heard) < len(self._sets):
            heard = np.zeros(2 * len(self._sets))
            heard[: len(self._heard)] = self._heard
            self._heard = heard
        self.core = None

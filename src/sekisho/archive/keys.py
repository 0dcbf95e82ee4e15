"""Names to 64-bit keys that mean the same in every process and year; 0 is nobody."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.model.report import ExporterReport
    from sekisho.tables import I32, U64


def key(name: str) -> int:
    """Give a name's key, never 0; two of a million names share one with a probability of 3e-8."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") or 1


def keys(names: Iterable[str]) -> U64:
    """Give uint64[n + 1]: the key of each name, and 0 last, where row -1 finds it."""
    return np.array([*map(key, names), 0], np.uint64)


def exporter_key(exporter: ExporterReport) -> int:
    """Give an exporter's key, by all that tells it from others."""
    return key(f"{exporter.protocol} {exporter.address} {exporter.agent} {exporter.domain}")


@dataclass(frozen=True, slots=True)
class Places:
    """Where each of some keys stands.

    keys: uint64[n + 1], different ones, 0 last; first: int32[2^m], by the lower bits of a key the row that
    has them, -1 for none; rest: rows, by their keys, whose place in `first` another one has.
    """

    keys: U64
    first: I32
    rest: I32

    def rows_of(self, wanted: U64) -> I32:
        """Give the row of each key, -1 for one that is not among them, and for 0."""
        # A table beats a search: there are far more rows than names.
        at = self.first[(wanted & np.uint64(len(self.first) - 1)).view(np.int64)]
        found: I32 = np.where((self.keys[at] == wanted) & (wanted != 0), at, np.int32(-1))
        if len(self.rest):
            missed = np.flatnonzero((found < 0) & (wanted != 0))
            ours = self.keys[self.rest]
            near = self.rest[np.minimum(np.searchsorted(ours, wanted[missed]), len(ours) - 1)]
            found[missed] = np.where(self.keys[near] == wanted[missed], near, np.int32(-1))
        return found


def places(given: U64) -> Places:
    """Make the table of keys, uint64[n + 1] with 0 last."""
    count = len(given) - 1
    first = np.full(1 << max(10, (64 * count).bit_length()), -1, np.int32)
    place = (given[:-1] & np.uint64(len(first) - 1)).view(np.int64)
    first[place] = np.arange(count)
    rest = np.flatnonzero(first[place] != np.arange(count))
    by_key: I32 = rest[np.argsort(given[rest])].astype(np.int32)
    return Places(given, first, by_key)

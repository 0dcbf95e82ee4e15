"""Names to 64-bit keys that mean the same in every process and year; 0 is nobody."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.model.report import ExporterReport
    from sekisho.tables import U64


def key(name: str) -> int:
    """Give a name's key, never 0; two of a million names share one with a probability of 3e-8."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") or 1


def keys(names: Iterable[str]) -> U64:
    """Give uint64[n + 1]: the key of each name, and 0 last, where row -1 finds it."""
    return np.array([*map(key, names), 0], np.uint64)


def exporter_key(exporter: ExporterReport) -> int:
    """Give an exporter's key, by all that tells it from others."""
    return key(f"{exporter.protocol} {exporter.address} {exporter.agent} {exporter.domain}")

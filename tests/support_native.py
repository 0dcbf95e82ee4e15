"""The compiled core on and off, so that both ways of counting are tested alike."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sekisho import native
from sekisho.tables import FlowBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

needs_core = pytest.mark.skipif(native.LIBRARY is None, reason="the compiled core is not built")
WAYS = [pytest.param(True, id="compiled", marks=needs_core), pytest.param(False, id="columns")]


@contextmanager
def way(*, compiled: bool) -> Iterator[None]:
    """Do everything in the compiled core, or all of it in columns."""
    library = native.LIBRARY
    native.LIBRARY = library if compiled else None
    try:
        yield
    finally:
        native.LIBRARY = library


def both(made: Callable[[], Any]) -> tuple[Any, Any]:
    """Make something with the compiled core, and in columns."""
    found = []
    for compiled in (True, False):
        with way(compiled=compiled):
            found.append(made())
    return found[0], found[1]


def assert_same_rows(one: FlowBatch, other: FlowBatch, *, sort: bool = False) -> None:
    columns = [[getattr(batch, f.name) for f in fields(FlowBatch)] for batch in (one, other)]
    assert len(one) == len(other)
    if sort:
        columns = [[column[np.lexsort(mine)] for column in mine] for mine in columns]
    for field, a, b in zip(fields(FlowBatch), *columns, strict=True):
        assert np.array_equal(a, b), field.name

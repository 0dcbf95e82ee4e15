"""The compiled core on and off, so that both ways of counting are tested alike."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sekisho import native

if TYPE_CHECKING:
    from collections.abc import Iterator

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

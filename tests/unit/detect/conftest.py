"""Every test here runs with the compiled core and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support_native import WAYS, way


@pytest.fixture(scope="module", autouse=True, params=WAYS)
def ways(request: pytest.FixtureRequest) -> Iterator[None]:
    with way(compiled=request.param):
        yield

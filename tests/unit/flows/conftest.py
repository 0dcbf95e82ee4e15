"""Every test here runs with the compiled core and without."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from support_native import WAYS, way


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    """Somebody on this machine who sends datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@pytest.fixture(scope="module", autouse=True, params=WAYS)
def ways(request: pytest.FixtureRequest) -> Iterator[None]:
    with way(compiled=request.param):
        yield

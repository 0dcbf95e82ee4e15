from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

import support_api
from sekisho.testing.keeper import FakeKeeper


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[FastAPI, str]]:
    """One server for all tests; each puts a keeper of its own behind it."""
    with support_api.served(FakeKeeper()) as made:
        yield made


@pytest.fixture
def keeper(server: tuple[FastAPI, str]) -> FakeKeeper:
    app, _ = server
    made = support_api.keeper()
    made.listen(app.state.waiting.nudge)
    app.state.keeper = made
    app.state.inventory = (-1, b"")
    return made


@pytest.fixture
def client(keeper: FakeKeeper, server: tuple[FastAPI, str]) -> Iterator[httpx.Client]:
    """Asks as operator unless headers say otherwise."""
    del keeper  # it is behind the server
    with support_api.asking(server[1]) as made:
        yield made

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

import support_console
from sekisho.model.access import Role
from support_console import Browser, Cloud


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, str]]:
    """A cloud with an hour behind it, which tests only look at."""
    cloud = Cloud(tmp_path_factory.mktemp("told"))
    support_console.story(cloud)
    with support_console.served(cloud) as (_, url):
        yield cloud, url
    cloud.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, str]]:
    """One server for all tests; each puts a cloud of its own behind it."""
    cloud = Cloud(tmp_path_factory.mktemp("none"), 0)
    with support_console.served(cloud) as made:
        yield made
    cloud.close()


@pytest.fixture
def fresh(tmp_path: Path, server: tuple[FastAPI, str]) -> Iterator[tuple[Cloud, str]]:
    """A cloud of one's own, where two subjects are bound and one waits for a yes."""
    cloud = Cloud(tmp_path, 4)
    for i in (0, 1):
        cloud.cross(cloud.subjects[i].id, "outgoing-spam", "smtp-connections", "count", (412, 388, 60))
    cloud.cross(cloud.subjects[2].id, "port-scan", "scan-ports", "count", (1840, 1702, 100))
    support_console.put_behind(server[0], cloud)
    yield cloud, server[1]
    cloud.close()


@pytest.fixture
def put(server: tuple[FastAPI, str]) -> Callable[..., None]:
    """Put a cloud behind the server again, with other settings of the console."""
    return partial(support_console.put_behind, server[0])


@pytest.fixture
def olga(fresh: tuple[Cloud, str]) -> Iterator[Browser]:
    """An operator's browser, signed in."""
    with support_console.browsing(*fresh, Role.OPERATOR) as browser:
        yield browser


@pytest.fixture
def stranger(fresh: tuple[Cloud, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fresh[1], trust_env=False, timeout=30) as client:
        yield client

"""However large the cloud, a page asks the ledger for so much and no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

import support_console
from sekisho.model.access import Role
from sekisho.model.report import Talker
from sekisho.model.restriction import Restriction, State
from support_console import SMTP, Cloud

# What a page may ask the ledger: its lists, and whether each of the fifteen busiest is bound.
MOST = 30


def crowd(cloud: Cloud, restrictions: int) -> None:
    """Bind many at once, as the ledger takes them from policies."""
    now = cloud.now
    drafts = [
        Restriction("", s.id, (SMTP,), "x", "policy:outgoing-spam", State.ACTIVE, now, now + 1e5, 1e5, 0,
                    "outgoing-spam", automatic=True, project=s.project, host="compute-1")
        for s in cloud.subjects[:restrictions]
    ]  # fmt: skip
    cloud.ledger.record(drafts, now)
    cloud.talk(tuple(Talker(s.id, float(i), float(i)) for i, s in enumerate(cloud.subjects[:200])))


@contextmanager
def statements(cloud: Cloud) -> Iterator[list[str]]:
    found: list[str] = []

    def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
        found.append(statement)

    engine = cloud.ledger.store.engine
    event.listen(engine, "before_cursor_execute", count)
    yield found
    event.remove(engine, "before_cursor_execute", count)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/subjects",
        "/restrictions",
        "/policies",
        "/policies/outgoing-spam",
        "/policies/outgoing-spam/mode",
        "/exporters",
        "/audit",
    ],
)
def test_a_page_asks_so_much_and_no_more(path: str, crowded: tuple[Cloud, str]) -> None:
    cloud, url = crowded
    with support_console.browsing(cloud, url, Role.OPERATOR) as browser, statements(cloud) as found:
        page = browser.page(path)
    asked = [s for s in found if not s.startswith(("BEGIN", "PRAGMA"))]
    assert 0 < len(asked) <= MOST
    assert len(page) < 150_000


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, str]]:
    cloud = Cloud(tmp_path_factory.mktemp("crowd"), 2000)
    crowd(cloud, 1500)
    with support_console.served(cloud) as (_, url):
        yield cloud, url
    cloud.close()

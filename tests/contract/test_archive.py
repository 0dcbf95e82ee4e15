"""The archive's contract, over ClickHouse in this process and over one across HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sekisho.archive import shapes
from sekisho.archive.loader import Loader, prepare
from sekisho.archive.remote import open_remote
from sekisho.archive.settings import Keeping
from sekisho.archive.store import Store, ask
from sekisho.model.errors import Unavailable
from sekisho.testing.clickhouse import Front
from sekisho.testing.contract_archive import BEGIN, CHECKS, Check, batch, kept, name

pytest.importorskip("chdb")
from sekisho.archive.embedded import Embedded

FOREVER = Keeping(9000, 9000, 9000)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    store = Embedded(tmp_path_factory.mktemp("archive") / "store")
    prepare(store, FOREVER)
    yield store
    store.close()


@pytest.fixture(scope="module")
def front(embedded: Embedded) -> Iterator[Front]:
    with Front(embedded) as serving:
        yield serving


@pytest.fixture(scope="module")
def remote(front: Front) -> Iterator[Store]:
    store = open_remote(front.url, database="default")
    yield store
    store.close()


@pytest.fixture
def emptied(embedded: Embedded) -> None:
    for table in (*shapes.TABLES, shapes.MINUTES, shapes.HOURS):
        embedded.run(f"TRUNCATE TABLE {table}")


@pytest.mark.usefixtures("emptied")
@pytest.mark.parametrize("kind", ["embedded", "remote"])
@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_archive(check: Check, kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    check(request.getfixturevalue(kind), tmp_path)


@pytest.mark.usefixtures("emptied")
def test_a_store_that_is_away_is_waited_for(remote: Store, front: Front, tmp_path: Path) -> None:
    front.away = True
    try:
        with pytest.raises(Unavailable, match="not answer"):
            kept(remote, tmp_path, [batch(BEGIN + 1, [0])])
        assert Loader(remote, str(tmp_path)).waiting()[0] > 0
    finally:
        front.away = False
    Loader(remote, str(tmp_path)).look()
    assert ask(remote, "SELECT count() FROM flows").rows == ((1,),)
    assert Loader(remote, str(tmp_path)).waiting() == (0, 0)


def test_one_folder_belongs_to_one_process(embedded: Embedded) -> None:
    import subprocess
    import sys

    program = "import sys; from pathlib import Path; from sekisho.archive.embedded import Embedded\n"
    program += "try: Embedded(Path(sys.argv[1]))\nexcept Exception as error: print(type(error).__name__)"
    folder = str(embedded.name).removeprefix("chdb in ")
    ended = subprocess.run(
        [sys.executable, "-c", program, folder], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "Unavailable"

"""Every state the ledger ever had opens as the present one, with all it held; twice changes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from sekisho.ledger import store
from sekisho.ledger.ledger import Ledger
from sekisho.ledger.schema import metadata
from sekisho.ledger.switches import Changes
from sekisho.model.access import Role
from sekisho.model.errors import Conflict
from sekisho.model.restriction import State
from sekisho.model.switch import ChangeState
from support_ledger import assert_sound, contents

STATES = Path(__file__).parent / "states"


def revisions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


def restore(revision: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((STATES / f"{revision}.sql").read_text())


def test_every_migration_left_a_dumped_state() -> None:
    assert {p.stem for p in STATES.glob("*.sql")} == set(revisions())


@pytest.mark.parametrize("revision", revisions())
def test_a_past_state_opens_with_all_it_held(revision: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    restore(revision, path)
    with closing(Ledger(path)) as ledger:
        assert_sound(ledger)
        found = {e.id: e for e in ledger.restrictions().items}
        assert {i: e.state for i, e in found.items()} == {
            "r1": State.ACTIVE,
            "r2": State.EXPIRED,
            "r3": State.PROPOSED,
            "r4": State.LIFTED,
        }
        assert found["r1"].evidence is not None
        assert (found["r1"].in_force, found["r1"].dropped_packets) == (1_800_000_001.0, 1204)
        assert ledger.authenticate("sekisho_a-secret-of-a-test", 1_800_000_000).role is Role.OPERATOR
        assert [e.reason for e in ledger.exemptions(1_800_000_000)] == ["our relays"]
        assert ledger.recall("clock") == "mark"
        before = contents(ledger)
    with closing(Ledger(path)) as ledger:
        assert contents(ledger) == before
        ledger.lift("r1", "olga", "x", 1_800_000_100)


def test_changes_of_switches_open_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    restore("0003", path)
    with closing(Ledger(path)) as ledger:
        changes = Changes(ledger.store)
        assert changes.change("c1").change.state is ChangeState.APPLIED
        assert changes.change("c1").change.plan.steps
        (running,) = changes.open_now()
        assert (running.change.switch, running.change.checkpoint, running.before) == (
            "leaf-2",
            "sekisho-c2",
            "before",
        )


@pytest.mark.parametrize("revision", [None, *revisions()])
def test_the_tables_are_what_the_code_takes_them_for(revision: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    if revision is not None:
        restore(revision, path)
    with closing(Ledger(path)) as ledger, ledger.store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(Conflict, match="newer version"):
        Ledger(path)


def test_the_journal_cannot_be_rewritten(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        ledger.write_journal(1.0, "olga", "note")
        for statement in ("UPDATE journal SET author = 'nobody'", "DELETE FROM journal"):
            with pytest.raises(Conflict), ledger.store.writing() as connection:
                connection.execute(text(statement))
        assert [e.author for e in ledger.journal().items] == ["olga"]


def test_the_database_waits_for_the_disk(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.db")) as ledger, ledger.store.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL

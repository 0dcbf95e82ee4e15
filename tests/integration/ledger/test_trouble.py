"""A locked database, a full disk, a ruined file: nothing is half written, and the error says what to do."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sekisho.ledger.ledger import Ledger
from sekisho.ledger.store import LedgerSettings
from sekisho.model.errors import Unavailable
from sekisho.model.policy import Direction, Drop, Protocol
from support_ledger import assert_sound, contents

NOW = 1_800_000_000.0
SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)


def impose(ledger: Ledger, subject: str = "a", key: str = "") -> object:
    return ledger.impose(subject, (SMTP,), "why " * 500, "olga", 60, NOW, key=key)


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        other.execute("ROLLBACK")


def test_a_locked_database_is_unavailable_after_the_timeout_and_readable_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(Ledger(path, LedgerSettings(busy_timeout=0.2))) as ledger:
        impose(ledger)
        before = contents(ledger)
        with locked(path):
            began = time.monotonic()
            with pytest.raises(Unavailable) as caught:
                impose(ledger, key="k")
            assert 0.1 < time.monotonic() - began < 2
            assert caught.value.retry_after > 0
            assert str(path) in caught.value.fixer
            assert contents(ledger) == before
        impose(ledger, key="k")
        assert ledger.revision() == 2
        assert_sound(ledger)


def test_a_lock_that_ends_in_time_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(Ledger(path, LedgerSettings(busy_timeout=10))) as ledger:
        with locked(path):
            writer = threading.Thread(target=impose, args=(ledger,))
            writer.start()
            writer.join(0.2)
            assert writer.is_alive()
        writer.join(10)
        assert ledger.revision() == 1


def test_opening_a_locked_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with locked(path), pytest.raises(Unavailable):
        Ledger(path, LedgerSettings(busy_timeout=0.1))
    Ledger(path).close()


def test_two_processes_share_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    code = (
        "import sys\nfrom sekisho.ledger.ledger import Ledger\nledger = Ledger(sys.argv[1])\n"
        "for i in range(30): ledger.impose('a', (), 'x', sys.argv[2], 60, 1.0, key=str(i))\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(path), f"p{n}"]) for n in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    with closing(Ledger(path)) as ledger:
        assert ledger.revision() == 90
        assert_sound(ledger)


def in_a_child(work: object, *arguments: object) -> None:
    """Run in a fork, so that its limits stay its own."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(*arguments)  # type: ignore[operator]
            status = 0
        except BaseException:  # noqa: BLE001 -- a fork must not return into pytest
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def fill(path: Path) -> int:
    """Impose until nothing more can be written; what was answered and nothing else must be there."""
    ledger = Ledger(path)
    answered = 0
    refusals: list[Unavailable] = []
    while len(refusals) < 4:
        try:
            impose(ledger, f"s{answered}", key=f"{answered}")
            answered += 1
        except Unavailable as error:
            refusals.append(error)
    assert "full" in refusals[0].fixer
    assert refusals[0].retry_after >= 1
    assert answered > 3
    assert len(ledger.active()) == answered
    return answered


def limited(path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    (path.parent / "answered").write_text(str(fill(path)))


def test_a_file_that_may_not_grow_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    in_a_child(limited, path)
    with closing(Ledger(path)) as ledger:
        answered = int((tmp_path / "answered").read_text())
        assert ledger.revision() == answered
        assert_sound(ledger)
        impose(ledger, f"s{answered}", key=f"{answered}")
        assert ledger.revision() == answered + 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_leaves_nothing_half_written_and_heals_when_there_is_room(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
import os, subprocess
from pathlib import Path
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", {str(tmp_path)!r}], check=True)
os.chdir({str(Path(__file__).parent)!r})
import test_trouble
test_trouble.full_disk(Path({str(tmp_path)!r}))
"""
    done = subprocess.run(["unshare", "-m", sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == 0


def full_disk(folder: Path) -> None:
    """Fill a disk that is as large as `folder`, then give it some room again."""
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * 200_000)
    (folder / "small").mkdir()
    path = folder / "small" / "ledger.db"
    before = fill(path)
    with closing(Ledger(path)) as ledger:
        assert ledger.revision() == before
        assert_sound(ledger)
        ballast.unlink()
        impose(ledger, "again")
        assert ledger.revision() == before + 1
        assert_sound(ledger)


def test_what_is_no_database_is_unavailable_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("my diary\n" * 1000)
    with pytest.raises(Unavailable) as caught:
        Ledger(path)
    assert "NOTADB" in caught.value.fixer
    assert path.read_text().startswith("my diary")


def test_a_folder_that_is_missing_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        Ledger(tmp_path / "nowhere" / "ledger.db")
    assert "nowhere" in caught.value.fixer

"""Killed at any statement or commit, the ledger loses nothing it answered and doubles nothing."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect

from sekisho.ledger.ledger import Ledger
from sekisho.model.policy import Direction, Drop, Protocol, Scope
from sekisho.model.restriction import Receipt, Restriction, State
from support_ledger import assert_sound, contents

NOW = 1_800_000_000.0
SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
NEVER = 1 << 30


def draft(subject: str, state: State) -> Restriction:
    until = NOW + 60 if state is State.ACTIVE else 0.0
    return Restriction(
        "", subject, (SMTP,), "why", "guard", state, NOW, until, 60.0, 0, policy="scan", automatic=True
    )


def step_clock(ledger: Ledger) -> None:
    if ledger.recall("clock") != "stepped":
        ledger.shift(100.0, "keeper", NOW, remember={"clock": "stepped"})


def spam(ledger: Ledger, now: float) -> Restriction:
    return ledger.impose("a", (SMTP,), "spam", "policy:spam", 3600, now, policy="spam", automatic=True)


def receipts(ledger: Ledger, packets: int) -> object:
    given = [
        Receipt(f"r{n}", "a", "h1", in_force=True, time=NOW + 1, dropped_packets=packets) for n in (1, 2)
    ]
    return ledger.receipts("h1", given, NOW + 2)


def record(ledger: Ledger) -> object:
    drafts = [draft("c", State.ACTIVE), draft("d", State.PROPOSED), draft("e", State.ACTIVE)]
    return ledger.record(drafts, NOW)


# What a keeper does in a day. Who gets no answer asks again: with the same key, or as naturally as this.
OPERATIONS: list[Callable[[Ledger], object]] = [
    lambda ledger: ledger.impose("a", (SMTP,), "called", "olga", 600, NOW, key="1"),
    lambda ledger: spam(ledger, NOW),
    lambda ledger: spam(ledger, NOW + 900),
    lambda ledger: receipts(ledger, 0),
    lambda ledger: receipts(ledger, 7),
    lambda ledger: ledger.propose("b", (), "spam", "policy:spam", 60, NOW, policy="spam", key="2"),
    lambda ledger: ledger.approve("r3", "olga", "seen", NOW, key="3"),
    lambda ledger: ledger.extend("r1", 300, "olga", "enough", NOW, key="4"),
    record,
    lambda ledger: ledger.exempt(Scope(subjects=("z",)), "ours", "olga", NOW, key="5"),
    step_clock,
    lambda ledger: ledger.set_enforcement(enabled=False, author="ada", reason="x", now=NOW, key="6"),
    lambda ledger: ledger.lift("r1", "olga", "sorry", NOW, key="7"),
    lambda ledger: ledger.expire(NOW + 10_000),
]


def arm(at: int) -> list[int]:
    """Kill this process at the n-th moment before or after a statement or a commit; count the moments."""
    passed = [0]

    def moment(*_arguments: object, **_more: object) -> None:
        passed[0] += 1
        if passed[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("before_cursor_execute", "after_cursor_execute"):
        event.listen(Engine, name, moment)
    commit: Any = DefaultDialect.do_commit

    def do_commit(self: Any, connection: Any) -> None:
        moment()
        commit(self, connection)
        moment()

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]
    return passed


def run(path: Path, kill_at: int, operations: Sequence[Callable[[Ledger], object]]) -> tuple[int, int, bool]:
    """Work in a child until it is killed; how much it said was done, moments passed, killed or not."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        passed = arm(kill_at)
        ledger = Ledger(path)
        for operation in operations:
            operation(ledger)
            os.write(writer, b".")
        os.write(writer, passed[0].to_bytes(4, "big"))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or os.WEXITSTATUS(status) == 0
    done = told if killed else told[:-4]
    return len(done), 0 if killed else int.from_bytes(told[-4:], "big"), killed


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory where there is one: a killed process loses no more there than on a disk."""
    shared = Path("/dev/shm")  # noqa: S108 - asked for by name, with a folder of its own
    if not shared.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="sekisho-crash-", dir=shared) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "ledger.db"
    Ledger(path).close()
    return path


def copy_of(empty: Path, path: Path) -> Path:
    shutil.copyfile(empty, path)
    return path


@pytest.mark.slow
def test_killed_while_it_is_made_the_ledger_is_made_by_the_next_who_opens_it(folder: Path) -> None:
    with closing(Ledger(folder / "whole.db")) as ledger:
        made = contents(ledger)
    _, moments, _ = run(folder / "counted.db", NEVER, ())
    assert moments > 50
    for at in range(1, moments + 1):
        path = folder / f"killed-{at}.db"
        assert run(path, at, ())[2]
        with closing(Ledger(path)) as ledger:
            assert contents(ledger) == made
            assert_sound(ledger)


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(3))
def test_nothing_answered_is_lost_or_doubled_wherever_it_is_killed(
    folder: Path, empty: Path, turn: int
) -> None:
    after, answers = uncrashed(copy_of(empty, folder / "whole.db"))
    _, moments, killed = run(copy_of(empty, folder / "counted.db"), NEVER, OPERATIONS)
    assert moments > 150
    assert not killed
    unanswered = 0
    for at in range(1 + turn, moments + 1, 3):
        path = copy_of(empty, folder / f"killed-{at}.db")
        done, _, killed = run(path, at, OPERATIONS)
        assert killed
        with closing(Ledger(path)) as ledger:
            found = contents(ledger)
            # The operation that got no answer is there whole, or not at all.
            assert found in after[done : done + 2], f"killed at moment {at}, after {done} answers"
            assert_sound(ledger)
            repeated = [operation(ledger) for operation in OPERATIONS[done:]]
            assert contents(ledger) == after[-1], f"killed at moment {at}, after {done} answers"
            assert_sound(ledger)
        was_written = found != after[done]
        assert repeated[was_written:] == answers[done + was_written :]
        unanswered += was_written
    # The test reaches the moment it is about: written, and not yet answered.
    assert unanswered > 0


def uncrashed(path: Path) -> tuple[list[dict[str, Any]], list[object]]:
    """What the ledger holds after each operation, and what each answers."""
    answers: list[object] = []
    with closing(Ledger(path)) as ledger:
        after = [contents(ledger)]
        for operation in OPERATIONS:
            answers.append(operation(ledger))
            after.append(contents(ledger))
        assert_sound(ledger)
    return after, answers

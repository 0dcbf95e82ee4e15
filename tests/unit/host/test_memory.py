"""What an agent keeps on disk: ends survive restarts, clock steps and reboots."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sekisho.host import memory
from sekisho.model.policy import Baseline, Direction, Drop, Protocol
from sekisho.model.report import HostProgram
from sekisho.model.restriction import Binding

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
PROGRAM = HostProgram("h1", 7, (Binding("r1", "p1", (SMTP,), 100.0),), (Baseline("b", (SMTP,)),), (25,))


def test_ends_are_kept_in_time_since_boot(tmp_path: Path) -> None:
    learned = memory.learn(PROGRAM, "boot", passed=1000.0)
    memory.save(tmp_path / "agent.json", learned)
    again = memory.load(tmp_path / "agent.json", "boot", passed=1030.0)
    assert again == learned
    assert again.held[0].deadline == 1100.0
    assert [f.name for f in tmp_path.iterdir()] == ["agent.json"]


def test_after_a_reboot_what_was_left_is_held_on_and_the_keeper_is_asked(tmp_path: Path) -> None:
    memory.save(tmp_path / "agent.json", memory.learn(PROGRAM, "boot", passed=1000.0))
    again = memory.load(tmp_path / "agent.json", "another boot", passed=5.0)
    assert again is not None
    assert again.held[0].deadline == 105.0
    assert again.revision == 0


def test_a_full_disk_leaves_the_old_memory_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = memory.learn(PROGRAM, "boot", passed=1000.0)
    memory.save(tmp_path / "agent.json", before)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        memory.save(tmp_path / "agent.json", memory.learn(PROGRAM, "boot", passed=2000.0))
    assert [f.name for f in tmp_path.iterdir()] == ["agent.json"]
    assert memory.load(tmp_path / "agent.json", "boot", 0.0) == before


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"boot": 3}', '{"nonsense": true}'])
def test_a_file_that_cannot_be_read_is_no_memory(tmp_path: Path, text: str) -> None:
    (tmp_path / "agent.json").write_text(text)
    assert memory.load(tmp_path / "agent.json", "boot", 0.0) is None


def test_none_on_the_first_start(tmp_path: Path) -> None:
    assert memory.load(tmp_path / "agent.json", "boot", 0.0) is None

"""Processes remembered in files are ended; a recycled id is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sekisho.lab import processes
from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from pathlib import Path


def test_a_remembered_process_is_ended_and_forgotten(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "600"])
    processes.remember(tmp_path / "p", sleeper.pid)
    assert processes.alive(tmp_path / "p")
    processes.end(tmp_path / "p")
    assert sleeper.wait(timeout=5) == -15
    assert not (tmp_path / "p").exists()


def test_a_stubborn_process_is_killed() -> None:
    text = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    stubborn = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE)
    assert stubborn.stdout is not None
    with stubborn.stdout:
        stubborn.stdout.readline()
    processes.end_all([stubborn.pid], patience=0.1)
    assert stubborn.wait(timeout=5) == -9


def test_a_recycled_id_is_never_ended(tmp_path: Path) -> None:
    # The file says our own id with another start: the one it meant is gone.
    (tmp_path / "p").write_text(f"{os.getpid()} 1\n")
    assert not processes.alive(tmp_path / "p")
    processes.end(tmp_path / "p")
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("text", ["", "x y", "1", "99999999 1"])
def test_a_file_that_says_nothing_ends_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "p").write_text(text)
    processes.end(tmp_path / "p")
    processes.end(tmp_path / "absent")


def test_a_command_that_is_not_installed_is_unsupported() -> None:
    with pytest.raises(Unsupported):
        processes.tool("no-such-command-anywhere")

"""The laboratory itself: it tells what it came to, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ovs, pytest.mark.slow]


def lab(folder: Path, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "sekisho.app.main", "lab", "--folder", str(folder), *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def namespaces(folder: Path) -> set[str]:
    """List the network namespaces a lab in this folder has made."""
    import hashlib

    prefix = "sk" + hashlib.sha256(str(folder / "ovs").encode()).hexdigest()[:8]
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listed.splitlines() if line.startswith(prefix)}


def plays(folder: Path) -> bool:
    return any((folder / "traffic").glob("*-mail.jsonl"))


def test_the_lab_says_what_it_came_to_in_one_line_even_after_it_was_interrupted_and_killed(
    short_folder: Path,
) -> None:
    """Ctrl-C leaves nothing, a crash leaves nothing that a second run would trip over."""
    for how in (signal.SIGINT, signal.SIGKILL):
        running = lab(short_folder, "--scenario", "quiet")
        deadline = time.monotonic() + 30
        while not plays(short_folder) and time.monotonic() < deadline:
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(how)
        running.communicate(timeout=30)
        if how is signal.SIGINT:
            assert running.returncode == 0
            assert namespaces(short_folder) == set()
    last = lab(short_folder, "--scenario", "spam", "--headless", "--json")
    out, err = last.communicate(timeout=100)
    result = json.loads(out.strip().splitlines()[-1])
    assert last.returncode == 0, err
    assert result["false_positives"] == 0
    assert result["freed"] is True
    assert 0 < result["seconds_to_rule"]["median"] <= result["seconds_to_rule"]["max"] < 1.5
    assert namespaces(short_folder) == set()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    import shutil
    import tempfile

    if os.geteuid():
        pytest.skip("needs root")
    folder = Path(tempfile.mkdtemp(prefix="sek-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)

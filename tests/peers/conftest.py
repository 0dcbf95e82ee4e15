"""Other people's tools in their own environment, and an emulated switch in a process of its Python."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support_peers import BIN, ROOT, Program


@pytest.fixture
def switch() -> Iterator[dict[str, Any]]:
    """Run a switch with both doors, and tell where they are."""
    if not (BIN.parent / ".installed").exists():
        pytest.skip("the peers are not installed: make check-peers")
    argv = [str(BIN / "python"), "-m", "sekisho.testing.nexus", "--ssh-port", "0", "--ports", "16"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            assert json.loads(process.stdout.readline()) == {"ready": True}
            assert told["ssh_port"]
            yield told
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def program(switch: dict[str, Any]) -> Program:
    """Give what runs one of the programs beside this file in the peers' Python: its last line is JSON."""

    def run(name: str) -> Any:
        argv = [str(BIN / "python"), str(Path(__file__).with_name(name)), json.dumps(switch)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run

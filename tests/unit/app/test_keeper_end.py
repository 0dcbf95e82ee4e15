"""A keeper that is told to stop writes down what it knows, as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sekisho.client import Client
from sekisho.lab import sockets
from sekisho.lab.openstack.files import toml
from sekisho.lab.openstack.shell import wait
from sekisho.metering.store import CounterStore
from sekisho.model.report import PortCounter


def test_counters_told_just_before_the_end_are_kept(tmp_path: Path) -> None:
    state, listening = tmp_path / "state", sockets.listen(0)
    (tmp_path / "policies").mkdir()
    keeper = {"state": str(state), "policies": str(tmp_path / "policies")}
    file = toml(tmp_path / "keeper.toml", {"keeper": keeper, "keeper.metering": {"source": "counters"}})
    argv = [sys.executable, "-m", "sekisho.app.main", "keeper", "--config", str(file)]
    fd = listening.fileno()
    process = subprocess.Popen([*argv, "--listen-fd", str(fd)], pass_fds=(fd,))
    try:
        token = state / "tokens" / "admin"
        wait(token.exists, "the first token")
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Client(url, token.read_text(), 30.0) as client:
            client.report_counters("h1", (PortCounter("vm", "if1", 1000, 5),))
            client.report_counters("h1", (PortCounter("vm", "if1", 1700, 5),))
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        listening.close()
    told, _ = CounterStore(state / "counters.db").read()
    assert told["vm"][:2] == [700, 0]

"""A keeper that is told to stop writes down what it knows, as a process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sekisho.client import Client
from sekisho.lab import sockets
from sekisho.lab.openstack.files import toml
from sekisho.lab.openstack.shell import wait
from sekisho.ledger.ledger import Ledger
from sekisho.metering.store import CounterStore
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.policy import Direction, Drop, Protocol
from sekisho.model.report import PortCounter
from sekisho.model.restriction import Receipt

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)


@contextmanager
def ending(folder: Path, more: Mapping[str, Mapping[str, object]] | None = None) -> Iterator[Client]:
    """A keeper's client; when the caller is done the keeper is told to stop, and ends."""
    listening = sockets.listen(0)
    (folder / "policies").mkdir()
    keeper = {"state": str(folder / "state"), "policies": str(folder / "policies")}
    file = toml(folder / "keeper.toml", {"keeper": keeper, **{k: dict(v) for k, v in (more or {}).items()}})
    argv = [sys.executable, "-m", "sekisho.app.main", "keeper", "--config", str(file)]
    fd = listening.fileno()
    process = subprocess.Popen([*argv, "--listen-fd", str(fd)], pass_fds=(fd,))
    try:
        token = folder / "state" / "tokens" / "admin"
        wait(token.exists, "the first token")
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Client(url, token.read_text(), 30.0) as client:
            yield client
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        listening.close()


def test_counters_told_just_before_the_end_are_kept(tmp_path: Path) -> None:
    with ending(tmp_path, {"keeper.metering": {"source": "counters"}}) as client:
        client.report_counters("h1", (PortCounter("vm", "if1", 1000, 5),))
        client.report_counters("h1", (PortCounter("vm", "if1", 1700, 5),))
    told, _ = CounterStore(tmp_path / "state" / "counters.db").read()
    assert told["vm"][:2] == [700, 0]


def test_what_hosts_counted_just_before_the_end_is_kept(tmp_path: Path) -> None:
    with ending(tmp_path) as client:
        program = client.report_host(HostReport(Host("h1"), (Subject("vm", "h1", ofport=1),)))
        made = client.impose("vm", (SMTP,), "spam", 600.0)

        def tell(dropped: int) -> None:
            told = Receipt(made.id, "vm", "h1", in_force=True, time=time.time(), dropped_packets=dropped)
            client.receipts("h1", program.revision, (told,))

        for dropped in range(1, 51):
            tell(dropped)
    with_all = Ledger(tmp_path / "state" / "ledger.db")
    try:
        assert with_all.restriction(made.id).dropped_packets == 50
    finally:
        with_all.close()

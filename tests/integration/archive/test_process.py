"""The archive as a process: it loads what collectors left, answers at its door, and survives being killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sekisho.client import Client
from sekisho.model.archived import BacktestOrder
from sekisho.model.errors import Conflict, Malformed, NotFound, Unauthenticated, Unavailable
from support_archive import BEGIN, batch, inventory, tap

pytest.importorskip("chdb")
pytestmark = pytest.mark.timeout(300)

SECRET = "of-the-archive"
POLICY = """
[policy.heavy]
when = [{ detector = "egress-bytes", threshold = "1 Mbit/s" }]
destinations = "any"
then = [{ limit = "1 Mbit/s", for = "1h" }]
"""
LOGINS = """
[policy.logins]
when = [{ detector = "login-attempts", threshold = "100/min" }]
then = [{ warn = true, for = "1h" }]
"""


class Archive:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        (folder / "tokens").mkdir()
        (folder / "tokens" / "archive").write_text(SECRET)
        config = folder / "archive.toml"
        config.write_text("[archive.keep]\nraw_days = 9000\nminute_days = 9000\nhour_days = 9000\n")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.process: subprocess.Popen[bytes] | None = None
        self.client = Client(self.url, SECRET, 60.0)

    def start(self) -> None:
        fd = self.listener.fileno()
        words = ["archive", "--config", str(self.folder / "archive.toml"), "--state", str(self.folder)]
        argv = [sys.executable, "-m", "sekisho.app.main", *words, "--listen-fd", str(fd)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, pass_fds=[fd], stderr=log, stdout=log)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(60)

    def until(self, done: Callable[[], bool], seconds: float = 100.0) -> None:
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            try:
                if done():
                    return
            except Unavailable:
                pass
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.3)
        raise AssertionError((self.folder / "log").read_text())

    def rows(self) -> int:
        return self.client.flows.status().rows


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(tmp_path)
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGKILL)
    made.client.close()
    made.listener.close()


def fill(archive: Archive, blocks: int, begin: float = BEGIN) -> int:
    kept = tap(archive.spool, begin, every=0.5)
    kept.meet(inventory(), begin)
    for n in range(blocks):
        kept.put(batch(begin + n, [0, 1] * 50, octets=1500.0))
        kept.close(begin + n + 1)
        kept.work(0.0)
    kept.finish()
    return blocks * 100


def test_it_loads_answers_and_says_who_may_ask(archive: Archive) -> None:
    rows = fill(archive, 6)
    archive.until(lambda: archive.rows() == rows and not any(archive.spool.glob("*.native")))
    flows = archive.client.flows
    status = flows.status()
    assert (status.oldest, status.newest) == (BEGIN, BEGIN + 5)
    assert (status.spooled_blocks, status.problem, status.lost_rows) == (0, "", 0)
    top = flows.top(BEGIN, BEGIN + 60)
    assert {t.name for t in top.items} == {"port-0", "port-1"}
    series = flows.series("port-0", BEGIN, BEGIN + 120)
    assert series.egress_bytes == (6 * 50 * 150_000.0, 0.0)
    assert flows.sql("SELECT count() FROM flows").rows == ((rows,),)
    assert flows.export(BEGIN, BEGIN + 60, form="csv", limit=5).media == "text/csv"
    with pytest.raises(Malformed):
        flows.sql("SELECT * FROM file('/etc/passwd', 'LineAsString')")
    with Client(archive.url, "wrong") as stranger, pytest.raises(Unauthenticated):
        stranger.flows.top()
    begun = flows.backtest(BacktestOrder(POLICY, BEGIN, BEGIN + 60))
    with pytest.raises(NotFound):
        flows.backtested("nothing")
    archive.until(lambda: flows.backtested(begun.id).state == "done")
    heavy = flows.backtested(begun.id).policies[0]
    assert (heavy.subjects, {s.subject for s in heavy.spells}) == (2, {"port-0", "port-1"})
    assert archive.end() == 0


def test_a_back_test_judges_by_the_settings_that_the_collectors_have(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    with (tmp_path / "archive.toml").open("a") as config:
        config.write("[collector.detect]\nlogin_ports = [2222]\n")
    kept = tap(archive.spool)
    kept.meet(inventory(), BEGIN)
    for second in range(30):
        kept.put(batch(BEGIN + second, [0] * 50, port=22, flags=2, rate=1.0))
        kept.put(batch(BEGIN + second, [1] * 50, port=2222, flags=2, rate=1.0))
    kept.finish()
    archive.start()
    try:
        archive.until(lambda: archive.rows() == 3000)
        begun = archive.client.flows.backtest(BacktestOrder(LOGINS, BEGIN, BEGIN + 60))
        archive.until(lambda: archive.client.flows.backtested(begun.id).state == "done")
        found = archive.client.flows.backtested(begun.id).policies[0]
        assert {s.subject for s in found.spells} == {"port-1"}
    finally:
        archive.end(signal.SIGKILL)
        archive.client.close()
        archive.listener.close()


def test_killed_while_it_loads_it_has_every_row_once_in_the_end(archive: Archive) -> None:
    rows = fill(archive, 15)
    archive.until(lambda: archive.rows() > 0)
    for _ in range(2):
        archive.end(signal.SIGKILL)
        archive.start()
        archive.until(lambda: archive.rows() >= 0)
    archive.until(lambda: not any(archive.spool.glob("*.native")))
    assert archive.rows() == rows
    assert archive.client.flows.sql("SELECT sum(rows) FROM flows_minute").rows == ((rows,),)


def test_what_comes_while_it_is_away_is_loaded_in_the_end(archive: Archive) -> None:
    archive.until(lambda: archive.rows() == 0)
    archive.end()
    rows = fill(archive, 3)
    archive.start()
    archive.until(lambda: archive.rows() == rows)


def test_a_second_one_on_the_same_folder_says_what_is_wrong(archive: Archive) -> None:
    archive.until(lambda: archive.rows() == 0)
    words = ["archive", "--config", str(archive.folder / "archive.toml"), "--state", str(archive.folder)]
    ended = subprocess.run(
        [sys.executable, "-m", "sekisho.app.main", *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 7
    assert "another process" in ended.stderr


def test_without_chdb_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "chdb").mkdir()
    (tmp_path / "chdb" / "__init__.py").write_text("raise ImportError('no chdb here')")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "archive").write_text(SECRET)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *(p for p in sys.path if p)])}
    words = ["archive", "--state", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, "-m", "sekisho.app.main", *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert ended.returncode == 8
    assert "pip install" in ended.stderr


def test_only_one_back_test_runs_at_a_time(archive: Archive) -> None:
    archive.until(lambda: archive.rows() == 0)
    rows = fill(archive, 20)
    archive.until(lambda: archive.rows() == rows)
    order = BacktestOrder(POLICY, BEGIN - 3000, BEGIN + 3000)
    first = archive.client.flows.backtest(order)
    try:
        second = archive.client.flows.backtest(order)
    except Conflict:
        archive.until(lambda: archive.client.flows.backtested(first.id).state == "done")
    else:  # the first had ended already
        assert archive.client.flows.backtested(first.id).state == "done"
        assert second.id != first.id

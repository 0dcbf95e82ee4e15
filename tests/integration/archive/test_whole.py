"""Keeper, collector and archive in one state folder, as `sekisho up` starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sekisho.app import all_in_one
from sekisho.app.all_in_one import Child, Supervisor, command
from sekisho.client import Client
from sekisho.host.clock import Clock
from sekisho.model.errors import NotFound, SekishoError, Unavailable
from sekisho.model.inventory import Host, HostReport, Subject, Telemetry
from support_datagrams import captured

pytest.importorskip("chdb")
pytestmark = pytest.mark.timeout(400)


def free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Whole:
    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.door, self.port = free(socket.SOCK_STREAM), free(socket.SOCK_DGRAM)
        (folder / "policies").mkdir()
        config = folder / "sekisho.toml"
        config.write_text(
            f'[client]\nurl = "{self.url}"\n'
            f'[keeper]\nstate = "{self.state}"\npolicies = "{folder / "policies"}"\n'
            f'[keeper.archive]\nurl = "http://127.0.0.1:{self.door}"\n'
            f"[collector.receive]\nports = [{self.port}]\n"
            f"[archive.api]\nport = {self.door}\n"
        )
        files = all_in_one.prepare(self.state, self.url, Clock())
        assert all_in_one.prepare_archive(self.state, elsewhere=False)
        where = ("--config", str(config))
        fd = self.listener.fileno()
        spool = ("--token-file", str(files["collector"]), "--spool", str(self.state / "spool"))
        words = {
            "keeper": (*where, "--listen-fd", str(fd)),
            "collector": (*where, *spool),
            "archive": (*where, "--state", str(self.state)),
        }
        self.children = Supervisor(
            [Child(n, command(n, *w), [fd], {}, folder / f"{n}.log") for n, w in words.items()]
        )
        self.client = Client(self.url, files["admin"].read_text().strip(), 60.0)

    def until(self, done: Callable[[], bool]) -> None:
        begin = time.monotonic()
        while time.monotonic() - begin < 150:
            try:
                if done():
                    return
            except (Unavailable, NotFound):
                pass
            time.sleep(0.3)
        raise AssertionError([log.read_text()[-2000:] for log in self.folder.glob("*.log")])


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    made = Whole(tmp_path)
    made.children.start()
    yield made
    made.children.end()
    made.client.close()
    made.listener.close()


def test_what_a_switch_told_can_be_asked_of_the_keeper(whole: Whole) -> None:
    host = Host("h1", ("127.0.0.1",), (Telemetry("br0", "sflow", 50),))
    whole.until(lambda: bool(whole.client.status()))
    whole.client.report_host(HostReport(host, (Subject("port-1", "h1", "acme", ifindex=3),)))
    whole.until(lambda: bool(whole.client.status().collectors))
    datagrams = captured("ovs31-sflow.pcap")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        for datagram in datagrams:
            exporter.sendto(datagram, ("127.0.0.1", whole.port))
    whole.until(lambda: whole.client.flows.status().rows > 0)
    rows = whole.client.flows.status().rows
    told = whole.client.flows.sql("SELECT address, protocol FROM exporters").rows
    assert told == (("127.0.0.1", "sflow"),)
    assert whole.client.flows.sql("SELECT count() FROM flows").rows == ((rows,),)
    assert whole.client.flows.series().egress_bytes is not None
    whole.until(lambda: "sekisho_archive_up 1" in whole.client.metrics())
    assert not [d for d in whole.client.status().degraded if d.startswith("archive")]
    archive = whole.children.children[2].process
    assert archive is not None
    archive.kill()
    archive.wait()
    with pytest.raises(SekishoError):
        whole.client.flows.top()
    whole.until(lambda: any(d.startswith("archive") for d in whole.client.status().degraded))
    whole.children.children[2].start()
    whole.until(lambda: whole.client.flows.status().rows == rows)


POLICY = """
[policy.anybody]
destinations = "any"
[[policy.anybody.when]]
detector = "egress-bytes"
threshold = "1 B in 10s"
[[policy.anybody.then]]
warn = true
for = "1h"
"""


def test_a_policy_in_force_is_played_from_its_page_over_what_was_kept(whole: Whole) -> None:
    host = Host("h1", ("127.0.0.1",), (Telemetry("br0", "sflow", 50),))
    whole.until(lambda: bool(whole.client.status()))
    ports = tuple(Subject(f"port-{i}", "h1", "acme", ifindex=i) for i in (10, 11))
    whole.client.report_host(HostReport(host, ports))
    (whole.folder / "policies" / "a.toml").write_text(POLICY)
    assert [p.name for p in whole.client.reload_policies().policies.policies] == ["anybody"]
    whole.until(lambda: bool(whole.client.status().collectors))

    def kept() -> bool:
        """Send until it is known whose traffic it is: the collector may hear of ports a little later."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
            for datagram in captured("ovs31-sflow.pcap"):
                exporter.sendto(datagram, ("127.0.0.1", whole.port))
        return whole.client.flows.sql("SELECT count() FROM flows WHERE sender != 0").rows != ((0,),)

    whole.until(kept)
    with httpx.Client(base_url=whole.url, trust_env=False, timeout=60) as client:
        secret = (whole.state / "tokens" / "admin").read_text().strip()
        assert client.post("/login", data={"token": secret}).status_code == 303
        page = client.get("/policies/anybody").text
        forgery = page.partition('name="forgery" value="')[2].partition('"')[0]
        begun = client.post("/backtest", data={"forgery": forgery, "policy": "anybody", "last": "1h"})
        where = begun.headers["location"]
        whole.until(lambda: client.get(f"{where}?format=json").json()["backtest"]["state"] != "running")
        found = client.get(f"{where}?format=json").json()["backtest"]
        assert (found["state"], found["problem"]) == ("done", "")
        assert found["records"] > 0
        assert [p["policy"] for p in found["policies"]] == ["anybody"]
        assert "anybody <span" in client.get(where).text


def test_up_without_chdb_keeps_nothing_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "chdb.py").write_text("")
    program = (
        "import sys; from pathlib import Path; from sekisho.app import all_in_one\n"
        "all_in_one.find_spec = lambda name: None\n"
        "print(all_in_one.prepare_archive(Path(sys.argv[1]), elsewhere=False))"
    )
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "archive").write_text("old")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert ended.stdout.strip() == "False"
    assert not (tmp_path / "tokens" / "archive").exists()

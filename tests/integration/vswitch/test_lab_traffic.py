"""Real traffic crosses a real switch, and a VM's own log tells when a port is shut and free again."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from sekisho.lab.record import attempts, events, volumes
from support_ovs import plug

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sekisho.lab.ovs import PrivateSwitch

pytestmark = pytest.mark.ovs


class Stage:
    """The internet and one VM behind it, and who plays."""

    def __init__(self, switch: PrivateSwitch, folder: Path) -> None:
        self.switch, self.folder = switch, folder
        self.playing: list[subprocess.Popen[bytes]] = []

    def play(self, vm: str, role: str, *words: str) -> Path:
        log = self.folder / f"{vm}-{role}.jsonl"
        argv = [sys.executable, "-m", "sekisho.lab.traffic", role, "--out", str(log), *words]
        self.playing.append(self.switch.popen(vm, argv))
        return log

    def close(self) -> None:
        for process in self.playing:
            process.terminate()
            process.wait()


def _until(seen: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def stage(switch: PrivateSwitch, bridge: str, tmp_path: Path) -> Iterator[Stage]:
    switch.plug_vm("internet", bridge, mac="02:00:00:00:01:01", addresses=("10.0.0.254/24",))
    plug(switch, 1)
    route = ["ip", "route", "add", "default", "via", "10.0.0.254"]
    assert switch.run("vm1", route).returncode == 0
    stage = Stage(switch, tmp_path)
    log = stage.play("internet", "internet", "--network", "198.51.100.0/24")
    _until(lambda: any(e["event"] == "ready" for e in events(log)))
    yield stage
    stage.close()


def test_a_probe_sees_a_port_shut_and_free_again_and_the_others_open(stage: Stage) -> None:
    log = stage.play("vm1", "probe", "--to", "198.51.100.5", "--ports", "25,80,587", "--rate", "10")
    _until(lambda: sum(a.ok for a in attempts(log, 25)) >= 2)
    stage.switch.ofctl("add-flow", "br0", "priority=9,tcp,tp_dst=25,actions=drop")
    shut = time.monotonic()
    _until(lambda: any(a.began > shut and not a.ok for a in attempts(log, 25)))
    stage.switch.ofctl("del-flows", "br0", "tcp,tp_dst=25")
    free = time.monotonic()
    _until(lambda: any(a.began > free and a.ok for a in attempts(log, 25)))
    assert all(a.ok for a in attempts(log, 80) + attempts(log, 587))


def test_a_spammer_reaches_some_and_is_refused_by_others(stage: Stage) -> None:
    log = stage.play("vm1", "spam", "--to", "198.51.100.0/24", "--rate", "100", "--count", "254")
    assert stage.playing[-1].wait(timeout=30) == 0
    tried = attempts(log, 25)
    assert len({a.address for a in tried}) == 254
    assert 120 <= sum(a.ok for a in tried) <= 128
    assert {a.problem for a in tried if not a.ok} == {"ConnectionRefusedError"}


@pytest.mark.parametrize("role", ["udp", "tcp"])
def test_what_is_sent_at_a_rate_arrives_at_that_rate(stage: Stage, role: str) -> None:
    words = ("--to", "198.51.100.9", "--port", "5001", "--bits", "2e7", "--seconds", "3")
    stage.play("vm1", role, *words)
    assert stage.playing[-1].wait(timeout=30) == 0
    internet = stage.folder / "internet-internet.jsonl"
    seen = max(v.octets * 8 / v.seconds for v in volumes(internet, "10.0.0.1", 5001))
    assert 1.6e7 <= seen <= 2.4e7


def test_spoofed_packets_leave_the_vm_with_sources_that_are_not_its_own(stage: Stage) -> None:
    stage.switch.ofctl("add-flow", "br0", "priority=9,ip,nw_src=192.0.2.0/24,actions=NORMAL")
    words = ("--to", "198.51.100.9", "--ports", "80", "--sources", "192.0.2.0/24", "--rate", "200")
    stage.play("vm1", "syn", *words, "--seconds", "1")
    assert stage.playing[-1].wait(timeout=30) == 0
    stage.switch.appctl("revalidator/purge")
    counted = stage.switch.ofctl("dump-flows", "br0", "ip,nw_src=192.0.2.0/24")
    packets = int(counted.partition("n_packets=")[2].partition(",")[0])
    assert 150 <= packets <= 210

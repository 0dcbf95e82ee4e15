"""What the units in deploy/ leave a process to do, by systemd's own lists of system calls."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[3] / "deploy" / "systemd"

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd's lists")


@cache
def calls(name: str) -> frozenset[str]:
    """Give what a name in a filter stands for: one call, or all of a list."""
    if not name.startswith("@"):
        return frozenset({name})
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    found = [line.strip() for line in told.splitlines()[1:]]
    return frozenset().union(*(calls(each) for each in found if each and not each.startswith("#")))


def allowed(unit: str) -> set[str]:
    """Give the calls that a unit allows: its lines add and take away in order."""
    found: set[str] = set()
    for line in (UNITS / unit).read_text().splitlines():
        name, _, told = line.partition("=")
        if name == "SystemCallFilter":
            some = frozenset().union(*map(calls, told.removeprefix("~").split()))
            found = found - some if told.startswith("~") else found | some
    return found


def test_a_collector_with_a_ring_may_ask_for_it_and_give_back_what_that_takes() -> None:
    more = dict(
        line.split("=", 1)
        for line in (UNITS / "sekisho-collector-ring.conf").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    assert set(more["SystemCallFilter"].split()) == {"bpf", "capset"}
    assert more["CapabilityBoundingSet"] == more["AmbientCapabilities"] == "CAP_BPF"
    assert not {"bpf", "capset"} & allowed("sekisho-collector.service")


def test_a_collectors_thread_may_give_way_to_its_loop() -> None:
    found = allowed("sekisho-collector.service")
    assert {"getpriority", "setpriority"} <= found
    assert "sched_setscheduler" not in found

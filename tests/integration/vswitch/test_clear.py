"""A host that Sekisho leaves is as if it had never been there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from sekisho.devices.vswitch.pipeline import Layout
from sekisho.devices.vswitch.telemetry import TelemetrySettings
from sekisho.host.agent import AgentSettings
from sekisho.host.clear import main
from sekisho.host.memory import Held, Memory
from sekisho.host.switch import open_switch
from sekisho.lab.ovs import PrivateSwitch
from sekisho.model.policy import Baseline, Direction, Drop, Police, Protocol
from sekisho.model.restriction import Binding
from support_ovs import plug

pytestmark = pytest.mark.ovs

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)


def everything(switch: PrivateSwitch) -> tuple[str, str, str]:
    """Tell all that may be left: flows and meters, the bridge's row, exports."""
    flows = switch.ofctl("dump-flows", "br0", "--no-stats") + switch.ofctl("dump-meters", "br0")
    row = switch.vsctl("get", "Bridge", "br0", "external_ids", "sflow", "ipfix")
    return flows, row, switch.vsctl("list", "Flow_Sample_Collector_Set") + switch.vsctl("list", "IPFIX")


def test_clearing_a_host_leaves_nothing(switch: PrivateSwitch, bridge: str, tmp_path: Path) -> None:
    plug(switch, 1)
    before = everything(switch)
    folder = str(switch.folder)
    settings = AgentSettings(
        "h1", bridges=(bridge,), run_dir=folder, telemetry=TelemetrySettings(sampling=10)
    )
    ports, (ours,) = open_switch(settings)
    try:
        now = time.monotonic()
        held = Held(Binding("r1", "port-1", (SMTP, Police(10_000_000, Direction.EGRESS)), 60.0), now + 60)
        memory = Memory("", now, 1, (held,), (Baseline("b", (SMTP,)),), (25,))
        ours.export(0.0)
        assert all(receipt.in_force for receipt in ours.carry(ports.subjects(), memory, now))
    finally:
        ports.close()
    during = everything(switch)
    assert all(now != then for now, then in zip(during, before, strict=True))
    file = tmp_path / "sekisho.toml"
    file.write_text(f'[agent]\nhost = "h1"\nbridges = ["{bridge}"]\nrun_dir = "{folder}"\n')
    argv = [sys.executable, "-m", "sekisho.app.main", "agent", "--clear", "--config", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert everything(switch) == before


def test_a_bridge_that_speaks_nothing_newer_than_neutron_lets_it_is_cleared_too(
    switch: PrivateSwitch, bridge: str
) -> None:
    before = everything(switch)
    switch.vsctl("set", "Bridge", bridge, "protocols=OpenFlow10,OpenFlow13,OpenFlow14")
    rule = f"cookie={Layout().reserved:#x},table=60,priority=7,actions=drop"
    argv = ["ovs-ofctl", "-OOpenFlow14", "add-flow", switch.management(bridge), rule]
    subprocess.run(argv, check=True, timeout=30)
    assert main(["--run-dir", str(switch.folder), "--bridge", bridge]) == 0
    switch.vsctl("set", "Bridge", bridge, "protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15")
    assert everything(switch) == before

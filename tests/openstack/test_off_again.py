"""Put into a cloud, used, and taken out again: the switch is as that of a host nobody ever touched."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sekisho.lab.openstack.host import INTEGRATION, Host
from sekisho.lab.openstack.keeper import NAME, token_file
from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(1200)]

BASELINE = '[baseline.no-telnet]\ndrop = "tcp/23"\n'
# What Neutron's agent numbers anew with every start: cookies and conjunctions.
NUMBERS = re.compile(
    r" ?cookie=0x[0-9a-f]+,? ?|(?<=conj_id=)\d+|(?<=set_field:)0x[0-9a-f]+(?=->reg7)|(?<=conjunction\()\d+"
)


def everything(host: Host) -> dict[str, list[str]]:
    """Tell all that may be left on a host's integration bridge."""
    found = {what: _ofctl(host, f"dump-{what}") for what in ("flows", "meters", "groups", "tlv-map")}
    row = host.switch.vsctl("get", "Bridge", INTEGRATION, "external_ids", "other_config", "protocols")
    exports = host.switch.vsctl("get", "Bridge", INTEGRATION, "sflow", "ipfix", "netflow")
    sets = host.switch.vsctl("list", "Flow_Sample_Collector_Set") + host.switch.vsctl("list", "IPFIX")
    return found | {"row": row.splitlines(), "exports": exports.splitlines(), "sets": sets.splitlines()}


def _ofctl(host: Host, *words: str) -> list[str]:
    done = host.switch.run("", ["ovs-ofctl", "-OOpenFlow14", *words, INTEGRATION, *_plain(words)])
    assert done.returncode == 0, done.stderr
    return sorted(NUMBERS.sub("", line).strip() for line in done.stdout.splitlines() if "(xid=" not in line)


def _plain(words: tuple[str, ...]) -> tuple[str, ...]:
    return ("--no-stats",) if words == ("dump-flows",) else ()


@pytest.fixture
def untouched(stack: Stack) -> Iterator[Host]:
    """A host whose agent has never heard of us; afterwards it is as the others again."""
    host = stack.hosts["h1"]
    before = host.settings.extensions
    without = tuple(each for each in before if each != NAME)
    host.agent.kill()
    host.restart_switch()
    host.restart_agent(extensions=without)
    host.await_settled()
    cleared(stack, host)  # of what other tests had
    yield host
    host.restart_agent(extensions=before)


def own_token(stack: Stack, folder: Path) -> Path:
    """Make a token for one host, as an operator does."""
    file, admin = folder / "h1.token", token_file(stack.place, "admin")
    words = ("token", "create", "agent-h1", "--role", "agent", "--host", "h1", "--save", str(file))
    asked = ("--url", stack.keeper.url, "--token-file", str(admin))
    _run(sys.executable, "-m", "sekisho.app.main", *words, *asked)
    return file


def restricted(stack: Stack, vm: Vm) -> str:
    """Restrict a port as an administrator of OpenStack does; gives the restriction."""
    words = f"port restriction create --drop tcp/25 --limit 1Mbit/s --direction both --reason trial {vm.port}"
    done = stack.openstack(f"{words} --duration 10m -f value -c id")
    assert done.returncode == 0, done.stderr
    listed = stack.openstack(f"port restriction list --port {vm.port} -f value -c ID", as_="member")
    standing = f"{vm.port}:no-telnet"  # a baseline is listed beside what was imposed
    assert listed.stdout.split() == [standing, *done.stdout.split()], listed.stderr
    return done.stdout.strip()


def cleared(stack: Stack, host: Host) -> None:
    """Clear a host in Neutron's own environment, which has no more of ours than the guests need."""
    python = str(stack.settings.openstack / "bin" / "python")
    _run(python, "-m", "sekisho.host.clear", "--run-dir", str(host.switch.folder))


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_off_again_without_a_trace(stack: Stack, untouched: Host, tmp_path: Path) -> None:
    host = untouched
    policies = stack.folder / "keeper" / "policies" / "telnet.toml"
    # Of a group that names no other: rules about its members come when Neutron gets to them.
    groups = [stack.make.open_group()]
    ports = [stack.make.port(stack.make.network(), "h1", security_groups=groups) for _ in range(2)]
    vms = [stack.plug(port) for port in ports]
    before = everything(host)
    without = host.settings.extensions
    policies.write_text(BASELINE)
    assert stack.keeper.reload_policies().problems == ()
    try:
        ours = {"telemetry_protocol": "sflow", "token_file": own_token(stack, tmp_path)}
        host.restart_agent(extensions=(*without, NAME), added={NAME: ours})
        host.await_settled()
        made = [restricted(stack, vm) for vm in vms]
        wait(lambda: all(stack.keeper.restriction(r).in_force for r in made), "the restrictions")
        during = everything(host)
        changed = [what for what in before if during[what] != before[what]]
        assert changed == ["flows", "meters", "row", "exports", "sets"]
        host.restart_agent(extensions=without, added={})
        host.await_settled()
    finally:
        policies.unlink()
        stack.keeper.reload_policies()
    cleared(stack, host)
    after = everything(host)
    for what, lines in before.items():
        assert set(after[what]) - set(lines) == set(), what
        assert set(lines) - set(after[what]) == set(), what

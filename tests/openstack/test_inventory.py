"""What the keeper learns from a real Neutron and a real Keystone, through OpenStack's own library."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import sekisho
from sekisho.app.keeper import Keeper
from sekisho.app.settings import KeeperSettings
from sekisho.host.clock import Clock
from sekisho.lab.openstack.shell import enter
from sekisho.lab.openstack.stack import Stack
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.cloud import Cloud
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.plain import from_plain
from sekisho.model.policy import Baseline, Direction, Drop, Protocol, Scope
from sekisho.model.restriction import Receipt
from support_stack import clouds_file

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(300)]

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
ADA = Principal("ada", Role.ADMIN)
READ = """
import json, sys
from sekisho.app.cloud import CloudSettings, connect, read
from sekisho.model.plain import to_plain
settings = CloudSettings("stack", sys.argv[1], page=2)
print(json.dumps(to_plain(read(connect(settings), settings))))
"""


@dataclass
class Office:
    """A keeper that is told what the stack's services say."""

    stack: Stack
    folder: Path

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder / "ledger.db")
        scope = Scope(qos=("sold-with-no-mail",))
        self.keeper = Keeper(
            KeeperSettings(), self.ledger, Clock(), lambda: ((), (Baseline("no-mail", (SMTP,), scope),))
        )
        self.clouds = clouds_file(self.folder)

    def look(self) -> Cloud:
        """Read a full list where the library is, and tell it to the keeper."""
        python = str(self.stack.settings.openstack / "bin" / "python")
        env = {**os.environ, "PYTHONPATH": str(Path(sekisho.__file__).parents[1])}
        argv = [*enter(self.stack.place.controller), python, "-c", READ, str(self.clouds)]
        self.keeper.begin_list()
        said = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert said.returncode == 0, said.stderr
        cloud = from_plain(Cloud, json.loads(said.stdout))
        self.keeper.take_cloud(cloud)
        return cloud

    def report(self, host: str, *ports: str) -> tuple[Baseline, ...]:
        """Let a host say which ports its switch has; what must it carry?"""
        told = HostReport(Host(host), tuple(Subject(p, host, ofport=7) for p in ports))
        return self.keeper.report_host(ADA, told).baselines

    def bound(self, host: str) -> list[str]:
        return [b.restriction for b in self.keeper.program(host).bindings]


@pytest.fixture
def office(stack: Stack, tmp_path: Path) -> Iterator[Office]:
    made = Office(stack, tmp_path)
    yield made
    made.ledger.close()


def test_ports_appear_with_project_network_addresses_and_age(stack: Stack, office: Office) -> None:
    network = stack.make.network()
    ports = [stack.make.port(network, "h1", project) for project in ("demo", "other", "demo")]
    office.look()
    for port in ports:
        found = office.keeper.subject(port["id"])
        assert (found.project, found.network, found.host) == (port["project_id"], network.id, "h1")
        assert (found.mac, found.server) == (port["mac_address"], port["device_id"])
        assert set(found.addresses) == {ip["ip_address"] for ip in port["fixed_ips"]}
        assert found.project_created, "the first list makes everybody old"
    office.report("h1", ports[0]["id"])
    assert office.keeper.subject(ports[0]["id"]).ofport == 7
    assert office.keeper.subject(ports[0]["id"]).project == ports[0]["project_id"]


def test_a_plan_by_tag_carries_its_port_blocks_to_port_and_network(stack: Stack, office: Office) -> None:
    plan = stack.make.qos_policy(shared=True)
    stack.api("network", "PUT", f"/policies/{plan}/tags/sold-with-no-mail")
    network = stack.make.network()
    port, other = stack.make.port(network, "h1"), stack.make.port(network, "h1")
    office.look()
    (before,) = office.report("h1", port["id"], other["id"])
    assert not before.scope.matches(Subject(port["id"], "h1"))
    stack.api("network", "PUT", f"/ports/{port['id']}", {"port": {"qos_policy_id": plan}})
    office.look()
    assert office.keeper.subject(port["id"]).qos[0] == plan
    (now,) = office.keeper.program("h1").baselines
    assert now.scope.matches(Subject(port["id"], "h1"))
    assert not now.scope.matches(Subject(other["id"], "h1"))
    stack.api("network", "PUT", f"/ports/{port['id']}", {"port": {"qos_policy_id": None}})
    stack.api("network", "PUT", f"/networks/{network.id}", {"network": {"qos_policy_id": plan}})
    office.look()
    (all_,) = office.keeper.program("h1").baselines
    assert all_.scope.matches(Subject(other["id"], "h1"))
    stack.api("network", "PUT", f"/networks/{network.id}", {"network": {"qos_policy_id": None}})
    office.look()
    (none,) = office.keeper.program("h1").baselines
    assert not none.scope.matches(Subject(other["id"], "h1"))


def test_a_port_moves_with_its_restriction_and_both_hosts_carry_it_meanwhile(
    stack: Stack, office: Office
) -> None:
    network = stack.make.network()
    vm = stack.plug(stack.make.port(network, "h1"))
    office.look()
    office.report("h1", vm.port)
    office.report("h2")
    made = office.keeper.impose(ADA, vm.port, (SMTP,), "spam", 3600.0, "").id
    assert (office.bound("h1"), office.bound("h2")) == ([made], [])

    def meanwhile() -> None:
        office.report("h2", vm.port)
        office.look()
        assert office.keeper.subject(vm.port).host == "h1", "where Neutron has it bound"
        assert (office.bound("h1"), office.bound("h2")) == ([made], [made])
        for host in ("h1", "h2"):
            receipt = Receipt(made, vm.port, host, in_force=True, time=1.0, dropped_packets=5)
            office.keeper.receipts(ADA, host, 1, (receipt,), "")
        assert office.keeper.restriction(made).dropped_packets == 10

    stack.migrate(vm, "h2", meanwhile)
    office.report("h1")
    office.look()
    assert office.keeper.subject(vm.port).host == "h2"
    assert made in office.bound("h2")


def test_a_project_that_signed_up_says_when(stack: Stack, office: Office) -> None:
    made = stack.api(
        "identity", "POST", "/projects", {"project": {"name": "late", "created_at": "2026-01-02"}}
    )
    project = made["project"]["id"]
    try:
        stack.api("identity", "PUT", f"/projects/{project}/tags/vip")
        cloud = office.look()
        assert {p.id: p.created for p in cloud.projects}[project] == 1767312000.0
    finally:
        stack.api("identity", "DELETE", f"/projects/{project}")

"""The keeper as one process that asks the real Neutron, Keystone and Gnocchi; what it decides, in packets."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sekisho.client import Client
from sekisho.lab.openstack import keystone
from sekisho.lab.openstack.shell import enter, wait
from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm
from sekisho.metering.publish import PORT
from sekisho.model.access import Role
from sekisho.model.errors import Forbidden, Unauthenticated
from sekisho.model.inventory import Subject
from sekisho.model.restriction import Restriction, State
from sekisho.testing.contract_meter import DAY
from support_ceilometer import Ceilometer, OverStack
from support_stack import clouds_file
from support_stream import pour

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(1200)]

GB = 10**9
HOUR = 3600.0
# One plan, for one project: warned at 80 and 90 %, limited at 100 %.
PLAN = """
[policy.{name}]
mode = "enforce"
scope = {{ projects = ["{project}"] }}
memory = "24h"
backoff = 1

[[policy.{name}.when]]
detector = "metered-bytes"
threshold = "{line} GB/24h"
clear = "{clear} GB/24h"

[[policy.{name}.then]]
{then}
"""
WARN = 'warn = true\nfor = "24h"'
LIMIT = 'limit = "1 Mbit/s"\ndirection = "both"\nfor = "10s"'


def arrived(stack: Stack, sender: Vm, receiver: Vm) -> int:
    """How many of a thousand datagrams, sent within a second, arrive."""
    return round(pour(stack, sender, receiver, 8.0, 1.0) * 125)


def published(stack: Stack, vm: Vm, user: str = "member") -> dict[str, float]:
    """What somebody finds in Gnocchi of what the keeper says of a VM: the greatest of each."""
    search = {"=": {"port": vm.port}}
    found = {}
    for each in stack.api("metric", "POST", f"/search/resource/{PORT}", search, as_=user):
        for name, metric in each["metrics"].items():
            path = f"/metric/{metric}/measures?aggregation=max&refresh=true"
            found[name] = max((m[2] for m in stack.api("metric", "GET", path, as_=user)), default=0.0)
    return found


@dataclass
class Cloud:
    """The stack, the keeper in it, and somebody who writes to Gnocchi."""

    stack: Stack
    ceilometer: Ceilometer
    policies: Path

    def polled(self, vm: Vm, measures: dict[float, tuple[int | None, int | None]]) -> None:
        """Let Ceilometer have polled a VM's gigabytes, sent and got, at moments so many seconds from now."""
        now = time.time()
        told = {now + when: (_bytes(sent), _bytes(got)) for when, (sent, got) in measures.items()}
        self.ceilometer.push(Subject(vm.port, vm.host, server=vm.server), told, "ten-seconds")

    def entries(self, vm: Vm, policy: str = "") -> list[Restriction]:
        return list(self.stack.keeper.restrictions(subject=vm.port, policy=policy))

    def await_active(self, vm: Vm, policy: str) -> Restriction:
        def active() -> bool:
            return any(r.state is State.ACTIVE for r in self.entries(vm, policy))

        wait(active, f"{policy} of {vm.port}")
        return self.entries(vm, policy)[0]


def as_user(stack: Stack, user: str) -> Client:
    """Make a client of the keeper that signs in as one of Keystone's users."""
    return with_token(stack, stack.place.rest.token(user))


def with_token(stack: Stack, secret: str) -> Client:
    """Make a client of the keeper that has a token of Keystone's, or what it says is one."""

    def token(*, renew: bool = False) -> str:
        del renew
        return secret

    return Client(stack.keeper.url, keystone=token)


def _bytes(gigabytes: int | None) -> int | None:
    return None if gigabytes is None else gigabytes * GB


def _lines(project: str) -> str:
    lines = (("at-80", 40, 38, WARN), ("at-90", 45, 43, WARN), ("full", 50, 48, LIMIT))
    return "".join(PLAN.format(name=n, project=project, line=at, clear=c, then=t) for n, at, c, t in lines)


@pytest.fixture(scope="module")
def cloud(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("whole")
    clouds, secret = str(clouds_file(folder)), folder / "secret"
    secret.write_text("sekisho\n")
    assert stack.keeper.ready() == ()
    policies = stack.folder / "keeper" / "policies" / "heavy.toml"
    policies.write_text(_lines(stack.make.project("demo")))
    ceilometer = Ceilometer(OverStack(stack))
    ceilometer.prepare()
    stack.restart_keeper(
        {
            "keeper.cloud": {"name": "stack", "file": clouds, "every": 2.0},
            "keeper.keystone": {"url": keystone.URL, "user": "sekisho", "secret_file": str(secret)},
            "keeper.metering": {"source": "gnocchi", "every": 1.0, "repeat": 2.0},
            "keeper.metering.gnocchi": {
                "cloud": "stack",
                "clouds_file": clouds,
                "granularity": 10.0,
                "late": DAY,  # these measures are written long after they were due
                "list_every": 1.0,
                "refresh": 0.0,
            },
            "keeper.metering.publish": {"every": 1.0},
        }
    )
    yield Cloud(stack, ceilometer, policies)
    ceilometer.clear()
    policies.unlink()
    stack.restart_keeper({})


def test_a_heavy_vm_is_warned_limited_and_freed(stack: Stack, cloud: Cloud) -> None:
    network = stack.make.network()
    heavy, other, sink = (
        stack.plug(stack.make.port(network, host, project, security_groups=[stack.make.open_group(project)]))
        for host, project in (("h1", "demo"), ("h1", "other"), ("h2", "demo"))
    )
    assert stack.pings(heavy, sink.ipv4)
    assert stack.pings(other, sink.ipv4)
    # Both have sent their 42 GB, and the other one much more.
    cloud.polled(other, {-12 * HOUR: (0, 0), -11 * HOUR: (90, 90)})
    cloud.polled(heavy, {-DAY: (None, 0), -12 * HOUR: (0, None), -11 * HOUR: (42, None)})
    assert cloud.await_active(heavy, "at-80").actions == ()
    assert [r.policy for r in cloud.entries(heavy)] == ["at-80"]
    assert arrived(stack, heavy, sink) > 900
    cloud.polled(heavy, {-10 * HOUR: (46, None)})
    assert cloud.await_active(heavy, "at-90").actions == ()
    assert cloud.entries(heavy, "full") == []
    # What it got almost a day ago makes it 51 for the time being.
    cloud.polled(heavy, {30 - DAY: (None, 0), 40 - DAY: (None, 5)})
    full = cloud.await_active(heavy, "full")
    assert "metered-bytes 51 GB" in full.reason
    wait(lambda: cloud.entries(heavy, "full")[0].in_force > 0, "the limit on the switch")
    assert arrived(stack, heavy, sink) < 400
    assert arrived(stack, other, sink) > 900
    wait(
        lambda: published(stack, heavy).get("sekisho.dropped.packets", 0.0) > 500, "Gnocchi to have the drops"
    )
    assert published(stack, heavy)["sekisho.restrictions"] == 1
    assert published(stack, heavy)["sekisho.dropped.bytes"] > 500_000
    assert published(stack, heavy, "other") == published(stack, other) == {}
    wait(lambda: cloud.entries(heavy, "full")[0].state is State.EXPIRED, "its day to pass", 90.0)
    wait(lambda: arrived(stack, heavy, sink) > 900, "the limit to leave the switch")
    assert [r.policy for r in cloud.entries(heavy) if r.state is State.ACTIVE] == ["at-90", "at-80"]
    assert cloud.entries(other) == []


def test_it_knows_what_neutron_knows(stack: Stack, cloud: Cloud) -> None:
    network = stack.make.network()
    # Bound, but plugged nowhere: no host tells of it.
    port = stack.make.port(network, "h1")
    # Neutron tells of the port at once, and only Keystone's list how old its project is.
    wait(lambda: bool(stack.keeper.subject(port["id"]).project_created), "the keeper's list", 30.0)
    found = stack.keeper.subject(port["id"])
    assert (found.project, found.network, found.host) == (port["project_id"], network.id, "h1")
    metrics = stack.keeper.metrics()
    assert "sekisho_cloud_listed_seconds" in metrics
    assert "sekisho_metering_rounds_total" in metrics
    assert stack.keeper.status().degraded == ()
    del cloud


def test_keystones_users_come_in_as_who_they_are(stack: Stack, cloud: Cloud) -> None:
    del cloud
    found = {}
    for user in ("admin", "operator", "member", "other"):
        with as_user(stack, user) as client:
            who = client.whoami()
            found[user] = who.role
            assert who.name.startswith(f"keystone:{user}@Default")
    roles = {"admin": Role.ADMIN, "operator": Role.OPERATOR, "member": Role.MEMBER, "other": Role.MEMBER}
    assert found == roles
    with as_user(stack, "member") as client, pytest.raises(Forbidden):
        client.status()
    with with_token(stack, "gAAAAABk" + "x" * 200) as client, pytest.raises(Unauthenticated):
        client.whoami()
    assert 'sekisho_keystone_answers_total{outcome="refused"}' in stack.keeper.metrics()


# Signs in, loses its token and asks again.
LOSE = """
import sys
from sekisho.metering.door import Keystone
door = Keystone("stack", 30.0, sys.argv[1])
session = door._signed_in().session
lost = session.get_token()
session.delete(sys.argv[2] + "/auth/tokens", headers={"X-Subject-Token": lost})
assert "storage" in door.ask("GET", "/v1/status", {"details": "false"})
assert session.get_token() != lost
"""


def test_metering_signs_in_again_when_its_token_is_refused(stack: Stack, tmp_path: Path) -> None:
    argv = (sys.executable, "-c", LOSE, str(clouds_file(tmp_path)), keystone.URL)
    done = subprocess.run(
        [*enter(stack.place.controller), *argv], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr

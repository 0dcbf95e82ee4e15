"""From a packet to a verdict and back to the packet, by every way a switch can tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.resources import files

import pytest

from sekisho.app.lab import LabHost
from sekisho.lab.record import attempts
from sekisho.model.restriction import State
from support_cloud import Cloud, cloud_of, settings

pytestmark = [pytest.mark.ovs, pytest.mark.slow]

POLICIES = (files("sekisho.lab") / "policies.toml").read_text().replace('for = "10s"', 'for = "5s"')
SPAM = ("--to", "198.51.100.0/24", "--rate", "20")
VOLUME = ("--to", "203.0.113.9", "--port", "5001", "--bits", "6e7")
FLAPPING = """
[policy.spam]
mode = "enforce"
memory = "1h"
[[policy.spam.when]]
detector = "smtp-connections"
threshold = "15/2s"
[[policy.spam.then]]
drop = "tcp/25"
direction = "egress"
for = "2s"
[[policy.spam.then]]
drop = "tcp/25"
direction = "egress"
for = "6s"
"""


FLOODED = """
[policy.flooded]
mode = "enforce"
[[policy.flooded.when]]
detector = "ingress-syn-flood"
threshold = "1 kpps"
window = "3s"
[[policy.flooded.then]]
drop = "tcp"
direction = "ingress"
for = "10s"
"""


def host(protocol: str = "sflow", sampling: int = 2) -> tuple[LabHost, ...]:
    timeout = {"active_timeout": 1} if protocol == "netflow5" else {}
    return (LabHost(telemetry={"protocol": protocol, "sampling": sampling, **timeout}),)


@pytest.fixture(scope="module")
def whole() -> Iterator[Cloud]:
    with cloud_of(settings(POLICIES + FLOODED, host())) as made:
        yield made


@pytest.fixture
def cloud(whole: Cloud) -> Iterator[Cloud]:
    yield whole
    whole.clear()


def bound(cloud: Cloud, subject: str, policy: str) -> bool:
    return any(r.policy == policy and r.in_force for r in cloud.active(subject))


def test_a_spammer_loses_25_and_nothing_else_and_is_free_again(cloud: Cloud) -> None:
    guilty, honest = cloud.vm("spammer", 12), cloud.vm("mail", 11)
    mail = cloud.traffic("mail", "mail", "--to", "198.51.100.1", "--rate", "2")
    probe = cloud.traffic("spammer", "probe", "--to", "198.51.100.100", "--ports", "25,80,587", "--rate", "4")
    cloud.traffic("spammer", "spam", *SPAM, seconds=4.0)
    cloud.lab.wait(lambda: bound(cloud, guilty, "outgoing-spam"), "the spammer to be bound")
    moment = time.monotonic()

    def tried(port: int) -> list[bool]:
        return [a.ok for a in attempts(probe, port) if a.began > moment + 0.2]

    cloud.lab.wait(lambda: len(tried(25)) >= 3, "its probes")
    assert not any(tried(25))
    assert all(tried(80))
    assert all(tried(587))
    cloud.lab.wait(lambda: not cloud.active(guilty), "its end", 40.0)
    cloud.lab.wait(lambda: tried(25)[-1], "port 25 to be open again", 5.0)
    assert cloud.bound_by(honest) == set()
    assert all(a.ok for a in attempts(mail, 25))
    (entry,) = cloud.client.restrictions(guilty)
    assert entry.dropped_packets > 0
    assert entry.evidence is not None
    assert entry.evidence.exporters == ("127.0.0.1",)
    assert entry.evidence.top_destinations


def test_who_spoofs_is_bound_as_itself_and_whom_it_claims_to_be_is_not(cloud: Cloud) -> None:
    guilty, claimed = cloud.vm("spoofer", 18), cloud.vm("victim", 19)
    words = ("--to", "203.0.113.40", "--ports", "80", "--sources", "10.0.0.19", "--rate", "2000")
    cloud.traffic("spoofer", "syn", *words, seconds=10.0)
    cloud.lab.wait(lambda: bound(cloud, guilty, "syn-flood"), "the spoofer to be bound")
    assert cloud.bound_by(claimed) == set()
    assert cloud.reaches("victim", "203.0.113.40")


def test_the_command_line_explains_it(cloud: Cloud) -> None:
    guilty = cloud.vm("spammer", 12)
    cloud.traffic("spammer", "spam", *SPAM, seconds=4.0)
    cloud.lab.wait(lambda: bound(cloud, guilty, "outgoing-spam"), "the spammer to be bound")
    env = {**os.environ, "SEKISHO_CLIENT": str(cloud.lab.folder / "state" / "client.toml")}

    def sekisho(*words: str) -> str:
        argv = [sys.executable, "-m", "sekisho.app.main", *words]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = sekisho("explain", guilty)
    assert "tcp/25" in told
    assert "outgoing-spam" in told
    assert guilty in {r["subject"] for r in json.loads(sekisho("restrictions", "list", "--json"))["items"]}
    assert json.loads(sekisho("status", "--json"))["active"] >= 1
    assert guilty in sekisho("top", "--once")


def test_of_two_vms_of_one_address_only_the_guilty_one_is_bound(cloud: Cloud) -> None:
    """The same MAC and IP address stand on one host in two VLANs, each with an internet of its own."""
    one, two = (cloud.vm(f"vm-{vlan}", 21, vlan=vlan) for vlan in (101, 102))
    for vlan in (101, 102):
        cloud.uplink(f"net-{vlan}", vlan)
    mail = cloud.traffic("vm-102", "mail", "--to", "198.51.100.1", "--rate", "2")
    cloud.traffic("vm-101", "spam", *SPAM, seconds=4.0)
    cloud.lab.wait(lambda: bound(cloud, one, "outgoing-spam"), "the spammer to be bound")
    flood = ("--to", "10.0.0.21", "--ports", "80", "--sources", "198.51.100.0/24", "--rate", "4000")
    cloud.traffic("net-101", "syn", *flood, seconds=6.0)
    cloud.lab.wait(lambda: bound(cloud, one, "flooded"), "the flooded VM to be shielded")
    assert not cloud.reaches("net-101", "10.0.0.21")
    assert cloud.reaches("net-102", "10.0.0.21")
    assert cloud.bound_by(two) == set()
    sent = attempts(mail, 25)
    assert len(sent) >= 4
    assert all(a.ok for a in sent)


def test_from_samples_alone_a_spammer_is_bound() -> None:
    with cloud_of(settings(POLICIES, host(), exact=False)) as cloud:
        guilty = cloud.vm("spammer", 12)
        cloud.traffic("spammer", "spam", *SPAM, seconds=15.0)
        assert_only_bound(cloud, guilty, "outgoing-spam")


def test_from_ipfix_spam_and_volume_are_seen_and_a_new_collector_sees_them_too() -> None:
    """A collector that starts knows no template until the switch tells them again."""
    with cloud_of(settings(POLICIES, host("ipfix"))) as cloud:
        guilty = cloud.vm("spammer", 12)
        cloud.traffic("spammer", "spam", *SPAM, seconds=30.0)
        assert_only_bound(cloud, guilty, "outgoing-spam")
        cloud.lab.kill("collector")
        until = cloud.active(guilty)[0].until
        cloud.lab.restart("collector")
        cloud.lab.wait(lambda: any(r.until > until for r in cloud.active(guilty)), "it to be seen anew")
        heavy = cloud.vm("heavy", 14)
        cloud.traffic("heavy", "udp", *VOLUME, seconds=15.0)
        assert_only_bound(cloud, heavy, "heavy-user")


def test_from_netflow5_volume_is_seen() -> None:
    with cloud_of(settings(POLICIES, host("netflow5"), exact=False)) as cloud:
        guilty = cloud.vm("heavy", 14)
        cloud.traffic("heavy", "udp", *VOLUME, seconds=15.0)
        assert_only_bound(cloud, guilty, "heavy-user")


def assert_only_bound(cloud: Cloud, guilty: str, policy: str) -> None:
    """See a subject bound, and an honest one beside it left alone."""
    if "honest" not in cloud.switch.vms:
        cloud.vm("honest", 11)
        cloud.traffic("honest", "browse", "--to", "198.51.100.80")
    cloud.lab.wait(lambda: bound(cloud, guilty, policy), f"{guilty} to be bound", 30.0)
    assert cloud.bound_by(guilty) == {policy}
    assert cloud.bound_by("port-honest") == set()


def test_who_spams_again_is_bound_longer_and_the_kill_switch_frees_at_once() -> None:
    with cloud_of(settings(FLAPPING, host())) as cloud:
        guilty = cloud.vm("spammer", 12)
        for rung in (1, 2):
            cloud.traffic("spammer", "spam", *SPAM, seconds=3.0)
            cloud.lab.wait(lambda: bound(cloud, guilty, "spam"), "the spammer to be bound")
            assert cloud.active(guilty)[0].offence == rung
            if rung == 1:
                cloud.lab.wait(lambda: not cloud.active(guilty), "its end")
        assert cloud.active(guilty)[0].duration == 6.0
        cloud.client.enforce(enabled=False, reason="a test")
        assert not cloud.active(guilty)
        rules = "dump-flows", "br-lab", "table=0,tcp,tp_dst=25"
        gone = cloud.lab.wait(lambda: "actions=drop" not in cloud.switch.ofctl(*rules), "the rule to go")
        assert gone < 1.0
        assert next(iter(cloud.client.restrictions(guilty))).state is State.LIFTED

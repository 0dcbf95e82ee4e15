"""From a packet to a verdict and back to the packet, by every way a switch can tell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from sekisho.app.lab import LabHost
from sekisho.lab.record import attempts
from sekisho.model.restriction import State
from support_cloud import Cloud, cloud_of, settings

pytestmark = [pytest.mark.ovs, pytest.mark.slow]

POLICIES = (files("sekisho.lab") / "policies.toml").read_text()
SPAM = ("--to", "198.51.100.0/24", "--rate", "20")
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


def host(protocol: str = "sflow", sampling: int = 2) -> tuple[LabHost, ...]:
    return (LabHost(telemetry={"protocol": protocol, "sampling": sampling}),)


@pytest.fixture(scope="module")
def whole() -> Iterator[Cloud]:
    with cloud_of(settings(POLICIES, host())) as made:
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


@pytest.mark.parametrize(
    ("protocol", "exact", "role", "words", "policy"),
    [
        ("sflow", False, "spam", SPAM, "outgoing-spam"),
        ("ipfix", True, "spam", SPAM, "outgoing-spam"),
        ("ipfix", True, "udp", ("--to", "203.0.113.9", "--port", "5001", "--bits", "6e7"), "heavy-user"),
        ("netflow5", False, "udp", ("--to", "203.0.113.9", "--port", "5001", "--bits", "6e7"), "heavy-user"),
    ],
    ids=["samples alone", "ipfix", "ipfix volume", "netflow5 volume"],
)
def test_every_way_of_telling_leads_to_a_rule(
    *, protocol: str, exact: bool, role: str, words: tuple[str, ...], policy: str
) -> None:
    with cloud_of(settings(POLICIES, host(protocol), exact=exact)) as cloud:
        guilty, honest = cloud.vm("guilty", 12), cloud.vm("honest", 11)
        cloud.traffic("honest", "browse", "--to", "198.51.100.80")
        cloud.traffic("guilty", role, *words, seconds=15.0)
        cloud.lab.wait(lambda: bound(cloud, guilty, policy), "the guilty to be bound", 30.0)
        assert cloud.bound_by(honest) == set()


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


def lab(folder: Path, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "sekisho.app.main", "lab", "--folder", str(folder), *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def namespaces(folder: Path) -> set[str]:
    """List the network namespaces a lab in this folder has made."""
    import hashlib

    prefix = "sk" + hashlib.sha256(str(folder / "ovs").encode()).hexdigest()[:8]
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listed.splitlines() if line.startswith(prefix)}


def plays(folder: Path) -> bool:
    return any((folder / "traffic").glob("*-mail.jsonl"))


def test_the_lab_says_what_it_came_to_in_one_line_even_after_it_was_interrupted_and_killed(
    short_folder: Path,
) -> None:
    """Ctrl-C leaves nothing, a crash leaves nothing that a second run would trip over."""
    for how in (signal.SIGINT, signal.SIGKILL):
        running = lab(short_folder, "--scenario", "quiet")
        deadline = time.monotonic() + 30
        while not plays(short_folder) and time.monotonic() < deadline:
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(how)
        running.communicate(timeout=30)
        if how is signal.SIGINT:
            assert running.returncode == 0
            assert namespaces(short_folder) == set()
    last = lab(short_folder, "--scenario", "spam", "--headless", "--json")
    out, err = last.communicate(timeout=100)
    result = json.loads(out.strip().splitlines()[-1])
    assert last.returncode == 0, err
    assert result["false_positives"] == 0
    assert result["freed"] is True
    assert 0 < result["seconds_to_rule"]["median"] <= result["seconds_to_rule"]["max"] < 1.5
    assert namespaces(short_folder) == set()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    import shutil
    import tempfile

    if os.geteuid():
        pytest.skip("needs root")
    folder = Path(tempfile.mkdtemp(prefix="sek-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)

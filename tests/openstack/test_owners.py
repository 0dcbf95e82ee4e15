"""A customer frees itself: the real clients, a real Keystone, its catalogue, and the keeper that judges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sekisho.cli.signin import SERVICE_TYPE
from sekisho.lab.openstack import keystone
from sekisho.lab.openstack.keeper import INSIDE
from sekisho.lab.openstack.shell import enter, wait
from sekisho.lab.openstack.stack import Stack
from sekisho.model.errors import NotFound
from sekisho.model.policy import Unit
from sekisho.model.restriction import Evidence, Finding, State
from support_stack import clouds_file

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(600)]

# Its owner may end it early once a day.
POLICY = """
[policy.owners-may]
mode = "enforce"
early_release = "1d"
[[policy.owners-may.when]]
detector = "egress-bytes"
threshold = "1 GB/1h"
[[policy.owners-may.then]]
drop = "tcp/25"
for = "1h"
"""
Done = subprocess.CompletedProcess[str]


@dataclass
class Catalogue:
    """What Keystone's catalogue says of the keeper."""

    stack: Stack
    made: str = ""

    def name_the_keeper(self) -> None:
        """Do what docs/how-to/keystone.md tells operators to do."""
        service = {"service": {"name": "sekisho", "type": SERVICE_TYPE}}
        self.made = str(self.stack.api("identity", "POST", "/services", service)["service"]["id"])
        address = {"url": INSIDE, "region_id": keystone.REGION, "interface": "public"}
        endpoint = {"endpoint": {"service_id": self.made, **address}}
        self.stack.api("identity", "POST", "/endpoints", endpoint)

    def clear(self) -> None:
        if self.made:
            self.stack.api("identity", "DELETE", f"/services/{self.made}")
            self.made = ""


@pytest.fixture(scope="module", autouse=True)
def judged(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the keeper know Keystone, and a policy that lets owners end what it imposed."""
    secret = tmp_path_factory.mktemp("owners") / "secret"
    secret.write_text("sekisho\n")
    assert stack.keeper.ready() == ()
    policies = stack.folder / "keeper" / "policies" / "owners.toml"
    policies.write_text(POLICY)
    stack.restart_keeper(
        {"keeper.keystone": {"url": keystone.URL, "user": "sekisho", "secret_file": str(secret)}}
    )
    assert stack.keeper.policies().problems == ()
    yield
    policies.unlink()
    stack.restart_keeper({})


@pytest.fixture
def catalogue(stack: Stack) -> Iterator[Catalogue]:
    made = Catalogue(stack)
    yield made
    made.clear()


@pytest.fixture
def offend(stack: Stack) -> Callable[[], str]:
    """Let a port of the project demo cross the policy's line, once more each time."""
    port = stack.make.port(stack.make.network(), "", name="mail-1")["id"]

    def known() -> bool:
        try:
            return bool(stack.keeper.subject(port).project)
        except NotFound:
            return False

    def once() -> str:
        wait(known, "the keeper to know the port")
        now = stack.keeper.whoami().now
        finding = Finding("egress-bytes", Unit.BYTES, 3600.0, 2e9, 1.9e9, 2.1e9, 1e9, 1000)
        (verdict,) = stack.keeper.evidence((Evidence(port, "owners-may", (finding,), now - 3600.0, now),))
        assert verdict.restriction, verdict
        return verdict.restriction

    return once


def release(stack: Stack, restriction: str, as_: str, reason: str = "The queue was cleaned.") -> Done:
    words = ["port", "restriction", "release", restriction, "--reason", reason]
    return stack.openstack(words, as_)


def ours(stack: Stack, folder: Path, user: str, *words: str) -> Done:
    """Run `sekisho` as a customer does, by a clouds.yaml; the catalogue says where the keeper is."""
    told = {k: v for k, v in os.environ.items() if not k.startswith(("OS_", "SEKISHO_"))}
    env = {**told, "OS_CLIENT_CONFIG_FILE": str(clouds_file(folder, user)), "HOME": str(folder)}
    program = (sys.executable, "-m", "sekisho.app.main", *words, "--os-cloud", "stack")
    argv = [*enter(stack.place.controller), *program]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_an_owner_ends_one_early_by_the_openstack_command(
    stack: Stack, catalogue: Catalogue, offend: Callable[[], str]
) -> None:
    first = offend()
    away = release(stack, first, "member")
    assert (away.returncode, "catalogue names no keeper" in away.stderr) == (1, True), away.stderr
    catalogue.name_the_keeper()
    for who, said in (
        ("other", "There is no restriction"),
        ("reader", "You may look at this project's restrictions, and not end them."),
        ("operator", "This needs the role member; yours is operator."),
    ):
        refused = release(stack, first, who)
        assert (refused.returncode, said in refused.stderr) == (1, True), refused.stderr
    assert stack.keeper.restriction(first).state is State.ACTIVE

    done = release(stack, first, "member")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert stack.keeper.restriction(first).state is State.EXPIRED
    line = next(e for e in stack.keeper.journal(restriction=first) if e.verb == "release")
    assert (line.author, line.reason) == ("keystone:member@Default (demo)", "The queue was cleaned.")

    second = offend()
    assert second != first
    refused = release(stack, second, "member")
    assert (refused.returncode, "released early 1 time" in refused.stderr) == (1, True), refused.stderr
    assert stack.keeper.restriction(second).state is State.ACTIVE


def test_an_owner_sees_and_ends_one_by_our_own_command(
    stack: Stack, catalogue: Catalogue, offend: Callable[[], str], tmp_path: Path
) -> None:
    catalogue.name_the_keeper()
    name = offend()
    told = ours(stack, tmp_path, "member", "self", "--json")
    assert told.returncode == 0, told.stderr
    view: Any = json.loads(told.stdout)
    (mine,) = [r for r in view["restrictions"] if r["id"] == name]
    assert (mine["state"], mine["evidence"]["findings"][0]["estimate"]) == ("active", 2e9)
    assert {"restriction": name, "may": True, "why": "", "at": 0.0} in view["releases"]
    others: Any = json.loads(ours(stack, tmp_path, "other", "self", "--json").stdout)
    # Its own it may have, of the tests before this one.
    assert name not in [r["id"] for r in others["restrictions"]]
    assert view["project"] != others["project"]

    refused = ours(stack, tmp_path, "operator", "self", "release", name, "--reason", "x")
    assert (refused.returncode, "that is no project's token" in refused.stderr) == (4, True), refused.stderr
    done = ours(stack, tmp_path, "member", "self", "release", name, "--reason", "Cleaned.")
    assert (done.returncode, f"{name} is over" in done.stdout) == (0, True), done.stderr
    assert stack.keeper.restriction(name).state is State.EXPIRED

"""The real ``openstack`` client against a real Neutron: who may say what, and who sees what."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from sekisho.lab.openstack.stack import Stack
from sekisho.model.restriction import State

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(600)]

COMMAND = "port restriction"


def run(stack: Stack, words: str, as_: str = "admin") -> tuple[int, str]:
    """Run the client; its code, and all it said."""
    done = stack.openstack(f"{COMMAND} {words}", as_)
    return done.returncode, done.stdout + done.stderr


def asked(stack: Stack, words: str, as_: str = "admin") -> Any:
    """Run a command that answers, and read what it says to programs."""
    done = stack.openstack(f"{COMMAND} {words} -f json", as_)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def listed(stack: Stack, as_: str = "admin", words: str = "") -> dict[str, Any]:
    return {each["ID"]: each for each in asked(stack, f"list {words}", as_)}


def test_an_operator_restricts_and_its_owner_alone_sees_why(stack: Stack) -> None:
    port = stack.make.port(stack.make.network(), "h1", name="mail-1")
    reason = "spam run, ticket 4711"
    made = asked(
        stack, f"create mail-1 --drop tcp/25 --limit 10Mbit/s --duration 2h --reason {shlex.quote(reason)}"
    )
    assert (made["port_id"], made["state"], made["duration"]) == (port["id"], "active", 7200)
    for who in ("member", "reader"):
        found = listed(stack, who, "--port mail-1")
        assert found[made["id"]]["Reason"] == reason
        assert [a["action"] for a in found[made["id"]]["Actions"]] == ["drop", "limit"]
    code, said = run(stack, f"show {made['id']}", "member")
    assert code == 0
    assert "drop tcp/25 egress" in said
    assert made["id"] not in listed(stack, "other")
    code, said = run(stack, f"show {made['id']}", "other")
    assert code == 1
    assert "There is no restriction" in said

    for who, words in (
        ("member", "create mail-1 --warn --reason x"),
        ("member", f"set {made['id']} --duration 1min"),
        ("member", f"delete {made['id']}"),
        ("reader", f"delete {made['id']} --reason x"),
    ):
        code, said = run(stack, words, who)
        assert code == 1, words
        assert "disallowed by policy" in said
    assert stack.keeper.restriction(made["id"]).duration == pytest.approx(7200)


def test_an_operator_changes_lifts_and_looks_back(stack: Stack) -> None:
    stack.make.port(stack.make.network(), "", name="web-1")
    first, second = (asked(stack, "create web-1 --warn --reason look")["id"] for _ in range(2))
    assert run(stack, f"set {first} --duration 48h --reason longer") == (0, "")
    left = stack.keeper.restriction(first).until - stack.keeper.whoami().now
    assert left == pytest.approx(172800, abs=60)
    assert run(stack, f"delete {first} {second} --reason 'cleaned up'") == (0, "")
    for each in (first, second):
        assert stack.keeper.restriction(each).state is State.LIFTED
        assert "cleaned up" in {line.reason for line in stack.keeper.journal(restriction=each)}
    assert listed(stack, words="--port web-1") == {}
    assert list(listed(stack, words="--port web-1 --state lifted --limit 1")) == [second]
    assert list(listed(stack, words=f"--port web-1 --state lifted --limit 5 --marker {second}")) == [first]
    code, said = run(stack, f"delete {first} r999999")
    assert code == 1
    assert "2 of 2" in said

"""Neutron's API for restrictions, and what the keeper hears of ports: no VM needed, no packet sent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from sekisho.lab.openstack.rest import Answer
from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack
from sekisho.model.errors import Forbidden, Malformed, NotFound
from sekisho.model.inventory import Subject
from sekisho.model.policy import Unit
from sekisho.model.restriction import Evidence, Finding, State
from support_restrict import restrict
from support_stack import PATH, SMTP

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("tidy"), pytest.mark.timeout(300)]

ONE = "port_restriction"
PROPOSES = """
[policy.look-first]
mode = "propose"
[[policy.look-first.when]]
detector = "egress-bytes"
threshold = "1 GB/1h"
[[policy.look-first.then]]
drop = "tcp/25"
for = "1h"
"""
OVERRIDE = "(rule:admin_only) or (role:reader and project_id:%(project_id)s) or role:sekisho_operator"


def change(stack: Stack, restriction: str, **body: Any) -> dict[str, Any]:
    changed: dict[str, Any] = stack.api("network", "PUT", f"{PATH}/{restriction}", {ONE: body})[ONE]
    return changed


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def listed(stack: Stack, query: str = "", as_: str = "admin") -> list[str]:
    found = stack.api("network", "GET", f"{PATH}?{query}", as_=as_)["port_restrictions"]
    return [each["id"] for each in found]


def ask(stack: Stack, method: str, path: str, body: object = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return stack.ask("network", method, path, body, {"X-Auth-Token": stack.place.rest.token(), **named})


def known(stack: Stack, port: str) -> Subject | None:
    try:
        return stack.keeper.subject(port)
    except NotFound:
        return None


@contextmanager
def keeper_away(stack: Stack) -> Iterator[None]:
    stack.kill("keeper")
    try:
        yield
    finally:
        stack.restart_keeper({})


def test_the_keeper_knows_a_port_at_once_and_forgets_it(stack: Stack) -> None:
    network = stack.make.network()
    port = stack.make.port(network, "h1")
    wait(lambda: known(stack, port["id"]) is not None, "the keeper to hear of the port", 2.0)
    found = known(stack, port["id"])
    assert found is not None
    assert (found.project, found.network, found.host) == (port["project_id"], network.id, "h1")
    assert (found.mac, found.server) == (port["mac_address"], port["device_id"])
    stack.api("network", "DELETE", f"/ports/{port['id']}")
    wait(lambda: known(stack, port["id"]) is None, "the keeper to forget the port", 2.0)


def test_the_plan_of_a_port_and_of_its_network_is_told(stack: Stack) -> None:
    network = stack.make.network()
    port = stack.make.port(network, "h1")
    own, shared = stack.make.qos_policy(), stack.make.qos_policy()

    def has(*plans: str) -> None:
        wait(lambda: (known(stack, port["id"]) or Subject("", "")).qos == plans, f"the plans {plans}")

    for path, kind, plan, effect in (
        (f"/networks/{network.id}", "network", shared, (shared,)),
        (f"/ports/{port['id']}", "port", own, (own,)),
        (f"/ports/{port['id']}", "port", None, (shared,)),
        (f"/networks/{network.id}", "network", None, ()),
    ):
        stack.api("network", "PUT", path, {kind: {"qos_policy_id": plan}})
        has(*effect)


def test_a_live_migration_is_told_before_it_begins(stack: Stack) -> None:
    port = stack.make.port(stack.make.network(), "h1")
    made = restrict(stack, port["id"], SMTP)

    def carries(host: str) -> bool:
        program = stack.keeper.program(host)
        return program is not None and made["id"] in {b.restriction for b in program.bindings}

    wait(lambda: carries("h1"), "the host to carry it")
    assert not carries("h2")
    for profile, comes in (({"migrating_to": "h2"}, True), ({}, False)):
        body = {"port": {"binding:profile": profile}}
        stack.api("network", "PUT", f"/ports/{port['id']}", body, as_="neutron")
        wait(lambda comes=comes: carries("h2") is comes, "the other host")  # type: ignore[misc]
        assert carries("h1")


def test_the_keeper_away_is_told_with_when_to_ask_again_and_hears_of_ports_later(stack: Stack) -> None:
    network = stack.make.network()
    with keeper_away(stack):
        for method, path in (("GET", PATH), ("GET", f"{PATH}/r1"), ("DELETE", f"{PATH}/r1")):
            answer = ask(stack, method, path)
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert "Try again" in answer.json()["NeutronError"]["message"]
        port = stack.make.port(network, "h1")
    wait(lambda: known(stack, port["id"]) is not None, "the keeper to hear of the port")


def test_a_change_is_made_at_the_revision_that_was_seen_or_not_at_all(stack: Stack) -> None:
    made = restrict(stack, stack.make.port(stack.make.network(), "")["id"], SMTP)
    path, body = f"{PATH}/{made['id']}", {ONE: {"duration": 3600}}
    stale = f"revision_number={made['revision_number'] + 1}"
    for method, sent in (("PUT", body), ("DELETE", None)):
        answer = ask(stack, method, path, sent, If_Match=stale)
        assert answer.status == 412
        assert "current revision" in answer.json()["NeutronError"]["message"]
    answer = ask(stack, "PUT", path, body, If_Match=f"revision_number={made['revision_number']}")
    assert answer.status == 200
    now = answer.json()[ONE]["revision_number"]
    assert now > made["revision_number"]
    assert ask(stack, "DELETE", path, If_Match=f"revision_number={now}").status == 204


def test_a_restriction_ends_at_a_moment_and_is_lifted_with_a_reason(stack: Stack) -> None:
    port = stack.make.port(stack.make.network(), "")
    now = stack.keeper.whoami().now
    until, later = (
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + each)) for each in (7200.0, 10800.0)
    )
    body = {"port_id": port["id"], "actions": [SMTP], "reason": "it sent spam", "expires_at": until}
    made = stack.api("network", "POST", PATH, {ONE: body})[ONE]
    assert moment(made["expires_at"]) == pytest.approx(moment(until), abs=2)
    changed = change(stack, made["id"], expires_at=later)
    assert moment(changed["expires_at"]) == pytest.approx(moment(later), abs=2)
    for wrong in (
        {"expires_at": "yesterday"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": later, "duration": 60},
        {"state": "lifted", "duration": 60},
        {"state": "expired"},
        {"reason": "no more"},
    ):
        with pytest.raises(Malformed):
            change(stack, made["id"], **wrong)
    assert change(stack, made["id"], state="lifted", reason="cleaned up")["state"] == "lifted"
    assert "cleaned up" in {line.reason for line in stack.keeper.journal(restriction=made["id"])}


def test_proposals_are_decided_in_neutron_and_seen_by_those_who_decide(stack: Stack) -> None:
    file = stack.folder / "keeper" / "policies" / "propose.toml"
    file.write_text(PROPOSES)
    try:
        assert stack.keeper.reload_policies().problems == ()
        network = stack.make.network()
        ports = [stack.make.port(network, "")["id"] for _ in range(2)]
        for port in ports:
            wait(lambda port=port: known(stack, port) is not None, "the port")  # type: ignore[misc]
        now = stack.keeper.whoami().now
        finding = Finding("egress-bytes", Unit.BYTES, 3600.0, 2e9, 1.9e9, 2.1e9, 1e9, 1000)
        shown = [Evidence(port, "look-first", (finding,), now - 3600.0, now) for port in ports]
        first, second = (verdict.restriction for verdict in stack.keeper.evidence(shown))
        assert {first, second} <= set(listed(stack, "state=proposed"))
        assert listed(stack, "state=proposed", as_="member") == []
        with pytest.raises(NotFound):
            stack.api("network", "GET", f"{PATH}/{first}", as_="member")
        approved = change(stack, first, state="active", reason="yes")
        assert approved["state"] == "active"
        assert approved["evidence"].startswith(
            "egress-bytes 2 GB (at least 1.9 GB) over 1 GB in 1 h, measured"
        )
        assert listed(stack, as_="member").count(first) == 1
        stack.api("network", "DELETE", f"{PATH}/{second}")
        assert stack.keeper.restriction(second).state is State.REJECTED
    finally:
        file.unlink()
        stack.keeper.reload_policies()


def test_who_may_see_what_is_neutrons_policy(stack: Stack) -> None:
    made = restrict(stack, stack.make.port(stack.make.network(), "")["id"], SMTP)
    file = stack.folder / "neutron" / "policy.yaml"
    assert made["id"] not in listed(stack, as_="operator")
    file.write_text(json.dumps({"get_port_restriction": OVERRIDE}))
    try:
        wait(lambda: made["id"] in listed(stack, as_="operator"), "Neutron to read its policy")
        shown = stack.api("network", "GET", f"{PATH}/{made['id']}", as_="operator")[ONE]
        assert shown["reason"] == "it sent spam"
        assert made["id"] in listed(stack, as_="member")
        assert made["id"] not in listed(stack, as_="other")
        with pytest.raises(Forbidden):
            stack.api("network", "DELETE", f"{PATH}/{made['id']}", as_="operator")
    finally:
        file.write_text("{}")  # a file that is gone would be missed by Neutron at each request
        wait(lambda: made["id"] not in listed(stack, as_="operator"), "Neutron to read its policy")


def test_the_owner_of_a_network_sees_on_its_ports_only_what_is_its_own(stack: Stack) -> None:
    network = stack.make.network(project="demo")
    ports = {who: [stack.make.port(network, "", who) for _ in range(2)] for who in ("demo", "other")}
    bound = {who: restrict(stack, mine[0]["id"], SMTP)["id"] for who, mine in ports.items()}

    def shown(as_: str, order: str = "asc") -> dict[str, Any]:
        query = f"network_id={network.id}&sort_key=project_id&sort_dir={order}"
        found = stack.api("network", "GET", f"/ports?{query}", as_=as_)["ports"]
        return {
            p["id"]: [r["id"] for r in p["restrictions"]] if p["restrictions"] is not None else None
            for p in found
        }

    def expected(*seen: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for who, (first, second) in ports.items():
            found |= (
                {first["id"]: [bound[who]], second["id"]: []}
                if who in seen
                else {first["id"]: None, second["id"]: None}
            )
        return found

    wait(lambda: shown("admin") == expected("demo", "other"), "the ports to show it")
    for order in ("asc", "desc"):  # whosever port is the first
        assert shown("member", order) == expected("demo")


def test_what_has_ended_is_read_page_by_page(stack: Stack) -> None:
    network = stack.make.network()
    port, other = stack.make.port(network, ""), stack.make.port(network, "")
    made = [restrict(stack, port["id"], SMTP)["id"] for _ in range(5)]
    for each in made:
        change(stack, each, state="lifted", reason="done")
    open_ = restrict(stack, other["id"], SMTP)["id"]
    mine = f"port_id={port['id']}&state=lifted&state=active"
    newest = made[::-1]
    assert listed(stack, mine) == newest
    assert listed(stack, f"{mine}&limit=2", as_="member") == newest[:2]
    assert listed(stack, f"{mine}&limit=2&marker={newest[1]}", as_="member") == newest[2:4]
    assert listed(stack, f"{mine}&limit=2&marker={newest[3]}&page_reverse=True") == newest[1:3]
    assert listed(stack, f"{mine}&sort_key=created_at&sort_dir=asc&limit=2") == made[:2]
    both = f"port_id={port['id']}&port_id={other['id']}&state=lifted&state=active"
    assert listed(stack, f"{both}&limit=3") == [open_, *newest[:2]]
    assert listed(stack, f"{mine}&limit=2", as_="other") == []
    page = stack.api("network", "GET", f"{PATH}?{mine}&limit=4")
    assert "next" in {link["rel"] for link in page["port_restrictions_links"]}
    for wrong in ("state=gone", "sort_key=id&sort_dir=asc"):
        with pytest.raises(Malformed):
            listed(stack, wrong)
    with pytest.raises(NotFound):
        listed(stack, "limit=2&marker=nothing")

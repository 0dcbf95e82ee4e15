"""Writes: what they answer, that they happen once, and only to what the asker saw."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sekisho.model.access import Issuer, Principal, Role
from sekisho.model.plain import to_plain
from sekisho.model.policy import Mode
from sekisho.model.restriction import State
from sekisho.testing.contract_keeper import POLICIES, evidence
from sekisho.testing.keeper import FakeKeeper
from support_api import IMPOSE, bearer

AGENT = Principal("agent", Role.AGENT)


def impose(client: httpx.Client, **headers: str) -> Any:
    answer = client.post("/v1/restrictions", json=IMPOSE, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer


def test_imposing_answers_the_entry_and_where_it_is(client: httpx.Client, keeper: FakeKeeper) -> None:
    answer = impose(client)
    made = keeper.restriction(answer.json()["id"])
    assert answer.json() == to_plain(made)
    assert made.author == "operator"
    there = client.get(answer.headers["Location"])
    assert there.json() == answer.json()
    assert there.headers["ETag"] == answer.headers["ETag"] == f'"{made.revision}"'


@pytest.mark.parametrize(
    "action",
    [
        {"kind": "drop", "protocol": "tcp", "direction": "egress", "first_port": 25},
        {"kind": "drop", "protocol": "tcp", "direction": "egress", "first_port": 30, "last_port": 25},
        {"kind": "drop", "protocol": "udp", "direction": "egress", "first_port": 0, "last_port": 70000},
        {"kind": "drop", "protocol": "icmp", "direction": "egress", "first_port": 8, "last_port": 8},
        {"kind": "police", "direction": "egress", "rate": 999},
        {"kind": "police", "direction": "egress", "rate": 1_000_000, "burst": -1},
    ],
)
def test_what_no_switch_can_carry_is_not_written_down(
    client: httpx.Client, keeper: FakeKeeper, action: dict[str, Any]
) -> None:
    good = IMPOSE["actions"][0]
    answer = client.post("/v1/restrictions", json=IMPOSE | {"actions": [good, action]})
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem.startswith("actions[1]: ")
    assert keeper.restrictions("", "", (), 10, "").items == ()


def test_a_whole_protocol_and_a_warning_may_be_imposed(client: httpx.Client) -> None:
    for actions in ([{"kind": "drop", "protocol": "any", "direction": "ingress"}], []):
        assert client.post("/v1/restrictions", json=IMPOSE | {"actions": actions}).status_code == 201


def test_a_repeated_key_is_answered_alike(client: httpx.Client, keeper: FakeKeeper) -> None:
    key = {"Idempotency-Key": "k1"}
    first, second = impose(client, **key), impose(client, **key)
    assert first.json() == second.json()
    assert len(keeper.restrictions("", "", (), 10, "").items) == 1
    other = client.post("/v1/restrictions", json=IMPOSE | {"duration": 60}, headers=key)
    assert other.status_code == 409
    lift = f"/v1/restrictions/{first.json()['id']}/lift"
    for _ in range(2):
        answer = client.post(lift, json={"reason": "why"}, headers={"Idempotency-Key": "k2"})
        assert (answer.status_code, answer.json()["state"]) == (200, "lifted")
    assert client.post(lift, json={"reason": "why"}).status_code == 409
    too_long = client.post("/v1/restrictions", json=IMPOSE, headers={"Idempotency-Key": "k" * 201})
    assert too_long.status_code == 422


def test_extending_what_has_changed_meanwhile_is_412(client: httpx.Client, keeper: FakeKeeper) -> None:
    answer = impose(client)
    path, tag = f"{answer.headers['Location']}/extend", answer.headers["ETag"]
    body = {"duration": 7200, "reason": "more"}
    extended = client.post(path, json=body, headers={"If-Match": tag})
    assert extended.status_code == 200
    assert extended.json()["until"] == keeper.now + 7200
    assert extended.headers["ETag"] != tag
    stale = client.post(path, json=body, headers={"If-Match": tag})
    assert stale.status_code == 412
    assert stale.json()["type"] == "urn:sekisho:problem:conflict"
    assert client.post(path, json=body, headers={"If-Match": "*"}).status_code == 200
    assert client.post(path, json=body).status_code == 200


def test_what_has_ended_is_409_although_the_tag_fits(client: httpx.Client) -> None:
    answer = impose(client)
    location = answer.headers["Location"]
    lifted = client.post(f"{location}/lift", json={"reason": "why"})
    fits = {"If-Match": lifted.headers["ETag"]}
    body = {"duration": 60, "reason": "more"}
    assert client.post(f"{location}/extend", json=body, headers=fits).status_code == 409


@pytest.mark.parametrize("tag", ["7", 'W/"7"', '"x"', '"1", "2"', '""'])
def test_strange_tags_are_malformed(client: httpx.Client, tag: str) -> None:
    path = f"{impose(client).headers['Location']}/extend"
    answer = client.post(path, json={"duration": 60, "reason": "r"}, headers={"If-Match": tag})
    assert answer.status_code == 400


def test_proposals_are_approved_and_rejected(client: httpx.Client, keeper: FakeKeeper) -> None:
    assert POLICIES.policies[1].mode is Mode.PROPOSE
    asked = (evidence("port-web", "propose-it"), evidence("port-mail", "propose-it"))
    yes, no = (v.restriction for v in keeper.evidence(AGENT, asked))
    assert client.post(f"/v1/restrictions/{yes}/approve", json={}).json()["state"] == "active"
    rejected = client.post(f"/v1/restrictions/{no}/reject", json={"reason": "A newsletter."})
    assert rejected.json()["state"] == "rejected"
    assert client.post(f"/v1/restrictions/{no}/approve", json={}).status_code == 409


def test_exemptions_come_and_go(client: httpx.Client, keeper: FakeKeeper) -> None:
    body = {"scope": {"projects": ["acme"]}, "reason": "why", "duration": 60, "policies": ["spam"]}
    made = client.post("/v1/exemptions", json=body)
    assert made.status_code == 201
    assert made.json() == to_plain(keeper.exemptions()[0])
    gone = client.delete(f"/v1/exemptions/{made.json()['id']}", params={"reason": "Enough."})
    assert (gone.status_code, gone.content) == (204, b"")
    assert keeper.exemptions() == ()
    assert keeper.journal("", "", 1, "").items[0].reason == "Enough."
    assert client.delete(f"/v1/exemptions/{made.json()['id']}").status_code == 404


def test_the_kill_switch(client: httpx.Client, keeper: FakeKeeper) -> None:
    body = {"enabled": False, "reason": "Something is wrong."}
    answer = client.put("/v1/enforcement", json=body, headers=bearer(Role.ADMIN))
    assert answer.json() == to_plain(keeper.enforcement()) == client.get("/v1/enforcement").json()
    assert not keeper.enforcement().enabled
    wrong = client.put("/v1/enforcement", json=body | {"enabled": "false"}, headers=bearer(Role.ADMIN))
    assert wrong.status_code == 422
    assert (
        client.put("/v1/enforcement", json={"enabled": True}, headers=bearer(Role.ADMIN)).status_code == 422
    )


def test_tokens_tell_their_secret_once(client: httpx.Client, keeper: FakeKeeper) -> None:
    admin = bearer(Role.ADMIN)
    made = client.post("/v1/tokens", json={"name": "h7", "role": "agent", "host": "h7"}, headers=admin)
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert keeper.authenticate(secret, Issuer.SEKISHO) == Principal("h7", Role.AGENT, "h7")
    assert secret not in client.get("/v1/tokens?limit=1000", headers=admin).text
    path = f"/v1/tokens/{made.json()['token']['id']}"
    assert client.delete(path, headers=admin).status_code == 204
    assert client.delete(path, headers=admin).status_code == 404


def test_policies_are_checked_and_reloaded(client: httpx.Client, keeper: FakeKeeper) -> None:
    plain = {"Content-Type": "text/plain; charset=utf-8"}
    bad = client.post("/v1/policies/check", content="[[policy", headers=plain)
    assert bad.status_code == 200
    assert bad.json()["problems"]
    assert client.post("/v1/policies/check", content="", headers=plain).json() == {"problems": []}
    keeper.stage_policies(POLICIES, ("spam.toml:3: policy[0].mode: unknown.",))
    view = client.post("/v1/policies/reload").json()
    assert view["problems"] == ["spam.toml:3: policy[0].mode: unknown."]
    assert client.get("/v1/policies").json() == view == to_plain(keeper.policies())


def test_the_guards_refusal_is_403(client: httpx.Client, keeper: FakeKeeper) -> None:
    keeper.protected.add("port-web")
    answer = client.post("/v1/restrictions", json=IMPOSE)
    assert answer.status_code == 403
    assert "guard" in answer.json()["detail"]
    assert keeper.restrictions("", "", tuple(State), 10, "").items == ()

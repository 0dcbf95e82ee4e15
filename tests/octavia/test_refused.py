"""What a provider cannot do is refused in two sentences, and nothing is left of it."""

from __future__ import annotations

from typing import Any

import pytest

from sekisho.lab.octavia import PROJECT
from support_octavia import MONITOR, SUBNET, Bed, Whole, member

# A busy machine takes its time, for the emulated boxes above all.
pytestmark = pytest.mark.timeout(400)

BOTH = ("lvs", "adx")
CERT = "http://barbican/v1/containers/3e1a1b1c-0000-4000-8000-000000000000"

COOKIE = {"type": "APP_COOKIE", "cookie_name": "who"}


def kept(seconds: int, **more: str) -> dict[str, Any]:
    return {"type": "SOURCE_IP", "persistence_timeout": seconds, **more}


# what is asked for, on which providers it is refused, by what kind of object, and a word of the answer
LISTENERS: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = [
    ("http", BOTH, {"protocol": "HTTP"}, "HTTP"),
    ("terminated", BOTH, {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": CERT}, "TERMINATED"),
    ("prometheus", BOTH, {"protocol": "PROMETHEUS"}, "PROMETHEUS"),
    ("headers", BOTH, {"protocol": "HTTP", "insert_headers": {"X-Forwarded-For": "true"}}, "HTTP"),
    ("client data", BOTH, {"protocol": "TCP", "timeout_client_data": 1000}, "timeout_client_data"),
    ("member connect", BOTH, {"protocol": "TCP", "timeout_member_connect": 1000}, "timeout_member_connect"),
    ("member data", BOTH, {"protocol": "TCP", "timeout_member_data": 1000}, "timeout_member_data"),
    ("inspect", BOTH, {"protocol": "TCP", "timeout_tcp_inspect": 1000}, "timeout_tcp_inspect"),
    ("limit", BOTH, {"protocol": "TCP", "connection_limit": 10}, "connection"),
    ("cidrs", ("adx",), {"protocol": "TCP", "allowed_cidrs": ["10.0.0.0/8"]}, "allowed_cidrs"),
    ("sctp", ("adx",), {"protocol": "SCTP"}, "SCTP"),
    ("same port", ("adx",), {"protocol": "UDP", "protocol_port": 80}, "80"),
]
POOLS: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = [
    ("http", BOTH, {"protocol": "HTTP"}, "HTTP"),
    ("proxy", BOTH, {"protocol": "PROXY"}, "PROXY"),
    ("proxy v2", BOTH, {"protocol": "PROXYV2"}, "PROXYV2"),
    ("tls", BOTH, {"protocol": "TCP", "tls_enabled": True}, "tls_enabled"),
    ("tls reference", BOTH, {"protocol": "TCP", "tls_container_ref": CERT}, "tls_"),
    ("cookie", BOTH, {"protocol": "HTTP", "session_persistence": {"type": "HTTP_COOKIE"}}, "HTTP"),
    ("app cookie", BOTH, {"protocol": "TCP", "session_persistence": COOKIE}, "APP_COOKIE"),
    (
        "kept too short",
        ("adx",),
        {"protocol": "UDP", "session_persistence": kept(100)},
        "persistence_timeout",
    ),
    (
        "networks kept",
        ("adx",),
        {"protocol": "UDP", "session_persistence": kept(120, persistence_granularity="255.255.255.0")},
        "persistence_granularity",
    ),
    ("hash", ("adx",), {"protocol": "TCP", "lb_algorithm": "SOURCE_IP"}, "SOURCE_IP"),
    ("hash of ports", ("adx",), {"protocol": "TCP", "lb_algorithm": "SOURCE_IP_PORT"}, "SOURCE_IP_PORT"),
]
MEMBERS: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = [
    ("another port", BOTH, {"protocol_port": 8080}, "8080"),
    ("other subnet", BOTH, {"subnet_id": "22222222-2222-4222-8222-222222222222"}, "subnet"),
    ("other family", BOTH, {"address": "2001:db8::1"}, "2001:db8::1"),
    ("backup", ("adx",), {"backup": True}, "backup"),
    ("monitored elsewhere", ("adx",), {"monitor_port": 81}, "monitor_port"),
]
MONITORS: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = [
    ("ping", ("adx",), {"type": "PING"}, "PING"),
    ("hello", ("adx",), {"type": "TLS-HELLO"}, "TLS-HELLO"),
    ("two times", ("adx",), {"timeout": 4}, "timeout"),
    ("two counts", ("adx",), {"max_retries_down": 2}, "max_retries"),
    ("method", ("adx",), {"type": "HTTP", "http_method": "POST"}, "http_method"),
    ("query", ("adx",), {"type": "HTTP", "url_path": "/who?are=you"}, "path"),
    (
        "host",
        ("adx",),
        {"type": "HTTP", "http_version": 1.1, "domain_name": "www.example.org"},
        "domain_name",
    ),
]
POLICIES: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = [
    ("reject", BOTH, {"action": "REJECT"}, "L7"),
    ("redirect", BOTH, {"action": "REDIRECT_TO_URL", "redirect_url": "http://www.example.org/"}, "L7"),
]
BALANCERS: list[tuple[str, dict[str, Any], str]] = [
    (
        "more VIPs",
        {"additional_vips": [{"subnet_id": "33333333-3333-4333-8333-333333333333"}]},
        "additional_vips",
    ),
    ("qos", {"vip_qos_policy_id": "44444444-4444-4444-8444-444444444444"}, "vip_qos_policy_id"),
    ("groups", {"vip_sg_ids": ["55555555-5555-4555-8555-555555555555"]}, "vip_sg_ids"),
]
# vip_sg_ids is not among them: Octavia tells providers nothing of it in a change.
CHANGES: list[tuple[str, tuple[str, ...], dict[str, Any], str]] = [
    ("listener", BOTH, {"connection_limit": 10}, "connection"),
    ("listener", BOTH, {"timeout_client_data": 1000}, "timeout_client_data"),
    ("listener", BOTH, {"timeout_tcp_inspect": 1000}, "timeout_tcp_inspect"),
    ("listener", ("adx",), {"allowed_cidrs": ["10.0.0.0/8"]}, "allowed_cidrs"),
    ("pool", BOTH, {"tls_enabled": True}, "tls_enabled"),
    ("pool", BOTH, {"session_persistence": COOKIE}, "APP_COOKIE"),
    ("pool", ("adx",), {"lb_algorithm": "SOURCE_IP"}, "SOURCE_IP"),
    ("member", ("adx",), {"backup": True}, "backup"),
    ("member", ("adx",), {"monitor_port": 81}, "monitor_port"),
    ("healthmonitor", ("adx",), {"timeout": 4}, "timeout"),
    (
        "loadbalancer",
        BOTH,
        {"vip_qos_policy_id": "44444444-4444-4444-8444-444444444444"},
        "vip_qos_policy_id",
    ),
]
BATCHES: list[tuple[str, tuple[str, ...], list[dict[str, Any]], str]] = [
    ("one of another port", BOTH, [member(1), member(9, 8080)], "8080"),
    ("a backup", ("adx",), [member(1), {**member(9), "backup": True}], "backup"),
    ("another subnet", BOTH, [{**member(9), "subnet_id": "22222222-2222-4222-8222-222222222222"}], "subnet"),
]


@pytest.mark.parametrize("provider", BOTH)
def test_what_is_refused_leaves_nothing(there: Bed, provider: str) -> None:
    made = there.whole(f"sekisho-{provider}")
    before = there.tree(made.lb)
    wrong = [
        *_tried(there, made, provider, LISTENERS, _listener),
        *_tried(there, made, provider, POOLS, _pool),
        *_tried(there, made, provider, MEMBERS, _member),
        *_tried(there, made, provider, POLICIES, _policy),
    ]
    assert wrong == []
    assert there.tree(made.lb) == before


@pytest.mark.parametrize("provider", BOTH)
def test_changes_that_are_refused_leave_all_as_it_was(there: Bed, provider: str) -> None:
    made = there.whole(f"sekisho-{provider}")
    bare = there.make(
        made.lb, "pool", {"loadbalancer_id": made.lb, "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}
    )
    before = there.tree(made.lb)
    paths = {
        "listener": f"listeners/{made.listener}",
        "pool": f"pools/{made.pool}",
        "member": f"pools/{made.pool}/members/{made.members[0]}",
        "healthmonitor": f"healthmonitors/{made.monitor}",
        "loadbalancer": f"loadbalancers/{made.lb}",
    }
    asked: list[tuple[str, str, dict[str, Any], tuple[str, ...], str]] = [
        ("PUT", paths[k], {k: more}, p, w) for k, p, more, w in CHANGES
    ]
    asked += [("PUT", f"pools/{made.pool}/members", {"members": more}, p, w) for _, p, more, w in BATCHES]
    asked += [
        ("POST", "healthmonitors", {"healthmonitor": {**MONITOR, "pool_id": bare, **more}}, p, w)
        for _, p, more, w in MONITORS
    ]
    wrong = []
    for method, path, body, providers, word in asked:
        if provider in providers:
            answer = there.octavia.ask(method, f"/lbaas/{path}", body)
            if answer.status != 501 or word not in answer.text:
                wrong.append(f"{method} {path} {body}: {answer.status} {answer.text}")
            there.settled(made.lb)
    assert wrong == []
    assert there.tree(made.lb) == before


def test_balancers_that_are_refused_leave_nothing(there: Bed) -> None:
    for name, more, word in BALANCERS:
        body = {"vip_subnet_id": SUBNET, "vip_address": "10.9.9.9", "project_id": PROJECT, **more}
        answer = there.octavia.ask("POST", "/lbaas/loadbalancers", {"loadbalancer": body})
        assert answer.status == 501, (name, answer.text)
        assert word in answer.text
    assert "10.9.9.9" not in there.octavia.ask("GET", "/lbaas/loadbalancers").text


def _tried(there: Bed, made: Whole, provider: str, cases: Any, body: Any) -> list[str]:
    wrong = []
    for name, providers, more, words in cases:
        if provider not in providers:
            continue
        path, kind, asked = body(made, more)
        answer = there.octavia.ask("POST", f"/lbaas/{path}", {kind: asked})
        said = answer.text
        sentences = said.count(". ") + said.count("; ") + said.count(", but ")
        if answer.status != 501 or not any(w in said for w in words.split("|")) or not sentences:
            wrong.append(f"{kind} {name}: {answer.status} {said}")
        if answer.status < 400:
            there.settled(made.lb)
    return wrong


def _listener(made: Whole, more: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    return "listeners", "listener", {"loadbalancer_id": made.lb, "protocol_port": 8443, **more}


def _pool(made: Whole, more: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    asked = {"loadbalancer_id": made.lb, "lb_algorithm": "ROUND_ROBIN", **more}
    return "pools", "pool", asked


def _member(made: Whole, more: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    return f"pools/{made.pool}/members", "member", {**member(9), **more}


def _policy(made: Whole, more: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    return "l7policies", "l7policy", {"listener_id": made.listener, **more}

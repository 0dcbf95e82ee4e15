from __future__ import annotations

from dataclasses import replace

import pytest

from sekisho.devices.balancer.lvs_dsr.provider import LvsProvider
from sekisho.model.balancer import Algorithm, Balancer, Check, Listener, Member, Monitor, Protocol
from support_lvs import balancer, with_members

WEB = balancer(1)
LISTENER, POOL = WEB.listeners[0], WEB.pools[0]


def listener(**changes: object) -> Balancer:
    return replace(WEB, listeners=(replace(LISTENER, **changes),))  # type: ignore[arg-type]


def pool(**changes: object) -> Balancer:
    return replace(WEB, pools=(replace(POOL, **changes),))  # type: ignore[arg-type]


def member(**changes: object) -> Balancer:
    return with_members(WEB, replace(POOL.members[0], **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "good",
    [
        WEB,
        *(pool(algorithm=a) for a in Algorithm),
        *(pool(monitor=Monitor("h", c, method="PUT", domain="x.org", expected="200-204")) for c in Check),
        pool(persistence=300, granularity="255.255.255.0"),
        pool(members=()),
        listener(pool=""),
        member(weight=0),
        member(backup=True, monitor_address="10.99.0.1", monitor_port=8080),
        replace(listener(protocol=Protocol.SCTP), pools=(replace(POOL, protocol=Protocol.SCTP),)),
        listener(cidrs=("10.0.0.0/8", "192.0.2.7")),
    ],
)
def test_all_that_ipvs_does_is_taken(good: Balancer) -> None:
    assert LvsProvider().unsupported(good) == ""


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (member(port=8080), "changes no port"),
        (member(address="10.1.0.1"), "not on the director's link"),
        (member(address="10.0.1.1"), "the VIP itself"),
        (member(address="fd00::1"), "another address family"),
        (member(address="web1"), "no address"),
        (member(monitor_address="web1"), "no address"),
        (member(weight=70_000), "weight 70000"),
        (with_members(WEB, Member("a", "10.0.0.1", 80), Member("b", "10.0.0.1", 80)), "twice"),
        (listener(limit=100), "connection limit"),
        (listener(cidrs=("10.0.0.0/8", "2001:db8::/32")), "2001:db8::/32"),
        (listener(cidrs=("everybody",)), "everybody"),
        (listener(cidrs=("fe80::%1 } drop/64",)), "fe80"),
        (listener(protocol=Protocol.UDP), "same protocol"),
        (replace(WEB, listeners=(LISTENER, Listener("l9", Protocol.TCP, 80))), "another port"),
        (pool(persistence=3_000_000), "at most"),
        (pool(persistence=60, granularity="255.0.255.0"), "granularity"),
        (pool(persistence=60, granularity="64"), "granularity"),
        (pool(monitor=Monitor("h", Check.HTTP, expected="2xx")), "expects"),
        (pool(monitor=Monitor("h", Check.HTTP, fall=0)), "below 1"),
        (replace(WEB, vip=replace(WEB.vip, address="")), "no address"),
    ],
)
def test_what_ipvs_cannot_is_said_with_what_to_do(bad: Balancer, word: str) -> None:
    said = LvsProvider().unsupported(bad)
    assert word in said
    assert said.endswith(".")


def test_members_may_be_on_other_links_of_the_directors() -> None:
    assert LvsProvider(("10.1.0.0/24",)).unsupported(member(address="10.1.0.1")) == ""

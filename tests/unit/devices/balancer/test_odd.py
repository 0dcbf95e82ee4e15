"""What no device carries is said in a sentence, by either kind of balancer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sekisho.devices.balancer.adx.provider import Adx
from sekisho.devices.balancer.driver import Provider
from sekisho.devices.balancer.lvs_dsr.provider import LvsProvider
from sekisho.devices.balancer.odd import odd
from sekisho.model.balancer import Balancer, Check, Monitor
from support_balancers import balancer

GOOD = balancer()
PROVIDERS: tuple[Provider, ...] = (LvsProvider(), Adx())


def member(**more: Any) -> Balancer:
    pool = GOOD.pools[0]
    return replace(
        GOOD, pools=(replace(pool, members=(replace(pool.members[0], **more), *pool.members[1:])),)
    )


def monitor(**more: Any) -> Balancer:
    asked = Monitor("h", Check.HTTP, **{"timeout": 5, "delay": 5, **more})
    return replace(GOOD, pools=(replace(GOOD.pools[0], monitor=asked),))


def vip(address: str) -> Balancer:
    return replace(GOOD, vip=replace(GOOD.vip, address=address))


# where a balancer would speak to itself, or to everybody
NOBODYS = (
    "127.0.0.1",
    "::1",
    "0.0.0.0",
    "169.254.51.51",
    "fe80::1",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
)
NONE = ("", "web-1", "10.1.0.300", "fe80::1%eth0", "2001:db8::1%x }\n vrrp_script y {", "10.1.0.1\n")


def test_a_usual_one_is_no_odd_one() -> None:
    assert not list(odd(GOOD))
    assert not list(odd(monitor(path="/health?deep=1", domain="shop.example.org", http_version="1.1")))


@pytest.mark.parametrize("address", [*NOBODYS, *NONE])
@pytest.mark.parametrize(
    "made", [vip, lambda a: member(address=a), lambda a: member(monitor_address=a or "?")]
)
def test_an_address_of_nobody_is_refused(made: Any, address: str) -> None:
    for provider in PROVIDERS:
        said = provider.unsupported(made(address))
        assert said.startswith(("The VIP", "The member", "What the monitor asks"))
        assert "\n" not in said, "it goes into logs"


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (member(port=0), "port"),
        (member(port=65_536), "port"),
        (member(monitor_port=-1), "port"),
        (member(weight=-1), "weight"),
        (replace(GOOD, listeners=(replace(GOOD.listeners[0], port=70_000),)), "port"),
        (monitor(delay=0), "below 1"),
        (monitor(method="GET / HTTP/1.1\r\nX:"), "method"),
        (monitor(path="/\r\nHost: elsewhere"), "path"),
        (monitor(path="no slash"), "path"),
        (monitor(domain="a\r\nX: y"), "domain"),
        (monitor(http_version="1.1\r\nX: y"), "version"),
        (monitor(expected="1-9999999999"), "9999999999"),
    ],
)
def test_what_is_out_of_range_or_would_end_its_line_is_refused(made: Balancer, word: str) -> None:
    for provider in PROVIDERS:
        said = provider.unsupported(made)
        assert word in said
        assert "\n" not in said

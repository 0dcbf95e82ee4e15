"""What an ADX cannot carry is refused, in one sentence that says what to do instead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sekisho.devices.balancer.adx.provider import FLAVOR, Adx
from sekisho.model.balancer import Algorithm, Balancer, Check, Listener, Member, Monitor, Pool, Protocol
from support_adx import identity, web, with_members


def pool(**changed: Any) -> Balancer:
    return web(**changed)


def listener(**changed: Any) -> Balancer:
    return replace(web(), listeners=(replace(web().listeners[0], **changed),))


def member(**changed: Any) -> Balancer:
    return with_members(web(), replace(web().pools[0].members[0], **changed))


def monitor(**changed: Any) -> Balancer:
    asked = Monitor("m", changed.pop("check", Check.HTTP), 10, 10)
    return web(monitor=replace(asked, **changed))


def second(port: int, protocol: Protocol, members: tuple[Member, ...] = (), **changed: Any) -> Balancer:
    more = replace(Pool("second", protocol, members=members), **changed)
    return replace(
        web(),
        listeners=(*web().listeners, Listener("second", protocol, port, more.id)),
        pools=(*web().pools, more),
    )


def vip(**changed: Any) -> Balancer:
    return replace(web(), vip=replace(web().vip, **changed))


REFUSED: dict[str, tuple[Callable[..., Balancer], dict[str, Any], str]] = {
    "a VIP of IPv6": (vip, {"address": "2001:db8::1"}, "IPv4"),
    "SCTP": (listener, {"protocol": Protocol.SCTP}, "SCTP"),
    "a limit": (listener, {"limit": 100}, "connection_limit"),
    "cidrs": (listener, {"cidrs": ("10.0.0.0/8",)}, "allowed_cidrs"),
    "UDP on a port of TCP": (listener, {"protocol": Protocol.UDP, "pool": ""}, "for TCP, not for UDP"),
    "a pool of another protocol": (listener, {"protocol": Protocol.UDP, "port": 53}, "both the same"),
    "another port": (listener, {"port": 8080}, "10.2.0.11 has 80 and the listener 8080"),
    "TCP and UDP on one port": (second, {"port": 80, "protocol": Protocol.UDP}, "another load balancer"),
    "SOURCE_IP": (pool, {"algorithm": Algorithm.SOURCE_IP}, "SOURCE_IP"),
    "SOURCE_IP_PORT": (pool, {"algorithm": Algorithm.SOURCE_IP_PORT}, "SOURCE_IP_PORT"),
    "a short persistence": (pool, {"persistence": 60}, "120 and 3600"),
    "a long persistence": (pool, {"persistence": 3660}, "120 and 3600"),
    "half minutes": (pool, {"persistence": 150}, "steps of 60"),
    "networks": (pool, {"persistence": 300, "granularity": "255.255.255.0"}, "persistence_granularity"),
    "PING": (monitor, {"check": Check.PING}, "PING"),
    "TLS-HELLO": (monitor, {"check": Check.TLS_HELLO}, "TLS-HELLO"),
    "SCTP checks": (monitor, {"check": Check.SCTP}, "by SCTP"),
    "UDP-CONNECT": (monitor, {"check": Check.UDP_CONNECT}, "UDP-CONNECT"),
    "checks too often": (monitor, {"check": Check.HTTPS, "delay": 4, "timeout": 4}, "every 5 to 120"),
    "checks too seldom": (monitor, {"delay": 121, "timeout": 121}, "every 1 to 120"),
    "a timeout": (monitor, {"timeout": 3}, "timeout"),
    "another rise than fall": (monitor, {"rise": 1}, "max_retries_down"),
    "many retries": (monitor, {"rise": 6, "fall": 6}, "1 to 5"),
    "POST": (monitor, {"method": "POST"}, "http_method"),
    "a query": (monitor, {"path": "/up?who=me"}, "/up?who=me"),
    "a quotation mark": (monitor, {"path": '/a"b'}, "path"),
    "odd codes": (monitor, {"expected": "2xx"}, "2xx"),
    "codes upside down": (monitor, {"expected": "299-200"}, "299-200"),
    "a host name": (monitor, {"domain": "example.org"}, "domain_name"),
    "HTTP 1.1": (monitor, {"http_version": "1.1"}, "http_version"),
    "a member of IPv6": (member, {"address": "2001:db8::2"}, "IPv4"),
    "a member elsewhere": (member, {"address": "10.3.0.11"}, "10.2.0.0/24"),
    "a backup": (member, {"backup": True}, "backup"),
    "a port to check": (member, {"monitor_port": 81}, "monitor_port"),
    "an address to check": (member, {"monitor_address": "10.2.0.99"}, "monitor_address"),
    "a heavy member": (member, {"weight": 70_000}, "65000"),
    "two algorithms": (
        second,
        {"port": 443, "protocol": Protocol.TCP, "algorithm": Algorithm.LEAST_CONNECTIONS},
        "same lb_algorithm",
    ),
    "two weights of a server": (
        second,
        {"port": 443, "protocol": Protocol.TCP, "members": (Member("x", "10.2.0.11", 443, weight=9),)},
        "10.2.0.11 the same weight",
    ),
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.replace(" ", "-"))
def test_it_is_refused(case: str) -> None:
    make, changed, words = REFUSED[case]
    sentence = Adx().unsupported(make(**changed))
    assert words in sentence
    assert ";" in sentence  # what cannot be, and what to do instead
    assert sentence.endswith(".")


def test_two_persistences_and_an_unknown_predictor_are_refused() -> None:
    both = second(443, Protocol.TCP, persistence=600)
    both = replace(both, pools=(replace(both.pools[0], persistence=300), both.pools[1]))
    assert "persistence_timeout" in Adx().unsupported(both)
    assert "fastest" in Adx().unsupported(replace(web(), flavor={"predictor": "fastest"}))


@pytest.mark.parametrize(
    "balancer",
    [
        web(),
        web(check=None),
        web(check=Check.TCP),
        web(check=Check.HTTPS, port=443),
        web(persistence=3600, granularity="255.255.255.255"),
        replace(web(), flavor={"predictor": "weighted", "pair": "east"}),
        replace(web(), listeners=(), pools=()),
        replace(web(), vip=replace(web().vip, cidr="")),
        second(53, Protocol.UDP, (Member("d", "10.2.0.53", 53),)),
        monitor(expected="200, 204,300-399", path="/a/b~c", method="HEAD", http_version="1.0"),
        member(weight=0),
        member(enabled=False),
    ],
)
def test_it_is_carried(balancer: Balancer) -> None:
    assert not Adx().unsupported(balancer)


def test_a_pool_that_no_listener_has_is_looked_at_too() -> None:
    alone = replace(Pool(identity("alone"), Protocol.TCP), algorithm=Algorithm.SOURCE_IP)
    assert Adx().unsupported(replace(web(), pools=(*web().pools, alone)))


def test_flavors_say_what_may_be_asked() -> None:
    assert "weighted-round-robin" in FLAVOR["predictor"]


def test_a_guest_that_asks_brings_no_luggage() -> None:
    code = (
        "import sys; import sekisho.devices.balancer.adx.provider;"
        "sys.exit(any(name in sys.modules for name in ('httpx', 'lxml', 'asyncio', 'ssl')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Members that are well and deaf, asked by real packets between network namespaces."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from sekisho.devices.balancer.lvs_dsr.checks.neighbours import Neighbours
from sekisho.devices.balancer.lvs_dsr.checks.watch import Watch
from sekisho.devices.balancer.lvs_dsr.roles import Target
from sekisho.model.balancer import Check, Monitor, Protocol
from sekisho.model.errors import Unavailable
from support_director import Link, link

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")

FOUR, SIX = ("10.77.0.11", "10.77.0.100"), ("fd77::11", "fd77::100")
PAIRS = pytest.mark.parametrize(("member", "vip"), [FOUR, SIX], ids=["IPv4", "IPv6"])


@pytest.fixture(scope="module")
def made() -> Iterator[Link]:
    with link() as one:
        yield one


@pytest.fixture(scope="module")
def watch(made: Link) -> Iterator[Watch]:
    one = made.inside("a", lambda: Watch(Neighbours(time.monotonic)))
    yield one
    one.close()


@pytest.fixture
def bed(made: Link) -> Iterator[Link]:
    yield made
    for host in ("a", "m"):
        made(host, "ip addr flush dev lo")
        made(host, "ip addr add 127.0.0.1/8 dev lo")


def listening(bed: Link, address: str, stack: ExitStack) -> int:
    """Listen by TCP on a member's address; the port."""

    def listen() -> socket.socket:
        return socket.create_server(
            (address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET
        )

    return int(stack.enter_context(bed.inside("m", listen)).getsockname()[1])


def asked(watch: Watch, target: Target) -> str:
    return asyncio.run_coroutine_threadsafe(watch.ask(target), watch._loop).result(20)


def has_vip(bed: Link, host: str, vip: str) -> None:
    bed(host, f"ip addr add {vip}/{128 if ':' in vip else 32} dev lo")


def tcp(member: str, vip: str, port: int) -> Target:
    monitor = Monitor("h", Check.TCP, timeout=1)
    return Target("m", member, port, monitor, member, vip, Protocol.TCP, port)


@PAIRS
def test_a_member_with_the_vip_on_its_loopback_hears_it(
    bed: Link, watch: Watch, member: str, vip: str
) -> None:
    has_vip(bed, "m", vip)
    with ExitStack() as stack:
        port = listening(bed, "::" if ":" in vip else "0.0.0.0", stack)
        assert asked(watch, tcp(member, vip, port)) == ""
        has_vip(bed, "a", vip)  # as it is on the director that holds it
        assert asked(watch, tcp(member, vip, port)) == ""


@PAIRS
def test_a_member_without_the_vip_is_deaf_though_it_is_well(
    bed: Link, watch: Watch, member: str, vip: str
) -> None:
    with ExitStack() as stack:
        port = listening(bed, member, stack)
        assert "does not hear the VIP" in asked(watch, tcp(member, vip, port))


def test_a_service_that_listens_on_the_members_own_address_only_is_found(bed: Link, watch: Watch) -> None:
    member, vip = FOUR
    has_vip(bed, "m", vip)
    with ExitStack() as stack:
        port = listening(bed, member, stack)
        assert asked(watch, tcp(member, vip, port)) == f"nothing listens there on the VIP's port {port}"


def test_the_member_keeps_no_half_open_connection(bed: Link, watch: Watch) -> None:
    member, vip = FOUR
    has_vip(bed, "m", vip)
    with ExitStack() as stack:
        port = listening(bed, "0.0.0.0", stack)
        assert asked(watch, tcp(member, vip, port)) == ""
    assert bed("m", "ss -Htn state syn-recv") == ""


@PAIRS
def test_where_nothing_listens_by_tcp_an_echo_proves_it(
    bed: Link, watch: Watch, member: str, vip: str
) -> None:
    target = Target("m", member, 53, Monitor("h", Check.PING, timeout=1), member, vip, Protocol.UDP, 53)
    assert "does not hear the VIP" in asked(watch, target)
    has_vip(bed, "m", vip)
    assert asked(watch, target) == ""


def test_who_is_not_there_answers_no_echo(watch: Watch) -> None:
    target = Target(
        "m", "10.77.0.99", 53, Monitor("h", Check.PING, timeout=1), "10.77.0.99", FOUR[1], Protocol.UDP
    )
    assert asked(watch, target)


def test_a_member_behind_a_router_is_said_to_be_off_the_link(bed: Link, watch: Watch) -> None:
    """It answers its check, and no frame can reach it."""
    bed("a", "ip route replace 10.78.0.0/24 via 10.77.0.11")
    bed("m", "ip addr add 10.78.0.5/32 dev lo")
    with ExitStack() as stack:
        port = listening(bed, "0.0.0.0", stack)
        assert asked(watch, tcp("10.78.0.5", FOUR[1], port)) == "it is not on a link of the director's"


@pytest.mark.parametrize("trouble", [errno.EMFILE, errno.ENOBUFS, errno.EPERM])
def test_what_is_wrong_with_the_director_is_no_members_fault(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    async def fails(_: Target) -> str:
        raise OSError(trouble, "it is ours")

    monkeypatch.setattr(watch, "_by_kind", fails)
    with pytest.raises(Unavailable):
        asked(watch, tcp(*FOUR, 80))


def test_a_director_that_was_busy_does_not_judge(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(_: Target) -> str:
        time.sleep(1.6)  # noqa: ASYNC251 - what holds the loop up
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(watch, "_by_kind", busy)
    with pytest.raises(Unavailable, match="too busy"):
        asked(watch, tcp(*FOUR, 80))


def test_a_change_of_mind_is_told_once(bed: Link) -> None:
    member, vip = FOUR
    told: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
    has_vip(bed, "m", vip)
    watch = bed.inside("a", lambda: Watch(Neighbours(time.monotonic)))
    watch.tell(lambda member, alive: told.put_nowait((member, alive)))
    take: Callable[[], tuple[str, bool]] = lambda: asyncio.run_coroutine_threadsafe(  # noqa: E731
        told.get(), watch._loop
    ).result(10)
    try:
        with ExitStack() as stack:
            port = listening(bed, "0.0.0.0", stack)
            quick = Target(
                "m1", member, port, Monitor("h", Check.TCP, 1, 1, 1, 1), member, vip, Protocol.TCP, port
            )
            watch.watch("b1", (quick,))
            assert take() == ("m1", True)
            bed("m", f"ip addr del {vip}/32 dev lo")
            assert take() == ("m1", False)
            assert "does not hear" in watch.reasons["m1"]
            has_vip(bed, "m", vip)
            assert take() == ("m1", True)
            assert told.empty()
    finally:
        watch.close()

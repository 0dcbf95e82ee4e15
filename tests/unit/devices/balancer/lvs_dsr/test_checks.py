from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from sekisho.devices.balancer.lvs_dsr.checks import asks, packets
from sekisho.devices.balancer.lvs_dsr.checks.count import Count
from sekisho.devices.balancer.lvs_dsr.checks.post import answers_to
from sekisho.devices.balancer.lvs_dsr.checks.watch import Watch
from sekisho.devices.balancer.lvs_dsr.roles import Target
from sekisho.model.balancer import Check, Monitor, Protocol

Speaks = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def heard(count: Count, answers: str) -> list[bool | None]:
    found: list[bool | None] = []
    for answer in answers:
        count = count.heard(good=answer == "+")
        found.append(count.alive)
    return found


def test_down_after_fall_failures_in_a_row_and_up_after_rise_successes() -> None:
    said = heard(Count(rise=2, fall=3), "+--+---+-++")
    assert said == [True] * 6 + [False] * 4 + [True]


def test_the_first_success_is_a_verdict_and_the_first_failure_none() -> None:
    assert heard(Count(rise=3, fall=2), "+") == [True]
    assert heard(Count(rise=3, fall=2), "--") == [None, False]


def target(port: int, check: Check = Check.HTTP, **monitor: Any) -> Target:
    return Target(
        "m", "127.0.0.1", port, Monitor("h", check, **monitor), "127.0.0.1", "127.0.0.9", Protocol.TCP
    )


@asynccontextmanager
async def server(speaks: Speaks, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on loopback, and end when every connection has."""
    open_ones: set[asyncio.Event] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.Event()
        open_ones.add(ended)
        try:
            await speaks(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            ended.set()

    made = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with made:
        yield made.sockets[0].getsockname()[1]
        for ended in open_ones:
            await ended.wait()
        await asyncio.sleep(0)  # so that aborted transports close


def answering(line: bytes, seen: list[bytes] | None = None) -> Speaks:
    async def speaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = await reader.readuntil(b"\r\n\r\n")
        if seen is not None:
            seen.append(got)
        writer.write(line)
        await writer.drain()
        writer.close()

    return speaks


async def greeting(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-x\r\n")
    await writer.drain()
    writer.close()


async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n", ""),
        (b"HTTP/1.1 204\r\n\r\n", ""),
        (b"HTTP/1.0 503 Busy\r\n\r\n", "it answers with 503, not 200,204"),
        (b"SSH-2.0-x\r\n", "it does not speak HTTP"),
        (b"HTTP/1.0\r\n", "it does not speak HTTP"),
        (b"", "it does not speak HTTP"),
    ],
)
def test_http_looks_at_the_code(line: bytes, said: str) -> None:
    async def run() -> str:
        async with server(answering(line)) as port:
            return await asks.http(target(port, expected="200,204"))

    assert asyncio.run(run()) == said


def test_http_asks_for_what_the_monitor_says() -> None:
    seen: list[bytes] = []

    async def run() -> None:
        async with server(answering(b"HTTP/1.0 200 OK\r\n\r\n", seen)) as port:
            await asks.http(target(port, method="HEAD", path="/up", domain="www.example.org"))

    asyncio.run(run())
    assert seen == [b"HEAD /up HTTP/1.1\r\nHost: www.example.org\r\nConnection: close\r\n\r\n"]


def test_tcp_needs_no_more_than_a_connection() -> None:
    async def run() -> str:
        async with server(quiet) as port:
            return await asks.tcp(target(port, Check.TCP))

    assert asyncio.run(run()) == ""


@pytest.mark.parametrize("ask", [asks.tcp, asks.http, asks.hello, asks.https])
def test_a_closed_port_is_no_answer(ask: Callable[[Target], Coroutine[Any, Any, str]]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            asyncio.run(ask(target(held.getsockname()[1])))


def test_who_does_not_speak_tls_fails_its_hello() -> None:
    async def run() -> None:
        async with server(greeting) as port:
            await asks.hello(target(port))

    with pytest.raises(ssl.SSLError):
        asyncio.run(asyncio.wait_for(run(), 5))


def test_udp_knows_a_closed_port_only() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        assert asyncio.run(asks.udp(target(port, Check.UDP_CONNECT))) == ""
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(asks.udp(target(port, Check.UDP_CONNECT)))


# --- packets ------------------------------------------------------------------------------------


def test_an_ipv4_packet_carries_its_checksum() -> None:
    packet = packets.ip("10.0.0.1", "10.0.1.1", 6, b"x" * 20)
    assert packets.checksum(packet[:20]) == 0
    assert packets.heard(packet) == packets.Heard("10.0.0.1", "10.0.1.1", 6, b"x" * 20)


@pytest.mark.parametrize(("here", "there"), [("10.0.0.1", "10.0.1.1"), ("fd00::1", "fd00::2")])
def test_a_segment_is_right_by_its_own_checksum(here: str, there: str) -> None:
    segment = packets.tcp(here, there, (61440, 80), 7, packets.SYN)
    packet = packets.ip(here, there, 6, segment)
    addresses = packet[12:20] if "." in here else packet[8:40]
    layout = "!HH" if "." in here else "!II"
    sizes = (6, len(segment)) if "." in here else (len(segment), 6)
    assert packets.checksum(addresses + struct.pack(layout, *sizes) + segment) == 0


def test_crc32c_is_castagnolis() -> None:
    assert packets.crc32c(b"123456789") == 0xE3069283  # RFC 3720 B.4's polynomial, its common check value


@pytest.mark.parametrize("data", [b"", b"\x45", b"\x60" + bytes(30), b"\x00" * 40, b"\x4f" + bytes(20)])
def test_what_is_no_packet_is_none(data: bytes) -> None:
    assert packets.heard(data) is None


def test_answers_find_their_questions() -> None:
    synack = struct.pack("!HHIIBBHHH", 80, 61440, 5, 1235, 0x50, 0x12, 0, 0, 0)
    assert answers_to(packets.Heard("a", "b", 6, synack)) == 1235
    echo = packets.echo("10.0.0.1", "10.0.0.2", 3, 4)
    assert answers_to(packets.Heard("a", "b", 1, echo)) == -1  # a question is no answer
    assert answers_to(packets.Heard("a", "b", 1, b"\0" + echo[1:])) == 3 << 16 | 4
    assert answers_to(packets.Heard("a", "b", 6, b"short")) == -1


def test_a_target_is_the_same_by_all_it_says() -> None:
    assert target(80) == target(80)
    assert replace(target(80), vip_port=443) != target(80)


def test_checks_that_are_closed_twice_end_as_those_closed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A director that is stopped from outside closes them, and so does its own thread at its end."""
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    ending, again, tasks_of = threading.Event(), threading.Event(), asyncio.all_tasks

    def all_tasks(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
        ending.set()
        again.wait(10.0)
        return tasks_of(loop)

    watch = Watch(cast("Any", None), hearing=False)
    join = watch._thread.join
    monkeypatch.setattr(asyncio, "all_tasks", all_tasks)
    monkeypatch.setattr(watch._thread, "join", lambda _patience: None)
    watch.close()
    assert ending.wait(10.0)
    watch.close()
    again.set()
    join(10.0)
    assert (raised, watch._loop.is_closed()) == ([], True)

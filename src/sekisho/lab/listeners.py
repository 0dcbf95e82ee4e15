"""Those who are spoken to: the internet of the lab, and a web server."""

from __future__ import annotations

import asyncio
import ipaddress
import subprocess
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sekisho.lab.processes import tool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from sekisho.lab.record import Log

    _Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PAGE: Final = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"a quiet page\n" * 80
_READ: Final = 1 << 16
# Who says nothing for so long is hung up on, so that a blocked VM leaves nothing open.
_SILENCE: Final = 30.0


@dataclass(slots=True)
class Tally:
    """Octets and packets received since the last report, by peer address and own port."""

    octets: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    packets: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, peer: str, port: int, octets: int) -> None:
        """Count one read or datagram."""
        self.octets[peer, port] += octets
        self.packets[peer, port] += 1

    def report(self, log: Log, seconds: float) -> None:
        """Write what came and begin anew."""
        for (peer, port), octets in self.octets.items():
            packets = self.packets[peer, port]
            log.write("volume", seconds=seconds, octets=octets, packets=packets, peer=peer, port=port)
        self.octets.clear()
        self.packets.clear()


async def be_internet(
    log: Log, seconds: float, *, networks: tuple[str, ...], mail: str, bulk: tuple[int, ...] = (5001,)
) -> None:
    """Be every address of `networks`: mail on 25 for those in `mail`, the rest refuse it; 587; pages.

    `bulk` are TCP ports that swallow what they get; UDP is swallowed on 53, 123 and the bulk ports.
    """
    answer_for(networks)
    tally = Tally()
    serving = [
        *[asyncio.start_server(_mail, str(a), 25) for a in ipaddress.ip_network(mail)],
        *[asyncio.start_server(_mail, None, port) for port in (465, 587)],
        *[asyncio.start_server(_page, None, port) for port in (80, 443)],
        *[asyncio.start_server(_swallow(tally), None, port, limit=1 << 20) for port in bulk],
    ]
    servers = [await server for server in serving]
    sinks = [await _udp_sink(tally, port) for port in (53, 123, *bulk)]
    log.write("ready")
    await _report(log, tally, seconds)
    for server in servers:
        server.close()
    for sink in sinks:
        sink.close()


async def be_web(log: Log, seconds: float, *, port: int = 80) -> None:
    """Serve a small page to whoever asks."""
    server = await asyncio.start_server(_page, None, port)
    log.write("ready")
    await asyncio.sleep(seconds)
    server.close()


def answer_for(networks: Iterable[str]) -> None:
    """Let this namespace answer for whole networks (AnyIP: local routes on lo)."""
    for network in networks:
        words = [tool("ip"), "route", "replace", "local", network, "dev", "lo"]
        subprocess.run(words, check=True, capture_output=True)  # noqa: S603 - our own words


async def _report(log: Log, tally: Tally, seconds: float) -> None:
    last = time.monotonic()
    end = last + seconds
    while last < end:
        await asyncio.sleep(min(1.0, max(end - last, 0.0)))
        now = time.monotonic()
        tally.report(log, now - last)
        last = now


def _hangup(serve: _Serve) -> _Serve:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            await serve(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    return served


@_hangup
async def _mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak as much SMTP as a delivery needs (RFC 5321)."""
    writer.write(b"220 mx.example ESMTP\r\n")
    body = False
    while line := await asyncio.wait_for(reader.readline(), _SILENCE):
        word = line.strip().upper()
        if body:
            body = word != b"."
            if body:
                continue
        if word == b"QUIT":
            writer.write(b"221 bye\r\n")
            return
        body = word == b"DATA"
        writer.write(b"354 go on\r\n" if body else b"250 ok\r\n")


@_hangup
async def _page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _SILENCE)
    writer.write(PAGE)
    await writer.drain()


def _swallow(tally: Tally) -> _Serve:
    @_hangup
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[0].removeprefix("::ffff:")
        port = writer.get_extra_info("sockname")[1]
        while data := await asyncio.wait_for(reader.read(_READ), _SILENCE):
            tally.add(peer, port, len(data))

    return swallow


class _Sink(asyncio.DatagramProtocol):
    def __init__(self, tally: Tally, port: int) -> None:
        self._tally, self._port = tally, port

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._tally.add(addr[0], self._port, len(data))


async def _udp_sink(tally: Tally, port: int) -> asyncio.BaseTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Sink(tally, port), ("0.0.0.0", port))  # noqa: S104
    return transport

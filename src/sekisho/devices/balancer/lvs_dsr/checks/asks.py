"""One question to one member by each kind of check: a target in, "" or why it failed out.

Whoever calls sets the time limit. A member is asked as any client would ask it, from the director's own
address.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from functools import cache
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.intent import codes
from sekisho.model.balancer import Check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sekisho.devices.balancer.lvs_dsr.roles import Target

HEAD_SIZE: Final = 4096
UDP_SETTLES: Final = 0.3  # seconds in which a closed port's refusal comes back


async def tcp(target: Target) -> str:
    """Connect (TCP); no more is asked."""
    async with _connected(target):
        return ""


async def hello(target: Target) -> str:
    """Shake hands by TLS; whose certificate it is does not matter."""
    async with _connected(target, tls=True):
        return ""


async def http(target: Target) -> str:
    """Ask for a page (RFC 9112) and look at its code."""
    return await _page(target, tls=False)


async def https(target: Target) -> str:
    """Ask for a page over TLS and look at its code."""
    return await _page(target, tls=True)


async def udp(target: Target) -> str:
    """Send an empty datagram: a closed port is refused by ICMP, anything else is as good as it gets."""
    loop = asyncio.get_running_loop()
    with socket.socket(_family(target), socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        probe.connect((target.address, target.port))
        await loop.sock_sendall(probe, b"")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(UDP_SETTLES, target.monitor.timeout)):
                await loop.sock_recv(probe, 1)
    return ""


ASKS: Final[dict[Check, Callable[[Target], Awaitable[str]]]] = {
    Check.TCP: tcp,
    Check.TLS_HELLO: hello,
    Check.HTTP: http,
    Check.HTTPS: https,
    Check.UDP_CONNECT: udp,
}


async def _page(target: Target, *, tls: bool) -> str:
    async with _connected(target, tls=tls) as (reader, writer):
        writer.write(request(target))
        await writer.drain()
        line = await reader.readline()
    return judged(line, target.monitor.expected)


def request(target: Target) -> bytes:
    """Write the request; a monitor without a version asks by HTTP/1.0, as Octavia's own does."""
    monitor = target.monitor
    host = monitor.domain or (f"[{target.address}]" if ":" in target.address else target.address)
    version = monitor.http_version or ("1.1" if monitor.domain else "1.0")
    lines = (f"{monitor.method} {monitor.path or '/'} HTTP/{version}", f"Host: {host}", "Connection: close")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def judged(line: bytes, expected: str) -> str:
    """Look at a status line."""
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        return "it does not speak HTTP"
    return "" if int(parts[1]) in codes(expected) else f"it answers with {int(parts[1])}, not {expected}"


@contextlib.asynccontextmanager
async def _connected(
    target: Target, *, tls: bool = False
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(
        target.address,
        target.port,
        limit=HEAD_SIZE,
        ssl=_trusting() if tls else None,
        server_hostname=(target.monitor.domain or None) if tls else None,
    )
    try:
        yield reader, writer
    finally:
        # a reset instead of a farewell: thousands of checks leave no port waiting, here or there
        writer.transport.abort()


@cache
def _trusting() -> ssl.SSLContext:
    """Take any certificate: the question is whether it answers, not who it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _family(target: Target) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in target.address else socket.AF_INET

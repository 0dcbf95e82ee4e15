"""Those who open connections: mail server, spammer, scanner, web client, a probe of what still works."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from sekisho.lab.record import Log

    _Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_AT_ONCE: Final = 256
MAIL: Final = (
    b"EHLO sender.example\r\n",
    b"MAIL FROM:<a@sender.example>\r\n",
    b"RCPT TO:<b@mx.example>\r\n",
    b"DATA\r\n",
    b"Subject: lab\r\n\r\nhello\r\n.\r\n",
    b"QUIT\r\n",
)


async def call(
    log: Log, address: str, port: int, talk: _Talk | None = None, patience: float = 2.0, name: str = ""
) -> bool:
    """Try once to reach a service and talk; write the attempt; tell whether all of it went well."""
    began = time.monotonic()
    problem = ""
    try:
        async with asyncio.timeout(patience):
            await _converse(address, port, talk)
    except TimeoutError:
        problem = "timeout"
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        problem = type(error).__name__
    facts = {"name": name} if name else {}
    log.write("attempt", began=began, address=address, port=port, ok=not problem, problem=problem, **facts)
    return not problem


async def _converse(address: str, port: int, talk: _Talk | None) -> None:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        if talk is not None:
            await talk(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def deliver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Deliver one mail; raises ValueError at any answer but success."""
    await _expect(reader)
    for words in MAIL:
        writer.write(words)
        await _expect(reader)


async def _expect(reader: asyncio.StreamReader) -> None:
    line = await reader.readuntil(b"\r\n")
    if line[:1] not in b"23":
        raise ValueError(line.decode(errors="replace"))


async def fetch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Fetch one page whole."""
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    page = await reader.read()
    if b" 200 " not in page[:20]:
        raise ValueError("no page")


async def paced(rate: float, seconds: float, count: int = 0) -> AsyncIterator[int]:
    """Count up `rate` times a second for `seconds`, at most `count` times (0: no such bound)."""
    began = time.monotonic()
    number = 0
    while number / rate < seconds and (not count or number < count):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        yield number
        number += 1


async def _repeat(
    attempt: Callable[[int], Awaitable[bool]], rate: float, seconds: float, count: int = 0
) -> None:
    """Begin an attempt `rate` times a second, whether or not earlier ones have ended."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with room:
            await attempt(number)

    async with asyncio.TaskGroup() as group:
        async for number in paced(rate, seconds, count):
            group.create_task(one(number))


async def send_mail(
    log: Log, seconds: float, *, targets: Sequence[str], rate: float = 0.33, port: int = 25
) -> None:
    """Be a mail server that sends a little: whole mails, to a few destinations."""
    await _repeat(lambda n: call(log, targets[n % len(targets)], port, deliver), rate, seconds)


async def spam(
    log: Log, seconds: float, *, targets: Sequence[str], rate: float = 20.0, count: int = 0, port: int = 25
) -> None:
    """Open many connections to many mail servers in turn; those that answer get a mail."""
    order = random.sample(targets, len(targets))
    await _repeat(lambda n: call(log, order[n % len(order)], port, deliver), rate, seconds, count)


async def probe(log: Log, seconds: float, *, places: Sequence[tuple[str, int]], rate: float = 2.0) -> None:
    """Ask every place `rate` times a second whether it can be reached, and no more than that."""

    async def one(number: int) -> bool:
        address, port = places[number % len(places)]
        return await call(log, address, port, patience=0.8, name="probe")

    await _repeat(one, rate * len(places), seconds)


async def browse(
    log: Log, seconds: float, *, targets: Sequence[str], rate: float = 1.0, port: int = 80
) -> None:
    """Fetch pages like a person."""
    await _repeat(lambda n: call(log, targets[n % len(targets)], port, fetch), rate, seconds)


async def scan(
    log: Log,
    seconds: float,
    *,
    targets: Sequence[str],
    ports: Sequence[int],
    rate: float = 200.0,
    count: int = 0,
) -> None:
    """Knock at every port of every target, a port at a time, and go on without waiting."""

    async def knock(number: int) -> bool:
        place = number % (len(targets) * len(ports))
        return await call(
            log, targets[place % len(targets)], ports[place // len(targets)], patience=0.3, name="knock"
        )

    await _repeat(knock, rate, seconds, count)


async def guess(
    log: Log, seconds: float, *, targets: Sequence[str], rate: float = 10.0, port: int = 22
) -> None:
    """Try logins at one port, over and over."""
    await _repeat(lambda n: call(log, targets[n % len(targets)], port, patience=0.5), rate, seconds)

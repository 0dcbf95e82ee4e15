"""Those who send at a rate: bulk over TCP, UDP, and raw packets with sources that are not theirs."""

from __future__ import annotations

import random
import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sekisho.lab.record import Log

_TICK: Final = 0.005
_dice = random.Random()  # noqa: S311 - random traffic, not random keys
_SO_MAX_PACING_RATE: Final = 47  # <asm-generic/socket.h>
_IP: Final = struct.Struct("!BBHHHBBH4s4s")
_TCP: Final = struct.Struct("!HHIIBBHHH")
_PSEUDO: Final = struct.Struct("!4s4sBBH")
_SYN: Final = 0x02


def _beats(per_second: float, seconds: float) -> Iterator[tuple[int, float]]:
    """Yield how many to send now and how long it took since the last report (0: none due), each tick."""
    began = reported = time.monotonic()
    sent = 0
    while (now := time.monotonic()) < began + seconds:
        due = int((now - began) * per_second) - sent
        sent += due
        since = now - reported if now - reported >= 1.0 else 0.0
        reported = now if since else reported
        yield due, since
        time.sleep(_TICK)
    yield 0, time.monotonic() - reported


def _send_paced(log: Log, per_second: float, seconds: float, send: Callable[[], int], *, port: int) -> None:
    """Call `send` (which tells octets sent, 0 for failed) at a rate; write volumes each second."""
    octets = packets = 0
    for due, since in _beats(per_second, seconds):
        for _ in range(due):
            length = send()
            octets += length
            packets += length > 0
        if since:
            log.write("volume", seconds=since, octets=octets, packets=packets, peer="", port=port)
            octets = packets = 0


def send_udp(
    log: Log,
    seconds: float,
    *,
    targets: Sequence[str],
    port: int,
    bits: float = 60e6,
    size: int = 1200,
    source_port: int = 0,
) -> None:
    """Send datagrams at `bits` per second of payload to the targets in turn.

    From `source_port` 53, 123 and their like it is what a reflector sends to its victims.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        speaker.bind(("", source_port))
        turn = _in_turn([(target, port) for target in targets])
        payload = b"\x00" * size

        def send() -> int:
            try:
                return speaker.sendto(payload, next(turn))
            except OSError:  # a full queue, a refusal that came back: not sent
                return 0

        _send_paced(log, bits / 8 / size, seconds, send, port=port)


def send_tcp(log: Log, seconds: float, *, target: str, port: int, bits: float = 60e6) -> None:
    """Upload as fast as TCP may, at most `bits` per second; volumes are what the kernel took."""
    with socket.create_connection((target, port), timeout=5) as speaker:
        speaker.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, int(bits / 8))
        speaker.settimeout(0.2)
        _pour(log, seconds, speaker, port)


def _pour(log: Log, seconds: float, speaker: socket.socket, port: int) -> None:
    chunk = b"\x00" * 32768
    began = reported = time.monotonic()
    octets = 0
    while (now := time.monotonic()) < began + seconds:
        with suppress(TimeoutError):  # the window is full: blocked or limited, as the volume tells
            octets += speaker.send(chunk)
        if now - reported >= 1.0:
            log.write("volume", seconds=now - reported, octets=octets, packets=0, peer="", port=port)
            octets, reported = 0, now


def send_syns(
    log: Log,
    seconds: float,
    *,
    target: str,
    ports: Sequence[int],
    rate: float = 1000.0,
    sources: Sequence[str] = (),
) -> None:
    """Send SYNs and never answer; with `sources` each packet claims to come from one of them."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as speaker:
        claims = list(sources) or [_own_address(target)]

        def send() -> int:
            packet = syn_packet(_dice.choice(claims), target, _dice.choice(ports))
            try:
                return speaker.sendto(packet, (target, 0))
            except OSError:
                return 0

        _send_paced(log, rate, seconds, send, port=ports[0])


def syn_packet(source: str, target: str, port: int) -> bytes:
    """Build an IPv4 packet with a TCP SYN; the kernel fills in the IP checksum (raw(7))."""
    addresses = socket.inet_aton(source), socket.inet_aton(target)
    fields = (_dice.randrange(1024, 65536), port, _dice.getrandbits(32), 0, 5 << 4, _SYN, 65535)
    bare = _TCP.pack(*fields, 0, 0)
    total = checksum(_PSEUDO.pack(*addresses, 0, socket.IPPROTO_TCP, len(bare)) + bare)
    tcp = _TCP.pack(*fields, total, 0)
    head = _IP.pack(0x45, 0, _IP.size + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0, *addresses)
    return head + tcp


def checksum(data: bytes) -> int:
    """Compute the Internet checksum of an even number of octets (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data), 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _own_address(target: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as finder:
        finder.connect((target, 9))  # sends nothing; the kernel chooses the source
        return str(finder.getsockname()[0])


def _in_turn(places: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    while True:
        yield from places

"""Real traffic of one VM: ``python -m sekisho.lab.traffic ROLE --out FILE ...``; bounded in time.

Standard library only, so that a VM of a few megabytes could run it too.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from sekisho.lab import listeners, packets, speakers
from sekisho.lab.record import Log

Role: TypeAlias = Callable[[Log, argparse.Namespace], Awaitable[None] | None]

ROLES: Final[dict[str, Role]] = {
    "internet": lambda log, o: listeners.be_internet(log, o.seconds, networks=tuple(o.network), mail=o.mail),
    "web": lambda log, o: listeners.be_web(log, o.seconds, **_given(port=o.port)),
    "mail": lambda log, o: speakers.send_mail(
        log, o.seconds, targets=o.to, **_given(rate=o.rate, port=o.port)
    ),
    "spam": lambda log, o: speakers.spam(
        log, o.seconds, targets=o.to, **_given(rate=o.rate, count=o.count, port=o.port)
    ),
    "probe": lambda log, o: speakers.probe(
        log, o.seconds, places=[(a, p) for a in o.to for p in o.ports], **_given(rate=o.rate)
    ),
    "browse": lambda log, o: speakers.browse(
        log, o.seconds, targets=o.to, **_given(rate=o.rate, port=o.port)
    ),
    "scan": lambda log, o: speakers.scan(
        log, o.seconds, targets=o.to, ports=o.ports, **_given(rate=o.rate, count=o.count)
    ),
    "guess": lambda log, o: speakers.guess(log, o.seconds, targets=o.to, **_given(rate=o.rate, port=o.port)),
    "udp": lambda log, o: packets.send_udp(
        log,
        o.seconds,
        targets=o.to,
        port=o.port,
        **_given(bits=o.bits, size=o.size, source_port=o.source_port),
    ),
    "tcp": lambda log, o: packets.send_tcp(
        log, o.seconds, target=o.to[0], port=o.port, **_given(bits=o.bits)
    ),
    "syn": lambda log, o: packets.send_syns(
        log, o.seconds, target=o.to[0], ports=o.ports, **_given(rate=o.rate, sources=o.sources)
    ),
}


def _given(**options: Any) -> dict[str, Any]:
    """Leave out what was not said, so that each role keeps its own default."""
    return {name: value for name, value in options.items() if value}


def addresses(text: str) -> list[str]:
    """Read ``A,B,NETWORK/LENGTH,...`` as addresses, a network as all its hosts."""
    found: list[str] = []
    for word in text.split(","):
        network = ipaddress.ip_network(word)
        found += [str(host) for host in network.hosts()]
    return found


def ports(text: str) -> list[int]:
    """Read ``A,B-C,...`` as ports."""
    found: list[int] = []
    for word in text.split(","):
        first, _, last = word.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def parse(words: list[str]) -> argparse.Namespace:
    """Read the command line; exits with 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m sekisho.lab.traffic")
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--out", type=Path, required=True, help="where to write what was done, JSON lines")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--to", type=addresses, default=["198.51.100.1"], help="addresses and networks")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ports", type=ports, default=[25, 80, 587])
    parser.add_argument("--rate", type=float, default=0.0, help="a second")
    parser.add_argument("--count", type=int, default=0, help="at most so many")
    parser.add_argument("--bits", type=float, default=0.0, help="bit/s")
    parser.add_argument("--size", type=int, default=0, help="octets of a datagram")
    parser.add_argument("--source-port", type=int, default=0)
    parser.add_argument("--sources", type=addresses, default=[], help="spoof one of these in each packet")
    parser.add_argument("--network", action="append", default=[], help="internet: be all of it")
    parser.add_argument("--mail", default="198.51.100.0/25", help="internet: who takes mail on port 25")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Play one role to its end."""
    options = parse(words)
    with Log(options.out, options.role) as log:
        log.write("began")
        playing = ROLES[options.role](log, options)
        if playing is not None:
            asyncio.run(_play(playing))
        log.write("ended")
    return 0


async def _play(playing: Awaitable[None]) -> None:
    await playing


if __name__ == "__main__":
    # Ended from outside is ended all the same, and at once: an exception would strike any task at any line,
    # and the loop could wait for it for ever. Every line of the log is on disk by then.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    sys.exit(main(sys.argv[1:]))

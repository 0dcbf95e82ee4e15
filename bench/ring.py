"""What a datagram costs who receives it, and the kernel where it comes in: by a ring, and by `recvmmsg`.

    python bench/ring.py [--streams netflow9,ipfix_ovs,sflow] [--rounds 200] [--json]

One process sends some hundred datagrams over loopback and then takes them all, by turns in both ways, and
touches every line of them. Over loopback whoever sends pays what a network card's interrupt pays elsewhere:
routing, firewall, and putting the datagram into the socket's queue or the ring. Medians, in nanoseconds of
processor time for a datagram; `both` is what a machine spends on it altogether, but for the network card.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from statistics import median
from typing import TYPE_CHECKING, Final

from contenders.contender import core
from sekisho.flows.receive import Receiver, ReceiveSettings
from traffic.cloud import Cloud
from traffic.sender import Sender
from traffic.streams import stream

if TYPE_CHECKING:
    from collections.abc import Sequence

METHODS: Final = ("recvmmsg", "ring")
LINE: Final = 64  # octets


class Way:
    """A receiver and who sends to it, and what both have spent, round by round."""

    def __init__(self, name: str, method: str) -> None:
        self._receiver = Receiver(ReceiveSettings(ports=(0,), method=method))
        self._sender = Sender(stream(name, Cloud(1000, 1)), self._receiver.addresses[0][1], 1, 0.0, 0)
        self.sent: list[float] = []
        self.received: list[float] = []
        self._seen = 0

    def round(self, datagrams: int) -> None:
        """Send so many, and take them."""
        began = time.thread_time()
        self._sender.run(10.0, datagrams)
        between = time.thread_time()
        taken = 0
        while (burst := self._receiver.receive(1.0)) is not None:
            taken += burst.count
            self._seen += int(
                burst.data[: burst.count, : int(burst.length[: burst.count].max()) : LINE].sum()
            )
        if taken != datagrams:
            raise RuntimeError(f"{taken} of {datagrams} datagrams came.")
        self.sent.append((between - began) / datagrams * 1e9)
        self.received.append((time.thread_time() - between) / datagrams * 1e9)

    def told(self) -> dict[str, float]:
        """Give the medians; the first rounds are not among them."""
        warm = len(self.sent) // 10
        sent, received = median(self.sent[warm:]), median(self.received[warm:])
        return {"comes_in": round(sent), "received": round(received), "both": round(sent + received)}

    def close(self) -> None:
        """Let go of the sockets."""
        self._receiver.close()
        self._sender.close()


def measure(name: str, rounds: int, datagrams: int) -> dict[str, dict[str, float]]:
    """Measure both ways by turns."""
    ways = {method: Way(name, method) for method in METHODS}
    try:
        for _ in range(rounds):
            for way in ways.values():
                way.round(datagrams)
        return {method: way.told() for method, way in ways.items()}
    finally:
        for way in ways.values():
            way.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", default="netflow9,ipfix_ovs,sflow")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--datagrams", type=int, default=1024, help="of a round")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    given = parser.parse_args(arguments)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core()})
    try:
        told = {name: measure(name, given.rounds, given.datagrams) for name in given.streams.split(",")}
    finally:
        os.sched_setaffinity(0, before)
    if given.json:
        print(json.dumps(told))
        return
    print("| | comes in, by recvmmsg | received | both | comes in, by ring | received | both |")
    print("|---|---|---|---|---|---|---|")
    for name, ways in told.items():
        print(f"| {name} | " + " | ".join(f"{ns} ns" for way in ways.values() for ns in way.values()) + " |")


if __name__ == "__main__":
    main()

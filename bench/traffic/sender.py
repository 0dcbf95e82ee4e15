"""A process that sends one stream over loopback: as fast as it is taken, or at a pace, or as fast as it can.

It asks the kernel how much the receiver's socket (/proc/net/udp) or ring still holds and waits while that is
more than its window: whoever receives gets all it can take, and nothing is lost for want of buffer.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.flows.receive import IOVEC, MMSGHDR
from traffic.cloud import FIRST_EXPORTER, Cloud, exporter_address
from traffic.rings import Watched
from traffic.streams import SEQUENCE, SHAPES, Stream, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BATCH: Final = 64  # datagrams a system call
IP_PKTINFO: Final = 8  # <linux/in.h>; Python 3.11 does not name it
TRUESIZE: Final = 4608  # octets that the kernel books for a datagram of up to two pages, at most
IN_RING: Final = 2080  # octets that a ring has for one, unless somebody set `receive.slot`
# struct cmsghdr and struct in_pktinfo of a 64-bit Linux: the datagram's source address.
PKTINFO: Final = np.dtype(
    [
        ("length", "u8"),
        ("level", "u4"),
        ("kind", "u4"),
        ("index", "u4"),
        ("source", ">u4"),
        ("to", ">u4"),
        ("pad", "u4"),
    ]
)


@dataclass(slots=True)
class Sent:
    """How much was sent, and in how many seconds."""

    datagrams: int = 0
    records: int = 0
    seconds: float = 0.0


def queued(port: int, rings: Sequence[Watched] = ()) -> int:
    """Octets that wait in the fullest socket bound to a UDP port, as the kernel books them, or ring."""
    in_rings = max((ring.waiting for ring in rings), default=0)
    wanted = f":{port:04X}"
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    found = [words[4] for line in lines if (words := line.split())[1].endswith(wanted)]
    return max((int(queues.partition(":")[2], 16) for queues in found), default=0) or in_rings


class Round:
    """All datagrams of a stream, laid out for `sendmmsg`, each with its own source and sequence number."""

    def __init__(self, made: Stream, exporters: int) -> None:
        several = -(-max(exporters, SHAPES) // len(made.datagrams))
        self.datagrams = made.datagrams * several
        self.records = np.array(made.records * several, np.int64)
        n = len(self.datagrams)
        self._slab = np.zeros((n, 2048), np.uint8)
        for row, datagram in enumerate(self.datagrams):
            self._slab[row, : len(datagram)] = np.frombuffer(datagram, np.uint8)
        self._sources = np.arange(n) % exporters
        self._at = SEQUENCE[made.protocol]
        self._first = len(made.first) if made.counts_datagrams else 0
        self._number = -1
        self._plan_sequence(np.array(made.steps * several, np.int64))
        self._lay_out(exporters)
        self.next()

    def _plan_sequence(self, steps: NDArray[np.int64]) -> None:
        """Take down what each exporter has counted before each datagram, and after all of them."""
        self._before = np.zeros(len(steps), np.int64)
        order = np.argsort(self._sources, kind="stable")
        grouped, counted = self._sources[order], np.cumsum(steps[order])
        first = np.searchsorted(grouped, grouped)
        self._before[order] = counted - steps[order] - (counted - steps[order])[first]
        self._total = np.bincount(self._sources, steps).astype(np.int64)[self._sources]

    def _lay_out(self, exporters: int) -> None:
        n, rows = len(self.datagrams), np.arange(len(self.datagrams), dtype=np.uint64)
        self._vectors = np.zeros(n, IOVEC)
        self._vectors["base"] = self._slab.ctypes.data + rows * np.uint64(2048)
        self._vectors["length"] = [len(datagram) for datagram in self.datagrams]
        self._controls = np.zeros(n, PKTINFO)
        self._controls["length"], self._controls["kind"] = 28, IP_PKTINFO
        self._controls["source"] = FIRST_EXPORTER + self._sources
        self.headers = np.zeros(n, MMSGHDR)
        self.headers["iov"] = self._vectors.ctypes.data + rows * np.uint64(IOVEC.itemsize)
        self.headers["iovlen"] = 1
        if exporters > 1:
            self.headers["control"] = self._controls.ctypes.data + rows * np.uint64(PKTINFO.itemsize)
            self.headers["controllen"] = PKTINFO.itemsize

    def next(self) -> None:
        """Begin a round: write its sequence numbers into the datagrams."""
        self._number += 1
        numbers = (self._first + self._number * self._total + self._before) & 0xFFFF_FFFF
        self._slab[:, self._at : self._at + 4] = numbers.astype(">u4").view(np.uint8).reshape(-1, 4)


class Sender:
    """Sends rounds to a port of this machine, from as many addresses of it as there are exporters.

    `pace` is datagrams a second, 0 for as many as are taken; `window` octets may wait at the receiver, 0 for
    any number of them.
    """

    def __init__(
        self, made: Stream, port: int, exporters: int, pace: float, window: int, rings: Sequence[Watched] = ()
    ) -> None:
        self._round, self._rings = Round(made, exporters), rings
        self._each = IN_RING if rings else TRUESIZE
        self._port, self._pace, self._window = port, pace, window
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if exporters == 1:
            self._sock.bind((exporter_address(0), 0))
        self._sock.connect(("127.0.0.1", port))
        self._call = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._batch = BATCH if not window else max(1, min(BATCH, window // 2 // self._each))
        self.sent = Sent()
        self._at = 0  # of the round
        self._room = 0  # datagrams that may be sent before the socket is asked again

    def run(self, seconds: float, most: int) -> Sent:
        """Send for so many seconds, or so many datagrams where `most` is not 0, from where it was on."""
        began, end = time.perf_counter(), time.perf_counter() + seconds
        self.sent, self._room = Sent(), 0
        while time.perf_counter() < end and not 0 < most <= self.sent.datagrams:
            if self._at == len(self._round.headers):
                self._round.next()
                self._at = 0
            self._send_round(began, end, most)
        self.sent.seconds = time.perf_counter() - began
        return self.sent

    def close(self) -> None:
        """Let go of its socket."""
        self._sock.close()

    def _send_round(self, began: float, end: float, most: int) -> None:
        n = len(self._round.headers)
        while self._at < n and time.perf_counter() < end:
            count = min(self._batch, n - self._at, most - self.sent.datagrams if most else n)
            if count <= 0:
                return
            self._wait(began, end)
            if self._window:
                count = min(count, self._room - self.sent.datagrams)
            if count > 0:
                self._at += self._send(self._at, count)

    def _send(self, at: int, count: int) -> int:
        address = self._round.headers.ctypes.data + at * MMSGHDR.itemsize
        gone: int = max(0, self._call(self._sock.fileno(), address, count, 0))
        self.sent.datagrams += gone
        self.sent.records += int(self._round.records[at : at + gone].sum())
        return gone

    def _wait(self, began: float, end: float) -> None:
        if self._pace:
            ahead = began + self.sent.datagrams / self._pace - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
        if self._window and self.sent.datagrams >= self._room:
            there = queued(self._port, self._rings)
            while there > self._window // 2 and time.perf_counter() < end:
                time.sleep(0.0005)
                there = queued(self._port, self._rings)
            # So many find room even if none is taken meanwhile: asking costs as much as sending thirty.
            self._room = self.sent.datagrams + max(0, self._window - there) // self._each


def numbered(made: Stream, datagram: bytes, number: int) -> bytes:
    """Give a datagram without records its sequence number; it counts where datagrams are counted."""
    at = SEQUENCE[made.protocol]
    value = number if made.counts_datagrams else 0
    return datagram[:at] + struct.pack(">I", value) + datagram[at + 4 :]


def teach(made: Stream, port: int, exporters: int) -> None:
    """Send every exporter's templates, a few at a time."""
    for row in range(exporters):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((exporter_address(row), 0))
            for number, datagram in enumerate(made.first):
                sock.sendto(numbered(made, datagram, number), ("127.0.0.1", port))
        if row % BATCH == BATCH - 1:
            time.sleep(0.01)


def main() -> None:
    """Send what is asked for and tell how much it was, as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("stream")
    parser.add_argument("port", type=int)
    parser.add_argument("--subjects", type=int, default=20_000)
    parser.add_argument("--exporters", type=int, default=1)
    parser.add_argument("--shapes", type=int, default=SHAPES)
    parser.add_argument("--pace", type=float, default=0.0)
    parser.add_argument("--window", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--datagrams", type=int, default=0)
    parser.add_argument("--warm", type=float, default=0.0, help="seconds sent before, and told apart")
    parser.add_argument("--ring", type=int, action="append", default=[], help="of the receiver: its number")
    given = parser.parse_args()
    made = stream(given.stream, Cloud(given.subjects, given.exporters), given.shapes)
    rings = [Watched(number) for number in given.ring]
    sender = Sender(made, given.port, given.exporters, given.pace, given.window, rings)
    # Made and laid out: whoever measures begins now.
    print("ready", flush=True)
    sys.stdin.readline()
    if given.warm:
        print(json.dumps({"records": sender.run(given.warm, 0).records}), flush=True)
        sys.stdin.readline()
    sent = sender.run(given.seconds, given.datagrams)
    sender.close()
    print(json.dumps({"datagrams": sent.datagrams, "records": sent.records, "seconds": sent.seconds}))


if __name__ == "__main__":
    main()

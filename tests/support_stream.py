"""Datagrams that never cease, to a port that is closed and to an open one: what comes through, and when."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Self

from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm

CLOSED, OPEN = 5300, 5301
PERIOD = 0.005
SEND = """
import itertools, socket, sys, time
address, ports, period = sys.argv[1], [int(p) for p in sys.argv[2:4]], float(sys.argv[4])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
began = time.monotonic()
for n in itertools.count():
    time.sleep(max(0.0, began + n * period - time.monotonic()))
    for port in ports:
        try:
            out.sendto(b"%r" % time.monotonic(), (address, port))
        except OSError:
            pass
"""
# Moments are the sender's: both read the machine's one steady clock, and a slow receiver changes nothing.
RECEIVE = """
import json, selectors, socket, sys
ports = [int(p) for p in sys.argv[1:]]
came = {p: [] for p in ports}
waiting = selectors.DefaultSelector()
for port in ports:
    hearing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hearing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    hearing.bind(("", port))
    waiting.register(hearing, selectors.EVENT_READ, port)
waiting.register(sys.stdin, selectors.EVENT_READ, 0)
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        if key.data:
            came[key.data].append(float(key.fileobj.recv(100)))
        elif sys.stdin.readline().strip() == "told":
            print(json.dumps(came), flush=True)
        else:
            raise SystemExit
"""


@dataclass(frozen=True)
class Passage:
    """What a stream tells: moments of datagrams that came through, on the machine's steady clock."""

    closed: list[float]
    open: list[float]

    @property
    def leak(self) -> float:
        """How long the closed port was open, in seconds: from the first that came through to the last."""
        return self.closed[-1] - self.closed[0] + PERIOD if self.closed else 0.0

    @property
    def gap(self) -> float:
        """The longest time, in seconds, in which nothing came through on the open port."""
        return max((b - a for a, b in zip(self.open, self.open[1:], strict=False)), default=float("inf"))


class Stream:
    """One VM sends to another without end; a context manager."""

    def __init__(self, stack: Stack, sender: Vm, receiver: Vm) -> None:
        self._receiver = stack.popen(
            receiver,
            sys.executable,
            "-c",
            RECEIVE,
            str(CLOSED),
            str(OPEN),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._receiver.stdout is not None
        assert self._receiver.stdout.readline() == b"ready\n"
        words = (receiver.ipv4, str(CLOSED), str(OPEN), str(PERIOD))
        self._sender = stack.popen(sender, sys.executable, "-c", SEND, *words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._sender, self._receiver):
            each.kill()
            each.communicate()

    def passage(self, since: float = 0.0) -> Passage:
        """Tell what has come through of all that was sent since a moment."""
        assert self._receiver.stdin is not None
        assert self._receiver.stdout is not None
        self._receiver.stdin.write(b"told\n")
        self._receiver.stdin.flush()
        came = json.loads(self._receiver.stdout.readline())
        closed, opened = ([t for t in came[str(p)] if t >= since] for p in (CLOSED, OPEN))
        return Passage(closed, opened)

    def await_through(self, since: float, count: int = 20) -> None:
        """Return when the open port has let some through that were sent since a moment."""
        wait(lambda: len(self.passage(since).open) >= count, "the stream to come through", 90.0)


# Sends datagrams of 1,000 bytes with their IP header at so many Mbit/s for so many seconds.
POUR = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
began, period = time.monotonic(), 0.008 / float(sys.argv[2])
for n in range(int(float(sys.argv[3]) / period)):
    time.sleep(max(0.0, began + n * period - time.monotonic()))
    out.sendto(bytes(972), (sys.argv[1], 5151))
"""
COUNT = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5151))
print("ready", flush=True)
s.settimeout(20.0)
n = 0
try:
    while s.recv(2000):
        n += 1
        s.settimeout(2.0)
except TimeoutError:
    print(n)
"""


def pour(stack: Stack, sender: Vm, receiver: Vm, rate: float, seconds: float = 3.0) -> float:
    """Send UDP at a rate and give the rate that arrives, both in Mbit/s of IP packets."""
    counting = stack.popen(receiver, sys.executable, "-c", COUNT, stdout=subprocess.PIPE)
    try:
        assert counting.stdout is not None
        assert counting.stdout.readline() == b"ready\n"
        stack.run(sender, sys.executable, "-c", POUR, receiver.ipv4, str(rate), str(seconds))
        return int(counting.stdout.readline()) * 8000 / seconds / 1e6
    finally:
        counting.kill()
        counting.communicate()

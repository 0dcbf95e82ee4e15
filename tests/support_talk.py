"""VMs that talk: each echoes on some ports, and tells who still answers it, new and long since connected."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

from sekisho.lab.openstack.shell import wait
from sekisho.lab.openstack.stack import Stack
from sekisho.lab.openstack.vms import Vm

# tcp or udp, an address, a port
Whom: TypeAlias = tuple[str, str, int]

PROGRAM = """
import asyncio, json, socket, sys

held, marks = [], {}
WAIT = 1.0


async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
        await writer.drain()


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, who):
        self.transport.sendto(data, who)


class Asked(asyncio.DatagramProtocol):
    def __init__(self):
        self.answered = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, who):
        if not self.answered.done():
            self.answered.set_result(True)


def marked(listening):
    data, more, _, who = listening.recvmsg(100, 100)
    for level, kind, value in more:
        if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)):
            marks[who[0].removeprefix("::ffff:")] = value[0]


async def talk(reader, writer):
    writer.write(b"x")
    return await asyncio.wait_for(reader.read(1), WAIT) == b"x"


async def tcp(address, port):
    reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), WAIT)
    try:
        return await talk(reader, writer)
    finally:
        writer.transport.abort()


async def udp(address, port):
    loop = asyncio.get_running_loop()
    transport, asked = await loop.create_datagram_endpoint(Asked, remote_addr=(address, port))
    try:
        transport.sendto(b"x")
        return await asyncio.wait_for(asked.answered, WAIT)
    finally:
        transport.close()


async def told(question):
    try:
        return await question
    except (OSError, TimeoutError):
        return False


async def hold(address, port):
    held.append(await asyncio.open_connection(address, port))


async def answer(command, whom):
    match command:
        case "ask":
            kinds = {"tcp": tcp, "udp": udp}
            return await asyncio.gather(*(told(kinds[k](a, p)) for k, a, p in whom))
        case "hold":
            for _, address, port in whom:
                await hold(address, port)
            return True
        case "held":
            return await asyncio.gather(*(told(talk(*each)) for each in held))
        case "mark":
            for _, address, port in whom:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                with socket.socket(family, socket.SOCK_DGRAM) as out:
                    out.sendto(b"m", (address, port))
            return True
        case "marks":
            came = dict(marks)
            marks.clear()
            return came


async def main():
    loop = asyncio.get_running_loop()
    for port in map(int, sys.argv[2:]):
        listening = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        await asyncio.start_server(echo, sock=listening)
        hearing = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        hearing.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        hearing.bind(("::", port))
        await loop.create_datagram_endpoint(Echo, sock=hearing)
    marking = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    marking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    marking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
    marking.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    marking.bind(("::", int(sys.argv[1])))
    loop.add_reader(marking, marked, marking)
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await answer(*json.loads(line))), flush=True)


asyncio.run(main())
"""
# Where the mark of what comes is looked at.
MARKED = 5252
# What everybody offers in most tests: mail, its submission, the web.
PORTS = (25, 587, 80)


class Talker:
    """A VM that echoes on ports and asks others."""

    def __init__(self, stack: Stack, vm: Vm, ports: Sequence[int]) -> None:
        self.vm = vm
        argv = (sys.executable, "-c", PROGRAM, str(MARKED), *map(str, ports))
        self._process = stack.popen(vm, *argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._read() == "ready"

    def answered(self, whom: Iterable[Whom]) -> set[Whom]:
        """Give those who answer a new connection, or a datagram."""
        asked = list(whom)
        return {w for w, answer in zip(asked, self._tell("ask", asked), strict=True) if answer}

    def answers_all(self, whom: Iterable[Whom]) -> bool:
        """Whether all of these answer."""
        asked = set(whom)
        return self.answered(asked) == asked

    def hold(self, whom: Iterable[Whom]) -> None:
        """Connect to these and stay so."""
        self._tell("hold", [w for w in whom if w[0] == "tcp"])

    def held(self) -> list[bool]:
        """Which of the connections held still carry anything, in the order in which they were made."""
        found: list[bool] = self._tell("held")
        return found

    def mark(self, other: Talker) -> set[int]:
        """Send something to another's every address; give the traffic classes with which it comes."""
        came: dict[str, int] = {}

        def all_came() -> bool:
            self._tell("mark", [("udp", a, MARKED) for a in (other.vm.ipv4, other.vm.ipv6)])
            came.update(other._tell("marks"))
            return {self.vm.ipv4, self.vm.ipv6} <= came.keys()

        wait(all_came, "marked datagrams to come")
        return {came[a] for a in (self.vm.ipv4, self.vm.ipv6)}

    def _tell(self, command: str, whom: Sequence[Whom] = ()) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, whom]).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        assert line, f"the program in {self.vm.namespace} has ended"
        return line

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def talkers(stack: Stack, *vms: Vm, ports: Sequence[int]) -> Iterator[list[Talker]]:
    """Let VMs talk for a while."""
    made: list[Talker] = []
    try:
        for vm in vms:
            made.append(Talker(stack, vm, ports))  # noqa: PERF401 - what was begun is closed
        yield made
    finally:
        for each in made:
            each.close()


def both(vm: Vm, kind: str, port: int) -> set[Whom]:
    """A service of a VM by both IP versions."""
    return {(kind, address, port) for address in (vm.ipv4, vm.ipv6)}


def services(vm: Vm) -> set[Whom]:
    return {who for kind in ("tcp", "udp") for port in PORTS for who in both(vm, kind, port)}


def await_all(who: Talker, other: Talker) -> None:
    wait(partial(who.answers_all, services(other.vm)), f"{other.vm.ipv4} to answer in all")

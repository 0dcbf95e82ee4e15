"""A director, its partner and a member on one link, in network namespaces of their own; needs root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_NEW_NETWORK = 0x40000000  # setns(2), CLONE_NEWNET
_LIBC = ctypes.CDLL(None, use_errno=True)
LONG = 15.0


class Link:
    """Namespaces ``a``, ``b`` and ``m``, each with eth0 at 10.77.0.1, .2 and .11 (fd77::1, ::2, ::11)."""

    HOSTS = ("a", "b", "m")
    NUMBERS = ("1", "2", "11")

    def __init__(self) -> None:
        self._name = f"sekisho-{uuid.uuid4().hex[:8]}"

    def start(self) -> None:
        ip("netns", "add", self.name("br"))
        self("br", "ip link add br0 type bridge")
        self("br", "ip link set br0 up")
        for host, number in zip(self.HOSTS, self.NUMBERS, strict=True):
            ip("netns", "add", self.name(host))
            peer = ("peer", "name", f"to-{host}", "netns", self.name("br"))
            ip("-n", self.name(host), "link", "add", "eth0", "type", "veth", *peer)
            self("br", f"ip link set to-{host} master br0 up")
            self(host, "ip link set lo up")
            self(host, "ip link set eth0 up")
            self(host, f"ip addr add 10.77.0.{number}/24 dev eth0")
            self(host, f"ip addr add fd77::{number}/64 dev eth0 nodad")

    def stop(self) -> None:
        for host in ("br", *self.HOSTS):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "delete", self.name(host))

    def name(self, host: str) -> str:
        return f"{self._name}-{host}"

    def __call__(self, host: str, command: str) -> str:
        """Run a command in a namespace."""
        return ip("netns", "exec", self.name(host), *command.split())

    def inside(self, host: str, task: Callable[[], T]) -> T:
        """Call something in a namespace; threads and processes that it starts stay there."""
        return within(self.name(host), task)


def within(namespace: str, task: Callable[[], T]) -> T:
    """Call something in a network namespace; threads and processes that it starts stay there."""
    found: list[T] = []
    raised: list[BaseException] = []

    def enter() -> None:
        handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            _enter(handle)
            found.append(task())
        except BaseException as error:  # noqa: BLE001 - told to whoever asked
            raised.append(error)
        finally:
            os.close(handle)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]


def _enter(handle: int) -> None:
    if _LIBC.setns(handle, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def link() -> Iterator[Link]:
    made = Link()
    try:
        made.start()
        yield made
    finally:
        made.stop()


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def until(what: Callable[[], bool], why: str, seconds: float = LONG) -> None:
    """Wait for what a foreign process does."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if what():
            return
        pause.wait(0.02)
    raise AssertionError(why)


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()

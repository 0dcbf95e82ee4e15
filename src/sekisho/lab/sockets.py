"""Sockets inside another network namespace, for a server or a client that stays outside of it."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

_CLONE_NEWNET: Final = 0x40000000


def listen(port: int, namespace: str = "", address: str = "127.0.0.1") -> socket.socket:
    """Listen on `address`:`port` (0: any free one), in a named network namespace or in our own.

    Raises Refused.
    """
    try:
        return _inside(namespace, lambda: socket.create_server((address, port)))
    except OSError as error:
        where = f" in namespace {namespace}" if namespace else ""
        raise Refused(f"{address}:{port} cannot be listened on{where}: {error}.") from error


def connect(address: tuple[str, int], namespace: str, timeout: float) -> socket.socket:
    """Connect to a server inside a named network namespace; raises OSError."""
    return _inside(namespace, lambda: socket.create_connection(address, timeout))


def _inside(namespace: str, make_socket: Callable[[], socket.socket]) -> socket.socket:
    """Make a socket in a namespace, "" is our own.

    A socket belongs to the namespace it was made in, whoever holds it later; so a thread enters the
    namespace, makes the socket and ends.
    """
    made: list[socket.socket] = []
    wrong: list[OSError] = []

    def make() -> None:
        try:
            if namespace:
                enter(namespace)
            made.append(make_socket())
        except OSError as error:
            wrong.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if wrong:
        raise wrong[0]
    return made[0]


def enter(namespace: str) -> None:
    """Move the calling thread, and only it, into a namespace (setns(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/run/netns/{namespace}").open() as handle:
        if libc.setns(handle.fileno(), _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

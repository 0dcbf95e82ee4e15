"""Listening sockets inside another network namespace, for a server that stays outside of it."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from pathlib import Path
from typing import Final

from sekisho.model.errors import Refused

_CLONE_NEWNET: Final = 0x40000000


def listen(port: int, namespace: str = "") -> socket.socket:
    """Listen on 127.0.0.1:`port` (0: any free one), in a named network namespace or in our own.

    A socket belongs to the namespace it was made in, whoever holds it later; so a thread enters the
    namespace, makes the socket and ends. Raises Refused.
    """
    made: list[socket.socket] = []
    wrong: list[OSError] = []

    def make() -> None:
        try:
            if namespace:
                _enter(namespace)
            made.append(socket.create_server(("127.0.0.1", port)))
        except OSError as error:
            wrong.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if wrong:
        where = f" in namespace {namespace}" if namespace else ""
        raise Refused(f"127.0.0.1:{port} cannot be listened on{where}: {wrong[0]}.") from wrong[0]
    return made[0]


def _enter(namespace: str) -> None:
    """Move the calling thread, and only it, into a namespace (setns(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/run/netns/{namespace}").open() as handle:
        if libc.setns(handle.fileno(), _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

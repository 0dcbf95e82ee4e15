"""A port on loopback that leads into a network namespace."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sekisho.lab import sockets


@contextmanager
def forwarded(namespace: str, address: tuple[str, int]) -> Iterator[int]:
    """Forward every connection to a port of this machine's loopback; gives its number."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=_serve, args=(door, namespace, address), daemon=True).start()
        yield door.getsockname()[1]


def _serve(door: socket.socket, namespace: str, address: tuple[str, int]) -> None:
    with suppress(OSError):
        while True:
            near, _ = door.accept()
            try:
                far = sockets.connect(address, namespace, 10.0)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()

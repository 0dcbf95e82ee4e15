"""Opens a box's doors on the loopback interface: NX-API over HTTP or HTTPS, and SSH.

One thread takes connections for all boxes; each connection then has its own until it ends.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Final

from sekisho.testing.nexus import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sekisho.testing.nexus.box import Box

_LOOPBACK: Final = "127.0.0.1"
IDLE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Door:
    """Where a box can be reached; `certificate` is the PEM that a client of HTTPS should trust, or ""."""

    box: Box
    url: str
    port: int
    ssh_port: int = 0
    address: str = _LOOPBACK
    certificate: str = ""


@dataclass(eq=False)
class Entrance:
    """The listening sockets of some boxes, and the thread that takes connections for them."""

    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _open: set[socket.socket] = field(default_factory=set)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def listen(self, port: int, welcome: Callable[[socket.socket, str], None]) -> int:
        """Listen on a port, 0 for any; each connection is given to `welcome` in a thread. Gives the port."""
        listening = socket.create_server((_LOOPBACK, port), backlog=64)
        self._selector.register(listening, selectors.EVENT_READ, welcome)
        return int(listening.getsockname()[1])

    def start(self) -> None:
        """Take connections from now on."""
        self._wake, self._waker = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._take, name="nexus-doors", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close everything and wait until nothing is served any more."""
        self._stopped.set()
        self._waker.send(b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # always sockets
        self._waker.close()
        self._selector.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _take(self) -> None:
        while not self._stopped.is_set():
            for key, _events in self._selector.select():
                if key.data is None:
                    return
                with suppress(OSError):
                    connection, address = key.fileobj.accept()  # type: ignore[union-attr]
                    self._open.add(connection)
                    threading.Thread(
                        target=self._one, args=(connection, address[0], key.data), daemon=True
                    ).start()

    def _one(
        self, connection: socket.socket, origin: str, welcome: Callable[[socket.socket, str], None]
    ) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(IDLE_SECONDS)
            welcome(connection, origin)
        except (OSError, EOFError):
            pass
        finally:
            self._open.discard(connection)
            connection.close()


def _web(box: Box, context: ssl.SSLContext | None) -> Callable[[socket.socket, str], None]:
    def welcome(connection: socket.socket, origin: str) -> None:
        if context is not None:
            with context.wrap_socket(connection, server_side=True) as secured:
                _Http(secured, (origin, 0), box)
        else:
            _Http(connection, (origin, 0), box)

    return welcome


class _Http(BaseHTTPRequestHandler):
    """Reads requests off one connection and writes the answers."""

    protocol_version = "HTTP/1.1"
    server_version = "nginx/1.7.10"
    sys_version = ""
    wbufsize = -1

    def __init__(self, connection: socket.socket, origin: tuple[str, int], box: Box) -> None:
        self.box = box
        super().__init__(connection, origin, None)  # type: ignore[arg-type]  # there is no server object

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = web.Request(self.command, self.path, headers, body, self.client_address[0])
        own = self.path.startswith("/emulator")
        faults = self.box.faults
        drop = not own and (faults.unreachable or faults.drops())
        if drop and (faults.drop_undone or faults.unreachable):
            self.close_connection = True
            return
        if not own:
            faults.wait()
        made = web.answer(self.box, request)
        if drop:
            self.close_connection = True
            return
        self._write(made)

    def _write(self, made: web.Answer) -> None:
        self.send_response(made.status)
        self.send_header("Content-Type", made.kind)
        self.send_header("Content-Length", str(len(made.body)))
        for name, value in made.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(made.body)

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - the base class's names


@contextmanager
def serve(
    box: Box, *, port: int = 0, ssh_port: int | None = None, tls: tuple[str, str] | None = None
) -> Iterator[Door]:
    """Open a box's doors; they are closed at the end. `tls` is the paths of a certificate and its key (PEM).

    SSH opens where paramiko is installed; with `ssh_port` None on any free port, with 0 not at all.
    """
    entrance = Entrance()
    door = open_doors(entrance, box, port=port, ssh_port=ssh_port, tls=tls)
    entrance.start()
    try:
        yield door
    finally:
        entrance.stop()


def open_doors(
    entrance: Entrance,
    box: Box,
    *,
    port: int = 0,
    ssh_port: int | None = None,
    tls: tuple[str, str] | None = None,
) -> Door:
    """Open a box's doors on an entrance that several share."""
    context = None
    certificate = ""
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        certificate = tls[0]
    taken = entrance.listen(port, _web(box, context))
    scheme = "https" if tls else "http"
    return Door(
        box, f"{scheme}://{_LOOPBACK}:{taken}", taken, _ssh(entrance, box, ssh_port), _LOOPBACK, certificate
    )


def _ssh(entrance: Entrance, box: Box, wanted: int | None) -> int:
    if wanted == 0:
        return 0
    try:
        from sekisho.testing.nexus import ssh
    except ImportError:
        if wanted is not None:
            raise
        return 0
    return entrance.listen(wanted or 0, ssh.welcome(box))

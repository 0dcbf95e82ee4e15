"""Listens and serves: in the calling thread for a process of its own, in another for all-in-one and tests."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI

    from sekisho.api.settings import ApiSettings

TICK = 0.1  # seconds between looks whether to stop, as often as uvicorn itself looks


def serve(
    app: FastAPI,
    settings: ApiSettings,
    sockets: Sequence[socket.socket] = (),
    stopping: threading.Event | None = None,
) -> None:
    """Serve in the calling thread until `stopping` is set, or a signal comes when this is the main one.

    `sockets` that are bound already are served instead of the settings' address. Stopping lets long
    polls go at once and gives other requests `stop_timeout` seconds. A signal is raised again
    afterwards, for the handler that stood before.
    """
    server = _server(app, settings)
    _run(server, app, sockets or (listen(settings),), stopping or threading.Event())


@dataclass(frozen=True, slots=True)
class Running:
    """A server in a thread of its own. `url` is empty for a unix socket."""

    url: str
    thread: threading.Thread
    stopping: threading.Event

    def stop(self, timeout: float = 10.0) -> None:
        """Stop and wait until it has."""
        self.stopping.set()
        self.thread.join(timeout)


def start(app: FastAPI, settings: ApiSettings) -> Running:
    """Serve in a thread of its own; it listens when this returns."""
    server, stopping = _server(app, settings), threading.Event()
    listener = listen(settings)
    thread = threading.Thread(
        target=_run, args=(server, app, (listener,), stopping), name="sekisho-api", daemon=True
    )
    thread.start()
    return Running(_url(listener, settings), thread, stopping)


def listen(settings: ApiSettings) -> socket.socket:
    """Bind the settings' address and listen; raises OSError naming it."""
    return _listen_unix(settings) if settings.unix else _listen_tcp(settings)


def _listen_tcp(settings: ApiSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=settings.backlog)


def _listen_unix(settings: ApiSettings) -> socket.socket:
    path = Path(settings.unix)
    _clear_away(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(settings.unix)
    path.chmod(0o660)
    listener.listen(settings.backlog)
    return listener


def _clear_away(path: Path) -> None:
    """Remove the socket of a process that was killed, but not that of one that listens."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(path))
    path.unlink()


def _url(listener: socket.socket, settings: ApiSettings) -> str:
    if settings.unix:
        return ""
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _server(app: FastAPI, settings: ApiSettings) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_keep_alive=int(settings.keep_alive),
        timeout_graceful_shutdown=int(settings.stop_timeout),
        backlog=settings.backlog,
        ssl_certfile=settings.certificate or None,
        ssl_keyfile=settings.private_key or None,
    )
    config.load()  # here, so that a bad certificate is told to the caller
    return uvicorn.Server(config)


def _run(
    server: uvicorn.Server, app: FastAPI, sockets: Sequence[socket.socket], stopping: threading.Event
) -> None:
    paths = [Path(s.getsockname()) for s in sockets if s.family == socket.AF_UNIX]
    for listener in sockets:
        if listener.family != socket.AF_UNIX:
            # Accepted sockets inherit it. asyncio sets it on those of its own making only, and without it
            # every answer waits 40 ms for an acknowledgement.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        asyncio.run(_serve(server, app, sockets, stopping))
    finally:
        for listener in sockets:
            listener.close()
        for path in paths:
            path.unlink(missing_ok=True)


async def _serve(
    server: uvicorn.Server, app: FastAPI, sockets: Sequence[socket.socket], stopping: threading.Event
) -> None:
    serving = asyncio.create_task(server.serve(sockets=list(sockets)))
    while not serving.done():
        server.should_exit = server.should_exit or stopping.is_set()
        if server.should_exit:
            app.state.waiting.close()
        await asyncio.wait({serving}, timeout=TICK)
    await serving

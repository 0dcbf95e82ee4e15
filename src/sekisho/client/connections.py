"""Requests over kept connections: taken again while they live, replaced once when they went stale."""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sekisho.client.bounds import Bounded
from sekisho.client.problems import Answer
from sekisho.model.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

STALE = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
MAX_IDLE = 8


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `timeout` is in seconds for each step, `repeatable` allows to send it twice."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: float
    repeatable: bool


@dataclass(slots=True)
class Connections:
    """The connections of one client: idle ones to take again, and all of them to close."""

    url: str
    context: ssl.SSLContext | None
    lock: threading.Lock = field(default_factory=threading.Lock)
    idle: list[http.client.HTTPConnection] = field(default_factory=list)
    all: set[http.client.HTTPConnection] = field(default_factory=set)
    closed: bool = False

    def take(self) -> http.client.HTTPConnection | None:
        """Take an idle one that the other side has not hung up."""
        while True:
            with self.lock:
                if not self.idle:
                    return None
                connection = self.idle.pop()
            if not _hung_up(connection):
                return connection
            self.drop(connection)

    def make(self, timeout: float) -> http.client.HTTPConnection:
        """Make one, not connected yet."""
        parts = urlsplit(self.url)
        host = parts.hostname or "localhost"
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = self.context or ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=timeout)
        connection.response_class = Bounded
        with self.lock:
            if self.closed:
                raise Unavailable("This client has been closed.")
            self.all.add(connection)
        return connection

    def give_back(self, connection: http.client.HTTPConnection) -> None:
        """Keep it for the next request."""
        with self.lock:
            if connection.sock is not None and len(self.idle) < MAX_IDLE and not self.closed:
                self.idle.append(connection)
                return
        self.drop(connection)

    def drop(self, connection: http.client.HTTPConnection) -> None:
        """Close it for good."""
        connection.close()
        with self.lock:
            self.all.discard(connection)

    def close(self) -> None:
        """Close all; who waits on one gets Unavailable."""
        with self.lock:
            self.closed = True
            busy = self.all - set(self.idle)
            idle, self.idle = self.idle, []
        for connection in idle:
            self.drop(connection)
        # Whoever waits on one of these wakes up and drops it: closing it here would not wake them.
        for connection in busy:
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def deliver(self, request: Request) -> Answer:
        """Send over an idle connection; if that had gone stale, once more over a new one."""
        kept = self.take()
        if kept is not None:
            try:
                return self._exchange(kept, request)
            except STALE as error:
                if not request.repeatable or self.closed:
                    raise self._nobody(error) from error
            except (OSError, http.client.HTTPException) as error:
                raise self._nobody(error) from error
        made = self.make(request.timeout)
        try:
            return self._exchange(made, request)
        except (OSError, http.client.HTTPException) as error:
            raise self._nobody(error) from error

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> Answer:
        try:
            self._prepare(connection, request.timeout)
            connection.request(request.method, request.target, request.body, dict(request.headers))
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except BaseException as error:
            self.drop(connection)
            if isinstance(error, ValueError) and not isinstance(error, (http.client.HTTPException, OSError)):
                raise Malformed("A token or key holds characters that no header may.") from error
            raise
        self.give_back(connection)
        return answer

    def _prepare(self, connection: http.client.HTTPConnection, timeout: float) -> None:
        connection.timeout = timeout
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(timeout)
        if self.closed:  # while it connected: `close` could not see its socket yet
            raise Unavailable("This client has been closed.")

    def _nobody(self, error: Exception) -> Unavailable:
        if self.closed:
            return Unavailable("This client has been closed.")
        return Unavailable(
            f"The keeper at {self.url} does not answer.",
            f"{self.url} does not answer: {type(error).__name__}: {error}",
        )


def _hung_up(connection: http.client.HTTPConnection) -> bool:
    """Tell whether an idle connection is of no use: something to read on it can only be its end."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))

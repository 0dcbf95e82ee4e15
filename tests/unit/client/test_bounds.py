"""An answer that drips for ever, is endless, or has endless pages ends all the same, and says so."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import pytest

from sekisho.client import Client, bounds
from sekisho.model.errors import Unavailable

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@contextmanager
def saying(play: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one connection: `play` answers until the other side has gone."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                play(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()
        thread.join(10)
        assert not thread.is_alive()


def dripping(begin: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    """Send a drop before each step's time is over, for ever."""

    def play(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(begin)
        connection.settimeout(0.02)
        while True:
            connection.sendall(drop)
            with suppress(TimeoutError):
                if not connection.recv(1):
                    return

    return play


@pytest.mark.parametrize(
    ("begin", "drop"),
    [(HEAD + b"Content-Length: 100000\r\n\r\n", b"x"), (HEAD, b"X-A: b\r\n"), (b"", b"H")],
    ids=["body", "headers", "first line"],
)
def test_an_answer_that_drips_for_ever_ends(begin: bytes, drop: bytes) -> None:
    with (
        saying(dripping(begin, drop)) as url,
        Client(url, timeout=0.1) as client,
        pytest.raises(Unavailable) as told,
    ):
        client.metrics()
    assert "does not answer" in told.value.asker


def test_an_answer_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST", 1000)

    def play(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"100\r\n" + b"x" * 256 + b"\r\n")

    with saying(play) as url, Client(url, timeout=5.0) as client, pytest.raises(Unavailable) as told:
        client.metrics()
    assert "longer than 1000 bytes" in told.value.fixer


@pytest.mark.parametrize("which", ["the same", "ever new ones"])
def test_pages_without_end_end(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PAGES", 20)
    numbers = count()

    def play(connection: socket.socket) -> None:
        while connection.recv(65536):
            marker = "again" if which == "the same" else f"m{next(numbers)}"
            body = json.dumps({"items": [], "next": marker}).encode()
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    with (
        saying(play) as url,
        Client(url, timeout=5.0) as client,
        pytest.raises(Unavailable, match="no end"),
    ):
        client.hosts()

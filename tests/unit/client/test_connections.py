"""Connections: kept, replaced once when they went stale, closed under whoever waits; and strange answers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import support_api
from sekisho.client import Client
from sekisho.model.access import Role
from sekisho.model.errors import Forbidden, Malformed, SekishoError, Unavailable
from sekisho.model.report import CollectorReport
from sekisho.testing.keeper import SECRETS

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Act = Callable[[Client], object]


class Stub:
    """A server that plays a script: for each connection, the answers it gives before it hangs up."""

    def __init__(self, *script: list[bytes]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.answered = threading.Semaphore(0)
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for answers in self._script:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._play(connection, answers)

    def _play(self, connection: socket.socket, answers: list[bytes]) -> None:
        for answer in answers:
            request = self._request(connection)
            if not request:
                return
            self.requests.append(request)
            connection.sendall(answer)
            self.answered.release()

    def _request(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@contextmanager
def playing(*script: list[bytes]) -> Iterator[Stub]:
    stub = Stub(*script)
    try:
        yield stub
    finally:
        stub.close()


def reading(client: Client) -> object:
    return client.metrics()


def writing(client: Client) -> object:
    return client.lift("r1", "why")


def telling(client: Client) -> object:
    client.receipts("h1", 1)
    return None


def test_a_connection_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    with playing([OK, OK, OK]) as stub, Client(stub.url) as client:
        for _ in range(3):
            client.metrics()
        assert stub.connections == 1


def test_a_connection_hung_up_meanwhile_is_not_even_tried() -> None:
    """Even for what may not be sent twice: nothing was sent yet."""
    with playing([OK], [OK]) as stub, Client(stub.url) as client:
        client.metrics()
        stub.answered.acquire()
        time.sleep(0.05)  # until the end of the connection has arrived: nothing tells when
        telling(client)
        assert stub.connections == 2
        assert len(stub.requests) == 2


@pytest.mark.parametrize("act", [reading, writing])
def test_a_connection_that_dies_under_a_request_is_replaced_once(
    act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sekisho.client.connections._hung_up", lambda _: False)
    with playing([OK], [OK]) as stub, Client(stub.url) as client:
        client.metrics()
        with pytest.raises(Unavailable, match="version") if act is writing else no_error():
            act(client)  # a stub's {} is no restriction, but it was answered
        assert stub.connections == 2


@contextmanager
def no_error() -> Iterator[None]:
    yield


def test_what_may_not_be_sent_twice_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekisho.client.connections._hung_up", lambda _: False)
    with playing([OK], [OK]) as stub, Client(stub.url) as client:
        client.metrics()
        with pytest.raises(Unavailable):
            telling(client)
        assert stub.connections == 1


def test_a_new_connection_that_dies_is_not_tried_again() -> None:
    with playing([b""], [OK]) as stub, Client(stub.url) as client:
        with pytest.raises(Unavailable):
            client.metrics()
        assert stub.connections == 1


def test_keys_are_the_same_when_a_write_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekisho.client.connections._hung_up", lambda _: False)
    with playing([OK, b"HTTP/1.1 200 "], [OK]) as stub, Client(stub.url) as client:
        client.metrics()
        with pytest.raises(Unavailable):
            writing(client)  # half an answer: whether it was carried out is unknown, the asker repeats it


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", "t") as client, pytest.raises(Unavailable) as caught:
        client.status()
    assert str(port) in caught.value.asker
    assert caught.value.__cause__ is not None
    with Client("http://no-such-host.invalid", "t") as client, pytest.raises(Unavailable):
        client.status()


def test_who_does_not_answer_is_waited_for_so_long_and_no_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, timeout=0.1) as client, pytest.raises(Unavailable):
            client.status()
        with Client(url, timeout=0.1) as client:
            began = time.monotonic()
            with pytest.raises(Unavailable):
                client.inventory(1, wait=0.3)
            assert 0.4 <= time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\n<h1>no</h", Forbidden),
        (b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n", Malformed),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 2\r\n\r\n[]", Unavailable),
        (b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 4\r\n\r\nnull", Unavailable),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", Unavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", Unavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", Unavailable),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Unavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", Unavailable),
    ],
)
def test_answers_of_strangers(answer: bytes, kind: type[SekishoError]) -> None:
    with playing([answer]) as stub, Client(stub.url) as client, pytest.raises(kind):
        client.status()


def test_many_threads_share_a_client() -> None:
    fake = support_api.keeper()
    with (
        support_api.served(fake) as (_, url),
        Client(url, SECRETS[Role.ADMIN]) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        told = list(pool.map(lambda i: client.top(limit=i % 5 + 1), range(200)))
        assert told == [()] * 200
        list(pool.map(lambda i: client.report_collector(CollectorReport(f"c{i}", 1.0)), range(50)))
        assert len(fake.status().collectors) == 50


def test_closing_wakes_who_waits() -> None:
    fake = support_api.keeper()
    with support_api.served(fake) as (app, url), ThreadPoolExecutor(1) as pool:
        client = Client(url, SECRETS[Role.AGENT])
        poll = pool.submit(client.inventory, fake.inventory().version, 60)
        deadline = time.monotonic() + 10
        while app.state.waiting.count < 1 and time.monotonic() < deadline:
            time.sleep(0.002)
        client.close()
        with pytest.raises(Unavailable, match="closed"):
            poll.result(5)
        with pytest.raises(Unavailable, match="closed"):
            client.inventory()
        client.close()


def test_a_path_in_front_is_kept() -> None:
    with playing([OK]) as stub, Client(f"{stub.url}/sekisho/", "t") as client:
        client.metrics()
        assert stub.requests[0].startswith(b"GET /sekisho/metrics HTTP/1.1\r\n")
        assert b"Authorization: Bearer t\r\n" in stub.requests[0]

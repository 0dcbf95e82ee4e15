"""Listening and stopping: TCP, unix sockets, TLS, sockets of one's own."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import support_api
from sekisho.api import create_app, serve, start
from sekisho.api.server import listen
from sekisho.api.settings import ApiSettings
from sekisho.client import Client
from sekisho.model.access import Role
from sekisho.model.errors import Unavailable
from sekisho.testing.keeper import SECRETS, FakeKeeper


def test_it_listens_when_start_returns() -> None:
    settings = ApiSettings(port=0)
    running = start(create_app(FakeKeeper(), settings), settings)
    try:
        assert httpx.get(f"{running.url}/healthz", trust_env=False).status_code == 200
    finally:
        running.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{running.url}/healthz", trust_env=False)


def seconds(ask: Callable[[], object]) -> float:
    began = time.monotonic()
    ask()
    return time.monotonic() - began


def test_answers_do_not_wait_for_an_acknowledgement() -> None:
    """Without TCP_NODELAY each answer takes the 40 ms of a delayed ACK."""
    with support_api.served(FakeKeeper()) as (_, url), Client(url, SECRETS[Role.VIEWER]) as client:
        client.status()
        assert min(seconds(client.status) for _ in range(20)) < 0.035


def test_stopping_lets_long_polls_go() -> None:
    fake = support_api.keeper()
    settings = ApiSettings(port=0)
    app = create_app(fake, settings)
    running = start(app, settings)
    revision = fake.program("h1").revision
    with Client(running.url, SECRETS[Role.AGENT]) as client, ThreadPoolExecutor(1) as pool:
        poll = pool.submit(client.program, "h1", revision, 60)
        deadline = time.monotonic() + 10
        while app.state.waiting.count < 1 and time.monotonic() < deadline:
            time.sleep(0.002)
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < 2
        assert poll.result(1) is None


def test_idle_connections_do_not_hold_it_up() -> None:
    settings = ApiSettings(port=0)
    running = start(create_app(FakeKeeper(), settings), settings)
    with Client(running.url) as client:
        client.ready()
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < 2
        with pytest.raises(Unavailable):
            client.status()


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    settings = ApiSettings(unix=str(path))
    running = start(create_app(FakeKeeper(), settings), settings)
    try:
        assert running.url == ""
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://sekisho/healthz").status_code == 200
        with pytest.raises(OSError, match="in use"):
            listen(settings)
    finally:
        running.stop()
    assert not path.exists()


def test_the_unix_socket_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    listen(ApiSettings(unix=str(path))).close()


def test_a_taken_port_is_told_to_the_caller() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        start(create_app(FakeKeeper()), ApiSettings(port=taken.getsockname()[1]))


def test_sockets_of_ones_own_until_told_to_stop() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    stopping = threading.Event()
    settings = ApiSettings(port=1)  # nobody may listen there
    arguments = (create_app(FakeKeeper(), settings), settings, [listener], stopping)
    thread = threading.Thread(target=serve, args=arguments)
    thread.start()
    try:
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    finally:
        stopping.set()
        thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(cert)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def test_tls(certificate: tuple[Path, Path]) -> None:
    cert, key = map(str, certificate)
    fake = support_api.keeper()
    with support_api.served(fake, certificate=cert, private_key=key) as (_, url):
        assert url.startswith("https://")
        trusting = ssl.create_default_context(cafile=cert)
        with Client(url, SECRETS[Role.VIEWER], context=trusting) as client:
            assert [client.status().subjects for _ in range(3)] == [3, 3, 3]
        with Client(url, SECRETS[Role.VIEWER]) as client, pytest.raises(Unavailable, match="does not answer"):
            client.status()


def test_a_bad_certificate_is_told_to_the_caller(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    settings = ApiSettings(port=0, certificate=str(bad), private_key=str(bad))
    with pytest.raises(ssl.SSLError):
        start(create_app(FakeKeeper(), settings), settings)


PROGRAM = """
import signal, socket, sys
from sekisho.api import create_app, serve
from sekisho.api.settings import ApiSettings
from sekisho.testing.keeper import FakeKeeper
def hear(number, frame): print("heard", number, flush=True)
signal.signal(signal.SIGTERM, hear)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
settings = ApiSettings()
serve(create_app(FakeKeeper(), settings), settings, [listener])
print("stopped", flush=True)
"""


def test_a_signal_stops_it_and_is_passed_on() -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().split("\n")
        assert process.wait(10) == 0
    assert rest[:2] == [f"heard {signal.SIGTERM.value}", "stopped"]


def test_settings_and_protocol_need_no_web_framework() -> None:
    code = (
        "import sys, sekisho.api.settings, sekisho.api.keeper, sekisho.client;"
        "heavy = {'fastapi', 'pydantic', 'uvicorn', 'starlette'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

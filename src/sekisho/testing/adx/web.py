"""An emulated ADX on a loopback port: a Box in, an address out, until it is closed."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from sekisho.testing.adx.soap import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sekisho.testing.adx.box import Box


@contextmanager
def served(box: Box, port: int = 0, before: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Serve a box over HTTP and give its address; `port` 0 takes a free one, `before` precedes each call."""
    closing = threading.Event()
    lock = threading.Lock()

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, verb: str) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                before()
                found = answer(box, verb, self.path, headers, body)
            closing.wait(box.slow)
            if found.silent:
                closing.wait()
                self.close_connection = True
                return
            self.send_response(found.status)
            self.send_header("Content-Type", found.kind)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join()

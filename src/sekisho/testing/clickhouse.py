"""A thin front that speaks ClickHouse's HTTP interface over an embedded chdb: for tests of the network path.

It is no server: one user, no sessions, and of the interface only what a client of ours needs (queries,
{name:Type} parameters, settings, formats, inserts of a body). The engine behind it is the same.
"""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from sekisho.archive.embedded import Embedded

_INSERT: Final = re.compile(r"\s*INSERT INTO\s+(\S+).*?FORMAT\s+Native\s*", re.IGNORECASE | re.DOTALL)
_HEAD: Final = re.compile(rb"\s*INSERT INTO[^\n]*?\s+FORMAT\s+Native[ ]*\n", re.IGNORECASE)
_FORMAT: Final = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_CODE: Final = re.compile(r"Code: (\d+)")
# What is no setting of a query among the parameters of a request.
_PARTS: Final = frozenset(
    {"query", "database", "session_id", "query_id", "default_format", "compress", "wait_end_of_query"}
)


class Front:
    """Serves on loopback, at a free port, until closed; `away` makes it hang up on everybody."""

    def __init__(self, store: Embedded) -> None:
        self.store = store
        self.away = False
        self.asked: list[str] = []
        front = self

        class Handler(_Handler):
            served = front

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, query: str, given: dict[str, str], body: bytes) -> bytes:
        """Carry one request out; raises RuntimeError as the engine does."""
        settings = {k: v for k, v in given.items() if k not in _PARTS and not k.startswith("param_")}
        insert = _INSERT.fullmatch(query)
        if insert:
            return self._insert(insert[1], settings, body)
        found = _FORMAT.search(query)
        form = found[1] if found else given.get("default_format", "TabSeparated")
        told = {k.removeprefix("param_"): v for k, v in given.items() if k.startswith("param_")}
        asked = _FORMAT.sub("", query)
        limits = {k: v for k, v in settings.items() if k != "readonly" and re.fullmatch(r"[\d.]+", v)}
        if settings.get("readonly") == "1":
            return self.store.ask(asked, form, told, limits)
        return self.store.ask(asked, form, told, {})

    def _insert(self, table: str, settings: dict[str, str], body: bytes) -> bytes:
        token = settings.get("insert_deduplication_token", "")
        with NamedTemporaryFile(suffix=".native") as file:
            file.write(body)
            file.flush()
            self.store.load(table.strip("`"), Path(file.name), token)
        return b""


class _Handler(BaseHTTPRequestHandler):
    served: Front
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.served.away:
            self.close_connection = True
            return
        if urlsplit(self.path).path == "/ping":
            self._send(200, b"Ok.\n")
            return
        given = {k: v[-1] for k, v in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}
        query = given.get("query", "")
        if not query:  # the body begins with it
            head = _HEAD.match(body)
            query, body = (head[0].decode(), body[head.end() :]) if head else (body.decode(), b"")
        self.served.asked.append(query)
        try:
            self._send(200, self.served.answer(query, given, body))
        except Exception as error:  # noqa: BLE001 - told to the client as a server does
            said = getattr(error, "fixer", str(error))
            code = _CODE.search(said)
            self._send(500, f"{said}\n".encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "0"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""

"""A box in a test: its commands, and its doors over HTTP with the standard library."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sekisho.testing.nexus import Box, Door

PASSWORD = "admin"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


def configured(lines: str, **box: Any) -> Box:
    """Give a box with some lines configured."""
    made = Box(hostname="leaf-1", **{"ports": 8, **box})
    configure(made, lines)
    return made


def configure(box: Box, lines: str | Iterable[str]) -> None:
    """Type lines in configuration mode."""
    session = box.session("admin")
    session.line("configure terminal")
    for line in lines.splitlines() if isinstance(lines, str) else lines:
        session.line(line)


def shown(box: Box, command: str) -> str:
    """Give what an exec command prints."""
    return box.session("admin").line(command).text


def section(box: Box, first: str) -> list[str]:
    """Give the lines of the running configuration under one that begins a section."""
    lines = box.running_config().splitlines()
    start = lines.index(first) + 1
    found = []
    for line in lines[start:]:
        if not line.startswith("  "):
            break
        found.append(line.strip())
    return found


@dataclass
class Caller:
    """Somebody at a door's HTTP side."""

    door: Door
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def call(
        self, method: str, path: str, body: object = None, kind: str = "application/json"
    ) -> tuple[int, Any]:
        """Send a request on a connection of its own: status and JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.door.port, timeout=10)
        headers = {"Content-Type": kind, "Cookie": self.cookie, **self.headers}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, data if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            self.cookie = (answer.getheader("Set-Cookie") or self.cookie).partition(";")[0]
        finally:
            connection.close()
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text

    def login(self, name: str = "admin", password: str = PASSWORD) -> int:
        """Sign in to the data model's door."""
        asked = {"aaaUser": {"attributes": {"name": name, "pwd": password}}}
        return self.call("POST", "/api/aaaLogin.json", asked)[0]

    def get(self, path: str) -> list[tuple[str, dict[str, str]]]:
        """Ask for objects: their classes and attributes."""
        status, body = self.call("GET", path)
        assert status == 200, body
        return [(cls, inner["attributes"]) for one in body["imdata"] for cls, inner in one.items()]

    def post(self, tree: dict[str, Any]) -> tuple[int, str]:
        """Post a tree below the whole system: status and what was wrong with it."""
        status, body = self.call("POST", "/api/mo/sys.json", {"topSystem": tree})
        return status, "" if status == 200 else str(body["imdata"][0]["error"]["attributes"]["text"])

    def rpc(
        self, *commands: str, method: str = "cli", password: str = PASSWORD, **more: object
    ) -> tuple[int, Any]:
        """Send commands by JSON-RPC."""
        self.headers["Authorization"] = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
        asked = [
            {"jsonrpc": "2.0", "method": method, "params": {"cmd": cmd, "version": 1}, "id": n, **more}
            for n, cmd in enumerate(commands, 1)
        ]
        return self.call("POST", "/ins", asked, "application/json-rpc")

    def ins(self, text: str, kind: str = "cli_conf", **more: object) -> Any:
        """Send commands by ins_api and give its outputs."""
        self.headers["Authorization"] = "Basic " + base64.b64encode(b"admin:admin").decode()
        asked = {
            "version": "1.0",
            "type": kind,
            "chunk": "0",
            "sid": "1",
            "input": text,
            "output_format": "json",
            **more,
        }
        status, body = self.call("POST", "/ins", {"ins_api": asked})
        assert status == 200, body
        return body["ins_api"]["outputs"]["output"]


def mo(cls: str, /, *children: dict[str, Any], **attributes: str) -> dict[str, Any]:
    """Write a managed object with its children."""
    return {cls: {"attributes": attributes, "children": list(children)}}


def below(*children: dict[str, Any]) -> dict[str, Any]:
    """Write what stands below the whole system."""
    return {"children": list(children)}

"""NX-API's doors over HTTP: ``/ins``, ``/api`` for the data model, ``/emulator`` for tests."""

from __future__ import annotations

import base64
import binascii
import json
import secrets as chance
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from sekisho.testing.nexus import control, dme, ins
from sekisho.testing.nexus.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.testing.nexus.box import Box

SESSION_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, whole."""

    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, whole."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=())


def answer(box: Box, request: Request) -> Answer:
    """Answer a request."""
    path = unquote(urlsplit(request.target).path)
    if path.startswith("/emulator"):
        return Answer(200, control.answer(box, request.method, path, request.body))
    with box.lock:
        box.tick()
        if path.rstrip("/") == "/ins":
            return _ins(box, request)
        if path.startswith("/api/"):
            return _api(box, request, path)
    return Answer(404, b"<html><head><title>404 Not Found</title></head></html>", "text/html")


def _ins(box: Box, request: Request) -> Answer:
    user = _basic(box, request) or _cookie(box, request, "nxapi_auth")
    if not user:
        return Answer(
            401,
            b'{"error": "401 Unauthorized"}',
            headers=(("WWW-Authenticate", 'Basic realm="Secure Zone"'),),
        )
    status, kind, body = ins.answer(
        box, request.headers.get("content-type", ""), request.body, user, request.origin
    )
    return Answer(status, body, kind)


def _basic(box: Box, request: Request) -> str:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        user, _, password = base64.b64decode(text).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return user if box.knows(user, password) else ""


def _cookie(box: Box, request: Request, *names: str) -> str:
    cookie = SimpleCookie(request.headers.get("cookie", ""))
    for name in names:
        user, until = box.tokens.get(cookie[name].value, ("", 0.0)) if name in cookie else ("", 0.0)
        if user and box.clock() < until:
            return user
    return ""


def _api(box: Box, request: Request, path: str) -> Answer:
    parts = urlsplit(request.target)
    rest = path.removeprefix("/api/").removeprefix("node/")
    if rest.endswith(".xml"):
        return _error(400, "Only JSON is emulated")
    rest = rest.removesuffix(".json")
    if rest in ("aaaLogin", "mo/aaaLogin"):
        return _login(box, request)
    user = _cookie(box, request, "APIC-cookie", "nxapi_auth")
    if not user:
        return _error(403, "Token was invalid (Error: Token timeout)", "403")
    try:
        return _signed_in(box, request, rest, dict(parse_qsl(parts.query)), user)
    except Refusal as wrong:
        return _error(400, wrong.text)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return _error(400, "Failed to parse request body")


def _signed_in(box: Box, request: Request, rest: str, options: Mapping[str, str], user: str) -> Answer:
    if rest in ("aaaRefresh", "mo/aaaRefresh"):
        return _token(box, user, "aaaLogin")
    if rest in ("aaaLogout", "mo/aaaLogout"):
        cookie = SimpleCookie(request.headers.get("cookie", ""))
        for one in cookie.values():
            box.tokens.pop(one.value, None)
        return _written([])
    if not rest.startswith(("mo/", "class/")) and rest != "mo":
        raise Refusal(f"Invalid request {rest}")
    match request.method:
        case "GET":
            found = dme.query(box, rest, options)
            return _written(found)
        case "POST" | "PUT":
            dme.post(box, rest, json.loads(request.body), user, request.origin)
        case "DELETE":
            dme.delete(box, rest, user, request.origin)
        case _:
            raise Refusal(f"Invalid method {request.method}")
    return Answer(200, b'{"imdata":[]}')


def _login(box: Box, request: Request) -> Answer:
    try:
        asked = json.loads(request.body)["aaaUser"]["attributes"]
        user, password = str(asked["name"]), str(asked["pwd"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return _error(400, "Failed to parse login request")
    if not box.knows(user, password):
        return _error(401, "Username or password is incorrect - FAILED local authentication", "401")
    return _token(box, user, "aaaLogin")


def _token(box: Box, user: str, cls: str) -> Answer:
    token = chance.token_urlsafe(48)
    box.tokens[token] = (user, box.clock() + SESSION_SECONDS)
    attributes = {
        "token": token,
        "siteFingerprint": "",
        "refreshTimeoutSeconds": str(int(SESSION_SECONDS)),
        "guiIdleTimeoutSeconds": "1200",
        "restTimeoutSeconds": "90",
        "creationTime": str(int(box.clock())),
        "userName": user,
        "version": "0.9(14HEAD${version.patch})",
        "node": "topology/pod-1/node-1",
    }
    made = _written([{cls: {"attributes": attributes}}])
    cookie = ("Set-Cookie", f"APIC-cookie={token}; path=/; HttpOnly")
    return Answer(200, made.body, headers=(cookie,))


def _written(found: list[dict[str, Any]]) -> Answer:
    return Answer(
        200, json.dumps({"totalCount": str(len(found)), "imdata": found}, separators=(",", ":")).encode()
    )


def _error(status: int, text: str, code: str = "1") -> Answer:
    body = {"imdata": [{"error": {"attributes": {"code": code, "text": text}}}]}
    return Answer(status, json.dumps(body).encode())

"""NX-API: the switch's tree (DME) over REST, and its command line over JSON-RPC."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from sekisho.devices.switch.nexus import guard
from sekisho.devices.switch.nexus.door import LONGEST, batches, checked, refusal
from sekisho.devices.switch.said import clean
from sekisho.model.errors import Refused, SekishoError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sekisho.devices.switch.document import Connection
    from sekisho.devices.switch.nexus import cli

_COOKIE: Final = "APIC-cookie"
_COMMANDS: Final = 400  # a request
_SHOWS: Final = 32  # commands that show, a request: a switch takes a while for each
_PATIENCE: Final = 10.0  # seconds until a connection must stand
_FAREWELL: Final = 2.0  # seconds: nobody waits longer to say goodbye
_WHOLE: Final = 4.0  # times connection.timeout, which is for each piece: until a whole answer must be there
_OK: Final = 200
_RENEWALS: Final = 1  # how often a session that has ended is begun again for one request


class NxApi:
    """Speaks NX-API to one switch; see `door.Door`. Signs in when asked, and again when a session ends."""

    def __init__(
        self,
        connection: Connection,
        secret: str,
        transport: httpx.BaseTransport | None = None,
        passed: Callable[[], float] = time.monotonic,  # noqa: TID251 - how long a network takes, no moment
        whole: float = _WHOLE,
    ) -> None:
        self._passed = passed
        self._patience = whole * connection.timeout  # seconds
        self._address = connection.address
        self._who = (connection.username, secret)
        self._client = httpx.Client(
            base_url=url(connection),
            verify=_trust(connection),
            timeout=httpx.Timeout(connection.timeout, connect=min(connection.timeout, _PATIENCE)),
            transport=transport,
            trust_env=False,
        )
        self._token = ""

    def objects(self, dn: str, **query: str) -> list[Mapping[str, Any]]:
        """Get managed objects of the tree: those at and, if the query says so, below a distinguished name."""
        asked = {name.replace("_", "-"): value for name, value in query.items()}
        return self._dme("GET", f"/api/mo/{dn}.json", params=asked)

    def post(self, body: str) -> None:
        """Send one tree: the switch takes all of it, or says which part it does not want."""
        self._dme("POST", "/api/mo/sys.json", content=body)

    def run(self, commands: Sequence[str]) -> list[str]:
        """Carry out commands that show or act; see `door.Door.run`."""
        results = self._cli("cli_ascii", commands)
        texts = [_text(result) for result in results]
        return [checked(self._address, t, c) for t, c in zip(texts, commands, strict=False)]

    def data(self, command: str) -> Mapping[str, Any]:
        """Ask for a command's structured output; see `door.Door.data`."""
        return self.tables([command])[0]

    def tables(self, commands: Sequence[str]) -> list[Mapping[str, Any]]:
        """Ask for the structured outputs of several commands; see `door.Door.tables`."""
        found: list[Mapping[str, Any]] = []
        for start in range(0, len(commands), _SHOWS):
            some = commands[start : start + _SHOWS]
            results = self._cli("cli", some)
            found += [_body(self._address, r, c) for r, c in zip(results, some, strict=True)]
        return found

    def configure(self, blocks: Sequence[cli.Block]) -> None:
        """Send configuration commands; see `door.Door.configure`."""
        for batch in batches(blocks, _COMMANDS):
            guard.check(batch)
            self._cli("cli", batch)

    def close(self) -> None:
        """Let the session end and the connection go: a switch has room for few sessions."""
        if self._token:
            body = json.dumps({"aaaUser": {"attributes": {"name": self._who[0]}}})
            with contextlib.suppress(httpx.HTTPError):
                self._whole("POST", "/api/aaaLogout.json", content=body, timeout=_FAREWELL)
        self._token = ""
        self._client.close()

    def sign_in(self) -> None:
        """Begin a session. Raises Unauthenticated."""
        name, password = self._who
        body = json.dumps({"aaaUser": {"attributes": {"name": name, "pwd": password}}})
        answer = self._send("POST", "/api/aaaLogin.json", content=body)
        if answer.status_code in (401, 403):
            raise _not_let_in(self._address, name)
        signed = [item["aaaLogin"] for item in self._read(answer) if "aaaLogin" in item]
        self._token = str(signed[0]["attributes"].get("token", "")) if signed else ""
        if not self._token:
            raise _odd(self._address, answer)
        if not self._client.cookies:
            self._client.cookies.set(_COOKIE, self._token)

    def _dme(self, method: str, path: str, **asked: Any) -> list[Mapping[str, Any]]:
        for _ in range(_RENEWALS + 1):
            if not self._token:
                self.sign_in()
            answer = self._send(method, path, **asked)
            if answer.status_code not in (401, 403):
                return self._read(answer)
            # the session has ended: nothing was done, so the same is asked again in a new one
            self._token = ""
            self._client.cookies.clear()
        raise Refused(
            f"The user {self._who[0]} may not do this on the switch {self._address}.",
            f"{self._address} says {answer.status_code} to {method} {path}; its role must be network-admin.",
        )

    def _cli(self, method: str, commands: Sequence[str]) -> list[Any]:
        asked = [
            {"jsonrpc": "2.0", "method": method, "params": {"cmd": command, "version": 1}, "id": number}
            for number, command in enumerate(commands, 1)
        ]
        answer = self._send(
            "POST",
            "/ins",
            content=json.dumps(asked),
            headers={"Content-Type": "application/json-rpc"},
            auth=httpx.BasicAuth(*self._who),
        )
        if answer.status_code in (401, 403):
            raise _not_let_in(self._address, self._who[0])
        found = _json(answer)
        replies = found if isinstance(found, list) else [found]
        for reply, command in zip(replies, commands, strict=False):
            if error := (reply.get("error") if isinstance(reply, dict) else None):
                raise refusal(self._address, _words(error), command)
        spoken = all(isinstance(reply, dict) and "result" in reply for reply in replies)
        if answer.status_code != _OK or not spoken or len(replies) != len(commands):
            raise _odd(self._address, answer)
        return [reply["result"] for reply in replies]

    def _send(self, method: str, path: str, **asked: Any) -> httpx.Response:
        try:
            return self._whole(method, path, **asked)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as broken:
            if method != "GET":  # it may have been done
                raise _unreached(self._address, broken) from broken
        except (httpx.RequestError, httpx.StreamError) as failed:
            raise _unreached(self._address, failed) from failed
        try:  # a connection that was kept too long breaks when it is used: what only reads is asked again
            return self._whole(method, path, **asked)
        except (httpx.RequestError, httpx.StreamError) as failed:
            raise _unreached(self._address, failed) from failed

    def _whole(self, method: str, path: str, **asked: Any) -> httpx.Response:
        """Ask, and take an answer that is neither too long nor too slow as a whole."""
        until = self._passed() + self._patience
        with self._client.stream(method, path, **asked) as answer:
            taken = bytearray()
            for piece in answer.iter_bytes():
                taken += piece
                if len(taken) > LONGEST or self._passed() > until:
                    raise httpx.ReadTimeout(
                        f"more than {LONGEST} bytes or {self._patience:g} seconds", request=answer.request
                    )
        return httpx.Response(answer.status_code, content=bytes(taken), request=answer.request)

    def _read(self, answer: httpx.Response) -> list[Mapping[str, Any]]:
        """Give the objects of an answer, all of them, or raise what else it means."""
        body = _json(answer)
        found = body.get("imdata") if isinstance(body, dict) else None
        if not isinstance(found, list) or not all(_is_tree(item) for item in found):
            raise _odd(self._address, answer)
        for item in found:
            if words := item.get("error", {}).get("attributes", {}).get("text"):
                raise refusal(self._address, str(words))
        told = str(body.get("totalCount", ""))
        if answer.status_code != _OK or (told.isdigit() and int(told) > len(found)):
            raise _odd(self._address, answer)
        return found


def url(connection: Connection) -> str:
    """Give the address of a switch's NX-API: HTTPS unless the address itself says ``http://``."""
    address = connection.address
    if "//" not in address:
        address = (
            f"https://[{address}]" if address.count(":") > 1 and "[" not in address else f"https://{address}"
        )
    parts = urlsplit(address)
    port = connection.port or parts.port
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def _trust(connection: Connection) -> ssl.SSLContext | bool:
    if not connection.verify or connection.address.startswith("http://"):
        return False
    try:
        return ssl.create_default_context(cafile=connection.ca_file or None)
    except (OSError, ssl.SSLError) as failed:
        raise Refused(
            f"The certificates to check {connection.address} by cannot be read.",
            f"ca_file {connection.ca_file}: {failed}.",
        ) from failed


def _json(answer: httpx.Response) -> Any:
    try:
        return clean(answer.json())
    except (ValueError, RecursionError):
        return None


def _is_tree(item: Any) -> bool:
    """Tell whether this is a managed object: a class with attributes of text, and children alike."""
    if not isinstance(item, dict):
        return False
    for body in item.values():
        if not isinstance(body, dict):
            return False
        attributes, below = body.get("attributes", {}), body.get("children", [])
        if not isinstance(attributes, dict) or not all(isinstance(it, str) for it in attributes.values()):
            return False
        if not isinstance(below, list) or not all(_is_tree(it) for it in below):
            return False
    return True


def _text(result: Any) -> str:
    if isinstance(result, dict):
        return str(result.get("msg") or result.get("body") or "")
    return "" if result is None else str(result)


def _body(address: str, result: Any, command: str) -> Mapping[str, Any]:
    body = result.get("body") if isinstance(result, dict) else result
    if isinstance(body, dict):
        return body
    if not body:
        return {}
    raise Unavailable(
        f"The switch {address} did not answer in a way that can be read.",
        f"{address}: the answer to {command!r} has no structure; ask again.",
        retry_after=5,
    )


def _words(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    data = error.get("data")
    said = data.get("msg") if isinstance(data, dict) else data
    return str(said or error.get("message") or error)


def _not_let_in(address: str, name: str) -> Unauthenticated:
    return Unauthenticated(
        f"The switch {address} does not let the user {name} in; check username and password_file.",
        f"{address} refuses the name or the password of {name}.",
    )


def _odd(address: str, answer: httpx.Response) -> SekishoError:
    sentence = f"The switch {address} answered {answer.status_code}, which is no answer of NX-API."
    fixer = f"{address}: {answer.request.method} {answer.request.url.path} gave {answer.status_code}."
    if 400 <= answer.status_code < 500 and _json(answer) is not None:
        return Refused(sentence, fixer)
    return Unavailable(sentence, fixer, retry_after=5)


def _unreached(address: str, failed: Exception) -> SekishoError:
    if "CERTIFICATE_VERIFY_FAILED" in str(failed):
        return Refused(
            f"The certificate of {address} is not one that we trust, or is another switch's.",
            f"{address}: {failed}. Name the authority that signed it as ca_file, or give the switch a "
            "certificate for this address.",
        )
    return Unavailable(
        f"The switch {address} does not answer.",
        f"{address}: {type(failed).__name__}: {failed}.",
        retry_after=5,
    )

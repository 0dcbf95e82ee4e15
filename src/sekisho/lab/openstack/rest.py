"""REST as somebody of the stack asks it, from outside the namespace where the services listen."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from sekisho.lab import sockets
from sekisho.lab.openstack.settings import CONTROLLER, PATHS, PORTS, PROJECTS
from sekisho.model.errors import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    Refused,
    SekishoError,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_ERRORS: dict[int, type[SekishoError]] = {
    400: Malformed,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    503: Unavailable,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """Read it as JSON; nothing is None."""
        return json.loads(self.text) if self.text else None


@dataclass(slots=True)
class Rest:
    """Asks the services of one namespace; a token is fetched once for each user."""

    namespace: str
    timeout: float = 60.0
    _tokens: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(
        self,
        service: str,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask as nobody, and give whatever is answered; raises Unavailable when nobody answers."""
        sent = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
        data = None if body is None else json.dumps(body)
        connection = HTTPConnection(CONTROLLER, PORTS[service], timeout=self.timeout)
        try:
            connection.sock = sockets.connect((CONTROLLER, PORTS[service]), self.namespace, self.timeout)
            connection.request(method, PATHS[service] + path, data, sent)
            got = connection.getresponse()
            found = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, found, got.read().decode())
        except (OSError, HTTPException) as error:
            raise Unavailable(f"{service} does not answer.", f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def api(
        self,
        service: str,
        method: str,
        path: str,
        body: object = None,
        *,
        as_: str = "admin",
        token: str = "",
    ) -> Any:
        """Ask as somebody (or with a token) and give the answer's JSON; raises what its status stands for."""
        headers = {"X-Auth-Token": token or self.token(as_)}
        answer = self.ask(service, method, path, body, headers)
        if answer.status >= 400:
            kind = _ERRORS.get(answer.status, Refused)
            raise kind(f"{answer.status}: {answer.text[:500]}", f"{method} {path}: {answer.text[:2000]}")
        return answer.json()

    def token(self, as_: str = "admin") -> str:
        """Give a user's token for the project it belongs to."""
        with self._lock:
            if as_ not in self._tokens:
                self._tokens[as_] = self.sign_in(as_, as_, PROJECTS[as_])
            return self._tokens[as_]

    def sign_in(self, user: str, password: str, project: str) -> str:
        """Ask Keystone for a token; raises Unauthenticated."""
        domain = {"id": "default"}
        who = {"name": user, "domain": domain, "password": password}
        identity = {"methods": ["password"], "password": {"user": who}}
        scope = {"project": {"name": project, "domain": domain}}
        answer = self.ask(
            "identity", "POST", "/auth/tokens", {"auth": {"identity": identity, "scope": scope}}
        )
        if answer.status != 201:
            raise Unauthenticated(f"Keystone refuses {user}.", f"{answer.status}: {answer.text}")
        return answer.headers["x-subject-token"]

    def forget_tokens(self) -> None:
        """Sign everybody in again when next they ask."""
        with self._lock:
            self._tokens.clear()

"""Stand-ins for what the ``openstack`` command brings, and for the Neutron behind it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

from support_modules import imported, stand_ins

GUEST = "sekisho.guests.osc"
MODULES = ("ask", "commands")
PORT = "b5a2e0a6-3a4c-4d0b-8f57-0f6f4b6f0c11"
PROJECT = "d3c1"


class ClientException(Exception):
    """As osc_lib.exceptions has it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} (HTTP {self.code})"


class Command:
    """As osc_lib.command.command has it: a parser, and an action with the app at hand."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return argparse.ArgumentParser(prog_name)

    def take_action(self, parsed_args: Any) -> Any:
        raise NotImplementedError

    def ask(self, *words: str) -> Any:
        """Run it as a shell would."""
        return self.take_action(self.get_parser("openstack").parse_args(words))


class ListDictColumn:
    """As osc_lib.cli.format_columns has it, over cliff's."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def machine_readable(self) -> list[dict[str, Any]]:
        return [dict(x) for x in self._value or []]


def domain_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project-domain")


def fakes() -> dict[str, ModuleType]:
    kinds = ("BadRequest", "Unauthorized", "Forbidden", "NotFound", "Conflict")
    exceptions: dict[str, Any] = {name: type(name, (ClientException,), {}) for name in kinds}
    exceptions |= {
        "ClientException": ClientException,
        "CommandError": type("CommandError", (Exception,), {}),
    }
    identity = {
        "add_project_domain_option_to_parser": domain_option,
        "find_project_id_sdk": lambda _identity, _name, _domain: PROJECT,
    }
    contents: dict[str, dict[str, Any]] = {
        "osc_lib": {},
        "osc_lib.exceptions": exceptions,
        "osc_lib.cli": {},
        "osc_lib.cli.format_columns": {"ListDictColumn": ListDictColumn},
        "osc_lib.command": {},
        "osc_lib.command.command": {"Command": Command, "Lister": Command, "ShowOne": Command},
        "openstackclient": {},
        "openstackclient.identity": {},
        "openstackclient.identity.common": identity,
    }
    return stand_ins(contents)


@contextmanager
def openstack() -> Iterator[SimpleNamespace]:
    """Import the guest's modules among the stand-ins, and leave no trace of either."""
    made = fakes()
    with imported(GUEST, MODULES, made) as loaded:
        yield SimpleNamespace(**loaded, exceptions=made["osc_lib.exceptions"])


def response(status: int, body: Any = None, text: str = "") -> SimpleNamespace:
    """Make an answer as requests has it."""
    content = text if body is None else json.dumps(body)
    return SimpleNamespace(
        status_code=status, content=content, json=lambda: json.loads(content), reason="Something"
    )


def problem(status: int, message: str) -> SimpleNamespace:
    return response(status, {"NeutronError": {"type": "X", "message": message, "detail": ""}})


@dataclass
class Network:
    """The network proxy: gives answers in turn, and tells what it was asked."""

    answers: list[Any] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    ports: dict[str, str] = field(default_factory=lambda: {"mail-1": PORT, PORT: PORT})

    def find_port(self, name: str, *, ignore_missing: bool) -> Any:
        if name not in self.ports and not ignore_missing:
            raise LookupError(name)
        return SimpleNamespace(id=self.ports[name]) if name in self.ports else None

    def get(self, path: str, params: Any = None) -> Any:
        return self._answer("GET", path, params)

    def post(self, path: str, json: Any) -> Any:
        return self._answer("POST", path, json)

    def put(self, path: str, json: Any) -> Any:
        return self._answer("PUT", path, json)

    def delete(self, path: str) -> Any:
        return self._answer("DELETE", path, None)

    def _answer(self, *asked: Any) -> Any:
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def app(self) -> SimpleNamespace:
        """The application object a command finds it through."""
        manager = SimpleNamespace(network=self, sdk_connection=SimpleNamespace(identity=None))
        return SimpleNamespace(client_manager=manager)

"""The command line against a real HTTP server on loopback, with a keeper in memory behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from sekisho.api.app import create_app
from sekisho.api.server import start
from sekisho.api.settings import ApiSettings
from sekisho.cli import build
from sekisho.model.access import Role
from sekisho.testing.keeper import SECRETS, FakeKeeper
from support_cli import Answer, Run, cloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FastAPI, str]]:
    app = create_app(FakeKeeper())
    running = start(app, ApiSettings(port=0))
    yield app, running.url
    running.stop()


@pytest.fixture
def keeper(served: tuple[FastAPI, str]) -> FakeKeeper:
    made = cloud()
    served[0].state.keeper = made
    return made


@pytest.fixture
def environment(served: tuple[FastAPI, str], tmp_path: Path) -> dict[str, str | None]:
    """An environment of its own, so that no client file of the machine is read."""
    unset = dict.fromkeys(("SEKISHO_CLIENT", "SEKISHO_TOKEN_FILE", "XDG_CONFIG_HOME", "SEKISHO_CA_FILE"))
    return unset | {"HOME": str(tmp_path), "SEKISHO_URL": served[1], "TZ": "UTC"}


@pytest.fixture
def run(keeper: FakeKeeper, environment: dict[str, str | None]) -> Run:
    del keeper

    def one(*args: str, role: Role = Role.OPERATOR, text: str = "") -> Answer:
        env = environment | {"SEKISHO_TOKEN": SECRETS[role]}
        result = CliRunner().invoke(build(), args, env=env, input=text, prog_name="sekisho")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return one

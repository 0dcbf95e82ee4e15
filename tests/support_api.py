"""A fake keeper with two hosts behind the real API, over real HTTP on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from sekisho.api import create_app, start
from sekisho.api.settings import ApiSettings
from sekisho.model.access import Role
from sekisho.testing.contract_keeper import POLICIES, populate
from sekisho.testing.keeper import SECRETS, FakeKeeper

IMPOSE: dict[str, Any] = {
    "subject": "port-web",
    "actions": [
        {"kind": "drop", "protocol": "tcp", "direction": "egress", "first_port": 25, "last_port": 25}
    ],
    "reason": "It sends spam.",
    "duration": 3600,
}


def keeper() -> FakeKeeper:
    made = FakeKeeper(POLICIES)
    populate(made)
    return made


def bearer(role: Role | str) -> dict[str, str]:
    """Headers that speak for a role, or with a secret of one's own."""
    return {"Authorization": f"Bearer {SECRETS[role] if isinstance(role, Role) else role}"}


@contextmanager
def served(fake: FakeKeeper, **settings: Any) -> Iterator[tuple[FastAPI, str]]:
    """Serve in a thread; gives the app and its address."""
    chosen = ApiSettings(port=0, **settings)
    app = create_app(fake, chosen)
    running = start(app, chosen)
    try:
        yield app, running.url
    finally:
        running.stop()
        assert not running.thread.is_alive(), "the server did not stop"


@contextmanager
def asking(url: str, role: Role | None = Role.OPERATOR) -> Iterator[httpx.Client]:
    """Ask as a role, unless a request's own headers say otherwise."""
    headers = bearer(role) if role else {}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        yield client

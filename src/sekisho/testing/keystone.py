"""A Keystone in memory, for tests of who signs in; `contract_keystone` holds it and the real one alike."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from sekisho.app.identity import Domained, Facts
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

LIFE = 3600.0


class FakeKeystone:
    """Implements `app.identity.Asks`; `away` and `hold` are for the test to set.

    While `hold` is set, every question waits for it; `asked` lists the tokens asked about, and
    `waiting` tells when one has come so far.
    """

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self.away = False
        self.hold: threading.Event | None = None
        self.waiting = threading.Event()
        self.asked: list[str] = []
        self._now = now
        self._facts: dict[str, tuple[Facts, float]] = {}

    def issue(
        self,
        user: str,
        *roles: str,
        project: str = "",
        system: bool = False,
        life: float = LIFE,
        project_id: str = "",
    ) -> str:
        """Make a token of a user and its roles; without project and system it is unscoped."""
        token = f"gAAAAA-{user}-{project or system}-{len(self._facts)}"
        where = Domained(project_id or f"id-{project}", project, "Default") if project else None
        facts = Facts(Domained(f"id-{user}", user, "Default"), frozenset(roles), life, where, system)
        self._facts[token] = (facts, self._now() + life)
        return token

    def revoke(self, token: str) -> None:
        """Forget a token."""
        del self._facts[token]

    def ask(self, token: str) -> Facts | None:
        """Say what a token stands for."""
        self.asked.append(token)
        self.waiting.set()
        if self.hold is not None:
            self.hold.wait(10.0)
        if self.away:
            raise Unavailable("Keystone does not answer.")
        facts, until = self._facts.get(token, (None, 0.0))
        left = until - self._now()
        return replace(facts, left=left) if facts is not None and left > 0 else None

"""Who is signed in: a cookie's secret in, the token it stands for out.

Only in memory: a keeper that starts anew asks everybody to sign in again. The token is looked at with
every request as the API does, so that a token that is revoked ends its sessions too.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sekisho.api.console.settings import ConsoleSettings
    from sekisho.model.access import Issuer

# How many browsers one customer may be signed in with: its own token lets it sign in as often as it likes.
EACH: Final = 8


@dataclass(slots=True)
class Session:
    """One browser that is signed in. `forgery` must come with every form (CSRF); times: unix seconds.

    `told` are messages for the next page, a code and what is put into its sentence. `member` is a customer's.
    """

    secret: str = field(repr=False)
    issuer: Issuer
    name: str
    began: float
    seen: float
    forgery: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    member: bool = False


class Sessions:
    """All of them, bounded: whoever has been away longest makes room, customers first. Thread-safe."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._known: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._known)

    def begin(
        self, secret: str, issuer: Issuer, name: str, now: float, *, member: bool = False
    ) -> tuple[str, Session]:
        """Sign a browser in; gives what its cookie must say."""
        cookie = secrets.token_urlsafe(32)
        session = Session(secret, issuer, name, now, now, member=member)
        with self._lock:
            self._forget_ended(now)
            mine = [k for k, s in self._known.items() if s.member and s.name == name]
            if member and len(mine) >= EACH:
                self._forget_idlest(mine)
            while len(self._known) >= self._settings.sessions:
                crowd = [k for k, s in self._known.items() if s.member]
                self._forget_idlest(crowd or list(self._known))
            self._known[_hashed(cookie)] = session
        return cookie, session

    def find(self, cookie: str, now: float) -> Session | None:
        """Find the session of a cookie, if it has not ended."""
        with self._lock:
            session = self._known.get(_hashed(cookie)) if cookie else None
            if session is None or self._has_ended(session, now):
                return None
            session.seen = now
            return session

    def end(self, cookie: str) -> None:
        """Sign a browser out."""
        with self._lock:
            self._known.pop(_hashed(cookie), None)

    def _forget_ended(self, now: float) -> None:
        for key in [k for k, s in self._known.items() if self._has_ended(s, now)]:
            del self._known[key]

    def _forget_idlest(self, among: list[str]) -> None:
        del self._known[min(among, key=lambda key: self._known[key].seen)]

    def _has_ended(self, session: Session, now: float) -> bool:
        return now - session.seen > self._settings.idle or now - session.began > self._settings.longest


def _hashed(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


class Attempts:
    """Wrong tokens by address: who has tried too many must wait. Thread-safe.

    `most` within `span` seconds, for at most `addresses` of them: beyond that all new ones share one.
    """

    def __init__(self, most: int, span: float, addresses: int = 10_000) -> None:
        self._most, self._span, self._addresses = most, span, addresses
        self._lock = threading.Lock()
        self._failed: dict[str, list[float]] = {}

    def wait(self, address: str, now: float) -> float:
        """Say how many seconds an address must wait before it may try again."""
        with self._lock:
            recent = self._recent(self._key(address), now)
            return recent[0] + self._span - now if len(recent) >= self._most else 0.0

    def failed(self, address: str, now: float) -> None:
        """Take down a wrong token."""
        with self._lock:
            if len(self._failed) >= self._addresses:
                for each in list(self._failed):
                    self._recent(each, now)
            key = self._key(address)
            self._failed[key] = [*self._recent(key, now), now]

    def _key(self, address: str) -> str:
        known = address in self._failed or len(self._failed) < self._addresses
        return address if known else ""

    def _recent(self, address: str, now: float) -> list[float]:
        recent = [t for t in self._failed.get(address, ()) if 0 <= now - t < self._span]
        if recent:
            self._failed[address] = recent
        else:
            self._failed.pop(address, None)
        return recent

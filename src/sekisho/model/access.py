"""Who asks: roles, principals, tokens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a token may do.

    viewer reads; operator also imposes, lifts, approves, exempts; admin also handles tokens and the
    kill switch; agent reports what hosts and collectors see and reads what they must carry, no more.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a token speaks for. `host` binds an agent's token to one host; empty binds to none."""

    name: str
    role: Role
    host: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: never the secret. `until` 0 is no end (unix seconds)."""

    id: str
    name: str
    role: Role
    created: float
    until: float = 0.0
    host: str = ""

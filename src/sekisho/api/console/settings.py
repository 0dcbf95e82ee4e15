"""What can be set about the console."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sekisho.api.console.traffic import Traffic


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Who may stay signed in for how long; times in seconds.

    `on` False serves no page at all. A session ends `idle` after the last request, and `longest` after
    it began. `secure` says that a proxy in front speaks TLS, so that browsers send the cookie over TLS
    only; where the keeper speaks TLS itself that is so anyway. `sessions` is how many people may be
    signed in at once, `watching` how many pages may be followed live at once. `attempts` is how many
    wrong tokens an address may try within `forgive` seconds.
    """

    on: bool = True
    idle: float = 8 * 3600.0
    longest: float = 24 * 3600.0
    secure: bool = False
    sessions: int = 500
    watching: int = 200
    attempts: int = 10
    forgive: float = 300.0


@dataclass(frozen=True, slots=True)
class Console:
    """The console as an app is given it: what is set about it, and what its charts are drawn from."""

    settings: ConsoleSettings = field(default_factory=ConsoleSettings)
    traffic: Traffic | None = None

"""What an operator may settle about detection; every setting has a usable default."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from sekisho.model.errors import Malformed

# Services that answer more than they were asked, by UDP source port.
REFLECTORS = (17, 19, 53, 111, 123, 137, 161, 389, 1900, 3702, 5353, 11211)


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """Times are seconds.

    repeat: how often a lasting crossing is told again. tick: how often `close` is called, and the
    shortest bucket. retain: how long a subject that left the inventory is remembered. recent: rows
    kept per stream for the top destinations of the evidence. tops: how many of them are told.
    talker_window: over what the present rates are taken, 0 for none. seed: of the hash behind
    distinct counts; secret, so that nobody can choose destinations that count as one.
    """

    repeat: float = 10.0
    tick: float = 1.0
    retain: float = 3600.0
    recent: int = 16_384
    tops: int = 5
    talker_window: float = 10.0
    amplification_ports: tuple[int, ...] = REFLECTORS
    login_ports: tuple[int, ...] = (22, 3389, 23)
    collector: str = ""
    seed: int = field(default_factory=lambda: secrets.randbits(64))

    def __post_init__(self) -> None:
        if self.recent < 1:
            raise Malformed(f"detect.recent: {self.recent} is not at least 1.")

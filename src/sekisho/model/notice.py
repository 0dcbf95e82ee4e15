"""What people are told: notices of what happened, and the letters that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sekisho.model.policy import Action


class NoticeKind(StrEnum):
    """What a notice is about."""

    IMPOSED = "imposed"
    WARNED = "warned"
    PROPOSED = "proposed"
    LIFTED = "lifted"
    EXPIRED = "expired"
    RELEASED = "released"  # by its owner, early
    GUARD = "guard"  # the guard stopped something
    ENFORCEMENT = "enforcement"  # the kill switch was turned
    FAILED = "failed"  # a host could not do what was decided
    SILENT = "silent"  # an exporter, host or collector is not heard any more
    DEGRADED = "degraded"  # anything else needs a person
    RECOVERED = "recovered"  # and does no longer
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that happened; times are unix seconds by the keeper's clock, `until` 0 where there is none.

    `actions` is what is done to the subject, `why` the reason or the sentence that needs a person.
    """

    kind: NoticeKind
    time: float
    why: str
    subject: str = ""
    project: str = ""
    host: str = ""
    addresses: tuple[str, ...] = ()
    restriction: str = ""
    policy: str = ""
    author: str = ""
    actions: tuple[Action, ...] = ()
    until: float = 0.0
    dropped_packets: int = 0


class LetterState(StrEnum):
    """Where a letter is: it waits to be sent (again), was taken, or was given up."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to one channel; `notices` is how many it tells of. `due` is when to try (again).

    `to` is an address within the channel, for channels that write to customers. `payload` is JSON text
    for programs. `problem` is what the last try met.
    """

    id: str
    channel: str
    title: str
    text: str
    payload: str
    notices: int
    created: float
    due: float
    state: LetterState = LetterState.WAITING
    to: str = ""
    attempts: int = 0
    problem: str = ""
    ended: float = 0.0

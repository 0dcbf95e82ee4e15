"""Whether an owner may end a restriction early: once in a while, by the policy's word, ever more seldom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.model.inventory import Subject
from sekisho.model.restriction import Restriction, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.model.policy import Policy

# How long an early release is held against the next one, seconds.
REMEMBERED: Final = 90 * 86400.0
# What a customer is shown: neither a proposal nor its rejection is a decision about anybody yet.
SHOWN: Final = (State.ACTIVE, State.LIFTED, State.EXPIRED)
# Ports, and restrictions, that one view holds at most; the lists of the API have all.
MOST: Final = 1000
# No wait grows beyond this many doublings.
_DOUBLINGS: Final = 16


@dataclass(frozen=True, slots=True)
class Release:
    """What an owner is told of one restriction: may it be ended early, else why not and from when on.

    `at` is unix seconds, 0 where no time will bring it.
    """

    restriction: str
    may: bool
    why: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class OwnView:
    """What a customer sees of itself: its ports, what restricts or restricted them, and what it may do."""

    project: str
    now: float
    subjects: tuple[Subject, ...]
    restrictions: tuple[Restriction, ...]
    releases: tuple[Release, ...]


def release(entry: Restriction, policy: Policy | None, before: Sequence[float], now: float) -> Release:
    """Judge one restriction; `before` is when the same subject was released early from the same policy.

    Only those within `REMEMBERED` count. The wait is the policy's, doubled for each release after the first.
    """
    if entry.state is not State.ACTIVE or entry.until <= now:
        return Release(entry.id, may=False, why="It is over.")
    if not entry.actions:
        return Release(entry.id, may=False, why="It is a warning; nothing is limited.")
    if not entry.automatic or policy is None:
        return Release(entry.id, may=False, why="A person decided it: ask the operator.")
    if not policy.early_release:
        return Release(entry.id, may=False, why="Its policy knows no early release: it ends by itself.")
    counted = sorted(t for t in before if now - t < REMEMBERED)
    if counted:
        wait = policy.early_release * 2.0 ** min(len(counted) - 1, _DOUBLINGS)
        if now < counted[-1] + wait:
            why = f"It was released early {len(counted)} time{'s' * (len(counted) > 1)} lately."
            return Release(entry.id, may=False, why=why, at=counted[-1] + wait)
    return Release(entry.id, may=True)

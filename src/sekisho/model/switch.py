"""What is told of switches: each of them, what would change, what was changed, what somebody changed by hand.

Times are unix seconds, 0.0 for never. No text here holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Verb(StrEnum):
    """What is to be done to a switch.

    `APPLY` makes it what its file says, because somebody asked; `REPAIR` the same, because it drifted;
    `ATTACH` only what the cloud brings and takes; `ROLLBACK` makes it what it was before a change,
    `RESTORE` what a backup says.
    """

    APPLY = "apply"
    REPAIR = "repair"
    ATTACH = "attach"
    ROLLBACK = "rollback"
    RESTORE = "restore"


class ChangeState(StrEnum):
    """Where a change of one switch is.

    `PROPOSED` waits for a yes, `WAITING` for its turn. `RUNNING` has sent something, or is about to: only
    the keeper knows where the switch is, and nobody else may change it. The others are its ends: `UNCHANGED`
    found nothing to do, `APPLIED` is proven and saved, `ROLLED_BACK` failed and is proven to be as before,
    `IN_DOUBT` failed and is not, `REFUSED` sent nothing, `LEFT` was never begun because others failed or the
    keeper stopped, `REJECTED` was turned down.
    """

    PROPOSED = "proposed"
    WAITING = "waiting"
    RUNNING = "running"
    UNCHANGED = "unchanged"
    APPLIED = "applied"
    ROLLED_BACK = "rolled-back"
    IN_DOUBT = "in-doubt"
    REFUSED = "refused"
    LEFT = "left"
    REJECTED = "rejected"


OPEN: Final = (ChangeState.WAITING, ChangeState.RUNNING)
BAD: Final = (ChangeState.ROLLED_BACK, ChangeState.IN_DOUBT, ChangeState.REFUSED)


class Phase(StrEnum):
    """What is being done to a switch at this moment."""

    WAITING = "waiting"
    READING = "reading"
    BACKUP = "backup"
    CHANGING = "changing"
    VERIFYING = "verifying"
    SAVING = "saving"
    ROLLING_BACK = "rolling-back"
    ENDED = "ended"


class Accord(StrEnum):
    """How a switch stands to its file.

    `PENDING` differs because its file was changed and not applied since, or what was applied rolled back;
    `DRIFT` because somebody changed the switch.
    """

    UNKNOWN = "unknown"
    ACCORD = "accord"
    PENDING = "pending"
    DRIFT = "drift"


class DriftPolicy(StrEnum):
    """What is done about drift: told, laid before the operator, or undone at once."""

    REPORT = "report"
    PROPOSE = "propose"
    REPAIR = "repair"


@dataclass(frozen=True, slots=True)
class SwitchView:
    """One switch: what its file says of it, what it said of itself when last read, and what is wrong.

    `problem` says why it could not be read, "" when it could. `changing` is the id of a change that is open.
    `differences` counts what differs from its file. `doubt` is the id of a change whose end is in doubt.
    """

    name: str
    driver: str = ""
    address: str = ""
    peer: str = ""
    hostname: str = ""
    model: str = ""
    serial: str = ""
    version: str = ""
    accord: Accord = Accord.UNKNOWN
    differences: int = 0
    policy: DriftPolicy = DriftPolicy.REPORT
    read: float = 0.0
    problem: str = ""
    changing: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class RiskView:
    """What may go wrong: its name (`kind`), which part, a sentence; `forbidden` unless allowed by name."""

    kind: str
    part: str
    sentence: str
    forbidden: bool = False


@dataclass(frozen=True, slots=True)
class SentText:
    """What would be sent: through which door (``dme``, ``cli``), and the text, without secrets."""

    how: str
    text: str


@dataclass(frozen=True, slots=True)
class PlanView:
    """What would change on a switch: the steps in the operator's words, what is sent for them, the risks.

    `fingerprint` names this plan: it is another one as soon as the switch or its file changed. Without steps
    nothing differs. `problem` says why there is no plan, and `away` that it is for want of an answer: another
    time there may be one.
    """

    switch: str
    fingerprint: str = ""
    steps: tuple[str, ...] = ()
    sent: tuple[SentText, ...] = ()
    risks: tuple[RiskView, ...] = ()
    problem: str = ""
    away: bool = False


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One change of one switch, from the journal.

    `rollout` is what it is a part of, `unit` what is done or undone together with it (a pair's two names
    joined by ``+``). `checkpoint` and `backup` are what it was before, on the switch and with the keeper.
    `done` of `of` stages are sent. `receipt` says how its end was proven; `error` what went wrong.
    """

    id: str
    rollout: str
    switch: str
    verb: Verb
    state: ChangeState
    author: str
    reason: str = ""
    created: float = 0.0
    begun: float = 0.0
    ended: float = 0.0
    unit: str = ""
    plan: PlanView = field(default_factory=lambda: PlanView(""))
    checkpoint: str = ""
    backup: str = ""
    receipt: str = ""
    error: str = ""
    phase: Phase = Phase.WAITING
    done: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class RolloutView:
    """All changes that were asked for together; `revision` grows with every event of it."""

    id: str
    changes: tuple[ChangeView, ...]
    revision: int = 0

    @property
    def ended(self) -> bool:
        """Tell whether nothing of it is open any more."""
        return not any(c.state in OPEN for c in self.changes)


@dataclass(frozen=True, slots=True)
class Touch:
    """One line of a switch's own record of who changed what; `origin` is an address or a terminal."""

    time: float
    user: str
    origin: str
    command: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What would have to change for a switch to be as its file says, and who may have made it differ."""

    sentence: str
    by: tuple[Touch, ...] = ()


@dataclass(frozen=True, slots=True)
class DriftView:
    """What differs on a switch from its file, when that was read, and since when it may be so.

    `since` is when the switch was last seen in accord with its file. `problem` says why it could not be
    compared with it now, and `away` that it is for want of an answer.
    """

    switch: str
    accord: Accord = Accord.UNKNOWN
    read: float = 0.0
    since: float = 0.0
    fingerprint: str = ""
    differences: tuple[Difference, ...] = ()
    others: tuple[Touch, ...] = ()
    policy: DriftPolicy = DriftPolicy.REPORT
    problem: str = ""
    away: bool = False


@dataclass(frozen=True, slots=True)
class BackupView:
    """A kept running-config: its name, when it was taken, and its size in bytes."""

    name: str
    switch: str
    time: float
    size: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which switches to change, and how carefully.

    `plans` are the fingerprints somebody has looked at, by switch; a switch that is not among them takes the
    plan of the moment. `allow` names risks that are forbidden otherwise. The first `canary` units that change
    go one by one, then up to `parallel` at once, until more than `budget` have failed.
    """

    switches: tuple[str, ...]
    reason: str
    plans: Mapping[str, str] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    canary: int = 1
    parallel: int = 8
    budget: int = 0

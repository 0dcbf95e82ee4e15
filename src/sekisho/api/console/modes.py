"""A policy's mode, turned on a page: what would come of it at this moment is shown first, then decided."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sekisho.api.console import distribution
from sekisho.api.console.asking import malformed
from sekisho.api.console.decide import Done
from sekisho.model.errors import NotFound
from sekisho.model.policy import Mode
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from sekisho.api.console.asking import Asked
    from sekisho.api.console.view import Ask
    from sekisho.model.inventory import Subject
    from sekisho.model.policy import Policy
    from sekisho.model.report import Override, Verdict

# What turns a mode back to what the file says.
FILE: Final = "file"
# How many of those over the line are named, and of those bound counted.
SHOWN: Final = 25
COUNTED: Final = 100
# More talkers than collectors report.
EVERYBODY: Final = 100_000


@dataclass(frozen=True, slots=True)
class Fate:
    """One subject that is over the line at this moment, and what would be decided about it."""

    verdict: Verdict
    subject: Subject


@dataclass(frozen=True, slots=True)
class Turning:
    """What turning a policy's mode would lead to now.

    `outcomes` counts everybody over the line by what would be decided, `fates` names some. Nobody is
    counted where `counted` is empty: collectors report no rate of any of its detectors, or of those
    `uncounted`. `bound` and `proposed` are what it did until now; more than `COUNTED` are not counted on.
    """

    now: float
    policy: Policy
    override: Override | None
    written: Mode
    to: Mode
    asked: str
    version: int
    enforcing: bool
    counted: tuple[str, ...]
    uncounted: tuple[str, ...]
    over: int
    outcomes: dict[str, int]
    fates: tuple[Fate, ...]
    bound: int
    proposed: int


def show(ask: Ask) -> Turning:
    """Show what turning a policy's mode would lead to."""
    view = ask.keeper.policies()
    policy = view.policies.need(ask.param("policy"))
    turned = view.override(policy.name)
    others = [m.value for m in Mode if m is not policy.mode]
    asked = ask.query.choice("to", (*Mode, FILE), others[0])
    ask.query.done()
    written = turned.written if turned else policy.mode
    to = written if asked == FILE else Mode(asked)
    counted, uncounted, over = _over(ask, policy)
    verdicts = ask.keeper.foresee(policy.name, to, tuple(s.id for s in over)) if over else ()
    fates = tuple(Fate(v, s) for v, s in zip(verdicts, over, strict=True))
    return Turning(
        ask.now,
        policy,
        turned,
        written,
        to,
        asked,
        view.policies.version,
        ask.keeper.enforcement().enabled,
        counted,
        uncounted,
        len(over),
        dict(Counter(v.outcome.value for v in verdicts)),
        fates[:SHOWN],
        _standing(ask, policy.name, State.ACTIVE),
        _standing(ask, policy.name, State.PROPOSED),
    )


def turn(ask: Ask) -> Done:
    """Turn a policy's mode, if the policies are still those that were seen."""
    name, to, version = ask.query.need("policy"), _mode(ask.query), ask.query.whole("version")
    reason = ask.query.need("reason")
    ask.query.text("key")
    ask.query.done()
    view = ask.keeper.set_mode(ask.who, name, to, reason, version or None)
    about = {"name": name, "mode": view.policies.need(name).mode.value}
    return Done("turned", f"/policies/{quote(name, safe='')}", about)


def _mode(query: Asked) -> Mode | None:
    text = query.choice("to", ("", *Mode, FILE), "")
    if not text:
        raise malformed("to", "say which mode.")
    return None if text == FILE else Mode(text)


def _over(ask: Ask, policy: Policy) -> tuple[tuple[str, ...], tuple[str, ...], list[Subject]]:
    """Find who in the policy's scope is over its lines, as far as collectors report such rates."""
    detectors = [c.detector for c in policy.conditions]
    counted = tuple(d for d in detectors if distribution.is_counted(d))
    uncounted = tuple(d for d in detectors if not distribution.is_counted(d))
    found = []
    for talker in ask.keeper.top("egress_bps", EVERYBODY) if counted else ():
        if all(distribution.over(c, talker) for c in policy.conditions if c.detector in counted):
            try:
                subject = ask.keeper.subject(talker.subject)
            except NotFound:  # it left while its collector still told of it
                continue
            if policy.scope.matches(subject, ask.now):
                found.append(subject)
    return counted, uncounted, found


def _standing(ask: Ask, policy: str, state: State) -> int:
    return len(ask.keeper.restrictions("", policy, (state,), COUNTED, "").items)

"""Plans as people read them: a switch's plan in, sentences, texts to be sent and risks out; no secrets."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sekisho.devices.switch import words
from sekisho.model.errors import Malformed
from sekisho.model.switch import PlanView, RiskView, SentText

if TYPE_CHECKING:
    from sekisho.devices.switch.driver import SwitchDriver
    from sekisho.devices.switch.intent import Intent
    from sekisho.devices.switch.plan import Plan
    from sekisho.model.errors import SekishoError


def view(driver: SwitchDriver, plan: Plan) -> PlanView:
    """Show a plan, and what the driver would send for it."""
    sent = [SentText(s.how, s.shown) for stage in plan.stages for s in driver.render(stage)]
    risks = [RiskView(r.kind.value, words.name(r.key), r.sentence, r.forbidden) for r in plan.risks]
    steps = tuple(map(words.sentence, plan.steps))
    return PlanView(plan.switch, plan.fingerprint, steps, tuple(sent), tuple(risks))


def without(switch: str, error: SekishoError) -> PlanView:
    """Show that there is no plan."""
    return PlanView(switch, problem=said(error))


def said(error: SekishoError) -> str:
    """Say an error with all its problems in one sentence or more."""
    problems = error.problems if isinstance(error, Malformed) else ()
    return " ".join((error.asker, *(p for p in problems if p not in error.asker)))


def intent_digest(intent: Intent) -> str:
    """Name an intent, the same in every process: sets have no order of their own."""
    told = (
        [repr(intent.parts[k]) for k in sorted(intent.parts)],
        sorted(intent.absent),
        sorted(intent.exclusive),
        intent.owned,
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]

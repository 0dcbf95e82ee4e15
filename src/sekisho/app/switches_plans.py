"""Plans as people read them: a switch's plan in, sentences, texts to be sent and risks out; no secrets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sekisho.devices.switch import words
from sekisho.devices.switch.change import named
from sekisho.devices.switch.plan import pair_risks
from sekisho.model.errors import Malformed, Unavailable
from sekisho.model.switch import PlanView, RiskView, SentText

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.devices.switch.driver import SwitchDriver
    from sekisho.devices.switch.intent import Intent
    from sekisho.devices.switch.plan import Ends, Plan
    from sekisho.devices.switch.risk import Risk
    from sekisho.model.errors import SekishoError


def view(driver: SwitchDriver, plan: Plan) -> PlanView:
    """Show a plan, and what the driver would send for it."""
    sent = [SentText(s.how, s.shown) for stage in plan.stages for s in driver.render(stage)]
    risks = map(_risk, plan.risks)
    steps = tuple(map(words.sentence, plan.steps))
    return PlanView(plan.switch, plan.fingerprint, steps, tuple(sent), tuple(risks))


def paired(found: Sequence[tuple[PlanView, Ends | None]], peers: Mapping[str, str]) -> tuple[PlanView, ...]:
    """Show plans with what would differ between the two of a pair, at both."""
    ends = {shown.switch: each for shown, each in found if each is not None}
    views = []
    for shown, mine in found:
        other = ends.get(peers.get(shown.switch, ""))
        risks = pair_risks(mine, other) if mine is not None and other is not None else ()
        views.append(replace(shown, risks=(*shown.risks, *map(_risk, risks))))
    return tuple(views)


def _risk(risk: Risk) -> RiskView:
    return RiskView(risk.kind.value, words.name(risk.key), risk.sentence, risk.forbidden)


def without(switch: str, error: SekishoError) -> PlanView:
    """Show that there is no plan."""
    return PlanView(switch, problem=said(error), away=isinstance(error, Unavailable))


def foreign(switch: str, error: Exception) -> Unavailable:
    """Tell of a fault of ours that a switch led to."""
    return Unavailable(f"{switch}: a fault of ours; the keeper's log has it.", f"{switch}: {error!r}")


def said(error: SekishoError) -> str:
    """Say an error with all its problems in one sentence or more."""
    problems = error.problems if isinstance(error, Malformed) else ()
    return " ".join((error.asker, *(p for p in problems if p not in error.asker)))


def intent_digest(intent: Intent, secret: bytes) -> str:
    """Name an intent under a key, the same in every process: sets have no order of their own."""
    told = (
        [repr(intent.parts[k]) for k in sorted(intent.parts)],
        sorted(intent.absent),
        sorted(intent.exclusive),
        intent.owned,
    )
    return named([repr(told)], secret)


def is_intent(intent: Intent, name: str, secret: bytes) -> bool:
    """Tell whether a name of `intent_digest` is this intent's; keepers of before made it without a key."""
    return bool(name) and intent_digest(intent, secret if name.startswith("k") else b"") == name

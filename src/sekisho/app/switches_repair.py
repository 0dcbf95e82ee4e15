"""What is done about drift: a plan and who made it necessary in; a repair, a proposal or nothing out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sekisho.app import switches_plans as plans
from sekisho.model.switch import ChangeState, ChangeView, DriftPolicy, Verb

if TYPE_CHECKING:
    from sekisho.devices.switch.document import Switch
    from sekisho.devices.switch.driver import SwitchDriver
    from sekisho.devices.switch.plan import Plan
    from sekisho.host.clock import Clock
    from sekisho.ledger.switches import Changes
    from sekisho.model.switch import DriftView

# The name of what the keeper does by itself, in the journal.
DRIFT: Final = "drift"
# The same drift is not repaired twice within so many seconds: somebody works against us.
AGAIN: Final = 3600.0


@dataclass(slots=True)
class Repair:
    """Does what a switch's policy says; `start` begins a repair of a switch by a plan's fingerprint."""

    journal: Changes
    clock: Clock
    start: Callable[[Switch, str, ChangeView], object]
    _done: dict[str, tuple[str, float]] = field(default_factory=dict)

    def __call__(self, switch: Switch, found: Plan, seen: DriftView, driver: SwitchDriver) -> None:
        """Repair, or propose what may not be repaired by itself; raises Conflict, Unavailable."""
        if seen.policy is DriftPolicy.REPORT:
            return
        shown = plans.view(driver, found)
        why = _why(seen)
        draft = ChangeView("", "", switch.name, Verb.REPAIR, ChangeState.PROPOSED, DRIFT, why, plan=shown)
        fingerprint = found.fingerprint
        repairs = seen.policy is DriftPolicy.REPAIR and not found.forbidden()
        if repairs and self._may(switch.name, fingerprint):
            self.start(switch, fingerprint, draft)
            self._done[switch.name] = (fingerprint, self.clock.passed())
        else:
            self.journal.propose(draft, self.clock.now())

    def along(self, name: str, fingerprint: str) -> bool:
        """Tell whether a switch may be repaired along with its pair; if so, it counts as repaired now."""
        if not self._may(name, fingerprint):
            return False
        self._done[name] = (fingerprint, self.clock.passed())
        return True

    def _may(self, name: str, fingerprint: str) -> bool:
        if name in self.journal.doubts():
            return False
        before, when = self._done.get(name, ("", 0.0))
        return before != fingerprint or self.clock.passed() - when >= AGAIN


def _why(seen: DriftView) -> str:
    by = sorted({t.user for d in seen.differences for t in d.by})
    who = f" by {', '.join(by)}" if by else ""
    return f"{len(seen.differences)} things were changed{who}."

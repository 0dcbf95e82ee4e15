"""Back-tests: begun one after another, each in a thread, and told by their ids while they last."""

from __future__ import annotations

import logging
import math
import secrets
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sekisho.app import rules
from sekisho.app.backtest_court import Court
from sekisho.app.backtest_play import Plan, Player
from sekisho.detect.detectors.catalogue import LARGEST
from sekisho.detect.guard import GuardSettings
from sekisho.detect.highest import curve
from sekisho.detect.settings import DetectSettings
from sekisho.metering.catalogue import METERED
from sekisho.model import policy_file
from sekisho.model.archived import Backtest, CurvePoint, PolicyBacktest
from sekisho.model.errors import Conflict, Malformed, NotFound, SekishoError
from sekisho.model.plain import from_plain
from sekisho.model.policy import PolicySet

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.archive.store import Store
    from sekisho.model.archived import BacktestOrder
    from sekisho.model.policy import Policy
    from sekisho.tables import F64

log = logging.getLogger("sekisho.archive")

KEPT: Final = 50
LONGEST: Final = 100 * 86400.0
# Up to so many seconds are closed one by one, as a collector does; longer spans in wider steps.
STEPS: Final = ((6 * 3600.0, 1.0), (86400.0, 2.0), (3 * 86400.0, 5.0), (LONGEST, 10.0))


class Backtests:
    """Plays orders over a store, one at a time; `passed` tells seconds, for how long one took."""

    def __init__(
        self,
        store: Store,
        most_spells: int,
        passed: Callable[[], float],
        settings: Callable[[], DetectSettings] = DetectSettings,
    ) -> None:
        self._store = store
        self._most = most_spells
        self._passed = passed
        self._settings = settings
        self._known: OrderedDict[str, Backtest] = OrderedDict()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._ended = dict.fromkeys(("done", "failed"), 0)

    def counters(self) -> dict[str, float]:
        """How many ended how since this process began, and whether one runs now, by name."""
        running = self._thread is not None and self._thread.is_alive()
        ended = {f"backtests.{state}": float(n) for state, n in self._ended.items()}
        return ended | {"backtests.running": float(running)}

    def begin(self, order: BacktestOrder) -> Backtest:
        """Begin; raises Malformed for policies that are none, Conflict while another one runs."""
        policies = _policies(order)
        guarding = from_plain(GuardSettings, dict(order.guard), "guard")
        if order.until - order.since > LONGEST:
            raise Malformed("A back-test goes over 100 days at most.")
        step = order.step or next(s for most, s in STEPS if order.until - order.since <= most)
        if not 1.0 <= step <= 60.0:
            raise Malformed("A back-test closes every 1 to 60 seconds: `step`.")
        step = _fitting(step, policies)
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                raise Conflict("Another back-test is running; ask again when it has ended.")
            found = Backtest(secrets.token_hex(6), "running", order.since, order.until, step)
            self._keep(found)
            court = Court(
                {p.name: p for p in policies.policies}, guarding, order.exemptions, order.bound, self._most
            )
            arguments = (found, policies, court)
            self._thread = threading.Thread(target=self._run, args=arguments, name="back-test", daemon=True)
            self._thread.start()
        return found

    def show(self, backtest: str) -> Backtest:
        """Tell of one; raises NotFound."""
        found = self._known.get(backtest)
        if found is None:
            raise NotFound(f"There is no back-test {backtest!r}; the last {KEPT} are known.")
        return found

    def wait(self, timeout: float | None = None) -> None:
        """Wait until what runs has ended."""
        if self._thread is not None:
            self._thread.join(timeout)

    def stop(self) -> None:
        """End what runs."""
        self._stop.set()
        self.wait(10.0)

    def _keep(self, found: Backtest) -> None:
        self._known[found.id] = found
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    def _run(self, found: Backtest, policies: PolicySet, court: Court) -> None:
        began = self._passed()
        try:
            done = self._play(found, policies, court)
        except SekishoError as error:
            log.warning("back-test %s: %s", found.id, error.fixer)
            done = replace(self._known[found.id], state="failed", problem=error.asker)
        except Exception as error:  # whoever waits for it must hear of it
            log.exception("back-test %s", found.id)
            done = replace(self._known[found.id], state="failed", problem=repr(error))
        self._ended[done.state] += 1
        self._keep(replace(done, seconds=self._passed() - began))

    def _play(self, found: Backtest, policies: PolicySet, court: Court) -> Backtest:
        settings = replace(self._settings(), tick=found.step, talker_window=0.0)
        plan = Plan(policies, found.since, found.until, found.step, settings)
        player = Player(self._store, plan, lambda evidence, at: court.decide(evidence, player.subjects, at))
        found = replace(found, gaps=player.gaps, notes=_notes(plan, player))

        def told(share: float) -> None:
            self._keep(replace(found, done=share, records=player.records))

        told(0.0)
        player.play(told, self._stop.is_set)
        court.end()
        judged = [p for p in policies.policies if p.name in player.highest]
        results = tuple(_result(p, player.highest[p.name].days, court) for p in judged)
        return replace(found, state="done", done=1.0, records=player.records, policies=results)


def _policies(order: BacktestOrder) -> PolicySet:
    """Read the text; what is judged by counters of the cloud cannot be played from flows."""
    policies, _ = policy_file.load({"policy": order.text}, rules.known_detectors(), LARGEST)
    metered = [p.name for p in policies if any(c.detector in METERED for c in p.conditions)]
    if metered:
        raise Malformed(
            f"{', '.join(metered)}: what is judged by counters cannot be played from archived flows."
        )
    if not policies:
        raise Malformed("There is no policy in this text; baselines are in force anyway.")
    return PolicySet(1, policies)


def _fitting(step: float, policies: PolicySet) -> float:
    """Give the widest step, at most this one, of which every window is whole ones.

    What is closed at once counts while all of it lies within the window: of a window that is shorter
    nothing would ever count, and of one that is no whole number of steps its rest would not.
    """
    windows = {c.threshold.window for p in policies.policies for c in p.conditions}
    narrower = (float(n) for n in range(math.ceil(step) - 1, 0, -1))
    return next((s for s in (step, *narrower) if all(w % s == 0 for w in windows)), 1.0)


def _result(policy: Policy, days: dict[int, F64], court: Court) -> PolicyBacktest:
    first = policy.conditions[0]
    overlap, only_real = court.really(policy.name)
    line = first.threshold.amount
    return PolicyBacktest(
        policy.name,
        policy.mode.value,
        first.detector,
        first.threshold.unit.value,
        first.threshold.window,
        line,
        len(court.subjects.get(policy.name, ())),
        len(court.projects.get(policy.name, ())),
        tuple(court.spells.get(policy.name, ())),
        court.more.get(policy.name, 0),
        overlap,
        only_real,
        tuple(CurvePoint(*point) for point in curve(days, line)),
    )


def _notes(plan: Plan, player: Player) -> tuple[str, ...]:
    """Say what the reader must know to trust the answer."""
    notes = ["Traffic is what really was: where somebody was bound then, it is what was left of it."]
    if plan.step > 1:
        notes.append(
            f"Seconds were closed {plan.step:g} at once: crossings shorter than that may be missed or late."
        )
    if player.gaps:
        notes.append(f"The archive holds nothing in {len(player.gaps)} spans of a minute and more.")
    if not player.has_inventory:
        notes.append("The archive knows no inventory of this span: nobody is in any scope.")
    return tuple(notes)

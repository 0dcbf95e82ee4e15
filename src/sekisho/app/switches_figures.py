"""How the switches fare: what is known of them in, sentences for people and numbers for Prometheus out."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sekisho.app.figures import metric
from sekisho.model.switch import Accord

if TYPE_CHECKING:
    from sekisho.app.switches_folder import Folder
    from sekisho.app.switches_watch import Watch
    from sekisho.ledger.switches import Changes
    from sekisho.model.switch import ChangeState, Verb


@dataclass(slots=True)
class Figures:
    """Sums up; thread-safe."""

    folder: Folder
    watch: Watch
    journal: Changes
    _ends: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ended(self, verb: Verb, state: ChangeState) -> None:
        """Count a change that has ended."""
        key = metric("switch_changes_total", verb=verb.value, state=state.value)
        with self._lock:
            self._ends[key] = self._ends.get(key, 0.0) + 1

    def notices(self) -> tuple[str, ...]:
        """Say what needs a person, a sentence each."""
        found = [f"switches: {p}" for p in self.folder.problems()]
        for name, switch in sorted(self.folder.good().items()):
            view = self.watch.view(switch)
            if view.problem:
                found.append(f"switch {name}: {view.problem}")
            elif view.accord is Accord.DRIFT:
                found.append(f"switch {name}: {view.differences} things are not as its file says")
        found += [f"switch {s}: nobody knows what {c} left on it" for s, c in self.journal.doubts().items()]
        found += [f"switch {c.switch}: {c.id} waits for a yes" for c in self.journal.proposals()]
        return tuple(found)

    def metrics(self) -> dict[str, float]:
        """Give gauges and totals, named as Prometheus wants them."""
        views = [self.watch.view(s) for s in self.folder.good().values()]
        told = {
            "sekisho_switches": float(len(views)),
            "sekisho_switch_looks_total": float(self.watch.looks),
            "sekisho_switch_files_bad": float(len(self.folder.problems())),
            "sekisho_switch_doubts": float(len(self.journal.doubts())),
            "sekisho_switch_changes_open": float(len(self.journal.open_now())),
        }
        for view in views:
            told[metric("switch_differences", switch=view.name)] = float(view.differences)
            told[metric("switch_read_seconds", switch=view.name)] = view.read
            told[metric("switch_unreadable", switch=view.name)] = float(bool(view.problem))
        for name, n in tuple(self.watch.failures.items()):
            told[metric("switch_failures_total", switch=name)] = float(n)
        with self._lock:
            return told | self._ends

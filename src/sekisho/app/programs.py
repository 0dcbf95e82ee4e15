"""What each host must carry: its restrictions, its baselines, and what it tells exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sekisho.app.baselines import Birthdays, resolve
from sekisho.detect import guard
from sekisho.model.report import HostProgram
from sekisho.model.restriction import Binding

if TYPE_CHECKING:
    from sekisho.app.fleet import Fleet
    from sekisho.app.rules import Rules
    from sekisho.app.settings import KeeperSettings
    from sekisho.ledger.ledger import Ledger
    from sekisho.model.policy import Baseline


class Programs:
    """Made when a host's revision has changed, and told again until the next change; thread-safe."""

    def __init__(self, settings: KeeperSettings, ledger: Ledger, fleet: Fleet, rules: Rules) -> None:
        self._settings = settings
        self._ledger = ledger
        self._fleet = fleet
        self._rules = rules
        self._birthdays = Birthdays()
        # What each host was last told, and when: whatever changes it raises the host's revision.
        self._made: dict[str, tuple[HostProgram, float]] = {}

    def of(self, host: str, now: float) -> HostProgram:
        """Say what a host must carry; raises NotFound until it has reported."""
        # The revision is read first: what changes meanwhile makes the host ask again, never miss it.
        revision = self._fleet.revision(host)
        made, when = self._made.get(host, (None, now))
        if made is None or made.revision != revision:
            made, when = self._make(host, revision, now), now
            self._made[host] = made, when
        if not made.bindings:
            return made
        left = (replace(b, remaining=b.remaining - (now - when)) for b in made.bindings)
        return replace(made, bindings=tuple(b for b in left if b.remaining > 0))

    def due(self, now: float) -> tuple[str, ...]:
        """Name the hosts whose baselines change by themselves at this moment."""
        return self._birthdays.due(now)

    def forget(self, host: str) -> None:
        """Let a host's program go."""
        self._made.pop(host, None)

    @property
    def exact_ports(self) -> tuple[int, ...]:
        """The TCP ports whose new connections every host tells exactly."""
        # One that is none would make every switch refuse its whole program.
        return tuple(
            sorted(p for p in {*self._settings.exact_ports, *self._fleet.exact_ports} if 0 < p < 1 << 16)
        )

    def _make(self, host: str, revision: int, now: float) -> HostProgram:
        carried = self._fleet.carries(host)
        bindings = tuple(
            Binding(r.id, r.subject, r.actions, r.until - now)
            for r in self._ledger.binding(host, carried)
            if r.actions and r.until > now
        )
        return HostProgram(
            host, revision, bindings, self._baselines(host, now), self.exact_ports, self._fleet.templates
        )

    def _baselines(self, host: str, now: float) -> tuple[Baseline, ...]:
        """Give the baselines for a host, whose infrastructure no scope reaches."""
        here = self._fleet.here(host)
        never = tuple(s.id for _, s in here if guard.infrastructure(self._settings.guard, s))
        resolved = resolve(self._rules.policies.baselines, here, never, now)
        self._birthdays.note(host, resolved.until)
        return resolved.baselines

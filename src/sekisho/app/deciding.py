"""What people decide: restrictions, exemptions, the kill switch, tokens; written down before anyone acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.detect import guard
from sekisho.model.access import FOREIGN
from sekisho.model.errors import Forbidden, Malformed, NotFound
from sekisho.model.policy import Scope

if TYPE_CHECKING:
    from sekisho.app.fleet import Fleet
    from sekisho.app.receipts import Receipts
    from sekisho.app.settings import KeeperSettings
    from sekisho.host.clock import Clock
    from sekisho.ledger.ledger import Ledger
    from sekisho.model.access import Principal, Role, Token
    from sekisho.model.policy import Action, Exemption
    from sekisho.model.report import Enforcement, Page
    from sekisho.model.restriction import JournalEntry, Restriction, State


class Deciding:
    """The part of the keeper that answers people; thread-safe."""

    def __init__(
        self, settings: KeeperSettings, ledger: Ledger, clock: Clock, fleet: Fleet, receipts: Receipts
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._fleet = fleet
        self._receipts = receipts

    # --- restrictions --------------------------------------------------------------------------

    def restrictions(
        self,
        subject: str,
        policy: str,
        states: tuple[State, ...],
        limit: int,
        marker: str,
        project: str = "",
        since: int = 0,
        before: str = "",
    ) -> Page[Restriction]:
        self._receipts.write(self._clock.now())
        return self._ledger.restrictions(subject, policy, states, limit, marker, project, since, before)

    def restriction(self, restriction: str, project: str = "") -> Restriction:
        self._receipts.write(self._clock.now())
        found = self._ledger.restriction(restriction)
        if project not in ("", found.project):
            raise NotFound(f"There is no restriction {restriction!r}.")
        return found

    def impose(
        self,
        who: Principal,
        subject: str,
        actions: tuple[Action, ...],
        reason: str,
        duration: float,
        key: str,
    ) -> Restriction:
        found = self._fleet.subject(subject)
        never = guard.infrastructure(self._settings.guard, found)
        if never:
            raise Forbidden(f"{never} The guard lets nobody bind it.")
        return self._changed(
            self._ledger.impose(
                subject,
                actions,
                reason,
                who.name,
                duration,
                self._clock.now(),
                project=found.project,
                host=found.host,
                key=key,
            )
        )

    def extend(
        self, who: Principal, restriction: str, duration: float, reason: str, revision: int | None, key: str
    ) -> Restriction:
        now = self._clock.now()
        return self._changed(
            self._ledger.extend(restriction, duration, who.name, reason, now, revision=revision, key=key)
        )

    def lift(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        return self._changed(self._ledger.lift(restriction, who.name, reason, self._clock.now(), key=key))

    def approve(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        return self._changed(self._ledger.approve(restriction, who.name, reason, self._clock.now(), key=key))

    def reject(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        return self._changed(self._ledger.reject(restriction, who.name, reason, self._clock.now(), key=key))

    def journal(self, restriction: str, subject: str, limit: int, marker: str) -> Page[JournalEntry]:
        return self._ledger.journal(restriction, subject, limit, marker)

    def _changed(self, restriction: Restriction) -> Restriction:
        self._fleet.touch((restriction.subject,), (restriction.host,))
        return restriction

    # --- exemptions, enforcement ---------------------------------------------------------------

    def exemptions(self) -> tuple[Exemption, ...]:
        return self._ledger.exemptions(self._clock.now())

    def exempt(
        self, who: Principal, scope: Scope, reason: str, duration: float, policies: tuple[str, ...], key: str
    ) -> Exemption:
        if scope == Scope():
            raise Malformed(
                "scope: names nobody, which would exempt everybody; to bind nobody, turn enforcement off."
            )
        now = self._clock.now()
        until = now + duration if duration else 0.0
        return self._ledger.exempt(scope, reason, who.name, now, until=until, policies=policies, key=key)

    def revoke_exemption(self, who: Principal, exemption: str, reason: str) -> None:
        self._ledger.revoke_exemption(exemption, who.name, reason, self._clock.now())

    def enforcement(self) -> Enforcement:
        return self._ledger.enforcement()

    def enforce(self, who: Principal, *, enabled: bool, reason: str) -> Enforcement:
        now = self._clock.now()
        lifted = self._ledger.set_enforcement(enabled=enabled, author=who.name, reason=reason, now=now)
        self._fleet.touch({r.subject for r in lifted}, {r.host for r in lifted})
        return self._ledger.enforcement()

    # --- tokens --------------------------------------------------------------------------------

    def tokens(self) -> tuple[Token, ...]:
        return self._ledger.tokens()

    def create_token(
        self, who: Principal, name: str, role: Role, host: str, duration: float
    ) -> tuple[Token, str]:
        if name.startswith(FOREIGN):
            raise Malformed(f"name: {FOREIGN!r} begins the names of Keystone's users only.")
        now = self._clock.now()
        until = now + duration if duration else 0.0
        return self._ledger.create_token(name, role, who.name, now, host=host, until=until)

    def revoke_token(self, who: Principal, token: str) -> None:
        self._ledger.revoke_token(token, who.name, self._clock.now())

"""What this door needs of the keeper; `app/keeper.py` is the one that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.model.access import Issuer, Principal, Role, Token
    from sekisho.model.cloud import CloudPort
    from sekisho.model.inventory import HostReport, Inventory, Subject
    from sekisho.model.policy import Action, Exemption, Mode, Scope
    from sekisho.model.release import OwnView
    from sekisho.model.report import (
        CollectorReport,
        Enforcement,
        Explanation,
        HostProgram,
        Page,
        PolicyView,
        PortCounter,
        Status,
        Talker,
        Verdict,
    )
    from sekisho.model.restriction import Evidence, JournalEntry, Receipt, Restriction, State


class Keeper(Protocol):
    """Every method may block on the ledger and raises only `SekishoError`s.

    `who` is the authenticated asker; `key` an idempotency key: the same key with the same request
    answers what the first one answered, with another request it is a Conflict. Where a `project` is
    named, what belongs to another one is not there at all; empty means everybody's.
    """

    def authenticate(self, secret: str, issuer: Issuer) -> Principal:
        """Find whom a token speaks for; raises Unauthenticated, Unavailable where its issuer is away.

        Forbidden is for somebody who is known, and has no business here.
        """
        ...

    def recognised(self, secret: str, issuer: Issuer) -> Principal | None:
        """Find whom a token speaks for if that can be told without waiting; None is no answer.

        Never whom `authenticate` would refuse at this moment.
        """
        ...

    def knows(self, secret: str, issuer: Issuer) -> bool:
        """Tell, without waiting for anybody, whether `authenticate` needs to ask nobody else."""
        ...

    def moment(self) -> float:
        """Tell the time by which all times here are (unix seconds)."""
        ...

    def denied(self, name: str, what: str, why: str) -> None:
        """Journal a request that was turned away (bounded: repeated ones are counted, not each written)."""
        ...

    def listen(self, callback: Callable[[str], None]) -> None:
        """Call back, from any thread, with ``host:NAME``, ``inventory``, ``policies`` when that changed."""
        ...

    def ready(self) -> tuple[str, ...]:
        """List what is not ready, a sentence each; empty when all is well."""
        ...

    def status(self) -> Status: ...

    def metrics(self) -> dict[str, float]:
        """Give gauges and totals, named as Prometheus wants them, labels included in the name."""
        ...

    def subjects(
        self, host: str, project: str, text: str, limit: int, marker: str, flavor: str = "", plan: str = ""
    ) -> Page[Subject]: ...

    def subject(self, subject: str, project: str = "") -> Subject: ...

    def explain(self, subject: str, project: str = "") -> Explanation: ...

    def top(self, by: str, limit: int) -> tuple[Talker, ...]: ...

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
        """List, newest first: only what changed after the revision `since`, only older than `before`."""
        ...

    def restriction(self, restriction: str, project: str = "") -> Restriction: ...

    def impose(
        self,
        who: Principal,
        subject: str,
        actions: tuple[Action, ...],
        reason: str,
        duration: float,
        key: str,
    ) -> Restriction: ...

    def extend(
        self, who: Principal, restriction: str, duration: float, reason: str, revision: int | None, key: str
    ) -> Restriction:
        """Let it end `duration` seconds from now; Conflict unless `revision` is None or still the entry's."""
        ...

    def lift(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction: ...

    def own(self, project: str) -> OwnView:
        """Show what a project sees of itself: ports, restrictions, and which may be ended early."""
        ...

    def release(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction:
        """End a restriction of the asker's project early; Forbidden where policy or time say no."""
        ...

    def approve(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction: ...

    def reject(self, who: Principal, restriction: str, reason: str, key: str) -> Restriction: ...

    def journal(self, restriction: str, subject: str, limit: int, marker: str) -> Page[JournalEntry]: ...

    def policies(self) -> PolicyView: ...

    def check_policies(self, text: str) -> tuple[str, ...]:
        """List every problem of a policy file's text, each with line and path; empty when it is good."""
        ...

    def reload_policies(self, who: Principal) -> PolicyView: ...

    def foresee(self, policy: str, mode: Mode, subjects: tuple[str, ...]) -> tuple[Verdict, ...]:
        """Tell what would be decided if these subjects crossed a policy in a mode now; nothing is written."""
        ...

    def set_mode(
        self, who: Principal, policy: str, mode: Mode | None, reason: str, version: int | None
    ) -> PolicyView:
        """Turn a policy's mode over what its file says, None: back to that; raises NotFound.

        Conflict where another mode is in force and the policies are not of that `version` any more.
        """
        ...

    def exemptions(self) -> tuple[Exemption, ...]: ...

    def exempt(
        self, who: Principal, scope: Scope, reason: str, duration: float, policies: tuple[str, ...], key: str
    ) -> Exemption: ...

    def revoke_exemption(self, who: Principal, exemption: str, reason: str) -> None: ...

    def enforcement(self) -> Enforcement: ...

    def enforce(self, who: Principal, *, enabled: bool, reason: str) -> Enforcement: ...

    def tokens(self) -> tuple[Token, ...]: ...

    def create_token(
        self, who: Principal, name: str, role: Role, host: str, duration: float
    ) -> tuple[Token, str]:
        """Make a token; the second of the pair is the secret, told this once."""
        ...

    def revoke_token(self, who: Principal, token: str) -> None: ...

    def inventory(self) -> Inventory: ...

    def report_host(self, who: Principal, report: HostReport) -> HostProgram: ...

    def forget_host(self, who: Principal, host: str) -> None:
        """Forget a host that does not report any more, and its subjects; Conflict while it does."""
        ...

    def program(self, host: str) -> HostProgram: ...

    def revision(self, host: str) -> int:
        """Tell the revision of a host's program, at no cost; raises NotFound as `program` does."""
        ...

    def report_port(self, who: Principal, port: CloudPort) -> None:
        """Take what the cloud says of one port; a port that is on no host yet can be bound ahead."""
        ...

    def forget_port(self, who: Principal, port: str) -> None:
        """Forget what the cloud said of a port; what a host says of it stays."""
        ...

    def receipts(
        self, who: Principal, host: str, applied: int, receipts: tuple[Receipt, ...], problem: str
    ) -> None: ...

    def evidence(self, who: Principal, evidence: tuple[Evidence, ...]) -> tuple[Verdict, ...]: ...

    def report_counters(self, who: Principal, host: str, counters: tuple[PortCounter, ...]) -> None:
        """Take the byte counters of a host's ports; where nobody meters by them they are let go."""
        ...

    def report_collector(self, who: Principal, report: CollectorReport) -> None: ...

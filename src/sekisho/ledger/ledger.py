"""The ledger: every decision in one transaction (entry, journal, revision), written before anyone acts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from sqlalchemy import select

from sekisho.ledger import access, diary, entries, letters, memory, projects, questions, receipts, schema
from sekisho.ledger.entries import Ending
from sekisho.ledger.glance import Glance
from sekisho.ledger.rows import dump
from sekisho.ledger.store import LedgerSettings, Store
from sekisho.model.access import Principal, Role, Token
from sekisho.model.errors import Conflict, Forbidden, Malformed
from sekisho.model.plain import from_plain, to_plain
from sekisho.model.policy import Exemption, Mode, Scope
from sekisho.model.release import REMEMBERED
from sekisho.model.report import Enforcement, Override, Page
from sekisho.model.restriction import Evidence, Imposed, JournalEntry, Receipt, Restriction, State

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import Connection

    from sekisho.model.policy import Action
    from sekisho.model.release import Release

T = TypeVar("T")
_table = schema.restriction


class Told(TypedDict, total=False):
    """What an entry may be told beside what it must: by which policy, on whom, on what evidence."""

    policy: str
    offence: int
    project: str
    host: str
    evidence: Evidence | None


class Ledger:
    """Restrictions, their journal and all that must survive a restart, behind one lock of writers.

    Every method takes unix seconds, may block for `LedgerSettings.busy_timeout` and raises only
    `SekishoError`s: Unavailable when the database is locked or its disk is full (nothing is written
    then), NotFound for what is not here, Conflict where the entry is not in the state the verb needs.
    `key` makes a write safe to repeat for 24 h: the same author and key with the same request answer
    what was answered first, with another request they are a Conflict. Thread-safe.
    """

    def __init__(self, path_or_url: str | os.PathLike[str], settings: LedgerSettings | None = None) -> None:
        self.settings = settings or LedgerSettings()
        self.store = Store(path_or_url, self.settings.busy_timeout)
        self._glance = Glance(self.store.url)

    def close(self) -> None:
        """Give every connection back."""
        self._glance.close()
        self.store.close()

    # Decisions

    def impose(
        self,
        subject: str,
        actions: Sequence[Action],
        reason: str,
        author: str,
        duration: float,
        now: float,
        *,
        automatic: bool = False,
        key: str = "",
        **told: Unpack[Told],
    ) -> Restriction:
        """Bind a subject until now + duration; no actions is a warning.

        An automatic one whose subject and policy are bound already extends that entry and never
        shortens it; a standing warning is left to run out. Forbidden while enforcement is off.
        """
        asked = _draft(subject, actions, reason, author, duration, now, told)
        draft = replace(asked, until=now + duration, automatic=automatic)
        grain = self._grain(duration)

        def decide(connection: Connection) -> Restriction:
            if automatic:
                _need_enforcement(connection)
            return entries.impose(connection, draft, now, grain)

        return self._keyed(Restriction, author, key, ("impose", _asked(draft)), now, decide)

    def propose(
        self,
        subject: str,
        actions: Sequence[Action],
        reason: str,
        author: str,
        duration: float,
        now: float,
        *,
        key: str = "",
        **told: Unpack[Told],
    ) -> Restriction:
        """Lay a restriction before the operator; the one that stands or waits already, if there is one."""
        asked = _draft(subject, actions, reason, author, duration, now, told)
        draft = replace(asked, state=State.PROPOSED, automatic=True)

        def decide(connection: Connection) -> Restriction:
            return entries.propose(connection, draft, now)

        return self._keyed(Restriction, author, key, ("propose", _asked(draft)), now, decide)

    def extend(
        self,
        restriction: str,
        duration: float,
        author: str,
        reason: str,
        now: float,
        *,
        revision: int | None = None,
        automatic: bool = False,
        key: str = "",
    ) -> Restriction:
        """Let an active entry end at now + duration; an automatic call never shortens.

        Conflict when it is not active any more, or when `revision` is given and no longer its own.
        """
        until = now + _positive(duration)

        def decide(connection: Connection) -> Restriction:
            entry = entries.find_in(connection, restriction, State.ACTIVE, now)
            if revision is not None and entry.revision != revision:
                raise Conflict(
                    f"{restriction} changed meanwhile (revision {entry.revision}): look at it again."
                )
            if automatic and until <= entry.until:
                return entry
            return entries.extend(connection, entry, until, Ending("extend", author, reason, now))

        asked = ("extend", restriction, duration, reason, revision, automatic)
        return self._keyed(Restriction, author, key, asked, now, decide)

    def lift(self, restriction: str, author: str, reason: str, now: float, *, key: str = "") -> Restriction:
        """Free a subject before the entry's end."""
        ending = Ending("lift", author, reason, now)
        return self._end(restriction, State.ACTIVE, State.LIFTED, ending, key)

    def release(
        self,
        restriction: str,
        author: str,
        reason: str,
        now: float,
        may: Callable[[Restriction, tuple[float, ...]], Release],
        *,
        key: str = "",
    ) -> Restriction:
        """End an entry early by its owner's word; the offence stays remembered, as if its time were over.

        `may` judges by the entry and by when the same subject was released from the same policy before,
        inside the transaction: who asks twice at once is released once. Forbidden where it says no.
        """

        def decide(connection: Connection) -> Restriction:
            entry = entries.find_in(connection, restriction, State.ACTIVE, now)
            before = questions.releases(connection, entry.subject, entry.policy, now - REMEMBERED)
            judged = may(entry, before)
            if not judged.may:
                raise Forbidden(judged.why)
            return entries.end(connection, [entry], State.EXPIRED, Ending("release", author, reason, now))[0]

        return self._keyed(Restriction, author, key, ("release", restriction, reason), now, decide)

    def releases(self, subject: str, policy: str, since: float) -> tuple[float, ...]:
        """Tell when a subject was released early from a policy by its owner, since then (unix seconds)."""
        with self.store.reading() as connection:
            return questions.releases(connection, subject, policy, since)

    def approve(
        self, restriction: str, author: str, reason: str, now: float, *, key: str = ""
    ) -> Restriction:
        """Let a proposal bind from now on for its duration; from here on it counts as a person's."""

        def decide(connection: Connection) -> Restriction:
            entry = entries.find_in(connection, restriction, State.PROPOSED, now)
            return entries.approve(connection, entry, Ending("approve", author, reason, now))

        return self._keyed(Restriction, author, key, ("approve", restriction, reason), now, decide)

    def reject(self, restriction: str, author: str, reason: str, now: float, *, key: str = "") -> Restriction:
        """Put a proposal aside."""
        ending = Ending("reject", author, reason, now)
        return self._end(restriction, State.PROPOSED, State.REJECTED, ending, key)

    def record(self, drafts: Sequence[Restriction], now: float) -> tuple[Restriction, ...]:
        """Write many automatic drafts in one transaction, all or none; gives the entry of each, in order.

        A draft that is ACTIVE is imposed as by `impose`, one that is PROPOSED proposed as by `propose`.
        Forbidden while enforcement is off and any would bind.
        """
        if not drafts:
            return ()
        with self.store.writing() as connection:
            if any(d.state is State.ACTIVE for d in drafts):
                _need_enforcement(connection)
            proposals = [d for d in drafts if d.state is State.PROPOSED]
            proposed = iter(entries.propose_all(connection, proposals, now))
            return tuple(
                next(proposed)
                if d.state is State.PROPOSED
                else entries.impose(connection, d, now, self._grain(d.duration))
                for d in drafts
            )

    def _grain(self, duration: float) -> float:
        return min(self.settings.grain * duration, self.settings.grain_max)

    def reject_before(self, created: float, now: float) -> tuple[Restriction, ...]:
        """Put aside every proposal older than that; costs no write while there is none."""
        old = (_table.c.state == State.PROPOSED.value) & (_table.c.created < created)
        with self.store.reading() as connection:
            if connection.execute(select(_table.c.number).where(old).limit(1)).first() is None:
                return ()
        with self.store.writing() as connection:
            ending = Ending("reject", "keeper", "Nobody said yes in time.", now)
            return entries.end(connection, entries.having(connection, old), State.REJECTED, ending)

    def expire(self, now: float) -> tuple[Restriction, ...]:
        """End every active entry whose time is over; costs no write while there is none."""
        due = (_table.c.state == State.ACTIVE.value) & (_table.c.until <= now)
        with self.store.reading() as connection:
            if connection.execute(select(_table.c.number).where(due).limit(1)).first() is None:
                return ()
        with self.store.writing() as connection:
            ending = Ending("expire", "keeper", "Its time was over.", now)
            return entries.end(connection, entries.having(connection, due), State.EXPIRED, ending)

    def lift_automatic(self, author: str, reason: str, now: float) -> tuple[Restriction, ...]:
        """Lift all that was imposed automatically, in one transaction; what people imposed stays."""
        with self.store.writing() as connection:
            return entries.lift_automatic(connection, Ending("lift", author, reason, now))

    def set_enforcement(
        self, *, enabled: bool, author: str, reason: str, now: float, key: str = ""
    ) -> tuple[Restriction, ...]:
        """Turn the kill switch; off lifts everything automatic in the same transaction and tells what."""
        wanted = Enforcement(enabled, author, reason, now)

        def decide(connection: Connection) -> tuple[Restriction, ...]:
            memory.set_enforcement(connection, wanted)
            diary.decide(connection, "enforce", author, now, reason, dump({"enabled": enabled}))
            return () if enabled else entries.lift_automatic(connection, Ending("lift", author, reason, now))

        return self._keyed(tuple[Restriction, ...], author, key, ("enforce", enabled, reason), now, decide)

    def shift(
        self, delta: float, author: str, now: float, *, remember: Mapping[str, str] | None = None
    ) -> None:
        """Move every end by the step of a clock, so that nobody is freed early or held late.

        Ends of exemptions and tokens move too: a step must not have the exempt bound, or agents locked out.

        `remember` keeps small values in the same transaction: the mark of the new clock goes there, else
        a crash in between would have the same step seen, and moved by, twice.
        """
        with self.store.writing() as connection:
            active = entries.having(connection, _table.c.state == State.ACTIVE.value)
            entries.shift(connection, active, delta, Ending("shift", author, "The clock stepped.", now))
            access.shift(connection, delta)
            projects.shift(connection, delta)
            letters.shift(connection, delta)
            for name, value in (remember or {}).items():
                memory.put(connection, f"app.{name}", value)

    def receipts(self, host: str, given: Sequence[Receipt], now: float) -> tuple[Restriction, ...]:
        """Take what a host says it did; gives back the entries that came into force with it.

        Totals that shrink were begun anew by the host and are counted on. No new revision: hosts that
        follow revisions would wake each other. Repeating a receipt changes and costs nothing.
        """
        return self.all_receipts({host: given}, now)

    def all_receipts(self, given: Mapping[str, Sequence[Receipt]], now: float) -> tuple[Restriction, ...]:
        """Take what many hosts say, in one transaction that waits for no disk: hosts tell it again."""
        with self.store.reading() as connection:
            fresh = receipts.news(connection, given)
        if not fresh:
            return ()
        with self.store.writing(durable=False) as connection:
            return receipts.take(connection, fresh, now)

    def receipts_of(
        self, host: str, given: Sequence[Receipt], carried: Collection[str]
    ) -> tuple[Receipt, ...]:
        """Keep the receipts that a host may give: of what it carries, or carried before."""
        with self.store.reading() as connection:
            return receipts.of_host(connection, host, given, carried)

    # Questions

    def restriction(self, restriction: str) -> Restriction:
        """Read one entry."""
        with self.store.reading() as connection:
            return entries.find(connection, restriction)

    def restrictions(
        self,
        subject: str = "",
        policy: str = "",
        states: Collection[State] = (),
        limit: int = 100,
        marker: str = "",
        project: str = "",
        since: int = 0,
        before: str = "",
    ) -> Page[Restriction]:
        """List entries, newest first; empty arguments mean all.

        Only what changed after the revision `since`, only what is older than the entry `before`.
        """
        with self.store.reading() as connection:
            return questions.page(
                connection,
                subject,
                policy,
                states,
                limit,
                marker,
                project=project,
                since=since,
                before=before,
            )

    def active(self, subjects: Collection[str] | None = None) -> tuple[Restriction, ...]:
        """List active entries of some subjects, or of all; those past their end too until `expire`."""
        with self.store.reading() as connection:
            return questions.of(connection, subjects, State.ACTIVE)

    def binding(self, host: str, subjects: Collection[str]) -> tuple[Restriction, ...]:
        """List active entries a host must know of: of the subjects on it, and of those bound while there."""
        with self.store.reading() as connection:
            return questions.binding(connection, host, subjects)

    def standing(self, subjects: Collection[str] | None = None) -> tuple[Restriction, ...]:
        """List entries of some subjects, or of all, that are active or proposed."""
        with self.store.reading() as connection:
            return questions.of(connection, subjects, State.ACTIVE, State.PROPOSED)

    def released_since(self, since: float) -> tuple[Restriction, ...]:
        """List what was lifted or rejected since."""
        with self.store.reading() as connection:
            return questions.released_since(connection, since)

    def since(self, revision: int) -> tuple[Restriction, ...]:
        """List entries changed after a revision, oldest change first."""
        with self.store.reading() as connection:
            return entries.having(connection, _table.c.revision > revision)

    def revision(self) -> int:
        """Count the decisions so far."""
        with self.store.reading() as connection:
            return diary.present_revision(connection)

    def counts(self) -> dict[State, int]:
        """Count entries by state."""
        with self.store.reading() as connection:
            return questions.counts(connection)

    def offences(self, subject: str, policy: str, since: float) -> int:
        """Count this subject's offences: what binds it now or ended by itself since; lifted is forgiven."""
        with self.store.reading() as connection:
            return questions.offences(connection, subject, policy, since)

    def offence_counts(self, policy: str, since: float) -> dict[str, int]:
        """Count every subject's offences against a policy, as `offences` does for one."""
        with self.store.reading() as connection:
            return questions.offence_counts(connection, policy, since)

    def imposed_since(self, since: float) -> Imposed:
        """Count what was imposed automatically since and binds (warnings do not), for the guard."""
        with self.store.reading() as connection:
            return questions.imposed_since(connection, since)

    def enforcement(self) -> Enforcement:
        """Read the kill switch; it is on until someone turned it off."""
        with self.store.reading() as connection:
            return memory.enforcement(connection)

    def overrides(self) -> tuple[Override, ...]:
        """Read which policies' modes people turned."""
        with self.store.reading() as connection:
            return memory.overrides(connection)

    def set_mode(
        self, policy: str, mode: Mode, override: Override | None, author: str, reason: str, now: float
    ) -> None:
        """Turn a policy's mode; without an `override` it is from now on as its file says, which is `mode`."""
        with self.store.writing() as connection:
            memory.set_override(connection, policy, override)
            detail = dump({"policy": policy, "mode": mode, "by_file": override is None})
            diary.decide(connection, "mode", author, now, reason, detail)

    # The journal

    def write_journal(
        self,
        now: float,
        author: str,
        verb: str,
        *,
        restriction: str = "",
        subject: str = "",
        reason: str = "",
        detail: str = "",
    ) -> None:
        """Append a line about something that is no decision of the ledger's own."""
        line = diary.Line(verb, author, now, restriction, subject, reason, detail)
        with self.store.writing() as connection:
            diary.write(connection, [line])

    def write_journals(
        self, now: float, author: str, verb: str, lines: Sequence[tuple[str, str, Any]]
    ) -> None:
        """Append lines of one author and verb at once: subject, reason and detail (None: none) of each."""
        told = [
            diary.Line(verb, author, now, subject=s, reason=r, detail="" if d is None else dump(d))
            for s, r, d in lines
        ]
        with self.store.writing() as connection:
            diary.write(connection, told)

    def journal(
        self, restriction: str = "", subject: str = "", limit: int = 100, marker: str = ""
    ) -> Page[JournalEntry]:
        """Read the journal, newest first."""
        with self.store.reading() as connection:
            return diary.page(connection, restriction, subject, limit, marker)

    # Exemptions and tokens

    def exempt(
        self,
        scope: Scope,
        reason: str,
        author: str,
        now: float,
        *,
        until: float = 0.0,
        policies: Sequence[str] = (),
        key: str = "",
    ) -> Exemption:
        """Exempt a scope from some policies (none named: all) until then, 0 without end."""
        draft = Exemption("", scope, reason, author, now, until, tuple(policies))

        def decide(connection: Connection) -> Exemption:
            made = access.add_exemption(connection, draft)
            diary.decide(connection, "exempt", author, now, reason, dump(made))
            return made

        lasts = until - now if until else 0.0  # whoever repeats asks later for as long
        asked = ("exempt", scope, reason, round(lasts, 3), tuple(policies))
        return self._keyed(Exemption, author, key, asked, now, decide)

    def revoke_exemption(
        self, exemption: str, author: str, reason: str, now: float, *, key: str = ""
    ) -> Exemption:
        """End an exemption at once."""

        def decide(connection: Connection) -> Exemption:
            ended = access.revoke_exemption(connection, exemption, now)
            diary.decide(connection, "revoke", author, now, reason, dump(ended))
            return ended

        return self._keyed(Exemption, author, key, ("revoke", exemption, reason), now, decide)

    def exemptions(self, now: float) -> tuple[Exemption, ...]:
        """List exemptions in force."""
        with self.store.reading() as connection:
            return access.exemptions(connection, now)

    def create_token(
        self, name: str, role: Role, author: str, now: float, *, host: str = "", until: float = 0.0
    ) -> tuple[Token, str]:
        """Make a token that ends at `until` (0: never); its secret is told here and never again.

        No idempotency key: to answer a repeat the secret would have to be kept.
        """
        secret = access.new_secret()
        draft = Token("", name, role, now, until, host)
        with self.store.writing() as connection:
            made = access.add_token(connection, draft, secret)
            diary.write(connection, [diary.Line("token", author, now, reason=name, detail=dump(made))])
        return made, secret

    def authenticate(self, secret: str, now: float) -> Principal:
        """Find whom a secret speaks for; raises Unauthenticated. Reads only."""
        with self.store.reading() as connection:
            return access.verify(connection, secret, now)

    def recognised(self, secret: str, now: float) -> Principal | None:
        """Find the same without waiting for anybody; None is no answer, `authenticate` has it.

        Nothing is remembered: a token that was revoked, by whatever process, is not recognised.
        """
        return self._glance.recognised(secret, now)

    def revoke_token(self, token: str, author: str, now: float) -> Token:
        """End a token at once."""
        with self.store.writing() as connection:
            ended = access.revoke_token(connection, token, now)
            line = diary.Line("revoke-token", author, now, reason=ended.name, detail=dump(ended))
            diary.write(connection, [line])
        return ended

    def tokens(self) -> tuple[Token, ...]:
        """List tokens that are not revoked, those past their end too."""
        with self.store.reading() as connection:
            return access.tokens(connection)

    # Projects

    def see_projects(self, ids: Collection[str], now: float) -> dict[str, float]:
        """Tell when each project was first seen, which is now for those never seen before.

        Those of the very first call count as old: whoever begins to count binds nobody by surprise.
        """
        with self.store.reading() as connection:
            known = projects.seen(connection)
            counting = projects.counting(connection)
        if counting and not set(ids).difference(known):
            return known
        with self.store.writing() as connection:
            projects.see(connection, ids, now)
            return projects.seen(connection)

    # Small state

    def remember(self, name: str, value: str) -> None:
        """Keep a small value by name across restarts."""
        with self.store.writing() as connection:
            memory.put(connection, f"app.{name}", value)

    def recall(self, name: str) -> str:
        """Read what was remembered, empty if nothing was."""
        with self.store.reading() as connection:
            return memory.get(connection, f"app.{name}")

    def _end(self, restriction: str, need: State, state: State, ending: Ending, key: str) -> Restriction:
        def decide(connection: Connection) -> Restriction:
            entry = entries.find_in(connection, restriction, need, ending.now)
            return entries.end(connection, [entry], state, ending)[0]

        asked = (ending.verb, restriction, ending.reason)
        return self._keyed(Restriction, ending.author, key, asked, ending.now, decide)

    def _keyed(
        self,
        kind: type[T],
        author: str,
        key: str,
        asked: tuple[Any, ...],
        now: float,
        decide: Callable[[Connection], T],
    ) -> T:
        """Decide once per author and key; the answer is kept in the transaction that makes it true."""
        with self.store.writing() as connection:
            if not key:
                return decide(connection)
            mark = diary.fingerprint(*asked)
            before = diary.answered(connection, author, key, mark, now)
            if before is not None:
                return from_plain(kind, before)
            answer = decide(connection)
            diary.keep_answer(connection, author, key, mark, now, answer)
            return answer


def _draft(
    subject: str,
    actions: Sequence[Action],
    reason: str,
    author: str,
    duration: float,
    now: float,
    told: Told,
) -> Restriction:
    return Restriction(
        id="",
        subject=subject,
        actions=tuple(actions),
        reason=reason,
        author=author,
        state=State.ACTIVE,
        created=now,
        until=0.0,
        duration=_positive(duration),
        revision=0,
        **told,
    )


def _need_enforcement(connection: Connection) -> None:
    if not memory.enforcement(connection).enabled:
        raise Forbidden("Enforcement is switched off: nothing automatic is imposed.")


def _positive(duration: float) -> float:
    if not 0 < duration < float("inf"):
        raise Malformed("duration: must be more than 0 seconds and finite.")
    return float(duration)


def _asked(draft: Restriction) -> dict[str, Any]:
    # A repeat comes later, so whatever follows from the time of asking is no part of the request.
    plain: dict[str, Any] = to_plain(draft)
    return {k: v for k, v in plain.items() if k not in ("created", "until")}

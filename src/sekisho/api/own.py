"""What a member is shown of its own things: the keeper's nouns in, the same without the operator's side out.

Whoever is no member gets everything. A customer learns what is limited, why, since and until when, on
which numbers; not who decided it, where its machines run, who watches them, or what is only proposed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sekisho.model.access import Role
from sekisho.model.errors import Malformed, NotFound
from sekisho.model.policy import Scope
from sekisho.model.release import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.model.access import Principal
    from sekisho.model.inventory import Subject
    from sekisho.model.release import OwnView
    from sekisho.model.report import Explanation
    from sekisho.model.restriction import JournalEntry, Restriction, State

# What befell the customer's own restriction; other lines are about the operator's work.
TOLD: Final = ("impose", "extend", "lift", "expire", "release")
POLICY: Final = "policy:"
SOMEBODY: Final = "operator"
LOOKS: Final = "You may look at this project's restrictions, and not end them."


def need_no_host(host: str) -> None:
    """Refuse the filter that would tell members, by trying, where their machines run."""
    if host:
        raise Malformed("The request is not what was asked for.", problems=("query.host: not for members.",))


def states(who: Principal, wanted: tuple[State, ...]) -> tuple[State, ...] | None:
    """Narrow the states asked for to those the asker may see; None when none is left."""
    if who.role is not Role.MEMBER:
        return wanted
    return tuple(s for s in wanted or SHOWN if s in SHOWN) or None


def subject(who: Principal, found: Subject) -> Subject:
    """Show a subject."""
    if who.role is not Role.MEMBER:
        return found
    return replace(found, host="", interface="", bridge="", ifindex=0, ofport=0, vlan=0)


def subjects(who: Principal, found: Iterable[Subject]) -> tuple[Subject, ...]:
    """Show subjects."""
    return tuple(subject(who, s) for s in found)


def restriction(who: Principal, name: str, found: Restriction) -> Restriction:
    """Show a restriction that was asked for by its name."""
    shown = restrictions(who, (found,))
    if not shown:
        raise NotFound(f"There is no restriction {name!r}.")
    return shown[0]


def restrictions(who: Principal, found: Iterable[Restriction]) -> tuple[Restriction, ...]:
    """Show restrictions."""
    if who.role is not Role.MEMBER:
        return tuple(found)
    return tuple(_bare(r) for r in found if r.state in SHOWN)


def explanation(who: Principal, found: Explanation) -> Explanation:
    """Show why a subject is treated as it is."""
    if who.role is not Role.MEMBER:
        return found
    shown = restrictions(who, found.restrictions)
    names = {r.id for r in shown}
    return replace(
        found,
        subject=subject(who, found.subject),
        restrictions=shown,
        # A scope lists other customers, and an exemption is between the operator and its guard.
        baselines=tuple(replace(b, scope=Scope()) for b in found.baselines),
        exemptions=(),
        journal=tuple(_line(e) for e in found.journal if e.verb in TOLD and e.restriction in names),
    )


def view(who: Principal, found: OwnView) -> OwnView:
    """Show a member what is its own."""
    return replace(
        found,
        subjects=subjects(who, found.subjects),
        restrictions=restrictions(who, found.restrictions),
        releases=found.releases
        if who.may_release
        else tuple(replace(r, may=False, why=r.why or LOOKS, at=0.0) for r in found.releases),
    )


def _bare(found: Restriction) -> Restriction:
    evidence = found.evidence
    if evidence is not None:
        evidence = replace(evidence, exporters=(), collector="")
    return replace(found, author=_author(found.author), host="", evidence=evidence)


def _line(found: JournalEntry) -> JournalEntry:
    return replace(found, id=0, author=_author(found.author), detail="")


def _author(name: str) -> str:
    """Keep the name of a policy; people stay unnamed."""
    return name if name.startswith(POLICY) else SOMEBODY

"""What a customer sees and does on pages: its own ports and restrictions, and the early end of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.api import own
from sekisho.api.console.decide import Done
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from sekisho.api.console.view import Ask
    from sekisho.model.inventory import Subject
    from sekisho.model.release import Release
    from sekisho.model.restriction import Restriction

# So many restrictions that are over are shown, and so many ports; the API has all.
ENDED: Final = 50
PORTS: Final = 200


@dataclass(frozen=True, slots=True)
class Own:
    """A project's own page: what binds it, what did, its ports.

    `releases` tells of each that is in force whether it may be ended early; `ports` is how many there are.
    """

    now: float
    project: str
    active: tuple[Restriction, ...]
    releases: dict[str, Release]
    ended: tuple[Restriction, ...]
    subjects: dict[str, Subject]
    ports: int


def show(ask: Ask) -> Own:
    """Show a member what is its project's."""
    ask.query.done()
    found = own.view(ask.who, ask.keeper.own(ask.who.project))
    active = tuple(r for r in found.restrictions if r.state is State.ACTIVE)
    ended = tuple(r for r in found.restrictions if r.state is not State.ACTIVE)[:ENDED]
    named = {r.subject for r in (*active, *ended)}
    listed = [s for s in found.subjects if s.id in named] + [s for s in found.subjects if s.id not in named]
    return Own(
        found.now,
        found.project,
        active,
        {r.restriction: r for r in found.releases},
        ended,
        {s.id: s for s in listed[: max(PORTS, len(named))]},
        len(found.subjects),
    )


def release(ask: Ask) -> Done:
    """End a restriction of one's own early."""
    name, reason, key = ask.query.need("restriction"), ask.query.need("reason"), ask.query.text("key")
    ask.query.done()
    ask.keeper.release(ask.who, name, reason, key)
    return Done("freed", "/own", {"name": name})

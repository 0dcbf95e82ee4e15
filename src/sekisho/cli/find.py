"""Find what the reader meant: suggestions for unknown subjects, completion of ids."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING, Final

from sekisho.cli.connect import connect
from sekisho.cli.words import actions
from sekisho.model.errors import NotFound, SekishoError
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.client import Client
    from sekisho.model.inventory import Subject

SUGGESTIONS: Final = 5
# A shell that completes must not hang on a keeper that is away.
QUICK: Final = 0.8
OFFERED: Final = 100


@contextlib.contextmanager
def suggesting(client: Client, subject: str) -> Iterator[None]:
    """Add to a NotFound the subjects that the reader may have meant."""
    try:
        yield
    except NotFound as error:
        near = suggestions(client, subject)
        if not near:
            raise
        lines = "".join(f"\n  {s.id}  ({describe(s)})" for s in near)
        raise NotFound(f"{error.asker} Did you mean:{lines}", error.fixer) from error


def suggestions(client: Client, text: str) -> tuple[Subject, ...]:
    """Look for the text, then its last part, among ids, servers, addresses and projects."""
    try:
        for part in filter(None, dict.fromkeys((text, text.rpartition("/")[2]))):
            found = _first(client.subjects(text=part)) or _first(client.subjects(project=part))
            if found:
                return found
    except SekishoError:
        pass
    return ()


def _first(found: Iterator[Subject]) -> tuple[Subject, ...]:
    return tuple(islice(found, SUGGESTIONS))


def describe(subject: Subject) -> str:
    """Name a subject as people know it."""
    parts = (subject.server, subject.project and f"project {subject.project}", *subject.addresses)
    return ", ".join(p for p in (*parts, f"host {subject.host}") if p)


def complete_subject(incomplete: str) -> list[tuple[str, str]]:
    """Offer the subjects whose id begins so."""
    with contextlib.suppress(SekishoError), connect(timeout=QUICK) as client:
        found = islice(client.subjects(text=incomplete), OFFERED)
        return [(s.id, describe(s)) for s in found if s.id.startswith(incomplete)]
    return []


def complete_restriction(incomplete: str) -> list[tuple[str, str]]:
    """Offer the restrictions and proposals whose id begins so."""
    with contextlib.suppress(SekishoError), connect(timeout=QUICK) as client:
        found = islice(client.restrictions(states=(State.ACTIVE, State.PROPOSED)), OFFERED)
        return [(r.id, f"{r.subject}: {actions(r.actions)}") for r in found if r.id.startswith(incomplete)]
    return []

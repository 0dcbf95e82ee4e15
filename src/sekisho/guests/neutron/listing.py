"""What a list of restrictions asks of the keeper: pages of it where that will do. Pure but for the client."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import merge
from typing import TYPE_CHECKING, Any, Final

from sekisho.guests.neutron import standing
from sekisho.model.errors import Malformed, NotFound
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sekisho.client import Client
    from sekisho.model.restriction import Restriction

# What a list without a filter by state shows.
PRESENT: Final = (State.ACTIVE, State.PROPOSED)
# What only those who decide see: no decision about anybody yet, or none any more.
UNDECIDED: Final = (State.PROPOSED, State.REJECTED)
_KNOWN: Final = (*(s.value for s in State), standing.STATE)
_PAGE: Final = 1000
# So many ids, or ports, can be asked for at once: each is a question of its own to the keeper.
MOST: Final = 100
# The order in which the keeper gives them; Neutron adds the id to whatever order is asked for.
_NEWEST: Final = ("created_at", False)
_TAIL: Final = ("id", True)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked of Neutron: filters by field, order, and which page. `limit` 0 is all."""

    filters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sorts: tuple[tuple[str, bool], ...] = ()
    limit: int = 0
    marker: str = ""
    reverse: bool = False

    @property
    def newest_first(self) -> bool:
        """Whether the keeper's own order will do."""
        return set(self.sorts) <= {_NEWEST, _TAIL}

    @property
    def streams(self) -> bool:
        """Whether no more needs to be read than is shown."""
        return self.newest_first and not self.reverse

    @property
    def batch(self) -> int:
        """How many to read at once."""
        return min(self.limit, _PAGE) if self.limit and self.streams else _PAGE

    def fits(self, shown: Mapping[str, Any]) -> bool:
        """Tell whether a restriction as Neutron shows it passes every filter."""
        return all(str(shown.get(name)) in values for name, values in self.filters.items())

    def cut(self, shown: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Sort all there is, and cut the page out; a marker that is not there leads nowhere."""
        ordered = list(shown)
        if not self.newest_first:
            ordered.reverse()  # of what is alike, the oldest stands first, as its id does
            for key, ascending in reversed([s for s in self.sorts if s != _TAIL]):
                ordered.sort(key=_by(key), reverse=not ascending)
        if self.marker:
            ids = [s["id"] for s in ordered]
            if self.marker not in ids:
                return []
            place = ids.index(self.marker)
            ordered = ordered[:place] if self.reverse else ordered[place + 1 :]
        if not self.limit:
            return ordered
        return ordered[-self.limit :] if self.reverse else ordered[: self.limit]


def _by(key: str) -> Callable[[Mapping[str, Any]], tuple[bool, Any]]:
    """Order by a field; nothing is the least there is."""
    return lambda shown: (shown[key] is not None, 0 if shown[key] is None else shown[key])


def wanted(
    filters: Mapping[str, Sequence[Any]] | None,
    sorts: Sequence[tuple[str, bool]] | None,
    limit: int | None,
    marker: str | None,
    *,
    reverse: bool | None,
) -> Wanted:
    """Read what Neutron hands a plugin; raises Malformed for a state that there is not, or too many names."""
    given = {name: frozenset(map(str, values)) for name, values in (filters or {}).items() if values}
    if not given.get("state", frozenset()).issubset(_KNOWN):
        raise Malformed(f"state is one of {', '.join(_KNOWN)}.")
    many = [name for name in ("id", "port_id") if len(given.get(name, ())) > MOST]
    if many:
        raise Malformed(f"At most {MOST} of {many[0]} can be asked for at once; ask for the rest again.")
    return Wanted(given, tuple(sorts or ()), limit or 0, marker or "", bool(reverse))


def entries(client: Client, asked: Wanted, project: str) -> Iterator[Restriction]:
    """Go through what may fit, newest first, reading as far as one goes; no project is everybody's."""
    filters = asked.filters
    if "id" in filters:
        return _by_id(client, filters["id"], project)
    states = tuple(s for s in State if s.value in filters["state"]) if "state" in filters else PRESENT
    if not states:
        return iter(())
    policy = next(iter(filters["policy"])) if len(filters.get("policy", ())) == 1 else ""
    lists = [
        client.restrictions(
            subject=port,
            policy=policy,
            states=states,
            limit=asked.batch,
            project=project,
            before=asked.marker if asked.streams and not standing.is_one(asked.marker) else "",
        )
        for port in sorted(filters.get("port_id", ("",)))
    ]
    return lists[0] if len(lists) == 1 else merge(*lists, key=lambda e: -e.created)


def _by_id(client: Client, ids: frozenset[str], project: str) -> Iterator[Restriction]:
    found = []
    for each in (i for i in ids if not standing.is_one(i)):
        try:
            entry = client.restriction(each)
        except NotFound:
            continue
        if project in ("", entry.project):
            found.append(entry)
    yield from sorted(found, key=lambda e: -e.created)

"""Baselines as Neutron's API lists them beside a port's restrictions: what stands, without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sekisho.guests.neutron.resource import to_action
from sekisho.model.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sekisho.client import Client
    from sekisho.guests.neutron.listing import Wanted
    from sekisho.model.policy import Baseline

STATE: Final = "standing"
# Between port and baseline in an id; no restriction's has one.
_MARK: Final = ":"


def is_one(name: str) -> bool:
    """Tell whether an id is a baseline's and no restriction's."""
    return _MARK in name


def ports(asked: Wanted) -> frozenset[str]:
    """Name the ports of which baselines were asked for: each is a question of its own to the keeper."""
    filters = asked.filters
    if STATE not in filters.get("state", {STATE}):
        return frozenset()
    if "id" in filters:
        return frozenset(i.partition(_MARK)[0] for i in filters["id"] if is_one(i))
    return filters.get("port_id", frozenset())


def after(asked: Wanted, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give those of the page that was asked for, which stand before all restrictions."""
    found = list(rows)
    if not (asked.marker and asked.streams):
        return found
    ids = [row["id"] for row in found]
    return found[ids.index(asked.marker) + 1 :] if asked.marker in ids else []


def rows(client: Client, owners: Mapping[str, str], only: str = "") -> Iterator[dict[str, Any]]:
    """Show the baselines of ports, given with whose they are; raises what the client raises.

    With `only` a project, nothing is asked about the ports of others.
    """
    for port, project in sorted(owners.items()):
        if only not in ("", project):
            continue
        try:
            found = client.explain(port).baselines
        except NotFound:  # no host and no cloud has spoken of it yet
            continue
        yield from (to_resource(b, port, project) for b in sorted(found, key=lambda b: b.name))


def to_resource(baseline: Baseline, port: str, project: str) -> dict[str, Any]:
    """Show a baseline as it binds a port."""
    return {
        "id": f"{port}{_MARK}{baseline.name}",
        "port_id": port,
        "project_id": project,
        "tenant_id": project,
        "actions": [to_action(a) for a in baseline.actions],
        "reason": baseline.description or f"stands by the baseline {baseline.name}",
        "duration": 0,
        "state": STATE,
        "policy": baseline.name,
        "origin": "baseline",
        "offence": 0,
        "evidence": "",
        "created_at": None,
        "in_force_at": None,
        "expires_at": None,
        "ended_at": None,
        "dropped_packets": 0,
        "dropped_bytes": 0,
        "revision_number": 0,
    }

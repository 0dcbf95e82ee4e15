"""Baselines beside restrictions: of ports that are named, first of all, page by page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from sekisho.client import Client
from sekisho.guests.neutron import standing
from sekisho.guests.neutron.listing import entries, wanted
from sekisho.guests.neutron.resource import to_resource
from sekisho.model.errors import NotFound
from sekisho.model.policy import Baseline, Direction, Drop, Protocol
from sekisho.model.restriction import Restriction, State

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
BASELINES = (Baseline("z-last", (SMTP,)), Baseline("no-smtp", (SMTP,), description="Ask us to open 25."))


class Keeper:
    """Explains one port; lists nothing."""

    def explain(self, port: str) -> Any:
        if port != "p1":
            raise NotFound("no")
        return SimpleNamespace(baselines=BASELINES)

    def restrictions(self, **query: Any) -> Any:
        self.query = query
        return iter(())


def ask(filters: Any, marker: str = "", sorts: Any = (("id", True),)) -> Any:
    return wanted(filters, sorts, 10, marker, reverse=False)


def rows() -> list[dict[str, Any]]:
    return list(standing.rows(cast("Client", Keeper()), {"p1": "demo", "unknown": "demo"}))


def test_the_owner_sees_why_its_port_is_closed() -> None:
    first, second = rows()
    assert (first["id"], first["reason"], first["state"]) == ("p1:no-smtp", "Ask us to open 25.", "standing")
    assert (first["policy"], first["origin"], first["expires_at"]) == ("no-smtp", "baseline", None)
    assert first["actions"][0] == {
        "action": "drop",
        "direction": "egress",
        "protocol": "tcp",
        "port_range_min": 25,
        "port_range_max": 25,
    }
    assert second["reason"] == "stands by the baseline z-last"
    entry = Restriction("r1", "p1", (SMTP,), "why", "x", State.ACTIVE, 1.0, 0.0, 60.0, 1)
    assert first.keys() == to_resource(entry, "demo").keys()


def test_of_others_ports_nothing_is_asked() -> None:
    asked: list[str] = []

    class Listening(Keeper):
        def explain(self, port: str) -> Any:
            asked.append(port)
            return super().explain(port)

    owners = {"p1": "demo", **{f"theirs-{n}": "other" for n in range(99)}}
    found = list(standing.rows(cast("Client", Listening()), owners, "demo"))
    assert {row["project_id"] for row in found} == {"demo"}
    assert asked == ["p1"]


@pytest.mark.parametrize(
    ("filters", "ports"),
    [
        ({}, set()),
        ({"port_id": ["p1", "p2"]}, {"p1", "p2"}),
        ({"port_id": ["p1"], "state": ["active"]}, set()),
        ({"port_id": ["p1"], "state": ["standing"]}, {"p1"}),
        ({"state": ["standing"]}, set()),
        ({"id": ["r1", "p1:no-smtp"]}, {"p1"}),
    ],
)
def test_they_are_asked_for_port_by_port(filters: Any, ports: set[str]) -> None:
    assert standing.ports(ask(filters)) == ports


def test_only_standing_ones_ask_for_no_restrictions() -> None:
    """No state at all would be every state there is."""
    keeper = Keeper()
    asked = ask({"port_id": ["p1"], "state": ["standing"]})
    assert list(entries(cast("Client", keeper), asked, "")) == []
    assert not hasattr(keeper, "query")


def test_they_come_first_page_by_page() -> None:
    found = rows()
    named = {"port_id": ["p1"]}
    assert standing.after(ask(named), found) == found
    assert standing.after(ask(named, "p1:no-smtp"), found) == found[1:]
    assert standing.after(ask(named, "r7"), found) == []
    assert standing.after(ask(named, "r7", (("dropped_bytes", True),)), found) == found
    keeper = Keeper()
    list(entries(cast("Client", keeper), ask(named, "p1:no-smtp"), ""))
    assert keeper.query["before"] == ""
    list(entries(cast("Client", keeper), ask(named, "r7"), ""))
    assert keeper.query["before"] == "r7"

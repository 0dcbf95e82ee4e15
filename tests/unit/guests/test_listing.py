"""How much of the ledger a list of Neutron's reads, and in which order it shows it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

import pytest

from sekisho.client import Client
from sekisho.guests.neutron.listing import Wanted, entries, wanted
from sekisho.model.errors import Malformed, NotFound
from sekisho.model.restriction import Restriction, State


def entry(number: int, port: str = "p1", state: State = State.ACTIVE, project: str = "demo") -> Restriction:
    made = 1000.0 + number
    return Restriction(f"r{number}", port, (), "why", "x", state, made, 0.0, 60.0, number, project=project)


class Keeper:
    """Gives its entries newest first, page by page, and tells what it was asked."""

    def __init__(self, *kept: Restriction) -> None:
        self.kept = sorted(kept, key=lambda e: -e.created)
        self.asked: list[dict[str, Any]] = []
        self.given = 0

    def restrictions(self, **query: Any) -> Iterator[Restriction]:
        self.asked.append(query)
        for each in self.kept:
            if query["subject"] in ("", each.subject) and each.state in query["states"]:
                self.given += 1
                yield each

    def restriction(self, name: str) -> Restriction:
        for each in self.kept:
            if each.id == name:
                return each
        raise NotFound("no")


def read(keeper: Keeper, asked: Wanted, project: str = "") -> Iterator[Restriction]:
    return entries(cast("Client", keeper), asked, project)


def ask(filters: Any = None, sorts: Any = (("id", True),), limit: int = 0, marker: str = "") -> Wanted:
    return wanted(filters, sorts, limit, marker, reverse=False)


def test_a_page_reads_no_more_than_it_shows() -> None:
    keeper = Keeper(*(entry(n) for n in range(50)))
    asked = ask({"port_id": ["p1"], "policy": ["spam"]}, limit=3, marker="r40")
    assert asked.streams
    assert [e.id for e in islice(read(keeper, asked, "demo"), asked.limit)] == ["r49", "r48", "r47"]
    assert keeper.given == 3
    (query,) = keeper.asked
    assert query == {
        "subject": "p1",
        "policy": "spam",
        "states": (State.ACTIVE, State.PROPOSED),
        "limit": 3,
        "project": "demo",
        "before": "r40",
    }


def test_another_order_reads_all_there_is_and_cuts_it_here() -> None:
    asked = ask(sorts=(("dropped_bytes", True), ("id", True)), limit=2, marker="b")
    assert not asked.streams
    shown: list[dict[str, Any]] = [
        {"id": "a", "dropped_bytes": 9},
        {"id": "b", "dropped_bytes": 1},
        {"id": "c", "dropped_bytes": 5},
        {"id": "d", "dropped_bytes": 7},
    ]
    assert [s["id"] for s in asked.cut(shown)] == ["c", "d"]
    assert ask(limit=2, marker="gone").cut(shown) == []
    backwards = wanted({}, (), 2, "d", reverse=True)
    assert [s["id"] for s in backwards.cut(shown)] == ["b", "c"]


def test_newest_first_is_the_keepers_own_order_and_nothing_is_smallest() -> None:
    assert ask(sorts=(("created_at", False), ("id", True))).streams
    assert not ask(sorts=(("created_at", True), ("id", True))).streams
    asked = ask(sorts=(("expires_at", True),))
    shown: list[dict[str, Any]] = [{"id": "a", "expires_at": "2027"}, {"id": "b", "expires_at": None}]
    assert [s["id"] for s in asked.cut(shown)] == ["b", "a"]


def test_of_what_is_alike_the_oldest_stands_first() -> None:
    asked = ask(sorts=(("created_at", True), ("id", True)))
    newest_first: list[dict[str, Any]] = [{"id": f"r{n}", "created_at": "2027"} for n in (3, 2, 1)]
    assert [s["id"] for s in asked.cut(newest_first)] == ["r1", "r2", "r3"]


def test_several_ports_are_merged_newest_first() -> None:
    keeper = Keeper(entry(1, "p1"), entry(2, "p2"), entry(3, "p1"), entry(4, "p3"))
    assert [e.id for e in read(keeper, ask({"port_id": ["p1", "p2"]}))] == ["r3", "r2", "r1"]
    assert {query["subject"] for query in keeper.asked} == {"p1", "p2"}


def test_ids_are_looked_up_one_by_one_whatever_their_state() -> None:
    keeper = Keeper(entry(1, state=State.LIFTED), entry(2, project="other"), entry(3))
    asked = ask({"id": ["r1", "r2", "r3", "r4"]})
    assert [e.id for e in read(keeper, asked, "demo")] == ["r3", "r1"]
    assert keeper.asked == []


def test_a_state_that_there_is_not_is_an_error() -> None:
    with pytest.raises(Malformed, match="state is one of"):
        ask({"state": ["active", "gone"]})


def test_what_the_keeper_cannot_filter_is_filtered_here() -> None:
    asked = ask({"origin": ["automatic"], "revision_number": [7]})
    assert asked.fits({"origin": "automatic", "revision_number": 7})
    assert not asked.fits({"origin": "operator", "revision_number": 7})


def test_a_field_that_is_empty_in_some_is_sorted_too() -> None:
    shown: list[dict[str, Any]] = [{"id": n, "policy": p} for n, p in (("a", "spam"), ("b", ""), ("c", None))]
    assert [s["id"] for s in ask(sorts=(("policy", True),)).cut(shown)] == ["c", "b", "a"]


@pytest.mark.parametrize("name", ["id", "port_id"])
def test_one_question_to_neutron_is_not_thousands_to_the_keeper(name: str) -> None:
    hundred = [f"r{n}" for n in range(100)]
    assert ask({name: hundred}).fits({name: "r99"})
    with pytest.raises(Malformed, match="100"):
        ask({name: [f"r{n}" for n in range(101)]})

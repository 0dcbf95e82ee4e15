"""The command line about load balancers, over HTTP, with a real ledger behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI

from sekisho.model.access import Role
from sekisho.model.balancer import Operating, Statistics
from support_balancers import OCTAVIA, Room, balancer
from support_cli import Run


@pytest.fixture
def room(served: tuple[FastAPI, str], tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    made.keeper.put(OCTAVIA, replace(balancer(), name="shop"))
    served[0].state.balancers = made.keeper
    yield made
    served[0].state.balancers = None
    made.ledger.close()


def test_a_list_says_where_each_is_and_how_it_does(run: Run, room: Room) -> None:
    room.report("d1", operating={"lb1": Operating.DEGRADED})
    shown = run("balancer", "list", role=Role.VIEWER)
    line = next(each for each in shown.out.splitlines() if each.startswith("lb1"))
    assert line.split()[:4] == ["lb1", "shop", "acme", "10.1.0.100"]
    assert line.split()[4:] == ["d1", "(active),", "d2", "ACTIVE", "DEGRADED", "-"]
    assert run("balancer", "list", "--project", "other").out.strip() == "There is no load balancer."
    (item,) = run("balancer", "list", "--provider", "lvs", "--json").json["items"]
    assert item["balancer"]["id"] == "lb1"
    mistaken = run("balancer", "list", "--provider", "sekisho-lvs")  # as Octavia calls it
    assert mistaken.code == 6
    assert "'sekisho-lvs' is none of lvs, adx" in mistaken.err


def test_one_is_shown_with_its_listeners_members_and_totals(run: Run, room: Room) -> None:
    room.report(
        operating={"lb1-m2": Operating.ERROR},
        problems={"lb1": "10.1.0.12 does not\x1b[2J answer."},
        statistics=(Statistics("lb1-l", 3, 1200, 5_000_000),),
    )
    shown = run("balancer", "show", "lb1")
    assert shown.code == 0
    assert "tcp/80" in shown.out
    assert "1,200" in shown.out
    assert "5 MB" in shown.out
    bad = next(each for each in shown.out.splitlines() if each.startswith("lb1-m2"))
    assert "10.1.0.12:80" in bad
    assert "ERROR" in bad
    assert "\x1b" not in shown.out
    room.report(problems={})
    room.keeper.delete_object(OCTAVIA, "lb1-m1", None, "")
    assert "leaves" in run("balancer", "show", "lb1").out


def test_the_doctor_ends_with_1_where_something_is_wrong(run: Run, room: Room) -> None:
    room.report("d1")
    sick = run("balancer", "doctor", "lb1")
    assert sick.code == 1
    assert "d2" in sick.out
    assert "It has not reported" in sick.out
    room.report("d2", active=False)
    well = run("balancer", "doctor", "lb1")
    assert (well.code, well.out.strip()) == (0, "Nothing is wrong.")


def test_a_failover_is_asked_before(run: Run, room: Room) -> None:
    room.report("d1")
    room.report("d2", active=False)
    assert run("balancer", "failover", "lb1").code == 2
    assert room.keeper.program("d1", None).prefer == ""
    assert run("balancer", "failover", "lb1", "--yes").code == 0
    assert room.keeper.program("d1", None).prefer == "d2"
    assert run("balancer", "failover", "lb9", "--yes").code == 3
    assert run("balancer", "failover", "lb1", "--yes", role=Role.VIEWER).code == 4


def test_pairs_are_listed(run: Run, room: Room) -> None:
    room.keeper.put(OCTAVIA, balancer())
    room.report()
    shown = run("balancer", "pairs").out
    assert "d1 (active), d2" in shown
    assert "north" in shown
    assert "No device of the pair two is heard of." in " ".join(shown.split())

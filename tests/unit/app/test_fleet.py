"""Hosts, their subjects, and the revisions they follow."""

from __future__ import annotations

import pytest

from sekisho.app.fleet import Fleet
from sekisho.model.errors import NotFound
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.report import CollectorReport


def report(host: str, *subjects: str) -> HostReport:
    return HostReport(Host(host), tuple(Subject(s, host) for s in subjects))


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def fleet(heard: list[str]) -> Fleet:
    return Fleet(1000.0, heard.append)


def test_a_report_changes_the_inventory_once(fleet: Fleet, heard: list[str]) -> None:
    assert fleet.report_host(report("a", "p1"), 1.0)
    version = fleet.inventory.version
    assert not fleet.report_host(report("a", "p1"), 2.0)
    assert fleet.inventory.version == version
    assert heard == ["inventory", "host:a"]


def test_only_the_hosts_of_the_subjects_touched_are_woken(fleet: Fleet, heard: list[str]) -> None:
    fleet.report_host(report("a", "p1"), 1.0)
    fleet.report_host(report("b", "p2"), 1.0)
    before = fleet.revision("a"), fleet.revision("b")
    heard.clear()
    fleet.touch({"p2"})
    assert heard == ["host:b"]
    assert fleet.revision("a") == before[0]
    assert fleet.revision("b") > before[1]


def test_a_subject_on_two_hosts_wakes_both(fleet: Fleet, heard: list[str]) -> None:
    fleet.report_host(report("a", "p1"), 1.0)
    fleet.report_host(report("b", "p1"), 2.0)
    heard.clear()
    fleet.touch({"p1"})
    assert heard == ["host:a", "host:b"]
    assert fleet.subject("p1").host == "b"


def test_a_restarted_fleet_never_repeats_a_revision() -> None:
    def ignore(_topic: str) -> None: ...

    first = Fleet(1000.0, ignore)
    for i in range(100):
        first.report_host(report("a", f"p{i}"), 1.0)
    second = Fleet(1010.0, ignore)
    second.report_host(report("a", "p1"), 1.0)
    assert second.revision("a") > first.revision("a")


def test_a_host_that_has_not_reported_has_no_program(fleet: Fleet) -> None:
    with pytest.raises(NotFound, match="has not reported"):
        fleet.revision("a")


def test_silent_hosts_are_forgotten_with_their_subjects(fleet: Fleet) -> None:
    fleet.report_host(report("a", "p1"), 1.0)
    fleet.report_host(report("b", "p2"), 50.0)
    assert fleet.forget_hosts(10.0) == ("a",)
    assert [s.id for s in fleet.inventory.subjects] == ["p2"]


def test_a_collector_that_was_taken_away_is_forgotten_with_what_it_asked_for(
    fleet: Fleet, heard: list[str]
) -> None:
    fleet.report_host(report("a", "p1"), 1.0)
    fleet.report_collector(CollectorReport("old", 0.0, exact_ports=(25, 587)), 1.0)
    fleet.report_collector(CollectorReport("new", 0.0, exact_ports=(25,)), 50.0)
    heard.clear()
    assert fleet.forget_collectors(10.0) == ("old",)
    assert [c.name for c in fleet.collectors] == ["new"]
    assert fleet.exact_ports == (25,)
    assert heard == ["host:a"]


def test_exact_ports_are_the_union_of_what_collectors_want(fleet: Fleet) -> None:
    assert fleet.report_collector(CollectorReport("x", 0.0, exact_ports=(25,)), 1.0)
    assert fleet.report_collector(CollectorReport("y", 0.0, exact_ports=(587, 25)), 1.0)
    assert not fleet.report_collector(CollectorReport("y", 0.0, exact_ports=(25, 587)), 2.0)
    assert fleet.exact_ports == (25, 587)

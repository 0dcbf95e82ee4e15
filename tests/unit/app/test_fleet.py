"""Hosts, their subjects, and the revisions they follow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sekisho.app.fleet import Fleet
from sekisho.model.cloud import Cloud, CloudPort, Plan, Project
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


# --- the cloud -------------------------------------------------------------------------------------


CLOUD = Cloud(
    ports=(CloudPort("p1", "acme", "net", "vm-1", "FA:16:3E:00:00:01", qos="q1", host="a"),),
    projects=(Project("acme", "Acme", 500.0),),
    plans=(Plan("q1", "gold", ("sold",)),),
    flavors={"vm-1": "m1.tiny"},
)


def test_a_full_list_tells_plan_flavor_and_age_and_wakes_whom_it_concerns(
    fleet: Fleet, heard: list[str]
) -> None:
    fleet.report_host(report("a", "p1"), 1.0)
    fleet.report_host(report("b", "p2"), 1.0)
    heard.clear()
    assert fleet.take_cloud(CLOUD) == 1
    assert heard == ["inventory", "host:a"]
    found = fleet.subject("p1")
    assert (found.project, found.flavor, found.project_created) == ("acme", "m1.tiny", 500.0)
    assert (found.qos, found.mac) == (("q1", "gold", "sold"), "fa:16:3e:00:00:01")
    heard.clear()
    assert fleet.take_cloud(CLOUD) == 0
    assert heard == []
    renamed = replace(CLOUD, plans=(Plan("q1", "silver"),))
    assert fleet.take_cloud(renamed) == 1
    assert fleet.subject("p1").qos == ("q1", "silver")


def test_what_is_pushed_while_a_list_is_read_is_newer_than_the_list(fleet: Fleet) -> None:
    fleet.take_cloud(CLOUD)
    fleet.begin_list()
    fleet.report_port(replace(CLOUD.ports[0], project="umbrella"))
    fleet.report_port(CloudPort("gone"))
    fleet.forget_port("gone")
    fleet.take_cloud(replace(CLOUD, ports=(*CLOUD.ports, CloudPort("gone"))))
    assert fleet.subject("p1").project == "umbrella"
    assert fleet.find("gone") is None
    fleet.begin_list()
    fleet.take_cloud(CLOUD)
    assert fleet.subject("p1").project == "acme"


def test_a_host_hears_of_a_plan_before_the_cloud_tells_it(fleet: Fleet) -> None:
    fleet.take_cloud(replace(CLOUD, plans=(*CLOUD.plans, Plan("q2", "small"))))

    def says(*qos: str) -> None:
        fleet.report_host(HostReport(Host("a"), (Subject("p1", "a", qos=qos),)), 1.0)

    says("q2")
    assert fleet.subject("p1").qos == ("q2", "small")
    says()
    assert fleet.subject("p1").qos == ()


def carried(fleet: Fleet) -> tuple[set[str], set[str]]:
    return set(fleet.carries("a")), set(fleet.carries("b"))


def test_a_port_moves_with_both_hosts_knowing_of_it_in_between(fleet: Fleet, heard: list[str]) -> None:
    """Live migration: the new host is told before the port is there, the old one until it is gone."""
    port = CLOUD.ports[0]
    fleet.report_host(report("a", "p1"), 1.0)
    fleet.report_host(report("b"), 1.0)
    fleet.report_port(port)
    assert carried(fleet) == ({"p1"}, set())
    heard.clear()
    fleet.report_port(replace(port, coming="b"))
    assert "host:b" in heard
    assert carried(fleet) == ({"p1"}, {"p1"})
    fleet.report_host(report("b", "p1"), 2.0)
    assert fleet.subject("p1").host == "a", "where the cloud has bound it"
    fleet.report_port(replace(port, host="b"))
    assert fleet.subject("p1").host == "b"
    heard.clear()
    fleet.touch({"p1"})
    assert heard == ["host:a", "host:b"]
    assert set(fleet.carries("a")) == {"p1"}, "while it still has the port"
    fleet.report_host(report("a"), 3.0)
    assert carried(fleet) == (set(), {"p1"})


def test_one_port_pushed_leaves_everybody_else_alone(fleet: Fleet, heard: list[str]) -> None:
    for i in range(50):
        fleet.report_host(report(f"h{i:02}", f"p{i:02}"), 1.0)
    before = {s.id: s for s in fleet.inventory.subjects}
    heard.clear()
    fleet.report_port(CloudPort("p07", "acme", host="h07"))
    assert heard == ["inventory", "host:h07"]
    after = {s.id: s for s in fleet.inventory.subjects}
    assert [i for i in after if after[i] is not before[i]] == ["p07"]
    heard.clear()
    fleet.report_port(CloudPort("p07", "acme", host="h07"))
    assert heard == []

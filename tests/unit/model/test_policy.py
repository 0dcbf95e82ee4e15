"""Scopes: whom they are for; actions: what no device can carry."""

from __future__ import annotations

import pytest

from sekisho.model.inventory import Subject
from sekisho.model.policy import Direction, Drop, Police, Protocol, Scope, unfit

WHO = Subject(
    "p1",
    "h1",
    "acme",
    tags=("new", "web"),
    network="n1",
    flavor="small",
    qos=("5eed", "plan-a", "cheap"),
    project_created=1000.0,
)
NOW = 1000.0 + 10 * 86400


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        (Scope(), True),
        (Scope(projects=("acme",)), True),
        (Scope(projects=("other",)), False),
        (Scope(subjects=("p1",)), True),
        (Scope(subjects=("p",)), False),
        (Scope(tags=("web", "old")), True),
        (Scope(tags=("old",)), False),
        (Scope(hosts=("h1",)), True),
        (Scope(hosts=("h2",)), False),
        (Scope(projects=("other",), tags=("web",)), True),  # any include will do
        (Scope(exclude_projects=("acme",)), False),
        (Scope(exclude_subjects=("p1",)), False),
        (Scope(exclude_tags=("web",)), False),
        (Scope(exclude_hosts=("h1",)), False),
        (Scope(exclude_hosts=("h2",), exclude_projects=("other",)), True),
        (Scope(networks=("n1",)), True),
        (Scope(networks=("n2",)), False),
        (Scope(flavors=("small",)), True),
        (Scope(flavors=("",)), False),
        (Scope(qos=("5eed",)), True),
        (Scope(qos=("plan-b", "cheap")), True),
        (Scope(qos=("plan-b",)), False),
        (Scope(qos=("plan-a",), exclude_flavors=("small",)), False),
        (Scope(exclude_networks=("n1",)), False),
        (Scope(exclude_qos=("cheap",)), False),
        (Scope(younger=11 * 86400.0), True),
        (Scope(younger=10 * 86400.0), False),  # not any more, from this moment on
        (Scope(projects=("acme",), younger=86400.0), False),  # whoever names it
        (Scope(projects=("other",), younger=30 * 86400.0), False),  # youth alone names nobody else
        (Scope(subjects=("p1",), exclude_tags=("new",)), False),  # an exclude has the last word
    ],
)
def test_a_scope_is_for_those_any_include_names_and_no_exclude(scope: Scope, *, inside: bool) -> None:
    assert scope.matches(WHO, NOW) is inside


OUT = Direction.EGRESS


@pytest.mark.parametrize(
    ("action", "fits"),
    [
        (Drop(Protocol.TCP, OUT), True),
        (Drop(Protocol.ANY, OUT), True),
        (Drop(Protocol.ICMP, OUT), True),
        (Drop(Protocol.UDP, OUT, 1, 65535), True),
        (Drop(Protocol.SCTP, OUT, 25, 25), True),
        (Drop(Protocol.TCP, OUT, 25), False),
        (Drop(Protocol.TCP, OUT, 0, 25), False),
        (Drop(Protocol.TCP, OUT, 26, 25), False),
        (Drop(Protocol.TCP, OUT, 1, 65536), False),
        (Drop(Protocol.ICMP, OUT, 8, 8), False),
        (Drop(Protocol.ANY, OUT, 25, 25), False),
        (Police(1000, OUT), True),
        (Police(999, OUT), False),
        (Police(1000, OUT, -1), False),
    ],
)
def test_what_no_device_can_carry_is_told(action: Drop | Police, *, fits: bool) -> None:
    assert (unfit(action) == "") is fits


def test_a_project_of_unknown_age_is_young() -> None:
    assert Scope(younger=1.0).matches(Subject("p1", "h1"), NOW)


def test_an_unknown_name_is_nobodys() -> None:
    assert not Scope(projects=("",), networks=("",)).matches(Subject("p1", "h1"), NOW)

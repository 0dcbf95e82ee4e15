"""What a host is told, it judges as the keeper would, and new ports at once."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sekisho.app.baselines import Birthdays, Pair, resolve
from sekisho.model.inventory import Subject
from sekisho.model.policy import Baseline, Direction, Drop, Protocol, Scope

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
DAY = 86400.0
NOW = 1000 * DAY

# As Neutron's agent knows a port, and as everybody together does.
LOCAL = Subject("p1", "h1", "acme", network="net", qos=("q1",))
WHOLE = replace(
    LOCAL, flavor="m1.tiny", tags=("relay",), qos=("q1", "gold", "sold"), project_created=NOW - 10 * DAY
)


def resolved(scope: Scope, *here: Pair, never: tuple[str, ...] = ()) -> Scope:
    (found,) = resolve((Baseline("b", (SMTP,), scope),), here, never, NOW).baselines
    return found.scope


@pytest.mark.parametrize(
    "scope",
    [
        Scope(),
        Scope(flavors=("m1.tiny",)),
        Scope(tags=("relay",)),
        Scope(qos=("q1",)),
        Scope(qos=("gold",)),
        Scope(qos=("sold",)),
        Scope(projects=("acme",)),
        Scope(networks=("net",)),
        Scope(younger=30 * DAY),
        Scope(flavors=("m1.tiny",), younger=30 * DAY),
    ],
)
def test_the_host_finds_in_scope_whom_the_keeper_does(scope: Scope) -> None:
    other = Subject("p2", "h1", "umbrella", project_created=NOW - 40 * DAY)
    told = resolved(scope, (LOCAL, WHOLE), (Subject("p2", "h1", "umbrella"), other))
    assert told.matches(LOCAL) is scope.matches(WHOLE, NOW) is True
    assert told.matches(Subject("p2", "h1", "umbrella")) is scope.matches(other, NOW)


@pytest.mark.parametrize(
    "scope",
    [
        Scope(exclude_flavors=("m1.tiny",)),
        Scope(exclude_tags=("relay",)),
        Scope(exclude_qos=("sold",)),
        Scope(exclude_qos=("q1",)),
        Scope(younger=10 * DAY),
        Scope(flavors=("m1.huge",)),
        Scope(tags=("gateway",)),
    ],
)
def test_the_host_leaves_out_whom_the_keeper_does(scope: Scope) -> None:
    assert resolved(scope, (LOCAL, WHOLE)).matches(LOCAL) is scope.matches(WHOLE, NOW) is False


def test_a_plan_by_id_goes_with_the_policy_and_by_that_alone() -> None:
    """In the same moment in which Neutron's agent hears that a port has it, or has it no more."""
    told = resolved(Scope(qos=("q1",)), (LOCAL, WHOLE))
    assert told.subjects == ()
    assert not told.matches(replace(LOCAL, qos=()))
    assert told.matches(Subject("new", "h1", qos=("q1",)))


def test_nobody_else_is_reached_by_a_scope_of_what_no_host_can_know() -> None:
    for scope in (Scope(flavors=("m1.tiny",)), Scope(qos=("gold",)), Scope(tags=("relay",))):
        assert not resolved(scope).matches(Subject("new", "h1"))
        assert not resolved(scope, (LOCAL, WHOLE)).matches(Subject("new", "h1"))


def test_a_new_port_is_bound_from_its_first_packet_unless_its_project_is_known_to_be_old() -> None:
    old = replace(WHOLE, project_created=NOW - 31 * DAY)
    told = resolved(Scope(younger=30 * DAY), (LOCAL, old))
    assert told.matches(Subject("new", "h1", "newcomer"))
    assert told.matches(Subject("new", "h1"))
    assert not told.matches(Subject("new", "h1", "acme"))
    unsaid = Subject("p1", "h1")  # Neutron's agent had not heard whose it is
    assert not resolved(Scope(younger=30 * DAY), (unsaid, old)).matches(unsaid)


def test_infrastructure_is_in_no_scope() -> None:
    assert not resolved(Scope(subjects=("p1",)), (LOCAL, WHOLE), never=("p1",)).matches(LOCAL)


def test_it_says_when_the_next_project_is_old_enough() -> None:
    scopes = Scope(younger=30 * DAY), Scope(younger=12 * DAY), Scope()
    given = [Baseline(str(i), (SMTP,), s) for i, s in enumerate(scopes)]
    assert resolve(given, [(LOCAL, WHOLE)], (), NOW).until == NOW + 2 * DAY
    assert resolve(given[2:], [(LOCAL, WHOLE)], (), NOW).until == math.inf
    assert resolve(given, [(LOCAL, replace(WHOLE, project_created=0.0))], (), NOW).until == math.inf


def test_birthdays_are_told_once_each_at_their_time() -> None:
    birthdays = Birthdays()
    birthdays.note("a", 10.0)
    birthdays.note("b", 20.0)
    birthdays.note("c", 15.0)
    birthdays.note("c", math.inf)
    assert birthdays.due(9.9) == ()
    assert birthdays.due(10.0) == ("a",)
    assert birthdays.due(19.0) == ()
    birthdays.note("a", 30.0)
    assert birthdays.due(40.0) == ("b", "a")
    assert birthdays.due(50.0) == ()

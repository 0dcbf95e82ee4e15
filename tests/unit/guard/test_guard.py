"""Whom the guard lets nobody bind, and how many in an hour."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from sekisho.detect.guard import (
    Allow,
    Candidate,
    GuardSettings,
    Propose,
    Refuse,
    infrastructure,
    judge,
    judge_all,
    protecting,
    step,
)
from sekisho.model.errors import Malformed
from sekisho.model.inventory import Subject
from sekisho.model.policy import Direction, Drop, Exemption, Policy, Protocol, Scope, Step
from sekisho.model.restriction import Imposed

NOW = 1_800_000_000.0
NONE = Imposed()
SETTINGS = GuardSettings()


def subject(name: str = "a", project: str = "p", host: str = "h", **more: object) -> Subject:
    return Subject(name, host, project, **more)  # type: ignore[arg-type]


def candidate(name: str = "a", project: str = "p", host: str = "h", policy: str = "spam") -> Candidate:
    return Candidate(subject(name, project, host), policy)


def exemption(scope: Scope, until: float = 0.0, policies: tuple[str, ...] = ()) -> Exemption:
    return Exemption("x1", scope, "our relay", "olga", NOW, until, policies)


# --- infrastructure ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        GuardSettings(subjects=("a",)),
        GuardSettings(projects=("service",)),
        GuardSettings(macs=("FA:16:3E:00:00:01",)),
        GuardSettings(prefixes=("192.0.2.0/24",)),
        GuardSettings(prefixes=("192.0.2.1",)),
        GuardSettings(prefixes=("198.51.100.0/24", "2001:db8::/64")),
        protecting(GuardSettings(), ("2001:db8::7",)),
    ],
)
def test_infrastructure_is_never_bound_nor_warned(settings: GuardSettings) -> None:
    gateway = subject(
        "a", "service", mac="fa:16:3e:00:00:01", addresses=("192.0.2.1", "2001:db8::7"), tags=("t",)
    )
    for binds, renews in ((True, False), (False, False), (True, True)):
        found = judge(settings, Candidate(gateway, "spam", binds, renews), (), NONE, NOW)
        assert isinstance(found, Refuse)
        assert "infrastructure" in found.reason
    other = subject("b", "customer", mac="fa:16:3e:00:00:02", addresses=("203.0.113.1", "2001:db8:1::7"))
    assert infrastructure(settings, other) == ""
    assert judge(settings, Candidate(other, "spam"), (), NONE, NOW) == Allow()


@pytest.mark.parametrize("interface", ["qr-1234abcd-56", "qg-0", "ha-0", "fg-0"])
def test_gateways_are_never_bound_unless_the_settings_say_so(interface: str) -> None:
    gateway = subject("router-port", interface=interface)
    found = judge(SETTINGS, Candidate(gateway, "spam"), (), NONE, NOW)
    assert isinstance(found, Refuse)
    assert interface in found.reason
    assert judge(GuardSettings(interfaces=()), Candidate(gateway, "spam"), (), NONE, NOW) == Allow()
    assert judge(GuardSettings(interfaces=("",)), Candidate(gateway, "spam"), (), NONE, NOW) == Allow()
    for vm in ("tap1234abcd-56", "vhu1234abcd-56", ""):
        assert judge(SETTINGS, Candidate(subject(interface=vm), "spam"), (), NONE, NOW) == Allow()


def test_a_subject_without_project_or_mac_is_not_infrastructure_by_chance() -> None:
    settings = GuardSettings(projects=("service",), macs=("fa:16:3e:00:00:01",), prefixes=("192.0.2.0/24",))
    assert infrastructure(settings, subject("a", "", addresses=("nonsense", ""))) == ""


def test_prefixes_that_are_none_are_told_all_at_once() -> None:
    with pytest.raises(Malformed) as caught:
        judge(GuardSettings(prefixes=("192.0.2.0/24", "x", "10.0.0.0/33")), candidate(), (), NONE, NOW)
    assert len(caught.value.problems) == 2


# --- exemptions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope",
    [
        Scope(subjects=("a",)),
        Scope(projects=("p",)),
        Scope(hosts=("h",)),
        Scope(tags=("x", "relay")),
        Scope(),
        Scope(exclude_projects=("q",)),
    ],
)
def test_an_exemption_holds_for_its_scope(scope: Scope) -> None:
    mine = Candidate(subject(tags=("relay",)), "spam")
    found = judge(SETTINGS, mine, (exemption(scope),), NONE, NOW)
    assert isinstance(found, Refuse)
    assert "olga" in found.reason
    assert "our relay" in found.reason
    assert judge(SETTINGS, mine, (exemption(replace(scope, exclude_subjects=("a",))),), NONE, NOW) == Allow()


def test_an_exemption_ends_and_may_be_for_some_policies() -> None:
    for found, exempt in (
        (Refuse, exemption(Scope(), until=NOW + 1)),
        (Allow, exemption(Scope(), until=NOW)),
        (Refuse, exemption(Scope(), policies=("scan", "spam"))),
        (Allow, exemption(Scope(), policies=("scan",))),
        (Allow, exemption(Scope(projects=("q",)))),
    ):
        assert isinstance(judge(SETTINGS, candidate(), (exempt,), NONE, NOW), found)


# --- how many ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "imposed",
    [Imposed(cloud=100), Imposed(10, {"p": 10}, {}), Imposed(20, {}, {"h": 20})],
    ids=["cloud", "project", "host"],
)
def test_over_a_limit_it_is_proposed(imposed: Imposed) -> None:
    assert isinstance(judge(SETTINGS, candidate(), (), imposed, NOW), Propose)
    one_less = Imposed(
        imposed.cloud - 1,
        {k: n - 1 for k, n in imposed.projects.items()},
        {k: n - 1 for k, n in imposed.hosts.items()},
    )
    assert judge(SETTINGS, candidate(), (), one_less, NOW) == Allow()


def test_a_full_project_or_host_leaves_room_for_others() -> None:
    imposed = Imposed(20, {"p": 10}, {"h": 20})
    assert judge(SETTINGS, candidate(project="q", host="i"), (), imposed, NOW) == Allow()


def test_warnings_and_renewals_neither_count_nor_are_held_back() -> None:
    one = GuardSettings(per_hour_cloud=1)
    warning, renewal = (
        Candidate(subject("w"), "spam", binds=False),
        Candidate(subject("r"), "spam", renews=True),
    )
    batch = [warning, renewal, candidate("a"), candidate("b"), warning, renewal]
    found = judge_all(one, batch, (), NONE, NOW).judgements
    assert [type(j) for j in found] == [Allow, Allow, Allow, Propose, Allow, Allow]


def test_the_same_subject_and_policy_twice_in_a_batch_counts_once() -> None:
    two = GuardSettings(per_hour_cloud=2)
    batch = [candidate("a"), candidate("a"), candidate("a", policy="scan"), candidate("b"), candidate("a")]
    found = judge_all(two, batch, (), NONE, NOW).judgements
    assert [type(j) for j in found] == [Allow, Allow, Allow, Propose, Allow]


def test_a_limit_of_none_proposes_everything() -> None:
    assert isinstance(judge(GuardSettings(per_hour_cloud=0), candidate(), (), NONE, NOW), Propose)


def test_a_bare_switch_without_projects_is_held_by_host_and_cloud_only() -> None:
    batch = [candidate(f"s{i}", project="", host="h") for i in range(30)]
    found = judge_all(SETTINGS, batch, (), NONE, NOW).judgements
    assert Counter(map(type, found)) == {Allow: 20, Propose: 10}


def test_ten_thousand_at_once() -> None:
    batch = [candidate(f"s{i}", f"p{i % 1000}", f"h{i % 200}") for i in range(10_000)]
    exemptions = [exemption(Scope(subjects=(f"s{i}",))) for i in range(0, 2000, 2)]
    ruling = judge_all(SETTINGS, batch, exemptions, Imposed(7, {"p1": 10}, {"h3": 20}), NOW)
    found = Counter(map(type, ruling.judgements))
    assert found == {Refuse: 1000, Allow: 93, Propose: 8907}
    allowed = [c.subject for c, j in zip(batch, ruling.judgements, strict=True) if isinstance(j, Allow)]
    assert not any(s.project == "p1" or s.host == "h3" for s in allowed)
    assert ruling.notice.count("8907") == 1


@pytest.mark.parametrize(
    ("projects", "hosts", "allowed"), [(1, 100, 10), (100, 1, 20), (100, 100, 100), (3, 3, 30)]
)
def test_the_batch_itself_counts(projects: int, hosts: int, allowed: int) -> None:
    batch = [candidate(f"s{i}", f"p{i % projects}", f"h{i % hosts}") for i in range(1000)]
    found = judge_all(SETTINGS, batch, (), NONE, NOW).judgements
    assert sum(isinstance(j, Allow) for j in found) == allowed


def test_batch_by_batch_is_the_same_as_all_at_once() -> None:
    batch = [candidate(f"s{i}", f"p{i % 7}", f"h{i % 5}") for i in range(300)]
    at_once = judge_all(SETTINGS, batch, (), NONE, NOW).judgements
    imposed, one_by_one = NONE, []
    for one in batch:
        found = judge(SETTINGS, one, (), imposed, NOW)
        one_by_one.append(found)
        if isinstance(found, Allow):
            who = one.subject
            imposed = Imposed(
                imposed.cloud + 1,
                imposed.projects | {who.project: imposed.projects.get(who.project, 0) + 1},  # type: ignore[operator]
                imposed.hosts | {who.host: imposed.hosts.get(who.host, 0) + 1},  # type: ignore[operator]
            )
    assert tuple(one_by_one) == at_once


def test_one_loud_notice_an_hour() -> None:
    full = Imposed(cloud=100)
    said = [
        bool(judge_all(SETTINGS, [candidate()], (), full, NOW, last).notice)
        for last in (float("-inf"), NOW - 1, NOW - 3599, NOW - 3600, NOW + 50)
    ]
    assert said == [True, False, False, True, True]
    assert judge_all(SETTINGS, [candidate()], (), NONE, NOW).notice == ""


# --- the ladder --------------------------------------------------------------------------------

DROP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
LADDER = (Step((), 60), Step((DROP,), 3600), Step((DROP,), 7200))
POLICY = Policy("p", (), LADDER, backoff=3, max_duration=100_000)


@pytest.mark.parametrize(
    ("offence", "rung", "duration"),
    [
        (1, 0, 60),
        (2, 1, 3600),
        (3, 2, 7200),
        (4, 2, 21_600),
        (5, 2, 64_800),
        (6, 2, 100_000),
        (10**6, 2, 100_000),
    ],
)
def test_the_ladder(offence: int, rung: int, duration: float) -> None:
    assert step(POLICY, offence) == Step(LADDER[rung].actions, duration)


def test_the_ladders_ends() -> None:
    assert step(POLICY, 0) == LADDER[0]
    assert step(replace(POLICY, backoff=1), 10**9).duration == 7200
    assert step(replace(POLICY, max_duration=1000), 2).duration == 1000
    with pytest.raises(Malformed):
        step(replace(POLICY, ladder=()), 1)

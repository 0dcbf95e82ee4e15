"""What the keeper decides by itself, over a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sekisho.app import denials, rules
from sekisho.app.cloud import CloudSettings
from sekisho.app.keeper import Keeper
from sekisho.app.settings import KeeperSettings
from sekisho.detect.guard import GuardSettings
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.cloud import Cloud, CloudPort, Plan, Project
from sekisho.model.errors import Forbidden, Malformed
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.policy import Baseline, Direction, Drop, Mode, Policy, Protocol, Scope
from sekisho.model.report import CollectorReport, ExporterReport, Talker
from sekisho.model.restriction import State

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
ALICE = Principal("alice", Role.OPERATOR)
SETTINGS = KeeperSettings(guard=GuardSettings(subjects=("gateway",)), proposal_life=3600.0)


@dataclass
class Office:
    """A keeper and its ledger, and time in the test's hands."""

    folder: Path
    up: float = 1000.0

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder / "ledger.db")
        clock = Clock(lambda: 1e9 + self.up, lambda: self.up, "boot")
        self.keeper = Keeper(SETTINGS, self.ledger, clock, lambda: ((), (Baseline("closed", (SMTP,)),)))
        here = (Subject("vm", "h1"), Subject("gateway", "h1"))
        self.keeper.report_host(ALICE, HostReport(Host("h1"), here))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.ledger.close()


def test_infrastructure_is_bound_by_nobody_not_even_by_hand_or_baseline(office: Office) -> None:
    with pytest.raises(Forbidden, match="infrastructure"):
        office.keeper.impose(ALICE, "gateway", (SMTP,), "a slip", 60.0, "")
    (baseline,) = office.keeper.program("h1").baselines
    assert baseline.scope.matches(Subject("vm", "h1"))
    assert not baseline.scope.matches(Subject("gateway", "h1"))


def test_a_flood_of_denials_neither_fills_the_journal_nor_goes_unseen(office: Office) -> None:
    for i in range(10 * denials.KINDS):
        office.keeper.denied(f"2001:db8::{i:x}", "GET /v1/status", "no token")
    office.up += 61
    office.keeper.denied("mallory", "GET /v1/status", "no token")
    told = [e.author for e in office.ledger.journal(limit=1000).items if e.verb == "deny"]
    assert len(told) == denials.KINDS + 2
    assert told[0] == "mallory"
    assert "others" in told
    assert office.keeper.totals["denied_total"] == 10 * denials.KINDS + 1


def test_a_proposal_that_nobody_says_yes_to_ends(office: Office) -> None:
    now = office.keeper.status().now
    made = office.ledger.propose("vm", (SMTP,), "crossed", "policy:x", 60.0, now, policy="x")
    office.up += 3590
    office.keeper.tick()
    assert office.keeper.restriction(made.id).state is State.PROPOSED
    office.up += 20
    office.keeper.tick()
    assert office.keeper.restriction(made.id).state is State.REJECTED


def test_an_exemption_of_nobody_in_particular_is_refused(office: Office) -> None:
    with pytest.raises(Malformed, match="everybody"):
        office.keeper.exempt(ALICE, Scope(), "oops", 60.0, (), "")


def test_a_policy_file_broken_while_the_keeper_was_away_frees_nobody(office: Office) -> None:
    """What was in force stays, its baselines too: else every restart with a mistake would open all ports."""

    def broken() -> tuple[tuple[Policy, ...], tuple[Baseline, ...]]:
        raise Malformed("policies", problems=("spam.toml:3: a mistake",))

    clock = Clock(lambda: 1e9 + office.up, lambda: office.up, "boot")
    again = Keeper(SETTINGS, office.ledger, clock, broken)
    again.report_host(ALICE, HostReport(Host("h1"), (Subject("vm", "h1"),)))
    assert [b.name for b in again.program("h1").baselines] == ["closed"]
    assert "policies: spam.toml:3: a mistake" in again.status().degraded


def test_a_port_that_is_none_is_told_to_no_host(office: Office) -> None:
    office.keeper.report_collector(ALICE, CollectorReport("c", 0.0, exact_ports=(-1, 0, 25, 65_536)))
    assert office.keeper.program("h1").exact_ports == (25,)


def test_a_counter_beyond_all_measure_takes_no_metrics_down(office: Office) -> None:
    odd = ExporterReport("192.0.2.1", "sflow", datagrams=10**400)
    office.keeper.report_collector(ALICE, CollectorReport("c", 0.0, exporters=(odd,)))
    assert office.keeper.metrics()


def test_metrics_escape_what_names_may_hold(office: Office) -> None:
    office.keeper.report_collector(ALICE, CollectorReport('a"b\\c\n', 0.0, counters={"x": 1.0}))
    assert 'sekisho_collector_count{collector="a\\"b\\\\c\\n",name="x"}' in office.keeper.metrics()


# --- ages ------------------------------------------------------------------------------------------


@dataclass
class YoungOnly(Office):
    """A keeper whose one baseline is for projects younger than 30 days."""

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder / "ledger.db")
        clock = Clock(lambda: 1e9 + self.up, lambda: self.up, "boot")
        scope = Scope(younger=30 * 86400.0)
        self.keeper = Keeper(SETTINGS, self.ledger, clock, lambda: ((), (Baseline("young", (SMTP,), scope),)))

    def binds(self, *subjects: Subject) -> bool:
        self.keeper.report_host(ALICE, HostReport(Host("h1"), subjects))
        (baseline,) = self.keeper.program("h1").baselines
        return baseline.scope.matches(subjects[0])


def test_a_project_that_becomes_old_enough_changes_its_host_by_itself(tmp_path: Path) -> None:
    office = YoungOnly(tmp_path)
    vm, other = Subject("vm", "h1", "acme"), Subject("vm2", "h2", "umbrella")
    office.keeper.report_host(ALICE, HostReport(Host("h2"), (other,)))
    born = 1e9 + office.up - 30 * 86400.0 + 100.0
    office.keeper.take_cloud(Cloud(projects=(Project("acme", "Acme", born),)))
    assert office.binds(vm)
    heard: list[str] = []
    office.keeper.listen(heard.append)
    office.up += 99.0
    office.keeper.tick()
    assert heard == []
    office.up += 1.5
    office.keeper.tick()
    assert heard == ["host:h1"]
    assert not office.binds(vm)
    office.ledger.close()


def test_projects_known_at_the_first_list_are_old_and_later_ones_new(tmp_path: Path) -> None:
    """Rolling out binds nobody by surprise; whoever signs up from then on is young."""
    office = YoungOnly(tmp_path)
    acme, late = Subject("vm", "h1", "acme"), Subject("vm2", "h1", "late")
    assert office.binds(acme), "nobody has said yet how old it is"
    office.keeper.take_cloud(Cloud(projects=(Project("acme"),)))
    assert not office.binds(acme)
    office.up += 60.0
    office.keeper.take_cloud(Cloud(projects=(Project("acme"), Project("late"))))
    assert office.binds(late, acme)
    office.up += 30 * 86400.0
    office.keeper.tick()
    assert not office.binds(late, acme)
    office.ledger.close()


def test_what_the_sign_up_wrote_counts_before_what_the_keeper_saw(tmp_path: Path) -> None:
    office = YoungOnly(tmp_path)
    office.keeper.take_cloud(Cloud(projects=(Project("acme", created=1e9),)))
    assert office.binds(Subject("vm", "h1", "acme"))
    office.ledger.close()


def test_it_tells_when_the_cloud_was_last_listed(office: Office) -> None:
    assert "sekisho_cloud_ports" not in office.keeper.metrics()
    office.keeper.begin_list()
    office.keeper.take_cloud(Cloud(ports=(CloudPort("vm", "acme"),), projects=(Project("acme"),)))
    metrics = office.keeper.metrics()
    assert (metrics["sekisho_cloud_ports"], metrics["sekisho_cloud_listed_seconds"]) == (1, 1e9 + office.up)


class Sold(Office):
    """A keeper with a baseline for a plan by its name, and one by its id."""

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder / "ledger.db")
        clock = Clock(lambda: 1e9 + self.up, lambda: self.up, "boot")
        self.baselines: tuple[Baseline, ...] = (
            Baseline("bronze-no-smtp", (SMTP,), Scope(qos=("bronze",))),
            Baseline("by-id", (SMTP,), Scope(qos=(PLAN,))),
        )
        self.keeper = Keeper(self.settings, self.ledger, clock, lambda: ((), self.baselines))

    @property
    def settings(self) -> KeeperSettings:
        return SETTINGS

    @property
    def told(self) -> list[str]:
        return [d for d in self.keeper.status().degraded if "plan" in d]


class Asking(Sold):
    """The same, and the settings name a cloud."""

    @property
    def settings(self) -> KeeperSettings:
        return replace(SETTINGS, cloud=CloudSettings("sekisho"))


PLAN = "6d6a1f0e-0a4e-4c7e-9c0f-2b1d6a7d9f01"


def test_a_plan_by_its_name_that_nobody_tells_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    office = Sold(tmp_path)
    [sentence] = office.told
    assert sentence.startswith("baseline bronze-no-smtp: nobody tells which plan 'bronze' is")
    assert "[keeper.cloud]" in sentence
    assert office.keeper.metrics()["sekisho_scopes_unknown"] == 1
    office.keeper.reload_policies(ALICE)
    assert [r.message for r in caplog.records if "bronze" in r.message] == [sentence], "once, not each time"
    office.baselines = office.baselines[1:]
    office.keeper.reload_policies(ALICE)
    assert office.told == []
    office.ledger.close()


def test_a_plan_that_the_cloud_does_not_have_is_said(tmp_path: Path) -> None:
    office = Asking(tmp_path)
    assert office.told == [], "the cloud has not been listed yet"
    office.keeper.take_cloud(Cloud(plans=(Plan(PLAN, "gold"),)))
    assert office.told == ["baseline bronze-no-smtp: the cloud has no plan 'bronze'"]
    office.keeper.take_cloud(Cloud(plans=(Plan(PLAN, "gold", ("bronze",)),)))
    assert office.told == []
    office.keeper.take_cloud(Cloud(plans=(Plan("other", "bronze"),)))
    assert office.told == [f"baseline by-id: the cloud has no plan '{PLAN}'"]
    office.ledger.close()


class Ruling(Office):
    """An office whose policy file the test writes."""

    def __post_init__(self) -> None:
        self.text = '[policy.p]\n[[policy.p.when]]\ndetector = "egress-bytes"\nthreshold = "1 MB/s"\n'
        self.text += '[[policy.p.then]]\nlimit = "1 Mbit/s"\nfor = "1h"\n'
        self.ledger = Ledger(self.folder / "ledger.db")
        self.start()

    def start(self) -> None:
        (self.folder / "policies").mkdir(exist_ok=True)
        (self.folder / "policies/a.toml").write_text(self.text)
        clock = Clock(lambda: 1e9 + self.up, lambda: self.up, "boot")
        self.keeper = Keeper(SETTINGS, self.ledger, clock, rules.folder(str(self.folder / "policies")))

    @property
    def modes(self) -> dict[str, str]:
        return {p.name: p.mode.value for p in self.keeper.policies().policies.policies}


def test_a_mode_that_was_turned_holds_over_the_file_and_across_restarts(tmp_path: Path) -> None:
    office = Ruling(tmp_path)
    office.keeper.set_mode(ALICE, "p", Mode.ENFORCE, "It is time.", None)
    version = office.keeper.policies().policies.version
    office.text, office.up = office.text.replace("1 MB/s", "2 MB/s"), office.up + 1
    office.start()
    assert office.modes == {"p": "enforce"}
    assert office.keeper.policies().policies.policies[0].conditions[0].threshold.text == "2 MB/s"
    assert office.keeper.policies().policies.version >= version
    # And where the file is broken from the start, what stays is the file's last word with what was turned.
    office.text = "broken"
    office.start()
    (turned,) = office.keeper.policies().overrides
    assert (office.modes, turned.written) == ({"p": "enforce"}, Mode.WATCH)
    office.keeper.set_mode(ALICE, "p", None, "Enough.", None)
    office.start()
    assert office.modes == {"p": "watch"}
    office.ledger.close()


def test_a_policy_that_left_the_files_comes_back_as_they_say(tmp_path: Path) -> None:
    office = Ruling(tmp_path)
    text = office.text
    office.keeper.set_mode(ALICE, "p", Mode.ENFORCE, "It is time.", None)
    (tmp_path / "policies/a.toml").write_text("")
    assert office.keeper.reload_policies(ALICE).overrides == ()
    told = [e for e in office.keeper.journal("", "", 10, "").items if e.verb == "mode"]
    assert [e.reason for e in told] == ["The policy is in no file any more.", "It is time."]
    (tmp_path / "policies/a.toml").write_text(text)
    office.keeper.reload_policies(ALICE)
    assert office.modes == {"p": "watch"}
    office.ledger.close()


def test_a_mode_that_its_file_comes_to_say_is_turned_no_more(tmp_path: Path) -> None:
    office = Ruling(tmp_path)
    file = tmp_path / "policies/a.toml"
    enforcing = office.text.replace("[policy.p]", '[policy.p]\nmode = "enforce"')
    file.write_text(enforcing)
    office.keeper.reload_policies(ALICE)
    office.keeper.set_mode(ALICE, "p", Mode.WATCH, "The line is too low.", None)
    office.keeper.reload_policies(ALICE)
    assert office.modes == {"p": "watch"}, "a reload alone ends nothing"
    file.write_text(office.text)  # without a mode a policy watches
    version = office.keeper.policies().policies.version
    assert office.keeper.reload_policies(ALICE).overrides == ()
    assert office.keeper.policies().policies.version > version
    ended = next(e for e in office.keeper.journal("", "", 9, "").items if e.verb == "mode")
    assert ended.reason == "Its file says the same now."
    file.write_text(enforcing)
    office.keeper.reload_policies(ALICE)
    assert office.modes == {"p": "enforce"}, "the file's word counts again"
    office.ledger.close()


def test_what_a_silent_collector_said_last_is_not_the_present(office: Office) -> None:
    office.keeper.report_collector(ALICE, CollectorReport("c1", 0.0, talkers=(Talker("vm", 8e6),)))
    office.up += 30
    office.keeper.report_collector(ALICE, CollectorReport("c2", 0.0, talkers=(Talker("gateway", 8e3),)))
    assert [t.subject for t in office.keeper.top("egress_bps", 9)] == ["vm", "gateway"]
    office.up += 40
    assert [t.subject for t in office.keeper.top("egress_bps", 9)] == ["gateway"]
    assert office.keeper.explain("vm").talker is None

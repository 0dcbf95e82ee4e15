"""Clock steps, seen by the keeper: nobody is freed early, nobody is held late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sekisho.app.keeper import Keeper
from sekisho.app.keeper_process import resumed
from sekisho.app.settings import KeeperSettings
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Issuer, Principal, Role
from sekisho.model.errors import Unauthenticated, Unavailable
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.policy import Direction, Drop, Protocol, Scope
from sekisho.model.restriction import State

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
ALICE = Principal("alice", Role.OPERATOR)


@dataclass
class Machine:
    """A machine with two clocks, a ledger on its disk and a keeper that may be started again."""

    folder: Path
    wall: float = 1_700_000_000.0
    up: float = 1000.0

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder / "ledger.db")
        self.start()

    def start(self) -> None:
        clock = resumed(self.ledger, Clock(lambda: self.wall, lambda: self.up, "boot"))
        self.keeper = Keeper(KeeperSettings(), self.ledger, clock, lambda: ((), ()))
        self.keeper.report_host(ALICE, HostReport(Host("h1"), (Subject("p1", "h1"),)))

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds
        self.keeper.tick()

    def remaining(self) -> float:
        (binding,) = self.keeper.program("h1").bindings
        return binding.remaining


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.ledger.close()


@pytest.mark.parametrize("step", [86_400.0, -86_400.0, 3.0, -3.0])
def test_a_step_of_the_clock_neither_frees_nor_holds_anyone(machine: Machine, step: float) -> None:
    entry = machine.keeper.impose(ALICE, "p1", (SMTP,), "test", 100.0, "")
    machine.pass_time(40)
    machine.wall += step
    machine.pass_time(10)
    assert machine.remaining() == pytest.approx(50, abs=0.1)
    machine.pass_time(49)
    assert machine.keeper.restriction(entry.id).state is State.ACTIVE
    machine.pass_time(2)
    assert machine.keeper.restriction(entry.id).state is State.EXPIRED


@pytest.mark.parametrize("step", [30 * 86_400.0, -30 * 86_400.0])
def test_a_step_ends_no_exemption_token_or_proposal_and_revives_none(machine: Machine, step: float) -> None:
    keeper, ledger = machine.keeper, machine.ledger
    keeper.exempt(ALICE, Scope(subjects=("p1",)), "ours", 7200.0, (), "")
    _, lasting = keeper.create_token(ALICE, "agent", Role.AGENT, "", 7200.0)
    _, ended = keeper.create_token(ALICE, "old", Role.AGENT, "", 10.0)
    proposal = ledger.propose("p1", (SMTP,), "crossed", "policy:x", 60.0, machine.wall, policy="x")
    machine.pass_time(3600)
    machine.wall += step
    machine.pass_time(1)
    assert len(keeper.exemptions()) == 1
    assert keeper.authenticate(lasting, Issuer.SEKISHO).name == "agent"
    with pytest.raises(Unauthenticated):
        keeper.authenticate(ended, Issuer.SEKISHO)
    assert keeper.restriction(proposal.id).state is State.PROPOSED
    machine.pass_time(3600)
    assert keeper.exemptions() == ()
    with pytest.raises(Unauthenticated):
        keeper.authenticate(lasting, Issuer.SEKISHO)


def test_a_step_back_does_not_fill_the_guard_s_hour(machine: Machine) -> None:
    now = machine.wall
    machine.ledger.impose("p1", (SMTP,), "", "policy:x", 1e6, now, automatic=True, policy="x", host="h1")
    machine.pass_time(7200)
    machine.wall -= 86_400
    machine.pass_time(1)
    assert machine.ledger.imposed_since(machine.wall - 3600).cloud == 0


@pytest.mark.parametrize("step", [7200.0, -7200.0])
def test_a_step_while_the_keeper_was_away_is_made_good_when_it_starts(machine: Machine, step: float) -> None:
    machine.keeper.impose(ALICE, "p1", (SMTP,), "test", 100.0, "")
    machine.wall += 30 + step
    machine.up += 30
    machine.start()
    machine.pass_time(1)
    assert machine.remaining() == pytest.approx(69, abs=0.1)


def test_a_step_is_followed_once_even_if_the_ledger_was_away_at_first(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.keeper.impose(ALICE, "p1", (SMTP,), "test", 100.0, "")

    def locked(*_: object, **__: object) -> None:
        raise Unavailable("locked")

    with monkeypatch.context() as patch:
        patch.setattr(machine.ledger, "shift", locked)
        machine.wall += 5000
        with pytest.raises(Unavailable):
            machine.keeper.tick()
    for _ in range(3):
        machine.pass_time(1)
    assert machine.remaining() == pytest.approx(97, abs=0.1)


def test_the_step_is_in_the_journal(machine: Machine) -> None:
    machine.keeper.impose(ALICE, "p1", (SMTP,), "test", 100.0, "")
    machine.wall += 60
    machine.keeper.tick()
    assert "shift" in {e.verb for e in machine.keeper.journal("", "", 10, "").items}

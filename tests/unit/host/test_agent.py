"""The agent's loop, with a switch, ports and a keeper that the test holds in its hands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from sekisho.devices.vswitch.openflow import Overtaken
from sekisho.host.agent import Agent, AgentSettings
from sekisho.host.clock import Clock
from sekisho.host.memory import Memory
from sekisho.model.errors import Conflict, NotFound, Unavailable
from sekisho.model.inventory import HostReport, Subject, Telemetry
from sekisho.model.policy import Baseline, Direction, Drop, Protocol, Scope
from sekisho.model.report import HostProgram
from sekisho.model.restriction import Binding, Receipt

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
PORT = Subject("p1", "h1", bridge="br-int", ofport=3)


class Switch:
    bridge = "br-int"

    def __init__(self) -> None:
        self.carried: list[tuple[tuple[Subject, ...], Memory, float]] = []
        self.broken = False
        self.errors: list[Exception] = []
        self.hastes = True
        self.hastened: list[tuple[Subject, tuple[Subject, ...], Memory, float]] = []

    def carry(self, subjects: Sequence[Subject], memory: Memory, now: float) -> tuple[Receipt, ...]:
        if self.broken:
            raise Unavailable("The switch does not answer.")
        if self.errors:
            raise self.errors.pop()
        self.carried.append((tuple(subjects), memory, now))
        return tuple(Receipt(h.binding.restriction, "p1", "h1", True, now) for h in memory.held)

    def hasten(self, subject: Subject, subjects: Sequence[Subject], memory: Memory, now: float) -> bool:
        if self.broken:
            raise Unavailable("The switch does not answer.")
        self.hastened.append((subject, tuple(subjects), memory, now))
        return self.hastes

    def export(self, templates: float) -> Telemetry:
        return Telemetry("br-int", "sflow", 400, 0, int(templates))


class Ports:
    def __init__(self) -> None:
        self.here: tuple[Subject, ...] = (PORT,)

    def subjects(self) -> tuple[Subject, ...]:
        return self.here

    def listen(self, callback: Callable[[bool], None]) -> None: ...

    def close(self) -> None: ...


class Keeper:
    """Answers as the client would."""

    def __init__(self) -> None:
        self.answer: HostProgram | Exception = HostProgram("h1", 1)
        self.reports: list[HostReport] = []
        self.receipts_: list[tuple[int, tuple[Receipt, ...], str]] = []

    def report_host(self, report: HostReport) -> HostProgram:
        self.reports.append(report)
        return self._answer()

    def program(self, _host: str, revision: int, _wait: float) -> HostProgram | None:
        answer = self._answer()
        return None if answer.revision == revision else answer

    def receipts(self, _host: str, applied: int, receipts: tuple[Receipt, ...], problem: str) -> None:
        self.receipts_.append((applied, receipts, problem))

    def _answer(self) -> HostProgram:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Host:
    """One agent with everything around it; nothing runs but what the test calls."""

    def __init__(self, folder: Path) -> None:
        self.up = 1000.0
        self.switch, self.ports, self.keeper = Switch(), Ports(), Keeper()
        self.switches = [self.switch]
        self.settings = AgentSettings(host="h1", state=str(folder))
        self.start()

    def start(self) -> None:
        clock = Clock(lambda: 1e9 + self.up, lambda: self.up, "boot")
        self.agent = Agent(self.settings, cast("Any", self.keeper), clock, self.ports, self.switches)
        self.agent.recall()

    def bind(self, remaining: float = 100.0, revision: int = 2) -> None:
        binding = Binding("r1", "p1", (SMTP,), remaining)
        self.keeper.answer = HostProgram("h1", revision, (binding,))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_without_a_word_from_the_keeper_nothing_on_the_switch_is_touched(host: Host) -> None:
    host.agent.converge()
    assert host.switch.carried == []


def test_what_the_keeper_says_is_carried_until_its_end_by_our_own_clock(host: Host) -> None:
    host.agent.converge()
    host.bind()
    host.agent.report()
    host.up += 5
    host.agent.converge()
    subjects, memory, now = host.switch.carried[-1]
    assert subjects == (PORT,)
    assert memory.held[0].deadline == 1100.0
    assert now == 1005.0
    assert host.keeper.reports[0].subjects == (PORT,)


def test_a_restarted_agent_carries_on_without_the_keeper(host: Host) -> None:
    host.agent.converge()
    host.bind()
    host.agent.report()
    host.keeper.answer = Unavailable("away")
    host.up += 50
    host.start()
    host.agent.converge()
    assert host.switch.carried[-1][1].held[0].deadline == 1100.0


def test_a_keeper_that_restarted_is_told_of_us_before_it_is_asked_again(host: Host) -> None:
    host.agent.converge()
    host.agent.report()
    host.keeper.answer = NotFound("not reported")
    host.agent.follow()
    host.bind()
    host.agent.report()
    assert len(host.keeper.reports) == 2


def test_receipts_tell_what_is_carried_and_what_went_wrong(host: Host) -> None:
    host.agent.converge()
    host.bind()
    host.agent.report()
    host.agent.converge()
    host.agent.send_receipts()
    applied, receipts, problem = host.keeper.receipts_[-1]
    assert (applied, problem) == (2, "")
    assert [r.restriction for r in receipts] == ["r1"]
    host.switch.broken = True
    host.agent.converge()
    host.agent.send_receipts()
    assert host.keeper.receipts_[-1][2] == "The switch does not answer."


def test_it_wakes_for_the_next_end_and_looks_more_often_while_something_is_held(host: Host) -> None:
    assert host.agent.idle() == 30.0
    host.agent.converge()
    host.bind(remaining=2.0)
    host.agent.report()
    assert host.agent.idle() == 2.0
    host.bind(remaining=100.0, revision=3)
    host.agent.follow()
    assert host.agent.idle() == 5.0


def test_a_bridge_in_trouble_keeps_no_other_from_being_right_nor_the_host_from_being_known(
    host: Host,
) -> None:
    """Somebody else's flow export on one bridge must not switch enforcement off on all of them."""
    host.agent.converge()
    host.bind()
    host.agent.report()
    first, second = Switch(), Switch()
    second.bridge = "br-two"

    def conflict(_templates: float) -> Telemetry:
        raise Conflict("Bridge br-int exports sflow already, set up by somebody else.")

    first.export = conflict  # type: ignore[method-assign, assignment]
    host.switches = [first, second]
    host.start()
    host.agent.converge()
    assert first.carried
    assert second.carried
    host.agent.report()
    assert host.keeper.reports[-1].subjects == (PORT,)
    host.agent.send_receipts()
    applied, receipts, problem = host.keeper.receipts_[-1]
    assert applied == 0
    assert [r.restriction for r in receipts] == ["r1", "r1"]
    assert "somebody else" in problem


def test_what_fails_is_tried_again_less_and_less_often_but_an_event_still_wakes(host: Host) -> None:
    host.switch.broken = True
    host.agent.converge()
    host.bind()
    host.agent.report()
    waits = []
    for _ in range(8):
        host.agent.converge()
        waits.append(host.agent.idle())
    assert waits == sorted(waits)
    assert waits[0] == 0.05
    assert waits[-1] == 2.0


def test_an_answer_that_was_overtaken_by_a_newer_one_is_not_learnt(host: Host) -> None:
    """The report's answer was written before a restriction of which the long poll has told meanwhile."""
    host.agent.converge()
    stale = HostProgram("h1", 2)

    def slow(_report: HostReport) -> HostProgram:
        host.bind(revision=3)
        host.agent.follow()
        return stale

    host.keeper.report_host = slow  # type: ignore[method-assign, assignment]
    host.agent.report()
    host.agent.converge()
    assert [h.binding.restriction for h in host.switch.carried[-1][1].held] == ["r1"]


def test_a_signal_ends_a_resting_agent_long_before_it_would_look_again(host: Host) -> None:
    running = threading.Thread(target=host.agent.run, daemon=True)
    running.start()
    while not host.switch.carried:  # it has learnt its program, and rests
        host.agent.stop.wait(0.01)
    host.agent.stop.set()
    running.join(5.0)
    assert not running.is_alive()


def test_whoever_wires_ports_learns_whom_anything_binds(host: Host) -> None:
    other = Subject("p2", "h1", project="acme", bridge="br-int", ofport=4)
    assert not host.agent.binds(PORT)  # nothing is known yet
    host.bind()
    host.agent.follow()
    assert host.agent.binds(PORT)
    assert not host.agent.binds(other)
    host.keeper.answer = HostProgram("h1", 3, baselines=(Baseline("b", (SMTP,), Scope(projects=("acme",))),))
    host.agent.follow()
    assert host.agent.binds(other)
    assert not host.agent.binds(PORT)


def test_a_port_is_carried_only_as_it_was_when_the_switch_was_made_right(host: Host) -> None:
    assert not host.agent.carries(PORT)
    host.agent.converge()
    assert host.agent.carries(PORT)
    assert not host.agent.carries(replace(PORT, ofport=9))
    host.bind()
    host.agent.follow()
    host.switch.broken = True
    host.ports.here = (replace(PORT, ofport=9),)
    host.agent.converge()
    assert not host.agent.carries(host.ports.here[0])


def test_whoever_must_not_go_on_waits_for_a_look_that_began_after_it_asked(host: Host) -> None:
    assert not host.agent.carry_soon(0.01)  # nobody looks
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(host.agent.carry_soon, 10.0)
        while not waiting.done():
            host.agent.converge()
        assert waiting.result()


def test_a_nudge_asks_the_keeper_at_once(host: Host) -> None:
    host.agent.converge()
    host.agent.report()
    host.bind()
    host.agent.nudge()
    host.agent.report()  # would wait for 30 s
    assert host.agent.binds(PORT)


def test_one_port_is_bound_ahead_and_the_switch_looked_at_after(host: Host) -> None:
    host.bind()
    host.agent.follow()
    host.agent.converge()
    moved = replace(PORT, ofport=9)
    assert host.agent.hasten(moved, (moved, replace(PORT, id="p2", bridge="br-ex")))
    (subject, subjects, memory, now), *_ = host.switch.hastened
    assert (subject, subjects, now) == (moved, (moved,), 1000.0)
    assert [h.binding.restriction for h in memory.held] == ["r1"]
    assert host.agent.carries(moved)


def test_a_port_that_cannot_be_bound_ahead_waits_for_the_rest(host: Host) -> None:
    assert not host.agent.hasten(PORT, (PORT,))  # nothing is known yet
    host.bind()
    host.agent.follow()
    assert not host.agent.hasten(replace(PORT, bridge="br-ex"), ())
    host.switch.hastes = False
    assert not host.agent.hasten(PORT, (PORT,))
    host.switch.broken = True
    assert not host.agent.hasten(PORT, (PORT,))
    assert not host.agent.carries(PORT)


def test_a_look_that_was_overtaken_is_no_failure_and_is_taken_again_at_once(host: Host) -> None:
    host.bind()
    host.agent.follow()
    host.switch.errors = [Overtaken("A port was bound meanwhile.")]
    before = host.agent.idle()
    host.agent.converge()
    assert host.agent.idle() == before
    assert host.switch.carried == []
    assert not host.agent.carries(PORT)
    host.agent.converge()
    assert len(host.switch.carried) == 1
    assert host.agent.carries(PORT)
    assert host.agent.troubles.counts == {}


def test_what_was_bound_ahead_is_forgotten_with_all_else_once_a_look_fails(host: Host) -> None:
    host.bind()
    host.agent.follow()
    host.agent.converge()
    moved = replace(PORT, ofport=9)
    assert host.agent.hasten(moved, (moved,))
    host.switch.broken = True
    host.agent.converge()
    assert not host.agent.carries(moved)

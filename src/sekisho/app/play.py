"""Plays a scenario in the lab: starts its programs, tells the story, and measures what came of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sekisho
from sekisho.lab import measure
from sekisho.lab.record import attempts, events, volumes
from sekisho.lab.scenario import INTERNET, INTERNET_NETWORKS
from sekisho.lab.story import Row, Story
from sekisho.lab.watch import RuleEvent, Witness
from sekisho.model.errors import SekishoError
from sekisho.model.policy import Drop, Police
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from sekisho.app.lab import Lab
    from sekisho.lab.measure import Result
    from sekisho.lab.scenario import Actor, Bound, Machine, Scenario
    from sekisho.model.policy import Action
    from sekisho.model.restriction import JournalEntry, Restriction

# The lines of the lab's spam policy (lab/policies.toml), to find the moment that they were crossed.
SPAM_LINE, SPAM_SPREAD, SPAM_WINDOW = 30, 15, 5.0
# How much later than its end by the ledger a rule may go: a timeout is whole seconds, rounded up.
LATE: Final = 2.0
# The story is told so much later, when all who saw a thing have been heard.
SETTLED: Final = 0.6
EARLY: Final = 0.5


@dataclass(slots=True)
class Play:
    """One scenario being played in a lab that runs."""

    lab: Lab
    scenario: Scenario
    story: Story
    stop: threading.Event
    began: float = 0.0
    _programs: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _ports: dict[int, str] = field(default_factory=dict)
    _told: int = 0
    _standing: set[str] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        """Where the programs write what they did."""
        return self.lab.folder / "traffic"

    @property
    def bridge(self) -> str:
        """The bridge all VMs are on."""
        return self.lab.settings.hosts[0].bridge

    def run(self) -> Result:
        """Play to the end, or until `stop`; then measure."""
        self.folder.mkdir(exist_ok=True)
        self._plug(self.scenario.internet)
        self._start_internet()
        for machine in self.scenario.machines:
            self._plug(machine)
        here = len(self.scenario.machines)
        self.lab.wait(lambda: self._seen() >= here, "every VM to be in the inventory")
        witness = Witness(self.lab.switch, self.bridge, self._tell_rule)
        self.began = self.story.began = time.monotonic()
        try:
            self._go_on()
            self._tell_journal()
            return self._measure(witness)
        finally:
            self._end_programs()
            witness.stop()

    def _seen(self) -> int:
        return sum(1 for s in self.lab.client.subjects() if s.ofport)

    # --- programs --------------------------------------------------------------------------------

    def _plug(self, machine: Machine) -> None:
        vm = self.lab.switch.plug_vm(
            machine.name,
            self.bridge,
            mac=machine.mac,
            addresses=machine.addresses,
            vlan=machine.vlan,
            gateway=machine.gateway,
            identity=machine.identity,
        )
        self._ports[self.lab.switch.ofport(vm.name)] = vm.name

    def _start_internet(self) -> None:
        words = [w for network in INTERNET_NETWORKS for w in ("--network", network)]
        log = self.folder / f"{INTERNET}.jsonl"
        python = [sys.executable, "-m", "sekisho.lab.traffic", "internet", "--out", str(log)]
        self._popen(INTERNET, [*python, "--seconds", str(self.scenario.duration + 60), *words])
        self.lab.wait(lambda: any(e["event"] == "ready" for e in events(log)), "the internet to be there")

    def _popen(self, vm: str, argv: list[str]) -> None:
        source = str(Path(sekisho.__file__).parent.parent)
        env = {**self.lab.switch.environment, "PYTHONPATH": source}
        with (self.folder / f"{vm}.err").open("ab") as errors:
            program = self.lab.switch.popen(
                vm, argv, env=env, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
            )
        self._programs.append(program)

    def _go_on(self) -> None:
        """Start each actor when it is due, and look around in between."""
        waiting = sorted(self.scenario.actors, key=lambda a: a.start)
        while (passed := time.monotonic() - self.began) < self.scenario.duration:
            while waiting and waiting[0].start <= passed:
                self._act(waiting.pop(0))
            self._look()
            self.story.flush(time.monotonic() - SETTLED)
            if self.stop.wait(0.25):
                return

    def _act(self, actor: Actor) -> None:
        self._popen(actor.vm, actor.argv(sys.executable, str(self.folder)))
        if actor.sentence:
            self.story.tell(time.monotonic(), actor.vm, actor.sentence)

    def _end_programs(self) -> None:
        for program in self._programs:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGTERM)
        for program in self._programs:
            try:
                program.wait(3.0)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()

    # --- telling ---------------------------------------------------------------------------------

    def _look(self) -> None:
        try:
            self._tell_journal()
            if not self.story.quiet:
                self.story.show(self._rows())
        except SekishoError as error:
            self.story.tell(time.monotonic(), "keeper", error.asker, "lab")

    def _tell_journal(self) -> None:
        fresh = []
        for entry in self.lab.client.journal(limit=100):
            if entry.id <= self._told:
                break
            fresh.append(entry)
        now = self.lab.client.status().now
        for entry in reversed(fresh):
            self._told = max(self._told, entry.id)
            self._tell_entry(entry, time.monotonic() - (now - entry.time))

    def _tell_entry(self, entry: JournalEntry, moment: float) -> None:
        who = entry.subject.removeprefix("port-")
        match entry.verb:
            case "impose":
                made = self.lab.client.restriction(entry.restriction)
                actions = " and ".join(map(_words, made.actions)) or "a warning"
                self.story.tell(moment, who, f"crosses {made.policy}: {entry.reason}", "crossed")
                told = f"written into the ledger as {made.id}: {actions} for {made.duration:g} s"
                self.story.tell(moment, who, told, "crossed")
            case "receipt":
                self.story.tell(moment, who, f"{entry.restriction}: {entry.reason}", "rule")
            case "expire" | "lift":
                made = self.lab.client.restriction(entry.restriction)
                told = f"{made.id} is over; it dropped {made.dropped_packets:,} packets"
                self.story.tell(moment, who, told, "free")
            case "notice" | "propose" | "watch":
                self.story.tell(moment, who or "guard", f"{entry.verb}: {entry.reason}", "crossed")
            case _:
                pass

    def _tell_rule(self, event: RuleEvent) -> None:
        vm = self._ports.get(event.in_port, "")
        if not vm or "tcp_flags" in event.match or "nw_frag" in event.match or not self.began:
            return
        if event.what == "ADDED" and event.match in self._standing:
            return  # renewed with a later end, as the ledger's lines tell
        (self._standing.discard if event.what == "DELETED" else self._standing.add)(event.match)
        if event.what == "DELETED":
            why = "by itself" if event.why == "hard" else "by the agent"
            self.story.tell(event.mono, vm, f"the switch lets go, {why}: {event.match}", "free")
        else:
            self.story.tell(event.mono, vm, f"the switch has a rule: {event.match}", "rule")

    def _rows(self) -> list[Row]:
        client = self.lab.client
        sends = {t.subject: t.egress_bps for t in client.top(limit=100)}
        active = {r.subject: r for r in client.restrictions(states=(State.ACTIVE,)) if r.actions}
        now = client.status().now
        passed = time.monotonic() - self.began
        return [self._row(m, sends, active, now, passed) for m in self.scenario.machines]

    def _row(
        self,
        machine: Machine,
        sends: dict[str, float],
        active: dict[str, Restriction],
        now: float,
        passed: float,
    ) -> Row:
        subject = machine.identity.id if machine.identity else machine.name
        acting = [
            a.sentence for a in self.scenario.actors if a.vm == machine.name and a.start <= passed < a.stop
        ]
        does = next((s for s in acting if s), "is quiet")
        bound = active.get(subject)
        tries = attempts(self.folder / f"{machine.name}-probe.jsonl", 25)[-1:]
        port_25 = ("open" if tries[0].ok else "closed") if tries else ""
        if bound is None:
            return Row(machine.name, does, sends.get(subject, 0.0), port_25=port_25)
        state = " and ".join(map(_words, bound.actions))
        until = f"{max(0.0, bound.until - now):.0f} s more"
        return Row(machine.name, does, sends.get(subject, 0.0), state, until, bound.dropped_packets, port_25)

    # --- measuring -------------------------------------------------------------------------------

    def _measure(self, witness: Witness) -> Result:
        result = measure.Result()
        restrictions = list(self.lab.client.restrictions(limit=1000))
        self._count_false(result, restrictions)
        offset = time.monotonic() - self.lab.client.status().now
        for bound in self.scenario.bound:
            mine = [r for r in restrictions if r.subject == self._subject(bound.vm)]
            self._judge_bound(result, bound, mine, witness, offset)
        return result

    def _subject(self, vm: str) -> str:
        machine = next(m for m in self.scenario.machines if m.name == vm)
        return machine.identity.id if machine.identity else vm

    def _count_false(self, result: Result, restrictions: list[Restriction]) -> None:
        """Count who was bound without being guilty, and whose honest work failed."""
        innocent = {self._subject(vm): vm for vm in self.scenario.untouched}
        for r in restrictions:
            if r.subject in innocent:
                result.false_positives += 1
                result.problems.append(f"{innocent[r.subject]} was bound by {r.policy}: {r.reason}")
        for vm in innocent.values():
            failed = [a for file in self._logs(vm) for a in attempts(file) if not a.ok]
            if failed:
                result.false_positives += 1
                result.problems.append(
                    f"{vm} failed {len(failed)} times, first at {failed[0].address}:{failed[0].port}"
                    f" ({failed[0].problem})"
                )

    def _logs(self, vm: str) -> list[Path]:
        return [self.folder / a.log for a in self.scenario.actors if a.vm == vm]

    def _judge_bound(
        self,
        result: Result,
        bound: Bound,
        mine: list[Restriction],
        witness: Witness,
        offset: float,
    ) -> None:
        in_port = next(p for p, vm in self._ports.items() if vm == bound.vm)
        if not mine:
            result.problems.append(f"{bound.vm} was never bound")
            result.freed = False  # nobody was seen to be freed
            return
        self._check_start(result, bound, min(r.created for r in mine) + offset)
        if bound.detector == "smtp-connections":
            self._time_rule(result, bound, witness, in_port)
        if bound.loses:
            blocked = measure.spans(witness.events, in_port, "tp_dst=25")
            tried = [a for f in self._logs(bound.vm) for a in attempts(f) if "probe" in f.name]
            lost = measure.wrong_tries([a for a in tried if a.port in bound.loses], blocked)
            kept = [a for a in tried if a.port in bound.keeps and not a.ok]
            result.freed = result.freed and not any(not a.ok for a in lost)
            for a in (*lost, *kept):
                what = "got through" if a.ok else f"was not free ({a.problem})"
                result.problems.append(
                    f"{bound.vm}: {a.port} {what} {a.began - self.began:.2f} s into the play"
                )
        if bound.limit:
            self._check_limit(result, bound, measure.spans(witness.events, in_port, "reg13=0/0x2"))
        for r in mine:
            self._check_end(result, bound, r, [e for e in witness.events if e.in_port == in_port], offset)

    def _time_rule(self, result: Result, bound: Bound, witness: Witness, in_port: int) -> None:
        tried = [a for f in self._logs(bound.vm) for a in attempts(f, 25)]
        crossed = measure.crossing(tried, SPAM_LINE, SPAM_SPREAD, SPAM_WINDOW)
        laid = [e.mono for e in measure.about(witness.events, in_port, "tp_dst=25") if e.what == "ADDED"]
        if crossed is None or not laid:
            result.problems.append(f"{bound.vm}: no rule was seen after its line was crossed")
            return
        result.seconds_to_rule.append(laid[0] - crossed)

    def _check_start(self, result: Result, bound: Bound, moment: float) -> None:
        """See that it was bound soon enough after it began."""
        began = min(a.start for a in self.scenario.actors if a.vm == bound.vm and a.role != "probe")
        took = moment - self.began - began
        if took > bound.within:
            result.problems.append(f"{bound.vm} was bound after {took:.1f} s, not within {bound.within:g} s")

    def _check_limit(self, result: Result, bound: Bound, limited: list[measure.Span]) -> None:
        """See at the far end how much came while the limit stood, its first seconds apart."""
        machine = next(m for m in self.scenario.machines if m.name == bound.vm)
        came = volumes(self.folder / f"{INTERNET}.jsonl", machine.addresses[0].partition("/")[0])
        for span in limited:
            rate = measure.rate(came, span.began + 2.0, min(span.ended, time.monotonic()))
            if rate > bound.limit:
                result.problems.append(f"{bound.vm} sent {rate / 1e6:.1f} Mbit/s while it was limited")

    def _check_end(
        self, result: Result, bound: Bound, r: Restriction, seen: list[RuleEvent], offset: float
    ) -> None:
        """See that the switch let go when the ledger says it should, no earlier and no later."""
        if r.state is State.ACTIVE:
            result.freed = False
            result.problems.append(f"{bound.vm} is not free at the end: {r.id}")
            return
        end = r.until + offset
        gone = [e.mono for e in seen if e.what == "DELETED" and e.mono > end - EARLY]
        if not gone or min(gone) > end + LATE:
            when = f"{min(gone) - end:.2f} s late" if gone else "never free by the switch's account"
            result.freed = False
            result.problems.append(f"{bound.vm}: {r.id} ended {when}")


def _words(action: Action) -> str:
    """Say an action as a person would."""
    match action:
        case Drop():
            ports = f"/{action.first_port}" if action.first_port else ""
            return f"{action.protocol}{ports} {action.direction} closed"
        case Police():
            return f"{action.rate / 1e6:g} Mbit/s {action.direction}"

"""The agent of one host: carries on its switch what the keeper has in the ledger for it.

One loop converges; everything else only wakes it: a program from the keeper, an event of the
switch's database, the next end of a restriction, or 30 seconds gone by. All deadlines are kept in
seconds since boot, which no step of the wall clock moves.
"""

from __future__ import annotations

import logging
import socket
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.devices.vswitch.openflow import Overtaken
from sekisho.devices.vswitch.pipeline import Layout
from sekisho.devices.vswitch.telemetry import TelemetrySettings
from sekisho.host import memory as kept
from sekisho.host.bell import Bell
from sekisho.host.tasks import Troubles, spawn
from sekisho.model.errors import NotFound, SekishoError, Unavailable
from sekisho.model.inventory import Host, HostReport, Subject, Telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.client import Client
    from sekisho.host.clock import Clock
    from sekisho.host.roles import Ports, Switch
    from sekisho.model.report import HostProgram
    from sekisho.model.restriction import Receipt

log = logging.getLogger("sekisho.agent")

# How long to wait before trying again what the switch could not do just now: doubled, up to the second.
RETRY = (0.05, 2.0)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """One host's agent.

    `host` is the name it reports under, `addresses` where its datagrams come from (empty: known by
    their observation domain alone). `bridges` are those it keeps; with `bare`, ports of theirs without
    an ``iface-id`` are subjects too. `run_dir` is where the switch's sockets are. `state` is where it
    keeps what it was told. `every` is how often it looks anyway, `counters_every` how often while
    something is in force, `timeout` how long the switch may take, `wait` how long a long poll of the
    keeper is held, all in seconds. `burst` is how many seconds of its rate a limit lets through at
    once. `settle` is how long nothing more must have happened to ports before it looks, a second at
    most in all. `volumes_every` is how often it tells the keeper every port's byte counters, 0 for
    never. With `exact`, new connections to the ports that the keeper names are told one by one, beside
    the bridge's own sampling.
    """

    host: str = field(default_factory=socket.gethostname)
    addresses: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ("br-int",)
    bare: bool = False
    run_dir: str = "/var/run/openvswitch"
    state: str = "/var/lib/sekisho"
    every: float = 30.0
    counters_every: float = 5.0
    volumes_every: float = 0.0
    timeout: float = 5.0
    wait: float = 30.0
    burst: float = 0.4
    settle: float = 0.0
    first_meter: int = 20_000
    exact: bool = True
    layout: Layout = field(default_factory=Layout)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)


class Agent:
    """Keeps one host right; thread-safe."""

    def __init__(
        self, settings: AgentSettings, client: Client, clock: Clock, ports: Ports, switches: Sequence[Switch]
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._ports = ports
        self._switches = switches
        self._path = Path(settings.state) / "agent.json"
        self._lock = threading.Lock()
        self._memory: kept.Memory | None = None
        self._telemetry: dict[str, Telemetry] = {}
        self._host_report: HostReport | None = None
        self._receipts: tuple[Receipt, ...] = ()
        self._in_force: frozenset[tuple[str, bool, str]] = frozenset()
        self._applied = 0
        self._problem = ""
        self._failures = 0
        self._carried: dict[str, Subject] = {}
        self._turn = threading.Condition()
        self._begun = self._done = 0
        self._bell = Bell(settings.settle)
        self._report_due = threading.Event()
        self._receipts_due = threading.Event()
        self.stop = threading.Event()
        self.troubles = Troubles(log)

    def run(self) -> None:
        """Keep the host right until `stop`."""
        self.recall()
        self._ports.listen(self._bell.ring)
        for name, task in (
            ("reporting to the keeper", self.report),
            ("following the keeper", self.follow),
            ("sending receipts", self.send_receipts),
        ):
            spawn(self.stop, self.troubles, name, task)
        self._bell.ring()
        try:
            while not self.stop.is_set():
                self._bell.rest(self.idle(), self.stop)
                self.converge()
        finally:
            self.end()

    def recall(self) -> None:
        """Remember what an earlier run was told."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._memory = kept.load(self._path, self._clock.boot, self._clock.passed())

    def end(self) -> None:
        """Stop; what is in force stays in force until its end."""
        self.stop.set()
        self._bell.ring()
        for event in (self._report_due, self._receipts_due):
            event.set()
        self._ports.close()

    def idle(self) -> float:
        """Tell how long nothing needs doing: until the next end, at most `every` seconds."""
        memory, passed = self._memory, self._clock.passed()
        ends = [h.deadline - passed for h in memory.held if h.deadline > passed] if memory else []
        every = self._settings.counters_every if ends else self._settings.every
        if self._failures:
            every = min(every, RETRY[1], RETRY[0] * 2 ** min(self._failures - 1, 10))
        return max(0.0, min([*ends, every]))

    def converge(self) -> None:
        """Make every bridge right, once; what failed is tried again soon."""
        with self._turn:
            self._begun += 1
        try:
            right = self._converge_all()
        except Exception as error:
            log.debug("converging", exc_info=True)
            right = self._fail(Unavailable("The switch could not be made right.", repr(error)))
        if right:
            with self._turn:
                self._done = self._begun
                self._turn.notify_all()

    def _converge_all(self) -> bool:
        """Make every bridge right; tell whether all rules are, whatever their exports do."""
        memory, errors, exports = self._memory, list[SekishoError](), list[SekishoError]()
        receipts: list[Receipt] = []
        try:
            subjects = self._ports.subjects()
        except SekishoError as error:
            return self._fail(error)
        for switch in self._switches:
            here = tuple(s for s in subjects if s.bridge == switch.bridge)
            receipts += self._converge(switch, here, memory, errors, exports)
        if any(isinstance(error, Overtaken) for error in errors):
            # What it saw is old already; it knows nothing worse.
            self._bell.ring(pressing=False)
            return False
        revision = memory.revision if memory else 0
        self._publish(subjects, tuple(receipts), self._applied if errors or exports else revision)
        if errors:
            return self._fail(errors[0])
        if exports:
            self._fail(exports[0])
        # An export that somebody else has set up may stay for ever: nobody who is bound waits for it.
        self._carried = {s.id: _bindable(s) for s in subjects}
        if exports:
            return True
        self.troubles.end("converging")
        self._failures = 0
        if self._problem:
            self._problem = ""
            self._receipts_due.set()
        return True

    def _converge(
        self,
        switch: Switch,
        here: Sequence[Subject],
        memory: kept.Memory | None,
        errors: list[SekishoError],
        exports: list[SekishoError],
    ) -> tuple[Receipt, ...]:
        """Make one bridge right; its trouble is no other bridge's, and that of its export not its rules'."""
        receipts: tuple[Receipt, ...] = ()
        try:
            # Without a word from the keeper nothing is known, so nothing is removed either.
            if memory is not None:
                receipts = switch.carry(here, memory, self._clock.passed())
        except SekishoError as error:
            errors.append(error)
        try:
            self._telemetry[switch.bridge] = switch.export(memory.templates if memory else 0.0)
        except SekishoError as error:
            exports.append(error)
        return receipts

    def _fail(self, error: SekishoError) -> bool:
        """Take down that a round came to nothing; nobody knows what stands on the switch now."""
        self._carried = {}
        self.troubles.begin("converging", error.fixer)
        self._failures += 1
        if self._problem != error.fixer:
            self._problem = error.fixer
            self._receipts_due.set()
        # What happens meanwhile on the switch wakes us before the next try is due, but not at every turn.
        self.stop.wait(RETRY[0])
        return False

    def _publish(self, subjects: tuple[Subject, ...], receipts: tuple[Receipt, ...], revision: int) -> None:
        """Hand what this round saw to the threads that tell the keeper."""
        host = Host(self._settings.host, self._settings.addresses, tuple(self._telemetry.values()))
        report = HostReport(host, subjects)
        in_force = frozenset((r.restriction, r.in_force, r.problem) for r in receipts)
        if report != self._host_report:
            self._host_report = report
            self._report_due.set()
        news = in_force != self._in_force or revision != self._applied
        self._receipts, self._in_force, self._applied = receipts, in_force, revision
        if news:
            self._receipts_due.set()

    # --- for whoever wires ports and must not go on before they are bound ------------------------

    def hasten(self, subject: Subject, subjects: Sequence[Subject]) -> bool:
        """Bind one of these subjects at once, from any thread; False when only `carry_soon` can."""
        memory = self._memory
        switch = next((s for s in self._switches if s.bridge == subject.bridge), None)
        if memory is None or switch is None:
            return False
        try:
            here = tuple(s for s in subjects if s.bridge == subject.bridge)
            if not switch.hasten(subject, here, memory, self._clock.passed()):
                return False
        except SekishoError as error:
            log.debug("hastening %s: %s", subject.id, error.fixer)
            return False
        # In place: a round that fails meanwhile has put another in its stead.
        self._carried[subject.id] = _bindable(subject)
        self.wake()
        return True

    def wake(self) -> None:
        """Look at everything again, once what happens to ports has come to an end."""
        self._bell.ring(pressing=False)

    def nudge(self) -> None:
        """Ask the keeper for news now: somebody says that there are some."""
        self._report_due.set()

    def carries(self, subject: Subject) -> bool:
        """Tell whether the switch was last made right with just this subject on it."""
        return self._carried.get(subject.id) == _bindable(subject)

    def binds(self, subject: Subject) -> bool:
        """Tell whether anything binds the subject, by what we know."""
        memory = self._memory
        if memory is None:
            return False
        return any(h.binding.subject == subject.id for h in memory.held) or any(
            b.actions and b.scope.matches(subject) for b in memory.baselines
        )

    def carry_soon(self, timeout: float) -> bool:
        """Wait until the switch has been made right once from now on; False if that took too long."""
        with self._turn:
            wanted = self._begun + 1
            self._bell.ring()
            return self._turn.wait_for(lambda: self._done >= wanted, timeout)

    # --- talking to the keeper, each in its own thread ------------------------------------------

    def report(self) -> None:
        """Tell the keeper who is on this host, when that changed or a while has passed; learn its answer."""
        self._report_due.wait(self._settings.every)
        self._report_due.clear()
        if self._host_report is None or self.stop.is_set():
            return
        before = self._memory
        try:
            self._learn(self._client.report_host(self._host_report), before)
        except SekishoError:
            self._report_due.set()
            raise

    def follow(self) -> None:
        """Wait for the keeper to say something new, and learn it."""
        before = self._memory
        revision = before.revision if before else -1
        try:
            program = self._client.program(self._settings.host, revision, self._settings.wait)
        except NotFound:
            # A keeper that has restarted wants to hear of us first.
            self._report_due.set()
            self.stop.wait(0.2)
            return
        if program is not None:
            self._learn(program, before)

    def _learn(self, program: HostProgram, before: kept.Memory | None) -> None:
        """Learn an answer that was asked for when `before` was all we knew.

        What was learnt since may be newer than this answer, whose revision does not say so: a keeper may
        begin them anew. It is left, and asked for again.
        """
        with self._lock:
            if self._memory is not before or (before is not None and before.revision == program.revision):
                return
            memory = kept.learn(program, self._clock.boot, self._clock.passed())
            # Written before it is acted on: an agent that dies in between must find it here again.
            try:
                kept.save(self._path, memory)
            except OSError as error:
                # A full disk must not keep a decision from being carried out.
                self.troubles.begin("writing the state file", error)
            else:
                self.troubles.end("writing the state file")
            self._memory = memory
            self._bell.ring()

    def send_receipts(self) -> None:
        """Tell the keeper what is in force, when that changed or its counters have moved on."""
        self._receipts_due.wait(self._settings.counters_every if self._receipts else self._settings.every)
        self._receipts_due.clear()
        if self._host_report is None or self.stop.is_set():
            return
        now = self._clock.now()
        told = tuple(replace(r, time=now) for r in self._receipts)
        self._client.receipts(self._settings.host, self._applied, told, self._problem)


def _bindable(subject: Subject) -> Subject:
    """Leave out what no rule depends on."""
    return replace(subject, addresses=(), server="", ifindex=0)

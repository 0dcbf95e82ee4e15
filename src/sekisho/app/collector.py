"""The collector: hears flow datagrams, judges each second, and tells the keeper what it found."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from time import thread_time
from typing import TYPE_CHECKING, Protocol

from sekisho import native
from sekisho.app.outbox import Outbox
from sekisho.app.settings import host_name
from sekisho.archive.settings import TapSettings
from sekisho.archive.tap import Tap, subject_keys
from sekisho.detect.settings import DetectSettings
from sekisho.detect.window import Detection
from sekisho.flows.decode import Decoder
from sekisho.flows.exporters import Exporters, ExporterSettings
from sekisho.flows.memory import keep_freed
from sekisho.flows.receive import Receiver, ReceiveSettings
from sekisho.flows.resolve import Resolver, ResolveSettings
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.host.tasks import Troubles, spawn
from sekisho.model.errors import Malformed, Unavailable
from sekisho.model.inventory import Inventory
from sekisho.model.policy import PolicySet
from sekisho.model.report import CollectorReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.detect.window import Ready
    from sekisho.flows.ring import Ring
    from sekisho.host.clock import Clock
    from sekisho.model.report import Histogram, PolicyView, Talker, Verdict
    from sekisho.model.restriction import Evidence
    from sekisho.tables import U64, Burst

log = logging.getLogger("sekisho.collector")

# Each worker is a process with tables of its own.
MOST_WORKERS = 256
# What a resolver tells of the present, which those before it have no part in.
PRESENT = frozenset({"shared_exporters"})
# An inventory that changes all the time costs this part of a core, and is the older for it.
FOLLOWING_SHARE = 0.2
# Steps of niceness between the loop and who follows the inventory: the loop has three times its weight.
BEHIND = 5
# What writes what was heard into the archive's spool.
KEEPING = "keeping flows for the archive"


@dataclass(slots=True)
class Following:
    """An inventory, and all that is made of it before the loop takes it over: a hundred times the work.

    `subjects` are their keys for the archive. Taken over, it is what was there before.
    """

    inventory: Inventory
    resolver: Resolver
    ready: Ready
    subjects: U64 | None


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """One collector. `talkers` is how many of the busiest subjects it reports, `report_every` seconds.

    It is of `workers` processes, over which exporters are spread by their source address. `wait` is how
    long a long poll of the keeper is held. `addresses` are its own, which are never bound; empty: the one
    it listens on, or all this machine's name stands for.
    """

    name: str = field(default_factory=host_name)
    workers: int = 1
    talkers: int = 200
    report_every: float = 2.0
    wait: float = 30.0
    addresses: tuple[str, ...] = ()
    receive: ReceiveSettings = field(default_factory=ReceiveSettings)
    exporters: ExporterSettings = field(default_factory=ExporterSettings)
    decode: DecodeSettings = field(default_factory=DecodeSettings)
    resolve: ResolveSettings = field(default_factory=ResolveSettings)
    detect: DetectSettings = field(default_factory=DetectSettings)
    archive: TapSettings = field(default_factory=TapSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_WORKERS:
            raise Malformed(f"workers: {self.workers} is not between 1 and {MOST_WORKERS}.")
        if self.workers > 1 and self.receive.workers > 1:
            raise Malformed(
                "workers: this collector already shares its exporters with others (receive.workers); "
                "say one of the two."
            )


class Keeper(Protocol):
    """What a collector asks of the keeper; see `Client`."""

    def inventory(self, since: int, wait: float) -> Inventory | None:
        """Give the inventory once it is newer than `since`."""
        ...

    def follow_policies(self, since: int, wait: float) -> PolicyView | None:
        """Give the policies once they are newer than `since`."""
        ...

    def evidence(self, evidence: tuple[Evidence, ...]) -> tuple[Verdict, ...]:
        """Take evidence."""
        ...

    def report_collector(self, report: CollectorReport) -> None:
        """Take a report."""
        ...


class Collector:
    """One worker: a receiver, decoders, a resolver and the detection, and threads that talk to the keeper."""

    def __init__(
        self,
        settings: CollectorSettings,
        client: Keeper,
        clock: Clock,
        sockets: Sequence[socket.socket] = (),
        rings: Sequence[Ring] = (),
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._exporters = Exporters(settings.exporters)
        self._decoder = Decoder(self._exporters, settings.decode)
        self._inventory = Inventory()
        self._resolver = Resolver(settings.resolve, self._inventory, self._exporters)
        self._started = clock.now()
        self._detection = Detection(
            settings.detect, PolicySet(), exporter_name=self._exporters.name, wall=self._started
        )
        self._news: dict[str, Following | PolicySet] = {}
        self._outbox = Outbox()
        self._resolved: dict[str, float] = {}  # what the resolvers of earlier inventories counted
        self._report = CollectorReport(settings.name, 0.0)
        self._spread_at = 0.0  # when everybody was last looked at
        self._seconds = {"busy": 0.0, "replaced": 0.0}
        self.stop = threading.Event()
        self.troubles = Troubles(log)
        self.receiver = Receiver(settings.receive, sockets, rings)
        self.tap = _tap(settings, clock.now(), self._exporters, self.troubles)
        self._keeping: threading.Thread | None = None
        self._niceness = os.getpriority(os.PRIO_PROCESS, os.getpid())
        self._refused = False  # whether the system lets no thread give way

    def run(self) -> None:
        """Hear, decode, resolve, count; judge each second; until `stop`."""
        keep_freed()
        if native.LIBRARY is None:
            log.warning("The compiled core is not there: records are counted in NumPy, several times slower.")
        self._spawn_talkers()
        due = self._clock.now() + 1.0
        try:
            while not self.stop.is_set():
                if self._news:
                    self._replace()
                if self.receiver.wait(max(0.0, min(0.2, due - self._clock.now()))):
                    self._hear(due)
                    self._let_gather(due)
                now = self._clock.now()
                if now >= due:
                    self._judge(now)
                    due = max(due + 1.0, now)
        finally:
            self.stop.set()
            self._outbox.filled.set()
            self.receiver.close()
            self._finish_tap()

    def _hear(self, due: float) -> None:
        """Take what is there; what came meanwhile and is little waits until more of it has gathered."""
        little = 0
        while little < len(self.receiver) and (now := self._clock.now()) < due:
            burst = self.receiver.receive(now)
            if burst is None:
                return
            self._count(burst, now)
            little = 0 if burst.count >= self.receiver.enough else little + 1

    def _let_gather(self, due: float) -> None:
        """Wait for a fuller burst, but not where a second is about to be closed without it."""
        now = self._clock.now()
        pause = self.receiver.pause(now)
        if 0 < pause < (due - now) / 2:
            self.stop.wait(pause)

    def _count(self, burst: Burst, now: float) -> None:
        batch = self._decoder.decode(burst, now)
        if len(batch):
            self._resolver.resolve(batch)
            self._detection.add(batch)
            if self.tap is not None:
                self.tap.put(batch)

    def _judge(self, now: float) -> None:
        began = time.perf_counter()
        self._outbox.put(self._detection.close(now))
        if self.tap is not None:
            self.tap.close(now)
        talkers, histograms = self._everybody(now)
        self._report = CollectorReport(
            self._settings.name,
            now,
            self._exporters.report(),
            talkers,
            self._detection.exact_ports,
            self._counters(),
            self._started,
            self._settings.addresses or own_addresses(self._settings.receive.host),
            histograms,
        )
        self._seconds["busy"] += time.perf_counter() - began

    def _everybody(self, now: float) -> tuple[tuple[Talker, ...], tuple[Histogram, ...]]:
        """Find the busiest, and set everybody against the lines, once for each report that is sent."""
        # A second that is closed a little early must not wait for the next one.
        if now - self._spread_at < self._settings.report_every - 0.1 and now >= self._spread_at:
            return self._report.talkers, self._report.histograms
        self._spread_at = now
        return self._detection.talkers(self._settings.talkers), self._detection.distributions()

    def _replace(self) -> None:
        """Take over what the threads have fetched, between two bursts."""
        began = thread_time()
        for kind in tuple(self._news):
            # taken one by one: what a thread puts in meanwhile stays for the next time
            match new := self._news.pop(kind):
                case PolicySet():
                    self._detection.replace_policies(new)
                case Following():
                    self._take_over(new)
                    self._seconds["replaced"] = thread_time() - began

    def _take_over(self, new: Following) -> None:
        """Put an inventory in its place; what was there goes into `new`, for others to let go of."""
        for name, count in self._resolver.counters.items():
            if name not in PRESENT:
                self._resolved[name] = self._resolved.get(name, 0.0) + count
        self._resolver, new.resolver = new.resolver, self._resolver
        self._detection.replace_inventory(new.inventory, new.ready)
        if self.tap is not None:
            self.tap.meet(new.inventory, self._clock.now(), new.subjects)
        # In this order: who follows the inventory takes what is in `new` as soon as this one is here.
        new.inventory, self._inventory = self._inventory, new.inventory

    def _counters(self) -> dict[str, float]:
        now = self._resolver.counters
        return {
            **self._decoder.counters(),
            # Also what this resolver has not counted yet: a total that goes and comes looks like a new start.
            **{f"resolve.{k}": now.get(k, 0) + self._resolved.get(k, 0.0) for k in {**self._resolved, **now}},
            **{f"detect.{k}": float(v) for k, v in self._detection.counters().items()},
            **({f"archive.{k}": v for k, v in self.tap.counters().items()} if self.tap else {}),
            **{f"trouble.{k}": float(v) for k, v in self.troubles.counts.items()},
            "receive.dropped": float(self.receiver.dropped),
            "receive.waiting": float(self.receiver.waiting),
            "receive.truncated": float(self.receiver.truncated),
            "receive.errors": float(self.receiver.errors),
            "receive.ring": float(self.receiver.has_rings),
            "tick.seconds": self._seconds["busy"],
            "engine.compiled": float(native.LIBRARY is not None),
            "evidence.dropped": float(self._outbox.dropped),
            "evidence.refused": float(self._outbox.refused),
            "evidence.waiting": float(len(self._outbox.pending)),
        }

    # --- talking to the keeper, each in its own thread ------------------------------------------

    def _spawn_talkers(self) -> None:
        for name, task in (
            ("following the inventory", self._follow_behind),
            ("following the policies", self._follow_policies),
            ("sending evidence", self._send_evidence),
            ("reporting", self._send_report),
        ):
            spawn(self.stop, self.troubles, name, task)
        self._spawn_keeping()

    def _spawn_keeping(self) -> None:
        if self.tap is not None:
            self._keeping = spawn(self.stop, self.troubles, KEEPING, self.tap.work)

    def _finish_tap(self) -> None:
        """Write what is left, once stopped; a disk that does not take it holds nobody up."""
        if self.tap is not None:
            if self._keeping is not None:
                # Its thread may be in the middle of a block, which would be lost with the process.
                self.tap.wake()
                self._keeping.join()
            try:
                self.tap.finish()
            except Unavailable as error:
                self.troubles.begin(KEEPING, error.fixer)

    def _follow_behind(self) -> None:
        """Follow the inventory in a thread that gives way to the loop where both have one core.

        The loop gets three quarters of it, not more: it waits for what this thread holds, and somebody
        else may want the core too.
        """
        if sys.platform == "linux":  # where a thread has a niceness of its own
            self._give_way()
        self._follow_inventory()

    def _give_way(self) -> None:
        """Make this thread nicer; where the system refuses that, say so once and go on."""
        thread, behind = threading.get_native_id(), min(self._niceness + BEHIND, 19)
        try:
            # Somebody else may have made it nicer still, which is as well.
            if os.getpriority(os.PRIO_PROCESS, thread) < behind:
                os.setpriority(os.PRIO_PROCESS, thread, behind)
        except OSError as error:
            if not self._refused:
                log.warning("following the inventory: it cannot give way to the loop: setpriority: %s", error)
            self._refused = True

    def _follow_inventory(self) -> None:
        gc.collect()  # here or nowhere: see `let_a_loop_go_first`
        began = thread_time()
        new = self._client.inventory(self._inventory.version, self._settings.wait)
        if new is not None:
            made = self._news["inventory"] = self._make_ready(new)
            # until the loop has taken it over, do not ask for the same one again
            while self._inventory is not new and not self.stop.wait(0.05):
                pass
            before = [*made.inventory.subjects]
            del made
            while before:  # one by one: to let go of so many at once would hold up the loop
                before.pop()
            # Whatever changes meanwhile comes as one.
            spent = thread_time() - began + self._seconds["replaced"]
            self.stop.wait(spent / FOLLOWING_SHARE)

    def _make_ready(self, new: Inventory) -> Following:
        """Make all that can be made before the loop takes an inventory over, which goes on beside this."""
        resolver = Resolver(self._settings.resolve, new, self._exporters)
        subjects = None if self.tap is None else subject_keys(new)
        made = Following(new, resolver, self._detection.make_ready(new), subjects)
        gc.freeze()  # looking for cycles among so many subjects would hold up the loop
        return made

    def _follow_policies(self) -> None:
        view = self._client.follow_policies(self._policies_version, self._settings.wait)
        if view is not None:
            self._policies_version = view.policies.version
            self._news["policies"] = view.policies

    _policies_version = -1

    def _send_evidence(self) -> None:
        self._outbox.filled.wait(1.0)
        self._outbox.filled.clear()
        while chunk := self._outbox.take():
            try:
                verdicts = self._tell(chunk)
            except Exception:
                self._outbox.give_back(chunk)
                raise
            for verdict in verdicts:
                log.info("%s %s: %s %s", verdict.subject, verdict.policy, verdict.outcome, verdict.reason)

    def _tell(self, chunk: list[Evidence]) -> tuple[Verdict, ...]:
        """Send evidence; a piece that the keeper cannot read must not hold up all the others."""
        try:
            return self._client.evidence(tuple(chunk))
        except Malformed as error:
            if len(chunk) == 1:
                self._outbox.refused += 1
                log.error("%s %s: refused: %s", chunk[0].subject, chunk[0].policy, error.fixer)  # noqa: TRY400
                return ()
            half = len(chunk) // 2
            return (*self._tell(chunk[:half]), *self._tell(chunk[half:]))

    def _send_report(self) -> None:
        if self._report.time:
            self._client.report_collector(self._report)
        self.stop.wait(self._settings.report_every)


def _tap(settings: CollectorSettings, now: float, exporters: Exporters, troubles: Troubles) -> Tap | None:
    """Make what keeps flows for the archive; without a place for them everything else goes on."""
    if not settings.archive.on:
        return None
    try:
        tap = Tap(
            settings.archive,
            settings.name,
            now,
            exporters.describe,
            lambda row: int(exporters.generation[row]),
        )
    except Unavailable as error:
        troubles.begin(KEEPING, error.fixer)
        return None
    if tap.writer.unclean:
        log.warning(
            "the last collector was killed: what it heard within its last %.0f s is not in the archive",
            settings.archive.every,
        )
    return tap


@cache
def own_addresses(listens: str) -> tuple[str, ...]:
    """Give the addresses a collector listens on; where that is all of them, those of this machine's name."""
    everywhere = listens in ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
    try:
        found = socket.getaddrinfo(host_name() if everywhere else listens, None)
    except OSError:
        return ()
    return tuple(sorted({str(address[4][0]) for address in found}))

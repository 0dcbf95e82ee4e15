"""One collector of several processes: exporters spread over workers, one report of them all to the keeper."""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final, TypeAlias

from sekisho.app.all_in_one import Child, Supervisor, command
from sekisho.app.collector import Collector
from sekisho.app.process import give_back_bpf, let_a_loop_go_first, stop_on_signal
from sekisho.flows.receive import open_rings, open_shared
from sekisho.flows.ring import Ring
from sekisho.host.tasks import Troubles, spawn
from sekisho.model.errors import Malformed
from sekisho.model.plain import from_plain, to_plain
from sekisho.model.report import CollectorReport, Talker, added

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from socket import socket

    from sekisho.app.collector import CollectorSettings, Keeper
    from sekisho.flows.receive import Address
    from sekisho.flows.ring import Descriptors
    from sekisho.host.clock import Clock
    from sekisho.model.inventory import Inventory
    from sekisho.model.report import PolicyView, Verdict
    from sekisho.model.restriction import Evidence

# The command line of a worker by its number, its sockets, its rings, and what it reports to.
Line: TypeAlias = "Callable[[int, Sequence[int], Sequence[Descriptors], int], Sequence[str]]"

log = logging.getLogger("sekisho.collector")

# Counters of what all workers have in common: the largest is told instead of the sum.
COMMON: Final = frozenset({"detect.subjects", "detect.lanes", "detect.policies_unjudged"})
# Counters that are true of all workers or not at all.
ALL: Final = frozenset({"engine.compiled", "receive.ring"})
# A worker that has not reported for so many times the wait between two reports is silent.
SILENT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker is given by who started it: its number, sockets and rings, and where it reports to."""

    number: int
    sockets: tuple[socket, ...]
    report_fd: int
    rings: tuple[Descriptors, ...] = ()


def settings_of_worker(settings: CollectorSettings, number: int) -> CollectorSettings:
    """Give a worker a name of its own, under which it writes for the archive."""
    return replace(settings, name=f"{settings.name}.{number}", workers=1)


class ToldByWorker:
    """The keeper as a worker sees it: asked directly, but reports go to who started the worker.

    `stop` is called once nobody reads them any more: a worker left behind would keep the sockets.
    """

    def __init__(self, keeper: Keeper, report_fd: int, stop: Callable[[], None]) -> None:
        self._keeper = keeper
        self._fd = report_fd
        self._stop = stop
        self._begun = False

    def inventory(self, since: int, wait: float) -> Inventory | None:
        """Ask the keeper."""
        return self._keeper.inventory(since, wait)

    def follow_policies(self, since: int, wait: float) -> PolicyView | None:
        """Ask the keeper."""
        return self._keeper.follow_policies(since, wait)

    def evidence(self, evidence: tuple[Evidence, ...]) -> tuple[Verdict, ...]:
        """Tell the keeper."""
        return self._keeper.evidence(evidence)

    def report_collector(self, report: CollectorReport) -> None:
        """Write one line."""
        line = json.dumps(to_plain(report)) + "\n"
        # The worker before may have been killed in the middle of one.
        left = memoryview((line if self._begun else "\n" + line).encode())
        self._begun = True
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except BrokenPipeError:
            self._stop()


def run_worker(settings: CollectorSettings, keeper: Keeper, clock: Clock, place: Place) -> None:
    """Be one worker, until told to stop or left behind."""
    told = ToldByWorker(keeper, place.report_fd, lambda: worker.stop.set())  # noqa: PLW0108 - made below
    mine = settings_of_worker(settings, place.number)
    rings = [Ring(mine.receive.slot, taken=each) for each in place.rings]
    worker = Collector(mine, told, clock, place.sockets, rings)
    give_back_bpf()
    let_a_loop_go_first()
    stop_on_signal(worker.stop)
    worker.run()


def run(settings: CollectorSettings, keeper: Keeper, clock: Clock, words: Sequence[str]) -> None:
    """Run all workers with the options `words`, until told to stop."""

    def line(number: int, sockets: Sequence[int], rings: Sequence[Descriptors], report: int) -> list[str]:
        given = [part for fd in sockets for part in ("--socket-fd", str(fd))]
        given += [part for ring in rings for fd in ring for part in ("--ring-fd", str(fd))]
        return command("collector", *words, "--worker", str(number), *given, "--report-fd", str(report))

    workers = Workers(settings, keeper, clock, line)
    give_back_bpf()
    stop_on_signal(workers.stop)
    workers.run()


class Workers:
    """Starts a worker for each share of the exporters, starts again what dies, and reports for all.

    `line` gives the command line of a worker by its number, and the descriptors of its sockets, of their
    rings, if they have any, and of where it reports to. Sockets and rings stay open here, so that a worker
    that is started again takes over all that the kernel has kept for it meanwhile, and no exporter moves.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        keeper: Keeper,
        clock: Clock,
        line: Line,
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._clock = clock
        self._reports: dict[int, CollectorReport] = {}
        self._heard: dict[int, float] = {}
        self._unread = 0
        shared = replace(settings.receive, reuse_port=True, workers=settings.workers)
        self._sockets = open_shared(shared)
        self._rings = [open_rings(shared, mine) for mine in self._sockets]
        self._pipes = [os.pipe() for _ in self._sockets]
        self.stop = threading.Event()
        self.troubles = Troubles(log)
        self.children = [
            self._child(number, line, [sock.fileno() for sock in mine])
            for number, mine in enumerate(self._sockets)
        ]

    def _child(self, number: int, line: Line, sockets: Sequence[int]) -> Child:
        report, rings = self._pipes[number][1], [ring.descriptors for ring in self._rings[number]]
        kept = *sockets, *chain.from_iterable(rings), report
        return Child(f"worker {number}", line(number, sockets, rings, report), kept)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Host and port of each socket of a worker; all workers have the same."""
        return tuple(sock.getsockname()[:2] for sock in self._sockets[0])

    def run(self) -> None:
        """Keep all workers running until `stop`."""
        for number, (reading, _) in enumerate(self._pipes):
            threading.Thread(target=self._read, args=(number, reading), daemon=True).start()
        spawn(self.stop, self.troubles, "reporting", self._send_report)
        try:
            Supervisor(self.children).run(self.stop)
        finally:
            self.stop.set()
            self.close()

    def close(self) -> None:
        """Let go of the sockets, and of the writing ends: whoever reads sees the end."""
        for mine in self._sockets:
            for sock in mine:
                sock.close()
        for ring in chain.from_iterable(self._rings):
            ring.close()
        for _, writing in self._pipes:
            os.close(writing)

    def _read(self, number: int, reading: int) -> None:
        with os.fdopen(reading) as lines:
            for line in lines:
                if line.strip():
                    self._hear(number, line)

    def _hear(self, number: int, line: str) -> None:
        try:
            self._reports[number] = from_plain(CollectorReport, json.loads(line))
            self._heard[number] = self._clock.now()
        except (ValueError, Malformed):  # the rest of a line whose writer was killed
            self._unread += 1

    def report(self) -> CollectorReport | None:
        """Give the one report of all, None until every worker has told one."""
        if len(self._reports) < len(self.children):
            return None
        limit = self._clock.now() - SILENT * self._settings.report_every
        silent = [number for number, heard in self._heard.items() if heard < limit]
        for number in self._heard:
            if number in silent:
                self.troubles.begin(f"worker {number}", "has not reported for a while")
            else:
                self.troubles.end(f"worker {number}")
        own = {
            "workers": float(len(self.children)),
            "workers.silent": float(len(silent)),
            "workers.restarted": float(sum(max(0, child.starts - 1) for child in self.children)),
            "workers.unread": float(self._unread),
        }
        # What a silent worker saw last of somebody is not the present.
        reports = [
            replace(report, talkers=(), histograms=()) if number in silent else report
            for number, report in sorted(self._reports.items())
        ]
        return joined(self._settings.name, reports, self._settings.talkers, own)

    def _send_report(self) -> None:
        report = self.report()
        if report is not None:
            self._keeper.report_collector(report)
        self.stop.wait(self._settings.report_every)


def joined(
    name: str, reports: Sequence[CollectorReport], talkers: int, counters: dict[str, float]
) -> CollectorReport:
    """Say what several workers told as if one had; `counters` are added to theirs."""
    return CollectorReport(
        name,
        max(report.time for report in reports),
        tuple(exporter for report in reports for exporter in report.exporters),
        _talkers([report.talkers for report in reports])[:talkers],
        tuple(sorted({port for report in reports for port in report.exact_ports})),
        {**_counters(reports), **counters},
        max(report.started for report in reports),
        tuple(dict.fromkeys(address for report in reports for address in report.addresses)),
        added(histogram for report in reports for histogram in report.histograms),
    )


def _counters(reports: Iterable[CollectorReport]) -> dict[str, float]:
    told: dict[str, list[float]] = {}
    for report in reports:
        for name, count in report.counters.items():
            told.setdefault(name, []).append(count)
    joins = {**dict.fromkeys(COMMON, max), **dict.fromkeys(ALL, min)}
    return {name: float(joins.get(name, sum)(counts)) for name, counts in told.items()}


def _talkers(lists: Sequence[Sequence[Talker]]) -> tuple[Talker, ...]:
    """Add up what workers saw of each subject; the first of each list stand first, then the second ones."""
    found: dict[str, Talker] = {}
    for each in zip_longest(*lists):
        for talker in filter(None, each):
            before = found.get(talker.subject, Talker(talker.subject))
            found[talker.subject] = Talker(
                talker.subject,
                before.egress_bps + talker.egress_bps,
                before.ingress_bps + talker.ingress_bps,
                before.egress_pps + talker.egress_pps,
                before.ingress_pps + talker.ingress_pps,
                before.smtp_per_minute + talker.smtp_per_minute,
            )
    return tuple(found.values())

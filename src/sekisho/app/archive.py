"""The archive's process: blocks of the spool go into the store, and questions about them are answered."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.app.figures import of_backtests
from sekisho.archive import curious, questions, shapes
from sekisho.archive.embedded import open_embedded
from sekisho.archive.loader import Loader, prepare
from sekisho.archive.remote import open_remote
from sekisho.archive.store import ask
from sekisho.client.flows import Export
from sekisho.host.tasks import Troubles, spawn
from sekisho.model.archived import ArchiveStatus
from sekisho.model.errors import Malformed, SekishoError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from sekisho.app.archive_settings import ArchiveSettings
    from sekisho.app.backtests import Backtests
    from sekisho.archive.store import Store
    from sekisho.detect.settings import DetectSettings
    from sekisho.host.clock import Clock
    from sekisho.model.archived import Backtest, BacktestOrder, FlowTop, Rows, Series, SubjectFlows

log = logging.getLogger("sekisho.archive")

# Seconds between looks into the spool, and between looks at what the disk holds.
LOOK = 1.0
WEIGH = 60.0
# Seconds that loading may take to end when the process stops.
PATIENCE = 30.0


class Archive:
    """What `api.flow_keeper.FlowKeeper` says, over a store."""

    def __init__(
        self, settings: ArchiveSettings, store: Store, now: Callable[[], float], backtests: Backtests
    ) -> None:
        self._settings = settings
        self._store = store
        self._now = now
        self._backtests = backtests
        self.loader = Loader(store, settings.spool)
        self.troubles = Troubles(log)
        self.released = 0  # days of raw rows that went before their time

    def status(self) -> ArchiveStatus:
        """Tell how the archive fares."""
        blocks, waiting = self.loader.waiting()
        status = ArchiveStatus(
            self._store.name,
            spooled_blocks=blocks,
            spooled_bytes=waiting,
            lost_rows=self.loader.bad,
            counters=self.counters(),
            problem="; ".join(f"{name} fails" for name in self.troubles.present()),
        )
        try:
            rows, octets, oldest, newest = self._held()
        except SekishoError as error:
            return replace(status, problem=error.fixer)
        return replace(status, rows=rows, bytes=octets, oldest=oldest, newest=newest)

    def _held(self) -> tuple[int, int, float, float]:
        rows, octets = ask(self._store, _HELD).rows[0]
        edges = ask(self._store, _EDGES).rows[0] if rows else (0.0, 0.0)
        return int(rows), int(octets), float(edges[0]), float(edges[1])

    def top(self, since: float, until: float, by: str, limit: int, of: str) -> FlowTop:
        """Find the greatest of a span."""
        return questions.top(self._store, *self._span(since, until), by, limit, of)

    def series(self, subject: str, since: float, until: float, step: float) -> Series:
        """Give traffic per step."""
        return questions.series(self._store, subject, *self._span(since, until), step)

    def subject(self, subject: str, since: float, until: float, limit: int) -> SubjectFlows:
        """Sum up a subject."""
        return questions.subject_flows(self._store, subject, *self._span(since, until), limit)

    def export(self, since: float, until: float, *, subject: str, form: str, limit: int) -> Export:
        """Give raw rows as a file."""
        span = self._span(since, until)
        return Export(*questions.export(self._store, *span, subject=subject, form=form, limit=limit))

    def sql(self, question: str, limit: int) -> Rows:
        """Answer SQL that only reads."""
        return curious.sql(self._store, question, limit, self._settings.sql)

    def backtest(self, order: BacktestOrder) -> Backtest:
        """Begin to play policies over the archive."""
        since, until = self._span(order.since, order.until)
        return self._backtests.begin(replace(order, since=since, until=until))

    def backtested(self, backtest: str) -> Backtest:
        """Tell how far a back-test is."""
        return self._backtests.show(backtest)

    def counters(self) -> dict[str, float]:
        """Totals by name."""
        return {
            "loaded_rows": float(self.loader.rows),
            "loaded_blocks": float(self.loader.blocks),
            "bad_rows": float(self.loader.bad),
            "released_days": float(self.released),
            **self._backtests.counters(),
            **{f"trouble.{name}": float(n) for name, n in self.troubles.counts.items()},
        }

    def metrics(self) -> dict[str, float]:
        """Give gauges and totals as Prometheus wants them."""
        blocks, waiting = self.loader.waiting()
        return {
            "sekisho_archive_loaded_rows_total": float(self.loader.rows),
            "sekisho_archive_bad_rows_total": float(self.loader.bad),
            "sekisho_archive_spooled_blocks": float(blocks),
            "sekisho_archive_spooled_bytes": float(waiting),
            "sekisho_archive_released_days_total": float(self.released),
            "sekisho_archive_failing": float(len(self.troubles.present())),
            **of_backtests(self._backtests.counters()),
        }

    def weigh(self) -> None:
        """Let the oldest days of raw rows go while they take more of the disk than they may."""
        days = ask(self._store, _DAYS).rows
        total = sum(int(octets) for _, octets in days)
        for partition, octets in days[:-1]:
            if total <= self._settings.largest_bytes:
                return
            log.warning("the raw rows of %s go before their time: archive.largest_bytes", partition)
            self._store.run(f"ALTER TABLE {shapes.FLOWS} DROP PARTITION {int(partition)}")
            self.released += 1
            total -= int(octets)

    def _span(self, since: float, until: float) -> tuple[float, float]:
        return questions.span(since, until, self._now())


_HELD = (
    "SELECT sumIf(rows, table = 'flows'), sum(bytes_on_disk) FROM system.parts "
    "WHERE active AND database = currentDatabase()"
)
_EDGES = (
    f"SELECT (SELECT toFloat64(time) FROM {shapes.FLOWS} ORDER BY time LIMIT 1), "
    f"(SELECT toFloat64(time) FROM {shapes.FLOWS} ORDER BY time DESC LIMIT 1)"
)
_DAYS = (
    "SELECT partition, sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() "
    f"AND table = '{shapes.FLOWS}' GROUP BY partition ORDER BY partition"
)


def open_store(settings: ArchiveSettings) -> Store:
    """Open the store that the settings name, with all its tables; raises Unsupported, Unavailable."""
    if not settings.url:
        store = open_embedded(settings.folder)
        prepare(store, settings.keep)
        return store
    remote = open_remote(settings.url, settings.user, settings.password_file, settings.database)
    if settings.managed:
        prepare(remote, settings.keep)
    return remote


def read_secret(path: str, setting: str) -> str:
    """Read what the keeper shows at the door; raises Malformed where there is none."""
    try:
        secret = Path(path).read_text().strip()
    except OSError as error:
        raise Malformed(f"{setting}: {path} cannot be read: {error.strerror}.") from error
    if not secret:
        raise Malformed(f"{setting}: {path} is empty.")
    return secret


def run(
    settings: ArchiveSettings, clock: Clock, sockets: Sequence[socket.socket], detect: DetectSettings
) -> None:
    """Load and answer until a signal ends it; back-tests judge by `detect`, which the collectors have."""
    from sekisho.api import serve
    from sekisho.api.archive_door import create_archive_door
    from sekisho.app.backtests import Backtests
    from sekisho.app.process import stop_on_signal

    secret = read_secret(settings.token_file, "archive.token_file")
    store = open_store(settings)
    backtests = Backtests(store, settings.backtest_spells, clock.passed, lambda: detect)
    archive = Archive(settings, store, clock.now, backtests)
    stop = threading.Event()
    stop_on_signal(stop)
    threads = follow(archive, clock, stop, embedded=not settings.url)
    try:
        app = create_archive_door(archive, secret, settings.api, archive.metrics)
        serve(app, settings.api, sockets, stop)
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
        store.close()


def follow(
    archive: Archive, clock: Clock, stop: threading.Event, *, embedded: bool
) -> list[threading.Thread]:
    """Start what loads the spool, and what keeps the store within its size."""
    weighed = clock.passed()

    def load() -> None:
        archive.loader.look(stop.is_set)
        stop.wait(LOOK)

    def weigh() -> None:
        nonlocal weighed
        if embedded and clock.passed() - weighed >= WEIGH:
            archive.weigh()
            weighed = clock.passed()
        stop.wait(LOOK)

    return [
        spawn(stop, archive.troubles, "loading the spool", load),
        spawn(stop, archive.troubles, "keeping the archive within its size", weigh),
    ]

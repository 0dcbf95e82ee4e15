"""The keeper's way to the archive: questions are passed on, back-tests with what only the ledger knows."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.app.figures import of_backtests
from sekisho.client import Client
from sekisho.host.tasks import spawn
from sekisho.model.archived import Bound
from sekisho.model.errors import Malformed, SekishoError
from sekisho.model.plain import to_plain

if TYPE_CHECKING:
    import threading

    from sekisho.app.keeper import Keeper
    from sekisho.app.settings import KeeperSettings
    from sekisho.client.flows import Export, Flows
    from sekisho.host.tasks import Troubles
    from sekisho.model.archived import (
        ArchiveStatus,
        Backtest,
        BacktestOrder,
        FlowTop,
        Rows,
        Series,
        SubjectFlows,
    )

log = logging.getLogger("sekisho.keeper")

# The file that `up` writes the archive's secret to, beside the tokens of the other processes.
SECRET = "archive"  # noqa: S105 - a name
# So many of the ledger's restrictions are compared with a back-test.
COMPARED = 20_000
# Seconds between looks at the archive.
EVERY = 10.0


@dataclass(frozen=True, slots=True)
class Passed:
    """What `api.flow_keeper.FlowKeeper` says, asked of the archive's own door."""

    flows: Flows
    keeper: Keeper
    settings: KeeperSettings

    def status(self) -> ArchiveStatus:
        """Pass on."""
        return self.flows.status()

    def top(self, since: float, until: float, by: str, limit: int, of: str) -> FlowTop:
        """Pass on."""
        return self.flows.top(since, until, by, limit, of)

    def series(self, subject: str, since: float, until: float, step: float) -> Series:
        """Pass on."""
        return self.flows.series(subject, since, until, step)

    def subject(self, subject: str, since: float, until: float, limit: int) -> SubjectFlows:
        """Pass on."""
        return self.flows.subject(subject, since, until, limit)

    def export(self, since: float, until: float, *, subject: str, form: str, limit: int) -> Export:
        """Pass on."""
        return self.flows.export(since, until, subject=subject, form=form, limit=limit)

    def sql(self, question: str, limit: int) -> Rows:
        """Pass on."""
        return self.flows.sql(question, limit)

    def backtest(self, order: BacktestOrder) -> Backtest:
        """Check the policies; send them with exemptions, the guard's settings and who really was bound."""
        problems = self.keeper.check_policies(order.text)
        if problems:
            raise Malformed("The policies cannot be read; nothing was begun.", problems=problems)
        guarding = to_plain(self.settings.guard)
        return self.flows.backtest(
            replace(
                order, exemptions=self.keeper.exemptions(), guard=guarding, bound=self._bound(order.since)
            )
        )

    def backtested(self, backtest: str) -> Backtest:
        """Pass on."""
        return self.flows.backtested(backtest)

    def _bound(self, since: float) -> tuple[Bound, ...]:
        """List who was bound automatically since then; of a proposal or a rejected one nobody was."""
        found: list[Bound] = []
        marker = ""
        while len(found) < COMPARED:
            page = self.keeper.restrictions("", "", (), 1000, marker)
            found += [
                Bound(r.subject, r.policy, r.created, r.ended or r.until)
                for r in page.items
                if r.automatic and r.until and (r.ended or r.until) > since
            ]
            marker = page.next
            # newest first: what began a week before the span has ended before it
            if not marker or (page.items and page.items[-1].created < since - 7 * 86400.0):
                break
        return tuple(found[:COMPARED])


def reach(settings: KeeperSettings, keeper: Keeper) -> Passed | None:
    """Make the way to the archive, None where there is none; nothing is asked yet."""
    file = settings.archive.token_file
    beside = Path(settings.state) / "tokens" / SECRET
    path = Path(file) if file else beside
    if not file and not beside.exists():
        return None
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise Malformed(f"keeper.archive.token_file: {path} cannot be read: {error.strerror}.") from error
    client = Client(settings.archive.url, secret, settings.archive.timeout, token_file=path)
    return Passed(client.flows, keeper, settings)


class Watching:
    """How the archive was when last looked at, for the keeper's status and metrics."""

    def __init__(self, passed: Passed) -> None:
        self._passed = passed
        self._found: ArchiveStatus | None = None
        self._problem = ""

    def look(self) -> None:
        """Ask it; what it does not answer is told as a problem of its own."""
        try:
            self._found = self._passed.status()
        except SekishoError as error:
            self._problem = error.fixer
        else:
            self._problem = self._found.problem

    def notices(self) -> tuple[str, ...]:
        """Say what of the archive needs a person."""
        return (f"archive: {self._problem}",) if self._problem else ()

    def metrics(self) -> dict[str, float]:
        """Give what it holds and what waits for it."""
        numbers = {"sekisho_archive_up": float(not self._problem)}
        found = self._found
        if found is None:
            return numbers
        return {
            **numbers,
            "sekisho_archive_rows": float(found.rows),
            "sekisho_archive_bytes": float(found.bytes),
            "sekisho_archive_newest_seconds": found.newest,
            "sekisho_archive_spooled_blocks": float(found.spooled_blocks),
            "sekisho_archive_spooled_bytes": float(found.spooled_bytes),
            "sekisho_archive_lost_rows_total": float(found.lost_rows),
            "sekisho_archive_loaded_rows_total": found.counters.get("loaded_rows", 0.0),
            **of_backtests(found.counters),
        }


def watch(passed: Passed, keeper: Keeper, stop: threading.Event, troubles: Troubles) -> None:
    """Look at the archive every few seconds, in a thread of its own."""
    watching = Watching(passed)
    keeper.notices.append(watching.notices)
    keeper.numbers.append(watching.metrics)

    def look() -> None:
        watching.look()
        stop.wait(EVERY)

    spawn(stop, troubles, "looking at the archive", look)

"""What this door needs of the archive; a client of the archive's own door answers, or the archive itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sekisho.client.flows import Export
    from sekisho.model.archived import (
        ArchiveStatus,
        Backtest,
        BacktestOrder,
        FlowTop,
        Rows,
        Series,
        SubjectFlows,
    )


class FlowKeeper(Protocol):
    """Every method may block on the store and raises only `SekishoError`s.

    Times are unix seconds; `until` 0 is now, `since` 0 an hour before `until`.
    """

    def status(self) -> ArchiveStatus:
        """Tell how the archive fares."""
        ...

    def top(self, since: float, until: float, by: str, limit: int, of: str) -> FlowTop:
        """Find the greatest of a span; `of` is subject, protocol or port."""
        ...

    def series(self, subject: str, since: float, until: float, step: float) -> Series:
        """Give a subject's traffic per step, the whole cloud's where none is named."""
        ...

    def subject(self, subject: str, since: float, until: float, limit: int) -> SubjectFlows:
        """Sum up a subject over a span, with its greatest far ends."""
        ...

    def export(self, since: float, until: float, *, subject: str, form: str, limit: int) -> Export:
        """Give raw rows as a file: `form` is parquet or csv."""
        ...

    def sql(self, question: str, limit: int) -> Rows:
        """Answer SQL that only reads, within limits."""
        ...

    def backtest(self, order: BacktestOrder) -> Backtest:
        """Begin to play policies over the archive."""
        ...

    def backtested(self, backtest: str) -> Backtest:
        """Tell how far a back-test is, or what it found; NotFound for one that nobody began."""
        ...

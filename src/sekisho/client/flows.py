"""One method per operation of the API about archived flows and back-tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from sekisho.client.problems import checked, fitting
from sekisho.model.archived import (
    ArchiveStatus,
    Backtest,
    BacktestOrder,
    FlowTop,
    Rows,
    Series,
    SubjectFlows,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.client.switches import Sends, Writes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Export:
    """A file of rows: its media type and its bytes."""

    media: str
    body: bytes


class Flows:
    """The archive of a keeper; every method raises as `Client`'s do, NotFound where none is kept.

    Times are unix seconds. `until` 0 is now; `since` 0 is an hour before `until`.
    """

    def __init__(self, send: Sends, write: Writes) -> None:
        self._send = send
        self._write = write

    def status(self) -> ArchiveStatus:
        """Tell how the archive fares."""
        return fitting(ArchiveStatus, self._json("GET", "status"))

    def top(
        self,
        since: float = 0.0,
        until: float = 0.0,
        by: str = "egress_bytes",
        limit: int = 20,
        of: str = "subject",
    ) -> FlowTop:
        """Find the greatest of a span by one of Traffic's amounts; `of` is subject, protocol or port."""
        query = {"since": since, "until": until, "by": by, "limit": limit, "of": of}
        return fitting(FlowTop, self._json("GET", "top", query))

    def series(self, subject: str = "", since: float = 0.0, until: float = 0.0, step: float = 60.0) -> Series:
        """Give a subject's traffic per step, or the whole cloud's where no subject is named.

        Steps are whole minutes: `step` is rounded up to one. Finer steps are in `sql`.
        """
        query = {"subject": subject, "since": since, "until": until, "step": step}
        return fitting(Series, self._json("GET", "series", query))

    def subject(self, subject: str, since: float = 0.0, until: float = 0.0, limit: int = 20) -> SubjectFlows:
        """Sum up a subject over a span, with its greatest far ends."""
        query = {"subject": subject, "since": since, "until": until, "limit": limit}
        return fitting(SubjectFlows, self._json("GET", "subject", query))

    def export(
        self,
        since: float = 0.0,
        until: float = 0.0,
        *,
        subject: str = "",
        form: str = "parquet",
        limit: int = 1_000_000,
    ) -> Export:
        """Give raw rows as a file: `form` is parquet or csv."""
        query = {"since": since, "until": until, "subject": subject, "form": form, "limit": limit}
        answer = checked(self._send("GET", "/v1/flows/export", query, wait=300.0))
        return Export(answer.headers.get_content_type(), answer.body)

    def sql(self, question: str, limit: int = 1000) -> Rows:
        """Ask in SQL, reading only, within the archive's limits."""
        body = self._write({"question": question, "limit": limit})
        answer = checked(self._send("POST", "/v1/flows/sql", raw=body, wait=60.0))
        return fitting(Rows, answer.json())

    def backtest(self, order: BacktestOrder) -> Backtest:
        """Begin to play policies over the archive; ask for its progress by its id."""
        return fitting(Backtest, self._json("POST", "backtests", body=order))

    def backtested(self, backtest: str) -> Backtest:
        """Tell how far a back-test is, or what it found."""
        return fitting(Backtest, self._json("GET", f"backtests/{quote(backtest, safe='')}"))

    def _json(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: object = None
    ) -> Any:
        raw = None if body is None else self._write(body)
        return checked(self._send(method, f"/v1/flows/{path}", query, raw)).json()

"""An archive in memory, for tests of the API and the command line."""

from __future__ import annotations

from typing import Any

from sekisho.client.flows import Export
from sekisho.model.archived import (
    ArchiveStatus,
    Backtest,
    BacktestOrder,
    CurvePoint,
    Far,
    FlowTop,
    PolicyBacktest,
    Rows,
    Series,
    Spell,
    SubjectFlows,
    Traffic,
)
from sekisho.model.errors import NotFound
from sekisho.model.policy import Direction, Drop, Protocol
from sekisho.model.restriction import Finding

SPELL = Spell(
    "port-1",
    "spam",
    1.0,
    2.0,
    "imposed",
    1,
    (Drop(Protocol.TCP, Direction.EGRESS, 25, 25),),
    (Finding("smtp-connections", "count", 60.0, 99.0, 90.0, 110.0, 60.0, 99),),
)
POLICY = PolicyBacktest(
    "spam", "watch", "smtp-connections", "count", 60.0, 60.0, 1, 1, (SPELL,), curve=(CurvePoint(3.0, 1.5, 2),)
)


class Archive:
    """Answers, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.holds = ArchiveStatus("chdb", 7, counters={"loaded_rows": 7.0})
        self.empty = False
        self.far: tuple[Far, ...] = ()

    def status(self) -> ArchiveStatus:
        return self.holds

    def top(self, since: float, until: float, by: str, limit: int, of: str) -> FlowTop:
        self.asked.append((since, until, by, limit, of))
        if self.empty:
            return FlowTop(since, until, by)
        return FlowTop(since, until, by, (Traffic("port-1", 5.0),), Traffic("", 5.0))

    def series(self, subject: str, since: float, until: float, step: float) -> Series:
        self.asked.append((subject, since, until, step))
        return Series(subject, since, until, step, (1.0,), (2.0,), (3.0,), (4.0,))

    def subject(self, subject: str, since: float, until: float, limit: int) -> SubjectFlows:
        self.asked.append((subject, since, until, limit))
        return SubjectFlows(subject, since, until, Traffic(subject), self.far)

    def export(self, since: float, until: float, *, subject: str, form: str, limit: int) -> Export:
        self.asked.append((since, until, subject, form, limit))
        return Export("text/csv", b"a,b\n")

    def sql(self, question: str, limit: int) -> Rows:
        self.asked.append((question, limit))
        return Rows(("a",), ("UInt8",), ((1,), ("x",), (None,)), cut=True)

    def backtest(self, order: BacktestOrder) -> Backtest:
        self.asked.append(order)
        return Backtest("b1", "running", order.since, order.until, 1.0)

    def backtested(self, backtest: str) -> Backtest:
        if backtest != "b1":
            raise NotFound(f"There is no back-test {backtest!r}.")
        return Backtest("b1", "done", 1.0, 2.0, 1.0, 1.0, 9, 0.5, (POLICY,), ((1.0, 2.0),), ("note",))

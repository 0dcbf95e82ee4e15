"""Routes about archived flows: who sent most, one subject's traffic, files, SQL, back-tests."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeVar

import anyio
from fastapi import Depends, Query, Request, Response
from pydantic import Field

from sekisho.api.access import OPERATE, VIEW
from sekisho.api.bodies import json_body
from sekisho.api.fields import Text
from sekisho.api.flow_keeper import FlowKeeper
from sekisho.api.parts import part
from sekisho.api.routes import Routes
from sekisho.model.archived import (
    ArchiveStatus,
    Backtest,
    BacktestOrder,
    FlowTop,
    Rows,
    Series,
    SubjectFlows,
)
from sekisho.model.errors import Unavailable

FLOWS = Routes()

T = TypeVar("T")
# So many questions are at the archive at once.
ASKING: Final = 8

Moment = Annotated[float, Query(ge=0, lt=1 << 32, allow_inf_nan=False, description="Unix seconds.")]
Amount = Literal["egress_bytes", "ingress_bytes", "egress_packets", "ingress_packets"]
Of = Literal["subject", "protocol", "port"]
Few = Annotated[int, Query(ge=1, le=1000, description="How many.")]
Many = Annotated[int, Query(ge=1, le=2_000_000, description="How many rows at most.")]
Step = Annotated[float, Query(gt=0, le=31_536_000, allow_inf_nan=False, description="Seconds.")]


@dataclass(frozen=True, slots=True)
class Question:
    """One SELECT, and how many rows of its answer are wanted."""

    question: Annotated[str, Field(min_length=1, max_length=10_000)]
    limit: int = 1000


async def _asked(request: Request, ask: Callable[..., T], *told: Any, **more: Any) -> T:
    """Ask the archive, beside the threads that all else is answered by; raises Unavailable.

    An archive that is slow must not hold up what agents and operators ask the keeper.
    """
    line: anyio.CapacityLimiter = request.app.state.archiving
    mine = object()
    try:
        line.acquire_on_behalf_of_nowait(mine)
    except anyio.WouldBlock as full:
        raise Unavailable(
            f"{ASKING} questions are at the archive at this moment: ask again.", retry_after=2.0
        ) from full
    try:
        return await anyio.to_thread.run_sync(partial(ask, *told, **more), limiter=anyio.CapacityLimiter(1))
    finally:
        line.release_on_behalf_of(mine)


TheArchive = Annotated[
    FlowKeeper,
    Depends(
        part(
            "flows", "No archive of flows is kept here.", "keeper.archive names none, and `up` started none."
        )
    ),
]


@FLOWS.add("GET", "/v1/flows/status", VIEW, ArchiveStatus)
async def archive_status(request: Request, archive: TheArchive) -> ArchiveStatus:
    """Tell how the archive of flows fares."""
    return await _asked(request, archive.status)


@FLOWS.add("GET", "/v1/flows/top", VIEW, FlowTop)
async def flow_top(
    request: Request,
    archive: TheArchive,
    since: Moment = 0.0,
    until: Moment = 0.0,
    by: Amount = "egress_bytes",
    limit: Few = 20,
    of: Of = "subject",
) -> FlowTop:
    """Find the greatest subjects, protocols or ports of a span: by default the last hour's subjects."""
    return await _asked(request, archive.top, since, until, by, limit, of)


@FLOWS.add("GET", "/v1/flows/series", VIEW, Series)
async def flow_series(
    request: Request,
    archive: TheArchive,
    subject: Text = "",
    since: Moment = 0.0,
    until: Moment = 0.0,
    step: Step = 60.0,
) -> Series:
    """Give the traffic of a subject, or of all together, per step of whole minutes."""
    return await _asked(request, archive.series, subject, since, until, step)


@FLOWS.add("GET", "/v1/flows/subject", VIEW, SubjectFlows)
async def subject_flows(
    request: Request,
    archive: TheArchive,
    subject: Text,
    since: Moment = 0.0,
    until: Moment = 0.0,
    limit: Few = 20,
) -> SubjectFlows:
    """Sum up a subject over a span, with its greatest far ends."""
    return await _asked(request, archive.subject, subject, since, until, limit)


@FLOWS.add("GET", "/v1/flows/export", VIEW)
async def export_flows(
    request: Request,
    archive: TheArchive,
    since: Moment = 0.0,
    until: Moment = 0.0,
    subject: Text = "",
    form: Literal["parquet", "csv"] = "parquet",
    limit: Many = 1_000_000,
) -> Response:
    """Give raw rows as a Parquet or CSV file."""
    found = await _asked(request, archive.export, since, until, subject=subject, form=form, limit=limit)
    return Response(found.body, media_type=found.media)


@FLOWS.add("POST", "/v1/flows/sql", OPERATE, body=Question)
async def ask_sql(
    request: Request, archive: TheArchive, body: Annotated[Question, Depends(json_body(Question))]
) -> Rows:
    """Answer one SELECT over the archive's tables, within its limits."""
    return await _asked(request, archive.sql, body.question, body.limit)


@FLOWS.add("POST", "/v1/flows/backtests", OPERATE, Backtest, body=BacktestOrder, status=202)
async def backtest(
    request: Request,
    archive: TheArchive,
    response: Response,
    body: Annotated[Any, Depends(json_body(BacktestOrder))],
) -> Backtest:
    """Begin to play policies over the archive, as if they had been in force."""
    begun = await _asked(request, archive.backtest, body)
    response.headers["Location"] = f"/v1/flows/backtests/{begun.id}"
    return begun


@FLOWS.add("GET", "/v1/flows/backtests/{backtest}", VIEW, Backtest)
async def show_backtest(request: Request, archive: TheArchive, backtest: str) -> Backtest:
    """Tell how far a back-test is, or what it found."""
    return await _asked(request, archive.backtested, backtest)

"""Routes of agents and collectors: what they see goes in, what they must carry comes out."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from fastapi import Depends, Request, Response
from pydantic import TypeAdapter

from sekisho.api.access import AGENT, CLOUD, Asker, TheKeeper
from sekisho.api.bodies import Receipts, json_body
from sekisho.api.fields import Wait, etag
from sekisho.api.routes import Routes
from sekisho.model.cloud import CloudPort
from sekisho.model.errors import Malformed
from sekisho.model.inventory import HostReport, Inventory
from sekisho.model.report import CollectorReport, HostProgram, PortCounter, Verdict
from sekisho.model.restriction import Evidence

T = TypeVar("T")

REPORTING = Routes()

INVENTORY: TypeAdapter[Inventory] = TypeAdapter(Inventory)
PROGRAM: TypeAdapter[HostProgram] = TypeAdapter(HostProgram)


@REPORTING.add("GET", "/v1/inventory", AGENT, Inventory, waits=True, hot=True)
async def inventory(
    request: Request, keeper: TheKeeper, version: int | None = None, wait: Wait = 0.0
) -> Response:
    """Give all hosts and subjects, at once or when they are not `version` any more."""

    def read() -> tuple[int, bytes]:
        now = keeper.inventory()
        return now.version, b"" if now.version == version else _written(request, now)

    news = await request.app.state.waiting.news("inventory", read, lambda v: v[0] != version, wait)
    if news is None:
        return Response(status_code=304)
    return Response(news[1], media_type="application/json", headers={"ETag": etag(news[0])})


@REPORTING.add("PUT", "/v1/hosts/{host}", AGENT, HostProgram, body=HostReport, hot=True)
async def report_host(
    request: Request,
    keeper: TheKeeper,
    who: Asker,
    host: str,
    report: Annotated[HostReport, Depends(json_body(HostReport))],
) -> Response:
    """Replace what is known of a host; learn what it must carry."""
    problems = [f"subjects[{i}].host: not {host!r}." for i, s in enumerate(report.subjects) if s.host != host]
    if report.host.name != host:
        problems.insert(0, f"host.name: not {host!r}.")
    _speaks_for_itself(problems)
    return _json(PROGRAM, await _told(request, keeper.report_host, who, report))


@REPORTING.add("GET", "/v1/hosts/{host}/program", AGENT, HostProgram, waits=True, hot=True)
async def program(
    request: Request,
    keeper: TheKeeper,
    host: str,
    revision: int | None = None,
    wait: Wait = 0.0,
) -> Response:
    """Say what a host must carry, at once or when that is not `revision` any more."""
    news = await request.app.state.waiting.news(
        f"host:{host}",
        lambda: keeper.program(host),
        lambda p: p.revision != revision,
        wait,
        # Thousands wait, and few of them hear anything: who has no news costs neither thread nor program.
        lambda: keeper.revision(host) != revision,
    )
    if news is None:
        return Response(status_code=304)
    return _json(PROGRAM, news, {"ETag": etag(news.revision)})


@REPORTING.add("POST", "/v1/hosts/{host}/receipts", AGENT, body=Receipts, status=204, hot=True)
async def receipts(
    request: Request,
    keeper: TheKeeper,
    who: Asker,
    host: str,
    body: Annotated[Receipts, Depends(json_body(Receipts))],
) -> None:
    """Tell what a host did: the revision it carries, a receipt per restriction, what is wrong."""
    _speaks_for_itself(
        [f"receipts[{i}].host: not {host!r}." for i, r in enumerate(body.receipts) if r.host != host]
    )
    await _told(request, keeper.receipts, who, host, body.applied, body.receipts, body.problem)


@REPORTING.add("PUT", "/v1/cloud/ports/{port}", CLOUD, body=CloudPort, status=204)
def report_port(
    keeper: TheKeeper, who: Asker, port: str, facts: Annotated[CloudPort, Depends(json_body(CloudPort))]
) -> None:
    """Replace what the cloud says of a port."""
    if facts.id != port:
        _speaks_for_itself([f"id: not {port!r}."])
    keeper.report_port(who, facts)


@REPORTING.add("DELETE", "/v1/cloud/ports/{port}", CLOUD, status=204)
def forget_port(keeper: TheKeeper, who: Asker, port: str) -> None:
    """Forget what the cloud said of a port."""
    keeper.forget_port(who, port)


@REPORTING.add("PUT", "/v1/hosts/{host}/counters", AGENT, body=tuple[PortCounter, ...], status=204, hot=True)
async def report_counters(
    request: Request,
    keeper: TheKeeper,
    who: Asker,
    host: str,
    counters: Annotated[tuple[PortCounter, ...], Depends(json_body(tuple[PortCounter, ...]))],
) -> None:
    """Tell how many bytes each port of a host has sent and got since its counters began."""
    await _told(request, keeper.report_counters, who, host, counters)


@REPORTING.add("POST", "/v1/evidence", AGENT, tuple[Verdict, ...], body=tuple[Evidence, ...])
def evidence(
    keeper: TheKeeper,
    who: Asker,
    evidence: Annotated[tuple[Evidence, ...], Depends(json_body(tuple[Evidence, ...]))],
) -> tuple[Verdict, ...]:
    """Hand in evidence; learn what became of each piece, in the same order."""
    return keeper.evidence(who, evidence)


@REPORTING.add("PUT", "/v1/collectors/{name}", AGENT, body=CollectorReport, status=204, hot=True)
async def report_collector(
    request: Request,
    keeper: TheKeeper,
    who: Asker,
    name: str,
    report: Annotated[CollectorReport, Depends(json_body(CollectorReport))],
) -> None:
    """Replace what is known of a collector."""
    if report.name != name:
        _speaks_for_itself([f"name: not {name!r}."])
    await _told(request, keeper.report_collector, who, report)


async def _told(request: Request, tell: Callable[..., T], *told: Any) -> T:
    """Pass on what thousands tell every few seconds, in a line of its own.

    After a moment in which nobody was served they all come at once: whoever decides something, and the
    host that is to hear of it, must not wait behind them.
    """
    return await anyio.to_thread.run_sync(partial(tell, *told), limiter=request.app.state.telling)


def _json(kind: TypeAdapter[Any], value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Write an answer that is asked for often: ours need no validation on their way out."""
    return Response(kind.dump_json(value), headers=headers, media_type="application/json")


def _written(request: Request, now: Inventory) -> bytes:
    """Write an inventory as JSON once per version, however many collectors ask for it."""
    kept: tuple[int, bytes] = request.app.state.inventory
    if kept[0] != now.version:
        kept = request.app.state.inventory = (now.version, INVENTORY.dump_json(now))
    return kept[1]


def _speaks_for_itself(problems: list[str]) -> None:
    if problems:
        raise Malformed("The body speaks for somebody else than the path does.", problems=tuple(problems))

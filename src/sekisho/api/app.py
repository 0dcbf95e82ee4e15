"""Builds the app from the table of routes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from fastapi import Depends, FastAPI

from sekisho.api.access import allow
from sekisho.api.attachments import ATTACHMENTS
from sekisho.api.balancers import BALANCERS
from sekisho.api.console import app as pages
from sekisho.api.console.settings import Console
from sekisho.api.deciding import DECIDING
from sekisho.api.description import DESCRIPTION, of_route
from sekisho.api.flows import ASKING, FLOWS
from sekisho.api.health import HEALTH
from sekisho.api.metrics import DoorMetrics, Watched
from sekisho.api.problems import install
from sekisho.api.reading import READING
from sekisho.api.reporting import REPORTING
from sekisho.api.settings import ApiSettings
from sekisho.api.switches import REACHING, SWITCHES
from sekisho.api.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sekisho.api.attachments import Attachments
    from sekisho.api.balancer_keeper import Balancers
    from sekisho.api.flow_keeper import FlowKeeper
    from sekisho.api.keeper import Keeper
    from sekisho.api.routes import Route
    from sekisho.api.switch_keeper import Switches

# Looked through in this order for each request: what thousands of agents ask comes first.
ROUTES: tuple[Route, ...] = (
    *REPORTING.rows,
    *HEALTH.rows,
    *DESCRIPTION.rows,
    *READING.rows,
    *DECIDING.rows,
    *SWITCHES.rows,
    *ATTACHMENTS.rows,
    *BALANCERS.rows,
    *FLOWS.rows,
)


def create_app(
    keeper: Keeper,
    settings: ApiSettings | None = None,
    switches: Switches | None = None,
    attachments: Attachments | None = None,
    balancers: Balancers | None = None,
    flows: FlowKeeper | None = None,
    rows: tuple[Route, ...] = ROUTES,
    console: Console | None = None,
) -> FastAPI:
    """Put the keeper behind HTTP; serve what this gives with `sekisho.api.serve`, or any ASGI server.

    `rows` are the routes there are, all unless told otherwise.
    """
    app = FastAPI(
        title="Sekisho",
        version="1",
        description="The traffic checkpoint of an OpenStack cloud.",
        openapi_url=None,  # described in `description`, with the bodies and problems we read and write
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=_lifespan,
        separate_input_output_schemas=False,
    )
    app.state.keeper = keeper
    app.state.switches = switches
    app.state.attachments = attachments
    app.state.balancers = balancers
    app.state.flows = flows
    app.state.settings = settings = settings or ApiSettings()
    app.state.waiting = Waiting(settings.max_wait)
    app.state.metrics = DoorMetrics(app.state.waiting)
    app.state.inventory = (-1, b"")
    app.state.routes = rows
    for route in rows:
        _add(app, route)
    install(app)
    console = console or Console()
    if console.settings.on and rows is ROUTES:
        pages.install(app, console.settings, console.traffic)
    app.add_middleware(Watched, metrics=app.state.metrics)
    keeper.listen(app.state.waiting.nudge)
    if switches is not None:
        switches.listen(app.state.waiting.nudge)
    if balancers is not None:
        balancers.listen(app.state.waiting.nudge)
    return app


def _add(app: FastAPI, route: Route) -> None:
    guard = (
        [Depends(allow(route.roles, f"{route.method} {route.path}", personal=route.personal))]
        if route.roles
        else []
    )
    app.add_api_route(
        route.path,
        route.endpoint,
        methods=[route.method],
        response_model=route.answer,
        status_code=route.status,
        dependencies=guard,
        **of_route(route),
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = app.state.settings.threads
    app.state.asking = anyio.CapacityLimiter(app.state.settings.asking)
    app.state.telling = anyio.CapacityLimiter(app.state.settings.telling)
    app.state.reaching = anyio.CapacityLimiter(REACHING)
    app.state.archiving = anyio.CapacityLimiter(ASKING)
    yield

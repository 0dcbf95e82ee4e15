"""Builds the app from the table of routes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

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
from sekisho.api.notices import NOTICES
from sekisho.api.problems import install
from sekisho.api.quick import straight
from sekisho.api.reading import READING
from sekisho.api.reporting import REPORTING
from sekisho.api.settings import ApiSettings
from sekisho.api.switches import REACHING, SWITCHES
from sekisho.api.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi.telemetry import TelemetryConfig

    from sekisho.api.attachments import Attachments
    from sekisho.api.balancer_keeper import Balancers
    from sekisho.api.flow_keeper import FlowKeeper
    from sekisho.api.keeper import Keeper
    from sekisho.api.notices import Notices
    from sekisho.api.routes import Route
    from sekisho.api.switch_keeper import Switches

# FastAPI would look with every request whether somebody traces it; the numbers at /metrics are ours.
SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}

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
    *NOTICES.rows,
    *FLOWS.rows,
)


def create_app(  # noqa: PLR0913 - each is a part of what is served
    keeper: Keeper,
    settings: ApiSettings | None = None,
    switches: Switches | None = None,
    attachments: Attachments | None = None,
    balancers: Balancers | None = None,
    *,
    notices: Notices | None = None,
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
        telemetry=SILENT,
    )
    app.state.keeper = keeper
    app.state.switches = switches
    app.state.attachments = attachments
    app.state.balancers = balancers
    app.state.notices = notices
    app.state.flows = flows
    app.state.settings = settings = settings or ApiSettings()
    app.state.waiting = Waiting(settings.max_wait)
    app.state.metrics = DoorMetrics(app.state.waiting)
    app.state.inventory = (-1, b"")
    app.state.routes = rows
    hot = [made for made in (_add(app, route) for route in rows) if made is not None]
    install(app)
    console = console or Console()
    if console.settings.on and rows is ROUTES:
        pages.install(app, console.settings, console.traffic)
    app.add_middleware(Watched, metrics=app.state.metrics, hot=hot)
    keeper.listen(app.state.waiting.nudge)
    if switches is not None:
        switches.listen(app.state.waiting.nudge)
    if balancers is not None:
        balancers.listen(app.state.waiting.nudge)
    return app


def _add(app: FastAPI, route: Route) -> APIRoute | None:
    """Add a route; give it when it is a hot one."""
    name = f"{route.method} {route.path}"
    check = allow(route.roles, name, personal=route.personal, bound=route.bound)
    app.add_api_route(
        route.path,
        route.endpoint,
        methods=[route.method],
        response_model=route.answer,
        status_code=route.status,
        dependencies=[Depends(check)] if route.roles else [],
        **of_route(route),
    )
    made = app.router.routes[-1]
    if not route.hot or not isinstance(made, APIRoute):
        return None
    made.app = straight(route, check)
    return made


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = app.state.settings.threads
    app.state.asking = anyio.CapacityLimiter(app.state.settings.asking)
    app.state.telling = anyio.CapacityLimiter(app.state.settings.telling)
    app.state.reaching = anyio.CapacityLimiter(REACHING)
    app.state.archiving = anyio.CapacityLimiter(ASKING)
    yield

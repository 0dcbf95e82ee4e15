"""What Prometheus reads: the keeper's numbers, and how this door fares."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from starlette.routing import Match

from sekisho.api.problems import unexpected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.routing import Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sekisho.api.waiting import Waiting

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class DoorMetrics:
    """Counts and latencies per route, of one app; routes are patterns, so that there are few."""

    def __init__(self, waiting: Waiting) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each, which nobody reads
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sekisho_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "sekisho_http_request_seconds",
            "From request to the end of its answer; long polls include their wait.",
            ("method", "route"),
            registry=self.registry,
            buckets=BUCKETS,
        )
        polls = Gauge("sekisho_http_waiting", "Long polls that wait now.", registry=self.registry)
        polls.set_function(lambda: float(waiting.count))

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request."""
        taken = scope.get("route")
        route = getattr(taken, "path_format", "other")
        # A method is the asker's invention until a route knows it.
        method = scope["method"] if scope["method"] in getattr(taken, "methods", ()) else "other"
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)

    def text(self, keeper: Mapping[str, float]) -> bytes:
        """Write all numbers in Prometheus' text format."""
        return _exposed(keeper).encode() + generate_latest(self.registry)


class Watched:
    """The outermost layer: counts every request, and answers what nobody expected.

    `hot` are routes that answer everything themselves; they are gone to from here.
    """

    def __init__(self, app: ASGIApp, metrics: DoorMetrics, hot: Sequence[Route] = ()) -> None:
        self.app = app
        self.metrics = metrics
        self.hot = hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        began, status = loop.time(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in HEADERS if h[0] not in own)]
            await send(message)

        try:
            await self._way(scope)(scope, receive, watched)
        except Exception as error:
            answer = unexpected(error)
            if status:  # half an answer is out: the connection must break, so that nobody takes it for whole
                raise
            await answer(scope, receive, watched)
        finally:
            self.metrics.observe(scope, status, loop.time() - began)

    def _way(self, scope: Scope) -> ASGIApp:
        for route in self.hot:
            found, more = route.matches(scope)
            if found is Match.FULL:
                scope.update(more)
                return route.app
        return self.app


HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


def _exposed(numbers: Mapping[str, float]) -> str:
    """Write numbers whose names carry their labels, each family together under its type."""
    families: dict[str, list[str]] = {}
    for name, value in numbers.items():
        families.setdefault(name.partition("{")[0], []).append(f"{name} {float(value)!r}\n")
    lines = []
    for family, samples in families.items():
        kind = "counter" if family.endswith("_total") else "gauge"
        lines += [f"# TYPE {family} {kind}\n", *samples]
    return "".join(lines)

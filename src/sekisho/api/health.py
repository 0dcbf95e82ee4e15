"""Routes for whoever watches the keeper itself."""

from dataclasses import dataclass

from fastapi import Request, Response

from sekisho.api.access import OPEN, VIEW, TheKeeper
from sekisho.api.problems import problem
from sekisho.api.routes import Routes

HEALTH = Routes()


@dataclass(frozen=True, slots=True)
class Health:
    """All is well; otherwise the answer is a problem document."""

    ok: bool = True


@HEALTH.add("GET", "/healthz", OPEN, Health)
async def healthz() -> Health:
    """Answer, which is all that it proves: this process is alive."""
    return Health()


@HEALTH.add("GET", "/readyz", OPEN, Health)
def readyz(keeper: TheKeeper) -> Health | Response:
    """Tell whether the keeper can do its work; 503 lists what is not ready."""
    missing = keeper.ready()
    if not missing:
        return Health()
    return problem(
        503,
        "Not ready",
        " ".join(missing),
        name="unavailable",
        headers={"Retry-After": "1"},
        problems=list(missing),
    )


@HEALTH.add("GET", "/metrics", VIEW)
def metrics(request: Request, keeper: TheKeeper) -> Response:
    """Give Prometheus its numbers."""
    text = request.app.state.metrics.text(keeper.metrics())
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

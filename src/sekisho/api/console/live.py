"""What happens, told to pages that are open (server-sent events): one look at the keeper for all of them."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import StreamingResponse

from sekisho.api.console.view import HEADERS
from sekisho.model.errors import SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from sekisho.api.keeper import Keeper
    from sekisho.api.waiting import Waiting

# Seconds between beats, and how old a look may be that is told again.
BEAT: Final = 1.0
FRESH: Final = 0.8
# A page that has been told for so long asks anew, which shows that its session has not ended.
LONGEST: Final = 300.0


class Pulse:
    """How it stands, looked at once for everybody who watches. Thread-safe."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.watching = 0
        self._lock = threading.Lock()
        self._seen = (0.0, "")

    def read(self, keeper: Keeper) -> str:
        """Give the latest beat as JSON; empty while the keeper cannot say."""
        now = keeper.moment()
        with self._lock:
            if not 0 <= now - self._seen[0] < FRESH:
                self._seen = (now, _look(keeper, now))
            return self._seen[1]


def _look(keeper: Keeper, now: float) -> str:
    try:
        status = keeper.status()
        talkers = keeper.top("egress_bps", 1000)
    except SekishoError:
        return ""
    beat: dict[str, Any] = {
        "now": now,
        "revision": status.revision,
        "active": status.active,
        "proposed": status.proposed,
        "enforcing": status.enforcing,
        "degraded": len(status.degraded),
        "egress_bps": sum(t.egress_bps for t in talkers),
        "ingress_bps": sum(t.ingress_bps for t in talkers),
    }
    return json.dumps(beat)


def stream(request: Request, pulse: Pulse) -> Response:
    """Answer with a stream of beats, about one a second, until the page leaves or the keeper stops."""
    if pulse.watching >= pulse.most:
        raise Unavailable("Too many pages are followed live; this one shows what was when it was loaded.")
    headers = {**HEADERS, "X-Accel-Buffering": "no"}
    return StreamingResponse(_beats(request, pulse), media_type="text/event-stream", headers=headers)


async def _beats(request: Request, pulse: Pulse) -> AsyncIterator[str]:
    keeper: Keeper = request.app.state.keeper
    waiting: Waiting = request.app.state.waiting
    pulse.watching += 1
    try:
        yield "retry: 3000\n\n"
        for _ in range(int(LONGEST / BEAT)):
            # Never news: it waits for the moment of the next beat, or for the keeper's end.
            await waiting.news("console", bool, bool, BEAT, lambda: False)
            if waiting.closed or await request.is_disconnected():
                return
            beat = await _read(pulse, keeper)
            yield f"event: beat\ndata: {beat}\n\n" if beat else ": the keeper cannot say\n\n"
    finally:
        pulse.watching -= 1


async def _read(pulse: Pulse, keeper: Keeper) -> str:
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(pulse.read, keeper)

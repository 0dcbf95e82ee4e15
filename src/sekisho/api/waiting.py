"""Long polls: requests that wait for news without holding a thread."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


class Waiting:
    """All requests that wait, by topic. `nudge` and `close` may be called from any thread."""

    def __init__(self, max_wait: float = 60.0) -> None:
        self._max_wait = max_wait
        self._topics: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def count(self) -> int:
        """How many requests wait now."""
        return sum(len(events) for events in tuple(self._topics.values()))

    @property
    def closed(self) -> bool:
        """Whether everybody was let go: the server stops."""
        return self._closed

    def nudge(self, topic: str) -> None:
        """Wake whoever waits for a topic; cheap when nobody does."""
        # Who is not registered yet reads after this, and sees the news: nothing is lost by not waking.
        if topic in self._topics:
            self._call(self._wake, topic)

    def close(self) -> None:
        """Let everybody go, now and from now on: the server stops."""
        self._closed = True
        self._call(self._wake_all)

    async def news(
        self,
        topic: str,
        read: Callable[[], T],
        is_news: Callable[[T], bool],
        wait: float,
        may_be: Callable[[], bool] = lambda: True,
    ) -> T | None:
        """Read until there is news, for at most `wait` seconds; None when there was none.

        `read` may block; it runs in a thread, the waiting does not. It runs once more at the end, so
        that a nudge which never came costs a wait and no more. `may_be` must not block: while it says
        no, nothing is read.
        """
        loop = self._loop = asyncio.get_running_loop()
        deadline = loop.time() + min(wait, self._max_wait)
        with self._registered(topic) as nudged:
            while True:
                nudged.clear()  # before reading: what changes from here on sets it again
                if may_be():
                    value = await run_in_threadpool(read)
                    if is_news(value):
                        return value
                if self._closed or loop.time() >= deadline:
                    return None
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await nudged.wait()

    @contextmanager
    def _registered(self, topic: str) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        waiting = self._topics.setdefault(topic, set())
        waiting.add(event)
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting:
                self._topics.pop(topic, None)

    def _call(self, act: Callable[..., None], *args: str) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits on it any more
                self._loop.call_soon_threadsafe(act, *args)

    def _wake(self, topic: str) -> None:
        for event in self._topics.get(topic, ()):
            event.set()

    def _wake_all(self) -> None:
        for events in self._topics.values():
            for event in events:
                event.set()

"""What an answer may take at most: a keeper that is none, or is ill, must not hold whoever asks for ever."""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING, Any, Final

from sekisho.client.problems import fitting
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

# A whole answer may take so many times what a step of it may: a large one comes over a slow line.
STEPS: Final = 6
# Bytes of one answer; the inventory of a hundred thousand ports is a tenth of it.
MOST: Final = 256 * 1024 * 1024
# Pages of one list; a thousand entries each are more than any ledger has.
PAGES: Final = 100_000


class Bounded(http.client.HTTPResponse):
    """A response that is read within its time and size, however slowly it comes; raises OSError past them."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Dripping(sock))


class _Dripping(io.RawIOBase):
    """Reads from a socket: each step within its timeout, all of them within six."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._step = sock.gettimeout() or 0.0
        self._until = _passed() + STEPS * self._step
        self._left = MOST

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._step:
            left = self._until - _passed()
            if left <= 0:
                raise TimeoutError(f"the answer did not end within {STEPS * self._step:.0f} s")
            self._sock.settimeout(min(self._step, left))
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise OSError(f"the answer is longer than {MOST} bytes")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _passed() -> float:
    return time.monotonic()  # noqa: TID251 - how long a network takes, no moment


def pages(ask: Callable[[str], Any]) -> Iterator[tuple[Any, ...]]:
    """Ask for page after page by its marker, and give the items of each; Unavailable when they never end."""
    marker, seen = "", set[str]()
    while True:
        page = ask(marker)
        found = page if isinstance(page, dict) else {}
        yield fitting(tuple[Any, ...], found.get("items"))
        marker = fitting(str, found.get("next"))
        if not marker:
            return
        if marker in seen or len(seen) >= PAGES:
            raise Unavailable("The keeper's list has no end; is this its address?")
        seen.add(marker)

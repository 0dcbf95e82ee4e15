"""Connections that one thread uses at a time, kept for the next one."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Pool:
    """Lends what `open_one` makes for a kind; as many are kept as were ever used at once."""

    def __init__(self, open_one: Callable[[str], Any]) -> None:
        self._open_one = open_one
        self._free: dict[str, list[Any]] = {}
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def lent(self, kind: str) -> Iterator[Any]:
        """Lend one; where using it fails it is closed, whatever it may still hold."""
        with self._lock:
            free = self._free.setdefault(kind, [])
            one = free.pop() if free else None
        one = one or self._open_one(kind)
        try:
            yield one
        except BaseException:
            one.close()
            raise
        with self._lock:
            if not self._closed:
                self._free[kind].append(one)
                return
        one.close()

    def close(self) -> None:
        """Close all; those that are lent, when they come back."""
        with self._lock:
            self._closed = True
            free = [one for kind in self._free.values() for one in kind]
            self._free = {}
        for one in free:
            one.close()

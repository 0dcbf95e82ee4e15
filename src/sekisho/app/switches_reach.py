"""Connections to switches: a switch's file in, a driver out, one thread at a time to each switch."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sekisho import plugins
from sekisho.model.errors import Conflict, Malformed, NotFound, SekishoError, Unavailable

if TYPE_CHECKING:
    from sekisho.devices.switch.document import Connection, Switch
    from sekisho.devices.switch.driver import SwitchDriver


def connect(connection: Connection) -> SwitchDriver:
    """Make the driver that a file names, with the password it points to; raises SekishoError."""
    try:
        made = _kind(connection.driver)
    except NotFound as error:
        raise Malformed(f"connect.driver: {error.asker}") from error
    driver: SwitchDriver = made(connection, _secret(connection.password_file))
    return driver


@cache
def _kind(driver: str) -> Any:
    """Load a kind of driver once: to look through all that is installed takes longer than to sign in."""
    return plugins.load("switches", driver)


def _secret(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable("A switch's password file cannot be read.", f"{path}: {error}.", 10.0) from error


class Line:
    """One switch's connection while somebody holds it: made when it is needed, again after `drop`."""

    def __init__(self, switch: Switch, connect: Callable[[Connection], SwitchDriver]) -> None:
        self.switch = switch
        self._connect = connect
        self._driver: SwitchDriver | None = None

    def driver(self) -> SwitchDriver:
        """Give the connection; raises what the driver raises."""
        if self._driver is None:
            self._driver = self._connect(self.switch.connection)
        return self._driver

    def drop(self) -> None:
        """Let the connection go."""
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(SekishoError):
                driver.close()


class Reach:
    """All lines, each held by one thread at a time."""

    def __init__(self, connect: Callable[[Connection], SwitchDriver]) -> None:
        self._connect = connect
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @contextmanager
    def hold(self, switch: Switch, wait: float) -> Iterator[Line]:
        """Give a switch's line, alone, after at most `wait` seconds; raises Conflict."""
        lock = self._locks[switch.name]
        if not lock.acquire(timeout=max(0.0, wait)):
            raise Conflict(f"{switch.name} is being read or changed at this moment: ask again in a moment.")
        line = Line(switch, self._connect)
        try:
            yield line
        finally:
            line.drop()
            lock.release()

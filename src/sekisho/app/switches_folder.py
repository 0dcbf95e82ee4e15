"""The folder of the switches' files: read anew when a file changed, whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from sekisho.devices.switch.document import load
from sekisho.model.errors import Malformed, NotFound

if TYPE_CHECKING:
    from sekisho.devices.switch.document import Switch

RESERVED: Final = ("changes", "drift", "plans")

Seen: TypeAlias = Mapping[str, tuple[int, int, int]]


class Folder:
    """Switches by name, as their files say now; thread-safe.

    A folder that is not there holds none. `switches` raises Malformed with every mistake of every file;
    `good` gives what was good before, for what goes on by itself.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._seen: Seen | None = None
        self._good: Mapping[str, Switch] = {}
        self._fault: Malformed | None = None

    def switches(self) -> Mapping[str, Switch]:
        """Give all switches; raises Malformed."""
        with self._lock:
            self._look()
            if self._fault is not None:
                raise Malformed(self._fault.asker, self._fault.fixer, self._fault.problems)
            return self._good

    def good(self) -> Mapping[str, Switch]:
        """Give the switches as they were when all files were good."""
        with self._lock:
            self._look()
            return self._good

    def problems(self) -> tuple[str, ...]:
        """Name the mistakes that keep the files from being taken."""
        with self._lock:
            self._look()
            return () if self._fault is None else self._fault.problems or (self._fault.asker,)

    def switch(self, name: str) -> Switch:
        """Find one; raises NotFound, Malformed."""
        found = self.switches().get(name)
        if found is None:
            raise NotFound(f"There is no switch {name!r}: it has no file in {self._path}.")
        return found

    def known(self, name: str) -> Switch:
        """Find one as its file was when all were good; raises Malformed if none ever was, NotFound."""
        found = self.good().get(name)
        return self.switch(name) if found is None else found

    def _look(self) -> None:
        try:
            seen = _seen(self._path)
            if seen == self._seen:
                return
            # Only texts that nobody wrote to meanwhile are remembered as seen.
            texts = {name: (self._path / name).read_text() for name in seen}
            self._seen = seen if seen == _seen(self._path) else None
            self._good, self._fault = _free(load(texts)), None
        except (OSError, UnicodeDecodeError) as error:
            self._seen, self._fault = None, Malformed(f"{self._path} cannot be read: {error}.")
        except Malformed as error:
            self._fault = error


def _free(switches: Mapping[str, Switch]) -> Mapping[str, Switch]:
    """Refuse names that mean something else in the API's paths."""
    taken = tuple(f"{name}.toml: a switch cannot be called so." for name in RESERVED if name in switches)
    if taken:
        raise Malformed("The switches' files have mistakes; none of them was taken over.", problems=taken)
    return switches


def _seen(folder: Path) -> Seen:
    # What editors put beside a file while it is open begins with a dot.
    found = [*folder.glob("*.toml"), *folder.glob("common/*.toml")]
    files = sorted(file for file in found if not file.name.startswith("."))
    stats = {str(file.relative_to(folder)): file.stat() for file in files}
    return {name: (s.st_mtime_ns, s.st_size, s.st_ino) for name, s in stats.items()}

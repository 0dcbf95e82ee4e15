"""Kept running-configs: texts in, files for root alone out, one for each time the configuration changed."""

from __future__ import annotations

import difflib
import os
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sekisho.devices.switch.change import named
from sekisho.devices.switch.work import lines
from sekisho.model.errors import NotFound, Unavailable
from sekisho.model.switch import BackupView

# When it was taken, UTC, and how its text hashes under a key.
_NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{12}")
_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_END: Final = ".cfg"


class Backups:
    """One folder of files for each switch; thread-safe. The newest `keep` of each stay.

    `secret` is the key under which texts, which hold secrets, are told apart in the names of their files.
    """

    def __init__(self, folder: Path, keep: int = 200, secret: bytes = b"") -> None:
        self._secret = secret
        self._folder = folder
        self._keep = max(1, keep)
        self._lock = threading.Lock()

    def keep(self, switch: str, text: str, now: float) -> str:
        """Write a running-config if it is not the newest already; gives the name of its file.

        Raises Unavailable when it cannot be written.
        """
        hashed = named(["\n".join(lines(text))], self._secret)[-12:]
        with self._lock:
            newest = next(iter(self.list(switch)), None)
            if newest is not None and newest.name.endswith(hashed):
                return newest.name
            name = f"{datetime.fromtimestamp(now, UTC):{_TIME}}-{hashed}"
            try:
                _write(self._folder / switch, name + _END, text)
            except OSError as error:
                fixer = f"{self._folder / switch}: {error}."
                raise Unavailable("The running configuration cannot be kept.", fixer, 10.0) from error
            for old in self.list(switch)[self._keep :]:
                (self._folder / switch / (old.name + _END)).unlink(missing_ok=True)
            return name

    def list(self, switch: str) -> tuple[BackupView, ...]:
        """Give what is kept of a switch, newest first."""
        try:
            files = sorted((self._folder / switch).glob(f"*{_END}"), reverse=True)
        except OSError:
            return ()
        return tuple(_view(switch, file) for file in files if _NAME.fullmatch(file.stem))

    def text(self, switch: str, name: str) -> str:
        """Give a kept running-config; it holds secrets. Raises NotFound."""
        file = self._folder / switch / (name + _END)
        if _NAME.fullmatch(name) is None:
            raise NotFound(f"There is no backup {name!r} of {switch}.")
        try:
            return file.read_text()
        except OSError as error:
            raise NotFound(f"There is no backup {name!r} of {switch}.", f"{file}: {error}.") from error

    def diff(self, switch: str, name: str, other: str) -> str:
        """Compare two kept running-configs, as ``diff -u`` does."""
        one, two = self.text(switch, name), self.text(switch, other)
        return diff(one, two, name, other)


def diff(one: str, two: str, name: str, other: str) -> str:
    """Compare two running-configs, passing over what changes by itself."""
    told = difflib.unified_diff(lines(one), lines(two), name, other, lineterm="")
    return "".join(f"{line}\n" for line in told)


def _view(switch: str, file: Path) -> BackupView:
    taken = datetime.strptime(file.stem.partition("-")[0], _TIME).replace(tzinfo=UTC)
    try:
        size = file.stat().st_size
    except OSError:  # it has just become too old
        size = 0
    return BackupView(file.stem, switch, taken.timestamp(), size)


def _write(folder: Path, name: str, text: str) -> None:
    """Write whole or not at all, for the owner alone, and wait for the disk."""
    for each in (folder.parent, folder):
        each.mkdir(mode=0o700, exist_ok=True)
    part = folder / f".{name}"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    part.replace(folder / name)

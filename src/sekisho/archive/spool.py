"""Blocks on disk that wait to be loaded: bounded, in order, whole or not there at all."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sekisho.archive import native, shapes
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sekisho.archive.filling import Filling
    from sekisho.archive.settings import SpoolSettings
    from sekisho.tables import U64

Columns: TypeAlias = "Mapping[str, native.Column]"

_NAME: Final = re.compile(r"(\d{17})-(\d{9})-([\w.-]+)-(\w+)-(\d+)\.native")
_AT_ONCE: Final = 1024  # pieces to a system call (IOV_MAX of Linux)
DIRECT: Final[int] = getattr(os, "O_DIRECT", 0)  # Linux
PART: Final = ".part"
BAD: Final = ".bad"


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """One file of the spool, named after when its writer began, its number, writer, table and rows."""

    name: str
    path: Path = field(compare=False)
    table: str = field(compare=False, default="")
    rows: int = field(compare=False, default=0)
    size: int = field(compare=False, default=0)


def blocks(folder: Path) -> list[Block]:
    """List the blocks of a folder, oldest first; a folder that is not there yet has none."""
    found = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            match = _NAME.fullmatch(entry.name)
            if match:
                # Whoever loads may take one away meanwhile.
                with suppress(FileNotFoundError):
                    size = entry.stat().st_size
                    found.append(Block(entry.name, Path(entry.path), match[4], int(match[5]), size))
    return sorted(found)


class SpoolWriter:
    """Writes blocks under one writer's name; `began` (unix seconds) sets it apart from its earlier runs.

    `unclean` tells that the run before did not say it had ended: what it had not written yet is lost.
    """

    def __init__(self, settings: SpoolSettings, writer: str, began: float) -> None:
        self._settings = settings
        self._folder = Path(settings.folder)
        self._writer = re.sub(r"[^\w.]", "_", writer) or "collector"
        self._began = int(began * 1e6)
        self._number = 0
        self.written: dict[str, int] = {}  # rows by table
        self.lost: dict[str, int] = {}  # rows that found no room, or that the disk did not take
        self.unclean = False
        self._open()

    @property
    def _marker(self) -> Path:
        return self._folder / f"{self._writer}.writing"

    def _open(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.unclean = self._marker.exists()
            for left in self._folder.glob(f"*-{self._writer}-*{PART}"):
                left.unlink(missing_ok=True)
            self._marker.touch(0o600)
        except OSError as error:
            raise Unavailable("The archive's spool cannot be used.", f"{self._folder}: {error}.") from error

    def write(self, table: str, rows: int, values: Columns) -> bool:
        """Write one block of a table's columns; False where there is no room for it, which is counted.

        Raises Unavailable where the disk does not take it; nothing of it is left then.
        """
        pieces = list(native.block(shapes.TABLES[table], values))
        size = sum(len(piece) for piece in pieces)
        return self._keep(table, rows, size, lambda part: _write_through(part, pieces))

    def write_filled(self, filled: Filling, exporters: U64) -> bool:
        """Write a block of flows, given the keys of its rows' exporters; otherwise as `write`."""
        pages, size = filled.finish(exporters)
        return self._keep(shapes.FLOWS, filled.rows, size, lambda part: _write_past(part, pages, size))

    def _keep(self, table: str, rows: int, size: int, write: Callable[[Path], None]) -> bool:
        if sum(b.size for b in blocks(self._folder)) + size > self._settings.most_bytes:
            _add(self.lost, table, rows)
            return False
        name = f"{self._began:017d}-{self._number:09d}-{self._writer}-{table}-{rows}.native"
        part = self._folder / (name + PART)
        try:
            write(part)
            part.rename(self._folder / name)
        except OSError as error:
            _add(self.lost, table, rows)
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise Unavailable(
                "The archive's spool does not take more.",
                f"{self._folder}: {error}: {rows} rows of {table} are dropped.",
            ) from error
        self._number += 1
        _add(self.written, table, rows)
        return True

    def close(self) -> None:
        """Say that this run ended with everything written."""
        self._marker.unlink(missing_ok=True)


def _add(counts: dict[str, int], table: str, rows: int) -> None:
    counts[table] = counts.get(table, 0) + rows


def _write_past(path: Path, pages: memoryview, size: int) -> None:
    """Write whole pages past the kernel's cache, where the file system has a way, and cut the file to size.

    A copy there costs as much as all that was done with the rows before; whoever loads reads them once.
    """
    try:
        _write_through(path, [pages], DIRECT, size)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _write_through(path, [pages[:size]])


def _write_through(path: Path, pieces: Iterable[Any], how: int = 0, size: int = -1) -> None:
    """Write a file so that it is whole on disk, and cut to `size`, when this returns."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | how, 0o600)
    try:
        _write(fd, [memoryview(piece) for piece in pieces if len(piece)])
        if size >= 0:
            os.ftruncate(fd, size)
        os.fsync(fd)
    finally:
        os.close(fd)


def _write(fd: int, left: list[memoryview]) -> None:
    """Write pieces, many to a system call; it may take a part of them only."""
    first = 0
    while first < len(left):
        taken = os.writev(fd, left[first : first + _AT_ONCE])
        while first < len(left) and taken >= len(left[first]):
            taken -= len(left[first])
            first += 1
        if taken:
            left[first] = left[first][taken:]

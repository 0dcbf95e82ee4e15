"""From the spool into the store: in order, each block once; what cannot be loaded is set aside."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.archive import shapes, spool
from sekisho.archive.store import spoiled
from sekisho.model.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.archive.settings import Keeping
    from sekisho.archive.store import Store

log = logging.getLogger("sekisho.archive")


class Loader:
    """Loads what stands in a folder; `rows` and `bad` are totals since it was made."""

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._folder = Path(folder)
        self.rows = 0
        self.blocks = 0
        self.bad = 0

    def look(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Load all there is, oldest first; gives how many. Raises Unavailable while the store is away."""
        done = 0
        for block in spool.blocks(self._folder):
            if stop():
                break
            self._load(block)
            done += 1
        return done

    def waiting(self) -> tuple[int, int]:
        """Count blocks and bytes that wait."""
        there = spool.blocks(self._folder)
        return len(there), sum(block.size for block in there)

    def _load(self, block: spool.Block) -> None:
        if block.table not in shapes.TABLES:
            self._set_aside(block, "no table of ours")
            return
        try:
            self._store.load(block.table, block.path, block.name)
        except Malformed as error:
            if not spoiled(error):
                raise Unavailable("The archive's store does not take a block.", error.fixer) from error
            self._set_aside(block, error.fixer)
            return
        self.rows += block.rows
        self.blocks += 1
        block.path.unlink(missing_ok=True)

    def _set_aside(self, block: spool.Block, why: str) -> None:
        """Take a block out of the way that would hold up all that come after it."""
        self.bad += block.rows
        log.error("%s cannot be loaded and is set aside: %s", block.path, why)
        try:
            block.path.rename(block.path.with_name(block.name + spool.BAD))
        except OSError as error:
            raise Unavailable("A block cannot be set aside.", f"{block.path}: {error}") from error


def prepare(store: Store, keeping: Keeping) -> None:
    """Make the tables that are missing, and let each keep what it shall."""
    for statement in shapes.statements(keeping):
        store.run(statement)

"""What an operator may settle about the archive; every setting has a usable default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sekisho.model.errors import Malformed


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how many days raw rows, minutes and hours are kept."""

    raw_days: int = 7
    minute_days: int = 90
    hour_days: int = 1100


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """What one question may take: seconds, bytes of memory, rows of its answer, and threads."""

    seconds: float = 30.0
    memory: int = 2_000_000_000
    rows: int = 100_000
    threads: int = 1

    def settings(self) -> dict[str, Any]:
        """Give ClickHouse's settings for them."""
        return {
            "max_execution_time": self.seconds,
            "max_memory_usage": self.memory,
            "max_bytes_before_external_group_by": self.memory // 2,
            "max_threads": self.threads,
            "max_result_bytes": 100_000_000,
            "max_ast_depth": 200,
        }


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Where blocks wait, and how many bytes of them there may be; what finds no room is counted."""

    folder: str = "/var/lib/sekisho/spool"
    most_bytes: int = 10_000_000_000


@dataclass(frozen=True, slots=True)
class TapSettings:
    """What a collector keeps of what it hears.

    on: whether anything is kept. queue_rows: rows that may wait for the disk; block_rows: rows of a
    block at most; every: seconds after which what there is is written; spool: where to.
    """

    on: bool = False
    queue_rows: int = 2_000_000
    block_rows: int = 500_000
    every: float = 5.0
    spool: SpoolSettings = field(default_factory=SpoolSettings)

    def __post_init__(self) -> None:
        for name, rows in (("block_rows", self.block_rows), ("queue_rows", self.queue_rows)):
            if rows < 1:
                raise Malformed(f"archive.{name}: {rows} is not at least 1.")

"""What can be set about the archive, on its own side and on the keeper's."""

from __future__ import annotations

from dataclasses import dataclass, field

from sekisho.api.settings import ApiSettings
from sekisho.archive.settings import Keeping, SqlLimits


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """The archive. `folder` is the embedded store's; with a `url` a ClickHouse server is asked instead.

    `spool` is the folder the collectors write to, `token_file` holds what the keeper shows at the door.
    `largest_bytes` is what the raw rows of an embedded store may take on disk; the oldest days go first.
    With `managed` off the tables of a server are taken as they are: a cluster's are made by hand.
    """

    folder: str = "/var/lib/sekisho/archive"
    spool: str = "/var/lib/sekisho/spool"
    token_file: str = "/etc/sekisho/archive-token"  # noqa: S105 - a path
    url: str = ""
    user: str = "default"
    password_file: str = ""
    database: str = "sekisho"
    managed: bool = True
    largest_bytes: int = 200_000_000_000
    backtest_spells: int = 1000
    keep: Keeping = field(default_factory=Keeping)
    sql: SqlLimits = field(default_factory=SqlLimits)
    api: ApiSettings = field(default_factory=lambda: ApiSettings(port=8791, threads=8))


@dataclass(frozen=True, slots=True)
class KeeperArchiveSettings:
    """Where the keeper asks the archive; without a `token_file` nowhere, but for one that `up` started."""

    url: str = "http://127.0.0.1:8791"
    token_file: str = ""
    timeout: float = 60.0

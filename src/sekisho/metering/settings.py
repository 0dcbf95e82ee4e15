"""What an operator may settle about metering; every setting has a usable default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class GnocchiSettings:
    """How Gnocchi is reached and read. Times in seconds.

    With `url` a Gnocchi of its own is asked as `user` (``auth_mode = basic``), else the one that the
    catalogue of `cloud` in clouds.yaml (or `clouds_file`) names. `granularity` is the archive policy's
    period that is read. `refresh` is how often each interface is read again, a part of them in each
    round; `late` how far back, for measures that come late; `stale` how old numbers may be and still be
    judged. `list_every` is how often the list of interfaces is read, `page` how many a call lists,
    `chunk` of how many a call reads the numbers, `parallel` how many calls at once.
    """

    url: str = ""
    user: str = "admin"
    cloud: str = ""
    clouds_file: str = ""
    timeout: float = 60.0
    granularity: float = 300.0
    refresh: float = 300.0
    late: float = 1800.0
    stale: float = 1800.0
    list_every: float = 900.0
    page: int = 1000
    chunk: int = 250
    parallel: int = 4


@dataclass(frozen=True, slots=True)
class CounterSettings:
    """How port counters are kept. `step` is the period of which one reading is kept, in seconds.

    `stale` is how long after its last reading a port is still judged.
    """

    step: float = 300.0
    stale: float = 900.0


@dataclass(frozen=True, slots=True)
class PublishSettings:
    """Whether our own figures are written to the Gnocchi of `GnocchiSettings`, and how.

    `every` so many seconds, 0 is never. `archive_policy` is that of the metrics; empty: as Gnocchi's own
    rules say. `chunk` is of how many resources a call tells.
    """

    every: float = 0.0
    archive_policy: str = ""
    chunk: int = 500


@dataclass(frozen=True, slots=True)
class MeteringSettings:
    """Where volumes come from, and how often policies are judged by them. Times in seconds.

    `window` is the longest a policy may ask for. `repeat` is how often a lasting crossing is told again.
    """

    source: Literal["none", "gnocchi", "counters"] = "none"
    every: float = 60.0
    window: float = 86400.0
    repeat: float = 600.0
    gnocchi: GnocchiSettings = field(default_factory=GnocchiSettings)
    counters: CounterSettings = field(default_factory=CounterSettings)
    publish: PublishSettings = field(default_factory=PublishSettings)

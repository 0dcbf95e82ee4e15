"""The collector's road without sockets: bursts made in memory in, processor time by stage out.

What `Collector` does with a burst, one stage after another, so that each can be timed, counted in
instructions or looked into. `now` is passed in: a second goes by as fast as it is worked off.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sekisho.detect.settings import DetectSettings
from sekisho.detect.window import Detection
from sekisho.flows.decode import Decoder
from sekisho.flows.exporters import Exporters
from sekisho.flows.resolve import Resolver, ResolveSettings
from sekisho.tables import Burst
from traffic.cloud import Cloud, exporter_address, inventory, policies
from traffic.streams import SHAPES, stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sekisho.model.policy import PolicySet
    from traffic.streams import Stream

FULL = 1024  # datagrams in a burst under load
TALKERS = 200  # as a collector reports, if nobody says otherwise
BEGAN = 1_000_000.0  # unix seconds at which every road begins


@dataclass(slots=True)
class Tally:
    """What a road has taken: records, of them those of subjects, and processor seconds by stage."""

    records: int = 0
    ours: int = 0
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("decode", "resolve", "detect"), 0.0)
    )


class Road:
    """Decode, resolve, count, and close each second."""

    def __init__(
        self, cloud: Cloud, watched: PolicySet | None = None, settings: DetectSettings | None = None
    ) -> None:
        exporters, known = Exporters(), inventory(cloud)
        self.tally = Tally()
        self._decoder = Decoder(exporters)
        self._resolver = Resolver(ResolveSettings(), known, exporters)
        self.detection = Detection(
            settings or DetectSettings(seed=1), policies() if watched is None else watched
        )
        self.detection.replace_inventory(known)
        self._due = 0.0

    def close(self, now: float) -> float:
        """Do what a collector does each second, and say how long it took, in processor time."""
        began = time.process_time()
        self.detection.close(now)
        self.detection.talkers(TALKERS)
        self._due = now + 1.0
        return time.process_time() - began

    def take(self, burst: Burst) -> None:
        """Do with a burst what a collector does, and close the second when it is over."""
        marks = [time.process_time()]
        batch = self._decoder.decode(burst, burst.time)
        marks.append(time.process_time())
        self._resolver.resolve(batch)
        marks.append(time.process_time())
        self.detection.add(batch)
        if burst.time >= self._due:
            self.close(burst.time)
        marks.append(time.process_time())
        self.tally.records += len(batch)
        self.tally.ours += int(np.count_nonzero((batch.sender >= 0) | (batch.receiver >= 0)))
        for stage, (begin, end) in zip(self.tally.seconds, pairwise(marks), strict=True):
            self.tally.seconds[stage] += end - begin


def burst_of(datagrams: Sequence[bytes], exporters: int = 1, slot: int = 2048) -> Burst:
    """Lay datagrams out as the receiver does, from exporters in turn."""
    n = len(datagrams)
    data = np.zeros((n, slot), np.uint8)
    for row, datagram in enumerate(datagrams):
        data[row, : len(datagram)] = np.frombuffer(datagram, np.uint8)
    sources = [int(IPv4Address(exporter_address(i % exporters))) for i in range(n)]
    return Burst(
        data=data,
        length=np.array([len(d) for d in datagrams], np.int32),
        address_hi=np.zeros(n, np.uint64),
        address_lo=np.array(sources, np.uint64) | np.uint64(0xFFFF_0000_0000),
        port=np.full(n, 40_000, np.uint16),
        count=n,
        time=BEGAN,
    )


def learn(road: Road, made: Stream, exporters: int) -> None:
    """Have every exporter's templates heard."""
    for first in made.first:
        road.take(burst_of([first] * exporters, exporters))


def bursts(
    made: Stream, exporters: int, count: int, *, full: int = FULL, seconds: float = 0.1
) -> Iterator[Burst]:
    """Give `count` bursts of a stream, `seconds` apart; they share their memory, as the receiver's do."""
    several = -(-full // len(made.datagrams))
    burst = burst_of((made.datagrams * several)[:full], exporters)
    for i in range(count):
        burst.time = BEGAN + i * seconds
        yield burst


def stages(name: str, cloud: Cloud, count: int = 20) -> dict[str, float]:
    """Measure what each stage takes of a record, in nanoseconds of processor time."""
    made, road = stream(name, cloud, SHAPES), Road(cloud)
    learn(road, made, cloud.exporters)
    for burst in bursts(made, cloud.exporters, 2):
        road.take(burst)
    road.tally.records, road.tally.seconds = 0, dict.fromkeys(road.tally.seconds, 0.0)
    for burst in bursts(made, cloud.exporters, count):
        road.take(burst)
    records = max(road.tally.records, 1)
    return {stage: round(1e9 * spent / records, 1) for stage, spent in road.tally.seconds.items()}

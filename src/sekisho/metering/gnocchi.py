"""Ceilometer's byte counters in Gnocchi in, volumes per port out.

Ceilometer polls cumulative bytes of each interface and writes them to a resource of type
`instance_network_interface`, whose name is the tap device's: ``tap`` and the beginning of the port's id.
The mean of each period is read rather than ``rate:mean``: differences of means add up to what was
counted whatever the samples in a period, and show a counter that began anew.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import numpy as np

from sekisho.metering.door import iso
from sekisho.metering.meter import Round
from sekisho.metering.readings import Readings, Volumes
from sekisho.model.errors import NotFound, Refused, SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sekisho.metering.door import Door
    from sekisho.metering.settings import GnocchiSettings
    from sekisho.model.inventory import Subject

TYPE: Final = "instance_network_interface"
EGRESS: Final = "network.outgoing.bytes"
INGRESS: Final = "network.incoming.bytes"
_OPERATION: Final = f"(metric ({EGRESS} mean) ({INGRESS} mean))"
_TAP: Final = 14  # Linux cuts an interface's name there: "tap" and eleven characters of the port's id
_PROBLEMS: Final = 5


@dataclass(frozen=True, slots=True)
class _Interface:
    """One resource of Gnocchi's: an interface that a server has, or had within the window."""

    id: str
    name: str
    server: str


class Gnocchi:
    """A meter; `read` and `volumes` from one thread."""

    def __init__(self, settings: GnocchiSettings, door: Door, window: float = 86400.0) -> None:
        self._settings = settings
        self._window = window
        self._door = door
        self._readings = Readings(settings.granularity, window)
        self._interfaces: tuple[_Interface, ...] = ()
        self._listed = float("-inf")
        self._owner: dict[str, str] = {}  # interface to subject
        self._fresh: dict[str, float] = {}  # interface to when its numbers were last had
        self._calls = 0
        self._lock = threading.Lock()
        self._periods: dict[str, int] = {}  # what Gnocchi writes for a moment, to its period

    # --- reading -------------------------------------------------------------------------------

    def read(self, subjects: Sequence[Subject], now: float) -> Round:
        """Fetch what is new; whoever was never read is read for the whole window."""
        self._calls = 0
        problems: list[str] = []
        self._readings.advance(now)
        try:
            self._list(now)
        except SekishoError as error:
            problems.append(error.fixer)
        self._claim(subjects)
        wanted = tuple(self._owner)
        failed = self._fetch(wanted, now, problems) if wanted else frozenset[str]()
        return Round(
            len(wanted) - len(failed), len(failed), self._calls, tuple(dict.fromkeys(problems))[:_PROBLEMS]
        )

    def volumes(self, window: float, now: float) -> Volumes:
        """Sum up each port whose interfaces were all read lately."""
        old = {s for key, s in self._owner.items() if self._fresh.get(key, 0.0) < now - self._settings.stale}
        pairs = [(subject, key) for key, subject in self._owner.items() if subject not in old]
        subjects, keys = [s for s, _ in pairs], [k for _, k in pairs]
        return self._readings.volumes(subjects, keys, now - window, now)

    # --- who is who ----------------------------------------------------------------------------

    def _list(self, now: float) -> None:
        """Read the list of interfaces anew if it is old."""
        if 0 <= now - self._listed < self._settings.list_every:
            return
        self._interfaces = tuple(self._pages(now - self._window))
        self._listed = now

    def _pages(self, since: float) -> Iterator[_Interface]:
        """List interfaces that are there, or were within the window, page by page."""
        there = {"or": [{"=": {"ended_at": None}}, {">=": {"ended_at": iso(since)}}]}
        query: dict[str, Any] = {"limit": self._settings.page, "sort": "id:asc"}
        while True:
            page = self._listed_page(query, there)
            for told in page:
                yield _Interface(told["id"], told.get("name") or "", told.get("instance_id") or "")
            if len(page) < self._settings.page:
                return
            query["marker"] = page[-1]["id"]

    def _listed_page(self, query: Mapping[str, Any], there: Any) -> Any:
        try:
            return self._ask("POST", f"/v1/search/resource/{TYPE}", query, there)
        except NotFound as error:
            why = f"Gnocchi has no resource type {TYPE}, which Ceilometer makes (ceilometer-upgrade)"
            raise NotFound("Gnocchi has nothing of Ceilometer.", f"{why}: {error.fixer}") from error

    def _claim(self, subjects: Sequence[Subject]) -> None:
        """Find out whose each interface is; one that could be two ports' is nobody's."""
        named: dict[str, list[Subject]] = defaultdict(list)
        for subject in {s.id: s for s in subjects}.values():
            named[f"tap{subject.id}"[:_TAP]].append(subject)
        owner: dict[str, str] = {}
        for interface in self._interfaces:
            found = named.get(interface.name, [])
            if len(found) > 1:
                found = [s for s in found if s.server and s.server == interface.server]
            if len(found) == 1:
                owner[interface.id] = found[0].id
        gone = self._owner.keys() - owner.keys()
        self._readings.forget(gone)
        for key in gone:
            self._fresh.pop(key, None)
        self._owner = owner

    # --- numbers -------------------------------------------------------------------------------

    def _fetch(self, keys: Sequence[str], now: float, problems: list[str]) -> frozenset[str]:
        """Read the numbers of interfaces; give those that could not be had."""
        settings, slots = self._settings, self._readings.slots(keys)
        lately = now - settings.late
        row = dict(zip(keys, slots.tolist(), strict=True))
        known = [k for k in keys if self._fresh.get(k, 0.0) >= lately]
        fresh = set(known)
        due = [k for k in known if self._is_due(k, now)]
        jobs = [(lately - settings.late, chunk) for chunk in _chunks(due, settings.chunk)]
        whole = now - self._window - 2 * settings.granularity
        jobs += [(whole, chunk) for chunk in _chunks([k for k in keys if k not in fresh], settings.chunk)]
        failed: set[str] = set()

        def run(job: tuple[float, list[str]]) -> None:
            since, chunk = job
            for part, answer in self._answers(chunk, since, now):
                with self._lock:
                    if isinstance(answer, SekishoError):
                        failed.update(part)
                        problems.append(answer.fixer)
                    else:
                        self._take(answer, row)
                        self._fresh.update(dict.fromkeys(part, now))

        with ThreadPoolExecutor(settings.parallel) as pool:
            list(pool.map(run, jobs))
        return frozenset(failed)

    def _is_due(self, key: str, now: float) -> bool:
        """Tell whether an interface is to be read again: each at its own moment, as many in every round.

        Gnocchi takes as long for an hour as for a minute, and hears of nothing new more often than
        Ceilometer polls.
        """
        refresh = min(self._settings.refresh, self._settings.stale / 2)
        if refresh <= 0:
            return True
        phase = crc32(key.encode()) / 2**32 * refresh
        return (now + phase) // refresh > (self._fresh[key] + phase) // refresh

    def _answers(
        self, keys: list[str], since: float, now: float
    ) -> Iterator[tuple[list[str], Mapping[str, Any] | SekishoError]]:
        """Ask for the numbers of a chunk; where that is refused, its halves: one odd metric spoils a call."""
        query = {
            "start": iso(since),
            "stop": iso(now + self._settings.granularity),
            "granularity": self._settings.granularity,
            "needed_overlap": 0,
        }
        body = {"resource_type": TYPE, "search": {"in": {"id": keys}}, "operations": _OPERATION}
        try:
            yield keys, self._ask("POST", "/v1/aggregates", query, body)["measures"]
        except (NotFound, Refused) as error:
            if len(keys) == 1:
                yield keys, error
                return
            half = len(keys) // 2
            yield from self._answers(keys[:half], since, now)
            yield from self._answers(keys[half:], since, now)
        except SekishoError as error:
            yield keys, error

    def _take(self, measures: Mapping[str, Any], row: Mapping[str, int]) -> None:
        """Put what one call told into the columns."""
        for way, metric in enumerate((EGRESS, INGRESS)):
            slots: list[int] = []
            periods: list[int] = []
            values: list[float] = []
            for key, metrics in measures.items():
                points = metrics.get(metric, {}).get("mean", ())
                slots += [row[key]] * len(points) if key in row else ()
                if key in row:
                    periods += [self._period(point[0]) for point in points]
                    values += [point[2] for point in points]
            told = np.array(values, np.float64)
            none = np.full_like(told, np.nan)
            columns = (told, none) if way == 0 else (none, told)
            self._readings.put(np.array(slots, np.int64), np.array(periods, np.int64), *columns)

    def _period(self, moment: str) -> int:
        found = self._periods.get(moment)
        if found is None:
            if len(self._periods) > 4 * self._readings.periods:
                self._periods.clear()
            found = self._readings.period(datetime.fromisoformat(moment).timestamp())
            self._periods[moment] = found
        return found

    def _ask(self, method: str, path: str, query: Mapping[str, Any], body: Any) -> Any:
        with self._lock:
            self._calls += 1
        try:
            return self._door.ask(method, path, query, body)
        except (KeyError, TypeError) as error:
            raise Unavailable("Gnocchi's answer cannot be read.", f"Gnocchi: {error!r}") from error


def _chunks(keys: Sequence[str], size: int) -> Iterable[list[str]]:
    return (list(keys[i : i + size]) for i in range(0, len(keys), size))

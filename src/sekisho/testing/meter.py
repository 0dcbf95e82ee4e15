"""A Gnocchi of the test's own: answers what `metering.gnocchi` asks as the real one does."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sekisho.model.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS = ("network.outgoing.bytes", "network.incoming.bytes")


@dataclass(slots=True)
class FakeGnocchi:
    """Implements `metering.door.Door`.

    `away`: nobody answers. `broken`: ids whose calls fail for now. `odd`: ids whose archive policy lacks
    the granularity, which spoils every call that asks for them, as it does with the real one.
    """

    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    points: dict[tuple[str, str], dict[float, list[float]]] = field(default_factory=dict)
    away: bool = False
    broken: set[str] = field(default_factory=set)
    odd: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def add(self, resource: str, name: str, server: str = "", ended: float | None = None) -> None:
        """Make a resource of type instance_network_interface."""
        told = {"id": resource, "name": name, "instance_id": server, "ended_at": ended}
        self.resources[resource] = told

    def push(self, resource: str, measures: Mapping[float, tuple[float, float]]) -> None:
        """Push cumulative bytes out and in, by time."""
        for way, metric in enumerate(METRICS):
            kept = self.points.setdefault((resource, metric), defaultdict(list))
            for time, values in measures.items():
                kept[time // 300 * 300].append(values[way])

    def ask(self, method: str, path: str, query: Mapping[str, Any], body: Any = None) -> Any:
        """Answer."""
        self.asked.append(f"{method} {path}")
        if self.away:
            raise Unavailable("Gnocchi does not answer.", "Gnocchi: connection refused", 1.0)
        return self._list(query, body) if "search/resource" in path else self._measures(query, body)

    def _list(self, query: Mapping[str, Any], body: Any) -> Any:
        since = _time(body["or"][1][">="]["ended_at"])
        there = [r for r in self.resources.values() if r["ended_at"] is None or r["ended_at"] >= since]
        there.sort(key=lambda r: str(r["id"]))
        return [r for r in there if r["id"] > query.get("marker", "")][: query["limit"]]

    def _measures(self, query: Mapping[str, Any], body: Any) -> Any:
        keys = body["search"]["in"]["id"]
        if self.broken.intersection(keys):
            raise Unavailable("Gnocchi cannot answer now.", "Gnocchi: 503", 1.0)
        if self.odd.intersection(keys):
            raise NotFound("Gnocchi does not know it.", "Gnocchi: 404: granularity 300 is missing")
        start, stop = _time(query["start"]), _time(query["stop"])
        told: dict[str, Any] = {}
        for key in keys:
            for metric in METRICS:
                kept = self.points.get((key, metric), {})
                rows = [[_iso(t), 300.0, fmean(v)] for t, v in sorted(kept.items()) if start <= t < stop]
                told.setdefault(key, {})[metric] = {"mean": rows}
        return {"measures": told}


def _time(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat()

"""Writes bytes of interfaces to a Gnocchi as Ceilometer does."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from sekisho.lab.openstack.shell import wait
from sekisho.metering.door import Door, iso, refusal
from sekisho.metering.gnocchi import EGRESS, INGRESS, TYPE
from sekisho.model.errors import Conflict, Refused
from sekisho.model.inventory import Subject
from sekisho.testing.contract_meter import DAY

POLICIES = {
    "ceilometer-low": (["mean"], [300]),
    "ceilometer-low-rate": (["mean", "rate:mean"], [300]),
    "two-granularities": (["mean", "rate:mean"], [300, 3600]),
    "by-the-hour": (["mean"], [3600]),
    "ten-seconds": (["mean"], [10]),
}


class OverStack:
    """A door to the stack's Gnocchi."""

    def __init__(self, stack: Any) -> None:
        self._stack = stack

    def ask(self, method: str, path: str, query: Mapping[str, Any], body: Any = None) -> Any:
        where = path.removeprefix("/v1") + (f"?{urlencode(query, doseq=True)}" if query else "")
        token = {"X-Auth-Token": self._stack.place.rest.token()}
        answer = self._stack.ask("metric", method, where, body, token)
        if answer.status >= 400:
            raise refusal(answer.status, answer.text, "Gnocchi")
        return answer.json()


class Ceilometer:
    """Writes as Ceilometer does, and takes away what it wrote."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self._made: list[str] = []

    def prepare(self) -> None:
        for name, (methods, granularities) in POLICIES.items():
            definition = [{"granularity": g, "timespan": 30 * DAY} for g in granularities]
            policy = {
                "name": name,
                "aggregation_methods": methods,
                "back_window": 0,
                "definition": definition,
            }
            self._make("/v1/archive_policy", policy)
        text = {"type": "string", "required": True, "min_length": 0, "max_length": 255}
        attributes = {"name": text, "instance_id": {"type": "uuid", "required": True}}
        self._make("/v1/resource_type", {"name": TYPE, "attributes": attributes})
        left = {"like": {"original_resource_id": "instance-00000001-%"}}  # by a run that was killed
        for told in self.door.ask("POST", f"/v1/search/resource/{TYPE}", {}, left):
            self.door.ask("DELETE", f"/v1/resource/{TYPE}/{told['id']}", {})

    def push(
        self,
        who: Subject,
        measures: Mapping[float, tuple[int | None, int | None]],
        policy: str = "ceilometer-low-rate",
        server: str = "",
    ) -> None:
        """Write what an interface has sent and got by some moments; None is left out."""
        tap = f"tap{who.id}"[:14]
        server = str(uuid.UUID(server or who.server))
        resource = f"instance-00000001-{server}-{tap}"
        metrics = {m: {"archive_policy_name": policy, "unit": "B"} for m in (EGRESS, INGRESS)}
        told = {"id": resource, "name": tap, "instance_id": server, "metrics": metrics}
        if resource not in self._made:
            self.door.ask("POST", f"/v1/resource/{TYPE}", {}, told)
            self._made.append(resource)
        told_of = {m: _points(measures, way) for way, m in enumerate((EGRESS, INGRESS))}
        batch = {m: {"measures": points} for m, points in told_of.items() if points}
        self.door.ask("POST", "/v1/batch/resources/metrics/measures", {}, {resource: batch})

    def settle(self) -> None:
        """Wait until everything pushed has been aggregated."""
        wait(lambda: not self._left(), "the measures to be aggregated", 120.0)

    def _left(self) -> int:
        return int(self.door.ask("GET", "/v1/status", {"details": "false"})["storage"]["summary"]["measures"])

    def clear(self) -> None:
        for resource in self._made:
            self.door.ask("DELETE", f"/v1/resource/{TYPE}/{resource}", {})

    def _make(self, path: str, body: Any) -> None:
        with suppress(Conflict, Refused):  # it is there already
            self.door.ask("POST", path, {}, body)


def _points(measures: Mapping[float, tuple[int | None, int | None]], way: int) -> list[dict[str, Any]]:
    told = {t: v[way] for t, v in measures.items()}
    return [{"timestamp": iso(t), "value": value} for t, value in told.items() if value is not None]

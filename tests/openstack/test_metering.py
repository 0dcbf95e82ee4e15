"""Volumes from a real Gnocchi, measures pushed to it as Ceilometer does.

With SEKISHO_GNOCCHI a Gnocchi with ``auth_mode = basic`` at that address is asked instead of the stack's.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from sekisho.lab.openstack.shell import wait
from sekisho.metering.door import Basic, Door, refusal
from sekisho.metering.gnocchi import EGRESS, INGRESS, TYPE, Gnocchi
from sekisho.metering.readings import Volumes
from sekisho.metering.settings import GnocchiSettings
from sekisho.model.errors import Refused, SekishoError
from sekisho.model.inventory import Subject
from sekisho.testing import contract_meter
from sekisho.testing.contract_meter import DAY, STEP, Rig, near, one, steady, subject

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]

NOW = 20_000 * DAY + 10.0
POLICIES = {
    "ceilometer-low": (["mean"], [300]),
    "ceilometer-low-rate": (["mean", "rate:mean"], [300]),
    "two-granularities": (["mean", "rate:mean"], [300, 3600]),
    "by-the-hour": (["mean"], [3600]),
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
        measures: Mapping[float, tuple[int, int]],
        policy: str = "ceilometer-low-rate",
        server: str = "",
    ) -> None:
        tap = f"tap{who.id}"[:14]
        server = str(uuid.UUID(server or who.server))
        resource = f"instance-00000001-{server}-{tap}"
        metrics = {m: {"archive_policy_name": policy, "unit": "B"} for m in (EGRESS, INGRESS)}
        told = {"id": resource, "name": tap, "instance_id": server, "metrics": metrics}
        if resource not in self._made:
            self.door.ask("POST", f"/v1/resource/{TYPE}", {}, told)
            self._made.append(resource)
        batch = {
            m: {"measures": [{"timestamp": _iso(t), "value": v[way]} for t, v in measures.items()]}
            for way, m in enumerate((EGRESS, INGRESS))
        }
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
        with suppress(Refused):  # it is there already
            self.door.ask("POST", path, {}, body)


class OverGnocchi:
    """The contract's rig over the real thing."""

    now = NOW

    def __init__(self, ceilometer: Ceilometer, **settings: Any) -> None:
        self.ceilometer = ceilometer
        self.meter = Gnocchi(GnocchiSettings(**settings), ceilometer.door)

    def play(self, polled: Mapping[Subject, Mapping[float, tuple[int, int]]]) -> None:
        for who, measures in polled.items():
            self.ceilometer.push(who, measures)
        self.read(*polled)

    def read(self, *subjects: Subject) -> None:
        self.ceilometer.settle()
        told = self.meter.read(subjects, self.now)
        assert (told.failed, told.problems) == (0, ())

    def volumes(self, window: float) -> Volumes:
        return self.meter.volumes(window, self.now)


@pytest.fixture(scope="session")
def door(request: pytest.FixtureRequest) -> Door:
    url = os.environ.get("SEKISHO_GNOCCHI")
    return Basic(url, "admin", 30.0) if url else OverStack(request.getfixturevalue("stack"))


@pytest.fixture
def ceilometer(door: Door) -> Iterator[Ceilometer]:
    made = Ceilometer(door)
    made.prepare()
    yield made
    made.clear()


@pytest.fixture
def rig(ceilometer: Ceilometer) -> OverGnocchi:
    return OverGnocchi(ceilometer)


@pytest.mark.parametrize("check", contract_meter.CHECKS, ids=lambda c: c.__name__)
def test_meter(rig: OverGnocchi, check: Callable[[Rig], None]) -> None:
    check(rig)


@pytest.mark.parametrize("policy", ["ceilometer-low", "ceilometer-low-rate", "two-granularities"])
def test_whatever_the_archive_policy(rig: OverGnocchi, policy: str) -> None:
    who = subject(1)
    rig.ceilometer.push(who, steady(rig, 10_000, 30_000), policy)
    rig.read(who)
    assert near(one(rig, who, 0), 288 * 10_000)
    assert near(one(rig, who, 1), 288 * 30_000)


@pytest.mark.parametrize("samples", [2, 5])
def test_several_samples_in_a_period(rig: OverGnocchi, samples: int) -> None:
    who = subject(1)
    step = STEP / samples
    told = {NOW - DAY - STEP + i * step: (i * 1000, 0) for i in range(int((DAY + STEP) / step) + 1)}
    rig.ceilometer.push(who, told)
    rig.read(who)
    assert near(one(rig, who, 0), 288 * samples * 1000)


def test_measures_that_come_late(rig: OverGnocchi) -> None:
    who = subject(1)
    told = steady(rig, 10_000, 0)
    late = {m: told.pop(m) for m in sorted(told)[-4:-1]}
    rig.play({who: told})
    before = one(rig, who, 0)
    rig.ceilometer.push(who, late)
    rig.read(who)
    assert near(one(rig, who, 0), before)
    assert near(before, 288 * 10_000)


def test_an_interface_that_moved_to_another_server(rig: OverGnocchi) -> None:
    who = subject(1)
    told = steady(rig, 10_000, 0)
    moments = sorted(told)
    rig.ceilometer.push(who, {m: told[m] for m in moments[:200]}, server=uuid.uuid4().hex)
    rig.ceilometer.push(who, {m: (told[m][0] - told[moments[199]][0], 0) for m in moments[199:]})
    rig.read(who)
    assert near(one(rig, who, 0), 288 * 10_000)


def test_several_ports_of_one_server(rig: OverGnocchi) -> None:
    server = uuid.uuid4().hex
    first, second = (Subject(subject(n).id, "h1", server=server) for n in (1, 2))
    rig.play({first: steady(rig, 1000, 0), second: steady(rig, 5000, 0)})
    assert near(one(rig, first, 0), 288 * 1000)
    assert near(one(rig, second, 0), 288 * 5000)


def test_a_granularity_that_one_port_has_not_costs_only_that_port(rig: OverGnocchi) -> None:
    good, odd = subject(1), subject(2)
    rig.ceilometer.push(good, steady(rig, 1000, 0))
    rig.ceilometer.push(odd, steady(rig, 1000, 0), "by-the-hour")
    rig.ceilometer.settle()
    told = rig.meter.read((good, odd), NOW)
    assert (told.read, told.failed) == (1, 1)
    assert rig.volumes(DAY).subjects == (good.id,)


def test_many_pages_and_chunks(ceilometer: Ceilometer) -> None:
    rig = OverGnocchi(ceilometer, page=3, chunk=2)
    subjects = [subject(n) for n in range(1, 8)]
    rig.play({s: steady(rig, 1000 * n, 0) for n, s in enumerate(subjects, 1)})
    for n, each in enumerate(subjects, 1):
        assert near(one(rig, each, 0), 288 * 1000 * n)


def test_a_gnocchi_that_is_away_is_said_and_nobody_is_judged() -> None:
    meter = Gnocchi(GnocchiSettings(), Basic("http://127.0.0.1:9", "admin", 2.0))
    told = meter.read((subject(1),), NOW)
    assert "127.0.0.1:9" in told.problems[0]
    assert len(meter.volumes(DAY, NOW)) == 0


def test_a_refusal_is_of_our_tree(door: Door) -> None:
    with pytest.raises(SekishoError):
        door.ask("POST", "/v1/aggregates", {}, {"operations": "(nonsense"})


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S")

"""What the keeper is told of ports: each once, as it is by then, and nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sekisho.model.cloud import CloudPort
from sekisho.model.errors import Forbidden, Unavailable
from support_modules import imported, stand_ins

LONG = 10.0


def port(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "project_id": "demo", "network_id": "n1", "device_owner": "compute:nova", **more}


def nobody(network: str) -> list[str]:
    raise AssertionError(network)


class Keeper:
    """Tells what it was told, in order; fails with what is in `failures` first."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.failures: list[Exception] = []
        self.heard = threading.Semaphore(0)

    def report_port(self, told: CloudPort) -> None:
        self._take(told)

    def forget_port(self, told: str) -> None:
        self._take(told)

    def _take(self, told: object) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.told.append(told)
        self.heard.release()

    def await_words(self, count: int) -> None:
        for _ in range(count):
            assert self.heard.acquire(timeout=LONG)


class Registry:
    """Neutron's callbacks."""

    def __init__(self) -> None:
        self.subscribed: list[tuple[str, str]] = []
        self.callbacks: dict[str, Any] = {}

    def subscribe(self, callback: Any, resource: str, event: str) -> None:
        self.subscribed.append((resource, event))
        self.callbacks[resource] = callback


@pytest.fixture(scope="module")
def guest() -> Iterator[SimpleNamespace]:
    events = SimpleNamespace(AFTER_CREATE="created", AFTER_UPDATE="updated", AFTER_DELETE="deleted")
    contents: dict[str, dict[str, Any]] = {
        "neutron_lib": {"context": None, "exceptions": SimpleNamespace(PortNotFound=KeyError)},
        "neutron_lib.callbacks": {
            "events": events,
            "registry": Registry(),
            "resources": SimpleNamespace(PORT="port", NETWORK="network"),
        },
        "neutron_lib.plugins": {"directory": None},
    }
    with imported("sekisho.guests.neutron", ("ports",), stand_ins(contents)) as loaded:
        yield loaded["ports"]


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


def test_a_port_is_told_as_it_is_when_its_turn_comes(guest: Any, keeper: Keeper) -> None:
    known = {"p1": port("p1", qos_network_policy_id="gold"), "p2": port("p2", device_owner="network:dhcp")}
    news = guest.PortNews(lambda: keeper, known.get, nobody)
    for name in ("p1", "p2", "p3"):
        assert news.tell(name)
    assert keeper.told == [CloudPort("p1", "demo", "n1", qos="gold"), "p2", "p3"]


def test_neutrons_word_is_enough_and_many_changes_cost_one(guest: Any, keeper: Keeper) -> None:
    reads: list[str] = []
    first, go = threading.Event(), threading.Event()

    def read(name: str) -> dict[str, Any]:
        reads.append(name)
        if len(reads) == 1:
            first.set()
            assert go.wait(LONG)
        return port(name)

    news = guest.PortNews(lambda: keeper, read, nobody)
    news.subscribe()
    told = [("port", e) for e in ("created", "updated", "deleted")]
    assert guest.registry.subscribed == [*told, ("network", "updated")]
    tell = guest.registry.callbacks["port"]
    tell("port", "created", None, SimpleNamespace(resource_id="p1"))
    assert first.wait(LONG)
    for _ in range(5):
        tell("port", "updated", None, SimpleNamespace(resource_id="p2"))
    go.set()
    keeper.await_words(2)
    assert reads == ["p1", "p2"]


def test_a_networks_other_plan_is_its_ports(guest: Any, keeper: Keeper) -> None:
    news = guest.PortNews(lambda: keeper, port, {"n1": ["p1", "p2"]}.get)
    for plans in (("gold", "gold"), ("gold", "lead")):
        states = [{"qos_policy_id": plan} for plan in plans]
        payload = SimpleNamespace(resource_id="n1", states=states)
        news.heard_of_network("network", "updated", None, payload)
        if plans[0] == plans[1]:
            assert not keeper.told
    keeper.await_words(2)
    assert [told.id for told in keeper.told if isinstance(told, CloudPort)] == ["p1", "p2"]


def test_what_a_keeper_that_is_away_was_not_told_it_hears_later(guest: Any, keeper: Keeper) -> None:
    keeper.failures = [Unavailable("away")] * 3
    news = guest.PortNews(lambda: keeper, port, nobody, pause=0.001)
    for name in ("p1", "p2"):
        news.changed(name)
    keeper.await_words(2)
    assert {told.id for told in keeper.told if isinstance(told, CloudPort)} == {"p1", "p2"}
    assert news.lost == 0


def test_what_the_keeper_refuses_is_not_told_again(guest: Any, keeper: Keeper) -> None:
    keeper.failures = [Forbidden("not you"), ValueError("odd")]
    news = guest.PortNews(lambda: keeper, port, nobody)
    assert [news.tell("p1") for _ in range(3)] == [True] * 3
    assert news.lost == 2
    assert len(keeper.told) == 1


def test_more_than_may_wait_is_counted_and_let_go(
    guest: Any, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = guest.PortNews(lambda: keeper, port, nobody, most=2)
    monkeypatch.setattr(news._aside, "need", lambda: None)
    for name in ("p1", "p2", "p3", "p1"):
        news.changed(name)
    assert news.lost == 1
    assert list(news._waiting) == ["p1", "p2"]

"""Full lists of a cloud: whole or none, page by page."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sekisho.app.cloud import NAME, RETRY, THREAD, Asking, CloudSettings, connect, moment, read
from sekisho.host.tasks import Troubles, repeat
from sekisho.model.cloud import Cloud, CloudPort, Plan, Project
from sekisho.model.errors import NotFound, Unavailable

SETTINGS = CloudSettings("cloud", page=2, jitter=0.0)


@dataclass
class FakeService:
    """Lists by path, paged as OpenStack's services do; `down` fails whoever asks."""

    lists: dict[str, list[dict[str, Any]]]
    down: bool = False
    asked: list[str] = field(default_factory=list)

    def get(self, path: str, headers: Mapping[str, str]) -> Any:
        del headers
        self.asked.append(path)
        parts = urlsplit(path)
        query = parse_qs(parts.query)
        if self.down:
            raise Unavailable("The cloud does not answer.", "gone")
        if parts.path not in self.lists:
            raise NotFound("no such thing")
        key = {"/servers/detail": "servers"}.get(parts.path, parts.path.rpartition("/")[2])
        items, marker = self.lists[parts.path], query.get("marker", [""])[0]
        start = next((i + 1 for i, item in enumerate(items) if item["id"] == marker), 0)
        end = start + int(query["limit"][0])
        more = [{"rel": "next", "href": "http://elsewhere"}] if end < len(items) else []
        return {key: items[start:end], f"{key}_links": more}


def port(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"p{number}", "project_id": "acme", "network_id": "n1", **more}


@pytest.fixture
def services() -> dict[str, FakeService]:
    network = FakeService(
        {
            "/ports": [
                port(
                    1,
                    mac_address="FA:16:3E:00:00:01",
                    device_id="vm-1",
                    fixed_ips=[{"ip_address": "10.0.0.1"}],
                ),
                port(2, qos_policy_id="q2", **{"binding:host_id": "h1"}),
                port(3, device_owner="network:dhcp"),
                port(
                    4, tags=["relay"], **{"binding:host_id": "h1", "binding:profile": {"migrating_to": "h2"}}
                ),
                port(5, network_id="n2"),
            ],
            "/networks": [{"id": "n1", "qos_policy_id": "q1"}, {"id": "n2", "qos_policy_id": None}],
            "/qos/policies": [{"id": "q1", "name": "gold", "tags": ["sold"]}, {"id": "q2", "name": "small"}],
        }
    )
    identity = FakeService(
        {
            "/projects": [
                {"id": "acme", "name": "Acme", "created_at": "2026-01-02"},
                {"id": "umbrella", "name": "Umbrella", "tags": ["vip", "created_at=1700000000"]},
                {"id": "old", "name": "Old"},
                {"id": "default", "name": "Default", "is_domain": True},
            ]
        }
    )
    compute = FakeService({"/servers/detail": [{"id": "vm-1", "flavor": {"original_name": "m1.tiny"}}]})
    return {"network": network, "identity": identity, "compute": compute}


def test_everything_is_read_page_by_page(services: dict[str, FakeService]) -> None:
    cloud = read(services, SETTINGS)
    assert [p.id for p in cloud.ports] == ["p1", "p2", "p4", "p5"]
    by_id = {p.id: p for p in cloud.ports}
    assert by_id["p1"] == CloudPort(
        "p1", "acme", "n1", "vm-1", "fa:16:3e:00:00:01", ("10.0.0.1",), qos="q1"
    ), "its network's plan where it has none of its own"
    assert (by_id["p2"].qos, by_id["p2"].host, by_id["p5"].qos) == ("q2", "h1", "")
    assert (by_id["p4"].tags, by_id["p4"].host, by_id["p4"].coming) == (("relay",), "h1", "h2")
    assert cloud.plans == (Plan("q1", "gold", ("sold",)), Plan("q2", "small"))
    assert cloud.flavors == {"vm-1": "m1.tiny"}
    assert cloud.projects == (
        Project("acme", "Acme", 1767312000.0),
        Project("umbrella", "Umbrella", 1_700_000_000.0),
        Project("old", "Old"),
    )
    assert len([p for p in services["network"].asked if p.startswith("/ports")]) == 3


def test_a_cloud_without_qos_or_compute_is_read_all_the_same(services: dict[str, FakeService]) -> None:
    del services["network"].lists["/qos/policies"], services["compute"]
    cloud = read(services, SETTINGS)
    assert (cloud.plans, cloud.flavors, len(cloud.ports)) == ((), {}, 4)


@pytest.mark.parametrize(
    ("written", "read_"),
    [
        ("2026-01-02", 1767312000.0),
        ("2026-01-02T01:00:00+01:00", 1767312000.0),
        ("1700000000", 1_700_000_000.0),
        (1_700_000_000, 1_700_000_000.0),
        ("yesterday", 0.0),
        (None, 0.0),
        ("", 0.0),
        ("-5", 0.0),
        ("nan", 0.0),
        ("inf", 0.0),
    ],
)
def test_moments_as_people_write_them(written: object, read_: float) -> None:
    assert moment(written) == read_


@dataclass
class Heard:
    taken: list[Cloud] = field(default_factory=list)
    begun: int = 0

    def begin_list(self) -> None:
        self.begun += 1

    def take_cloud(self, cloud: Cloud) -> int:
        self.taken.append(cloud)
        return 0


def test_a_list_is_had_whole_or_not_at_all_and_is_asked_for_again(services: dict[str, FakeService]) -> None:
    heard, troubles = Heard(), Troubles(logging.getLogger("test"))
    asking = Asking(SETTINGS, heard, lambda _: services, troubles)
    services["identity"].down = True
    assert [asking.look() for _ in range(3)] == [RETRY, 2 * RETRY, 4 * RETRY]
    assert heard.taken == []
    assert troubles.present() == (NAME,)
    services["identity"].down = False
    assert asking.look() == SETTINGS.every
    assert len(heard.taken) == 1
    assert troubles.present() == ()
    assert heard.begun == 4


def test_an_answer_that_is_no_list_is_no_list(services: dict[str, FakeService]) -> None:
    class Odd(FakeService):
        def get(self, path: str, headers: Mapping[str, str]) -> Any:
            return {"ports": None} if path.startswith("/ports") else super().get(path, headers)

    services["network"] = Odd(services["network"].lists)
    with pytest.raises(Unavailable, match="not what was asked"):
        read(services, SETTINGS)


def test_pauses_differ(services: dict[str, FakeService]) -> None:
    """A hundred keepers restarted together must not ask Neutron together for ever."""
    asking = Asking(
        replace(SETTINGS, jitter=0.1), Heard(), lambda _: services, Troubles(logging.getLogger("test"))
    )
    pauses = {asking.look() for _ in range(5)}
    assert len(pauses) > 1
    assert all(270 <= p <= 330 for p in pauses)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openstack", None)
    troubles = Troubles(logging.getLogger("test"))
    asking = Asking(SETTINGS, Heard(), connect, troubles)
    asking.look()
    assert troubles.present() == (NAME,)


class OneTurn(threading.Event):
    """Stops whoever pauses."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        self.set()
        return True


def test_a_cloud_that_is_away_is_a_trouble_until_it_answers() -> None:
    stop, troubles = OneTurn(), Troubles(logging.getLogger("test"))
    asking = Asking(SETTINGS, Heard(), lambda _: {"network": FakeService({}, down=True)}, troubles)
    repeat(stop, troubles, THREAD, lambda: asking.run(stop))
    assert troubles.present() == (NAME,)

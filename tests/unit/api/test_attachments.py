"""Hosts' VLANs over HTTP: the cloud tells, operators look, and no host speaks for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from fastapi import FastAPI

from sekisho.api import create_app, start
from sekisho.api.settings import ApiSettings
from sekisho.client import Client
from sekisho.model.access import Principal, Role
from sekisho.model.attachment import Attachment, HostVlan, HostVlans, Place
from sekisho.model.errors import Forbidden, Malformed, NotFound
from sekisho.testing.keeper import SECRETS, FakeKeeper
from support_api import bearer

TOLD = Attachment(
    "c1",
    (HostVlan(1001, "web", "n1"),),
    (Place("leaf-1", ("port-channel11",), carried=False, problem="away"),),
)


class Fake:
    def __init__(self) -> None:
        self.told: list[tuple[str, str, HostVlans]] = []

    def put(self, who: Principal, host: str, wanted: HostVlans) -> None:
        self.told.append((who.name, host, wanted))

    def attachments(self) -> tuple[Attachment, ...]:
        return (TOLD, Attachment("c2"))

    def attachment(self, host: str) -> Attachment:
        return TOLD if host == "c1" else Attachment(host)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FastAPI, str]]:
    settings = ApiSettings(port=0)
    app = create_app(FakeKeeper(), settings)
    running = start(app, settings)
    yield app, running.url
    running.stop()


@pytest.fixture
def fake(served: tuple[FastAPI, str]) -> Iterator[Fake]:
    served[0].state.attachments = Fake()
    yield served[0].state.attachments
    served[0].state.attachments = None


@pytest.fixture
def client(served: tuple[FastAPI, str]) -> Iterator[Client]:
    with closing(Client(served[1], SECRETS[Role.CLOUD])) as made:
        yield made


def test_what_a_host_wants_is_told_whole(client: Client, fake: Fake) -> None:
    wanted = HostVlans((HostVlan(1001, "web", "n1"), HostVlan(1002)))
    client.report_vlans("c 1", wanted)
    client.report_vlans("c1", HostVlans())
    assert [w[1:] for w in fake.told] == [("c 1", wanted), ("c1", HostVlans())]


def test_operators_and_the_cloud_see_where_it_is_carried(
    served: tuple[FastAPI, str], client: Client, fake: Fake
) -> None:
    del fake
    assert client.attachments() == (TOLD, Attachment("c2"))
    with httpx.Client(base_url=served[1], headers=bearer(Role.VIEWER), trust_env=False) as asking:
        assert asking.get("/v1/hosts/c1/vlans").json()["places"][0]["problem"] == "away"
        assert asking.get("/v1/attachments", params={"limit": 1}).json()["next"] == "c1"
        assert asking.put("/v1/hosts/c1/vlans", json={"vlans": []}).status_code == 403


def test_a_host_gets_itself_no_networks(served: tuple[FastAPI, str], fake: Fake) -> None:
    """Whoever has broken into a hypervisor has its token, too."""
    app, url = served
    _, secret = app.state.keeper.create_token(Principal("a", Role.ADMIN), "h", Role.AGENT, "c1", 60.0)
    with closing(Client(url, secret)) as host, pytest.raises(Forbidden, match="admin or cloud"):
        host.report_vlans("c1", HostVlans((HostVlan(1001),)))
    assert not fake.told


def test_what_is_no_vlan_is_refused_with_its_place(client: Client, fake: Fake) -> None:
    del fake
    with pytest.raises(Malformed) as caught:
        client._json("PUT", "hosts/c1/vlans", body={"vlans": [{"id": "many"}]})
    assert "vlans" in caught.value.problems[0]


def test_a_keeper_without_switches_says_so(client: Client) -> None:
    with pytest.raises(NotFound, match="No switches"):
        client.attachments()

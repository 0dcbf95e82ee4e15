"""Load balancers over HTTP, by our own client: Octavia's guest, directors, operators, and who may what."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from sekisho.api import create_app, start
from sekisho.api.settings import ApiSettings
from sekisho.client import Client
from sekisho.model.access import Principal, Role
from sekisho.model.balancer import (
    DirectorReport,
    Kind,
    Listener,
    Monitor,
    Operating,
    Pool,
    Protocol,
    Provisioning,
    Statistics,
)
from sekisho.model.errors import Conflict, Forbidden, Malformed, NotFound, Unsupported
from sekisho.testing.keeper import SECRETS, FakeKeeper
from support_api import bearer
from support_balancers import Room, balancer, members

ADA = Principal("ada", Role.ADMIN)
SECRETS_OF: dict[str, str] = {}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def url(room: Room) -> Iterator[str]:
    settings, fake = ApiSettings(port=0), FakeKeeper()
    app = create_app(fake, settings, balancers=room.keeper)
    running = start(app, settings)
    for director in ("d1", "d2"):
        SECRETS_OF[director] = fake.create_token(ADA, director, Role.AGENT, director, 0)[1]
    yield running.url
    running.stop()


@pytest.fixture
def octavia(url: str) -> Iterator[Client]:
    with closing(Client(url, SECRETS[Role.OCTAVIA])) as client:
        yield client


@pytest.fixture
def d1(url: str) -> Iterator[Client]:
    with closing(Client(url, SECRETS_OF["d1"])) as client:
        yield client


def test_octavia_and_a_director_go_through_a_balancers_life(octavia: Client, d1: Client) -> None:
    lb = balancer()
    made = octavia.balancers.put(lb)
    assert (made.balancer, made.provisioning) == (lb, Provisioning.PENDING)
    program = d1.balancers.program("d1")
    assert program is not None
    assert program.balancers == (lb,)
    d1.balancers.report(
        DirectorReport(
            "d1",
            program.revision,
            active=True,
            operating={"lb1": Operating.ONLINE},
            statistics=(Statistics("lb1-l", 1, 2, 3),),
        )
    )
    page = octavia.balancers.statuses()
    assert page is not None
    assert {(s.kind, s.id) for s in page.statuses} >= {(Kind.BALANCER, "lb1"), (Kind.MEMBER, "lb1-m1")}
    assert {s.provisioning for s in page.statuses} == {Provisioning.ACTIVE}
    assert page.statistics == (Statistics("lb1-l", 1, 2, 3),)
    octavia.balancers.told(page.revision)
    assert octavia.balancers.statuses(page.revision) is None
    assert octavia.balancers.show("lb1").active == "d1"

    monitor, third = Monitor("lb1-h", lb.pools[0].monitor.check, delay=9), members("lb1", 3)[2]  # type: ignore[union-attr]
    octavia.balancers.put_object("lb1-p", monitor)
    octavia.balancers.put_object("lb1-p", third)
    octavia.balancers.put_object("lb1", Listener("second", Protocol.UDP, 80))
    octavia.balancers.put_object("second", Pool("second-p", Protocol.UDP))
    octavia.balancers.put_members("second-p", members("second", 2))
    octavia.balancers.delete_object("second-m1")
    (found,) = octavia.balancers.list(provider="lvs", project="acme")
    assert [e.pool for e in found.balancer.listeners] == ["lb1-p", "second-p"]
    assert found.balancer.pools[0].monitor == monitor
    assert [m.id for m in found.balancer.pools[1].members] == ["second-m2"]
    octavia.balancers.delete("lb1", cascade=True)
    assert octavia.balancers.show("lb1").provisioning is Provisioning.PENDING


def test_errors_come_through_as_they_are(octavia: Client, d1: Client) -> None:
    octavia.balancers.put(balancer())
    with pytest.raises(Conflict):
        octavia.balancers.delete("lb1")
    with pytest.raises(NotFound):
        octavia.balancers.show("lb9")
    with pytest.raises(NotFound):
        octavia.balancers.delete_object("nothing")
    octavia.balancers.delete_object("nothing", Kind.MEMBER, "lb1-p")
    with pytest.raises(Unsupported):
        octavia.balancers.put(replace(balancer("lb2", 2), zone="nowhere"))
    with pytest.raises(Malformed):
        d1.balancers.report(DirectorReport("d1", 0, active=True, operating={"x": "HAPPY"}))  # type: ignore[dict-item]


def test_a_director_speaks_for_itself_only(d1: Client, url: str) -> None:
    report = DirectorReport("d2", 1, active=True)
    for forbidden in (
        lambda: d1.balancers.program("d2"),
        lambda: d1.balancers.report(report),
        lambda: d1.balancers.put(balancer()),
        d1.balancers.statuses,
    ):
        with pytest.raises(Forbidden):
            forbidden()
    body = {"director": "d1", "revision": 1, "active": True}
    answer = httpx.post(f"{url}/v1/directors/d2/report", json=body, headers=bearer(Role.ADMIN))
    assert answer.status_code == 422
    with closing(Client(url, SECRETS[Role.ADMIN])) as admin, pytest.raises(NotFound):
        admin.balancers.program("d9")


@pytest.mark.parametrize("role", [Role.AGENT, Role.CLOUD, Role.OCTAVIA, Role.OPERATOR, Role.VIEWER])
def test_nobody_else_speaks_for_a_director(url: str, role: Role) -> None:
    """A collector's token, or Octavia's, would end changes that no director has carried."""
    with closing(Client(url, SECRETS[role])) as client:
        with pytest.raises(Forbidden):
            client.balancers.program("d1")
        with pytest.raises(Forbidden):
            client.balancers.report(DirectorReport("d1", 1, active=True))


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (Role.VIEWER, {"read"}),
        (Role.OPERATOR, {"read", "write"}),
        (Role.OCTAVIA, {"read", "write"}),
        (Role.AGENT, set[str]()),
        (Role.CLOUD, set[str]()),
    ],
)
def test_who_may_what(url: str, role: Role, may: set[str]) -> None:
    with closing(Client(url, SECRETS[role])) as client:
        ways: dict[str, Callable[[], object]] = {
            "read": client.balancers.list,
            "write": lambda: client.balancers.put(balancer()),
        }
        for name, ask in ways.items():
            if name in may:
                ask()
            else:
                with pytest.raises(Forbidden):
                    ask()


def test_long_polls_end_with_the_news(room: Room, octavia: Client, d1: Client) -> None:
    found: list[object] = []
    first = d1.balancers.program("d1")
    assert first is not None
    waiting = [
        threading.Thread(target=lambda: found.append(d1.balancers.program("d1", first.revision, 30))),
        threading.Thread(target=lambda: found.append(octavia.balancers.statuses(None, 30))),
    ]
    for thread in waiting:
        thread.start()
    with closing(Client(octavia.url, SECRETS[Role.OCTAVIA])) as other:
        other.balancers.put(balancer())
        room.report()
    for thread in waiting:
        thread.join(20)
        assert not thread.is_alive()
    assert len(found) == 2
    assert None not in found


def test_a_program_is_whole_though_only_what_changed_is_sent(room: Room, octavia: Client, d1: Client) -> None:
    for n in range(1, 4):
        octavia.balancers.put(balancer(f"lb{n}", n))
    before = d1.balancers.program("d1")
    assert before is not None
    octavia.balancers.put_object("lb2-p", replace(members("lb2", net=2)[0], weight=5))
    octavia.balancers.delete("lb3", cascade=True)
    after = d1.balancers.program("d1", before.revision)
    assert after is not None
    wanted = room.keeper.program("d1", None)
    assert {b.id: b for b in after.balancers} == {b.id: b for b in wanted.balancers}
    assert (after.since, after.gone) == (0, ())
    assert after.balancers[0] is before.balancers[0], "what did not change was not read again"
    assert d1.balancers.program("d1", after.revision) is None
    again = d1.balancers.program("d1")
    assert again is not None
    assert set(again.balancers[0].pools) == set(after.balancers[0].pools)


def test_a_failover_and_what_is_wrong(room: Room, octavia: Client) -> None:
    octavia.balancers.put(balancer())
    room.report("d1")
    found = octavia.balancers.ailments("lb1")
    assert [(a.device, a.balancer) for a in found] == [("d2", "")]
    octavia.balancers.failover("lb1")
    assert room.keeper.program("d1", None).prefer == "d2"


def test_a_keeper_without_balancers_says_so() -> None:
    settings = ApiSettings(port=0)
    running = start(create_app(FakeKeeper(), settings), settings)
    with closing(Client(running.url, SECRETS[Role.OCTAVIA])) as client, pytest.raises(NotFound):
        client.balancers.list()
    running.stop()

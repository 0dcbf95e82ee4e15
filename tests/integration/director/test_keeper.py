"""A director under a real keeper, over HTTP; its kernel's table is in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sekisho.api import create_app, start
from sekisho.api.settings import ApiSettings
from sekisho.app.director import AddressBook, Director, DirectorSettings
from sekisho.client import Client
from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.roles import NoPlaces
from sekisho.host.clock import Clock
from sekisho.model.access import Principal, Role
from sekisho.model.balancer import Kind, Member, ObjectStatus, Operating, Provisioning
from sekisho.testing.keeper import SECRETS, FakeKeeper
from support_balancers import Room
from support_director import until
from support_lvs import MemoryChecks, MemoryKernel, balancer, key, with_members

ADA = Principal("ada", Role.ADMIN)
WEB = balancer(1)


class Bed:
    """Octavia's client, and the director d1 with its kernel."""

    def __init__(self, url: str, secret: str, folder: Path) -> None:
        self.octavia = Client(url, SECRETS[Role.OCTAVIA])
        self.kernel = MemoryKernel()
        self.client = Client(url, secret)
        self.settings = DirectorSettings("d1", state=str(folder), wait=5.0, report_every=0.2)
        clock = Clock()
        book = AddressBook(folder / "addresses")
        self.driver = LvsDriver(self.kernel, clock.passed, MemoryChecks(), book=book)
        self.director = Director(self.settings, self.client.balancers, clock, self.driver)
        self.told: dict[str, ObjectStatus] = {}

    def run(self) -> threading.Thread:
        thread = threading.Thread(target=self.director.run)
        thread.start()
        return thread

    def status(self, thing: str) -> Provisioning | None:
        """Hear as Octavia's agent does, and say how far a thing has come."""
        page = self.octavia.balancers.statuses(None, 0.2)
        if page is not None:
            self.told |= {s.id: s for s in page.statuses}
            self.octavia.balancers.told(page.revision)
        return self.told[thing].provisioning if thing in self.told else None


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    room = Room(tmp_path)
    settings, fake = ApiSettings(port=0), FakeKeeper()
    running = start(create_app(fake, settings, balancers=room.keeper), settings)
    made = Bed(running.url, fake.create_token(ADA, "d1", Role.AGENT, "d1", 0)[1], tmp_path / "director")
    thread = made.run()
    try:
        with closing(made.octavia), closing(made.client):
            yield made
            made.director.stop.set()
            thread.join(10.0)
    finally:
        made.director.stop.set()
        running.stop()
        room.ledger.close()


def comes_to(bed: Bed, thing: str, end: Provisioning) -> Callable[[], bool]:
    return lambda: bed.status(thing) is end


def test_what_octavia_asks_is_in_the_kernel_and_told_back(bed: Bed) -> None:
    bed.octavia.balancers.put(WEB)
    until(comes_to(bed, "b1", Provisioning.ACTIVE), "the balancer never is ACTIVE")
    assert bed.kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert {bed.told[i].provisioning for i in ("l1", "p1", "m1-1", "m1-2")} == {Provisioning.ACTIVE}
    assert bed.told["m1-1"].operating is Operating.NO_MONITOR

    bed.told.clear()
    bed.octavia.balancers.put_object("p1", replace(WEB.pools[0].members[0], weight=7))
    until(comes_to(bed, "b1", Provisioning.ACTIVE), "the balancer never is ACTIVE again")
    assert bed.kernel.dests(key(1))["10.0.0.1"] == 7

    bed.octavia.balancers.delete("b1", cascade=True)
    until(comes_to(bed, "b1", Provisioning.DELETED), "the balancer never is DELETED")
    assert bed.kernel.table == {}


def test_what_cannot_be_carried_is_told_as_an_error_and_mends(bed: Bed) -> None:
    bed.kernel.refuse = lambda _: "there is no such scheduler"
    bed.octavia.balancers.put(WEB)
    until(comes_to(bed, "b1", Provisioning.ERROR), "nobody says that it failed", 60.0)
    view = bed.octavia.balancers.show("b1")
    assert "refused TCP 10.0.1.1:80" in view.problem
    bed.kernel.refuse = lambda _: ""
    until(comes_to(bed, "b1", Provisioning.ACTIVE), "nobody says that it is well again")
    assert bed.kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}


class Beyond(NoPlaces):
    """Has a router on the way to one address."""

    def routed(self, addresses: Iterable[str]) -> frozenset[str]:
        return frozenset(addresses) & {"10.0.9.9"}


def test_a_member_behind_a_router_is_an_error_and_ends_no_change(bed: Bed) -> None:
    bed.driver.places = Beyond()
    far = Member("far", "10.0.9.9", 80)
    bed.octavia.balancers.put(with_members(WEB, *WEB.pools[0].members, far))
    until(comes_to(bed, "b1", Provisioning.ACTIVE), "a member behind a router fails its load balancer")
    assert bed.told["far"].operating is Operating.ERROR
    assert bed.kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}
    bed.octavia.balancers.put_object("p1", Member("m1-3", "10.0.0.3", 80))
    until(comes_to(bed, "m1-3", Provisioning.ACTIVE), "it fails what is changed beside it")
    bed.octavia.balancers.delete_object("m1-2", Kind.MEMBER, "p1")
    until(comes_to(bed, "m1-2", Provisioning.DELETED), "it keeps what is deleted beside it")
    assert "10.0.9.9 is behind a router" in str(bed.octavia.balancers.ailments("b1"))

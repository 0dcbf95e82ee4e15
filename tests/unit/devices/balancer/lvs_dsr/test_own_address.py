"""A member that would be the director itself: customers would reach the director's own services."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import pytest

from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.places import Kernels
from sekisho.devices.balancer.lvs_dsr.roles import NoVips
from sekisho.model.balancer import Check, Member, Monitor, Operating
from support_lvs import MemoryChecks, MemoryKernel, Time, balancer, key, with_members


class Places:
    """Knows one address, and counts the addresses that it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.routes: list[frozenset[str]] = []
        self.behind = {"10.0.9.9"}

    def own(self, addresses: Iterable[str]) -> frozenset[str]:
        asked = list(addresses)
        self.asked += asked
        return frozenset(asked) & {"10.0.0.254"}

    def routed(self, addresses: Iterable[str]) -> frozenset[str]:
        self.routes += [asked := frozenset(addresses)]
        return asked & self.behind


class Vips(NoVips):
    """Remembers the VIPs."""

    carried: Collection[str] = ()

    def carry(self, addresses: Collection[str]) -> bool:
        self.carried = frozenset(addresses)
        return False


@pytest.fixture
def places() -> Places:
    return Places()


@pytest.fixture
def vips() -> Vips:
    return Vips()


@pytest.fixture
def driver(places: Places, vips: Vips) -> LvsDriver:
    made = LvsDriver(MemoryKernel(), Time(), MemoryChecks(), vips)
    made.places = places
    return made


@pytest.mark.parametrize(
    "member",
    [
        Member("m", "10.0.0.254", 80),
        Member("m", "10.0.0.1", 80, monitor_address="10.0.0.254"),
        Member("m", "10.0.1.2", 80),  # another balancer's VIP, which may be here
    ],
)
def test_it_is_refused_and_all_else_is_carried(driver: LvsDriver, vips: Vips, member: Member) -> None:
    outcome = driver.carry((with_members(balancer(1), member), balancer(2)))
    assert list(outcome.problems) == ["b1"]
    assert "director itself" in outcome.problems["b1"]
    assert vips.carried == {"10.0.1.2"}, "nobody answers for a VIP that nothing stands behind"


def test_what_was_carried_before_goes_on(driver: LvsDriver, vips: Vips) -> None:
    before = balancer(1)
    driver.carry((before,))
    odd = with_members(before, *before.pools[0].members, Member("m", "10.0.0.254", 80))
    assert list(driver.carry((odd,)).problems) == ["b1"]
    assert vips.carried == {"10.0.1.1"}
    kernel = driver._kernel
    assert isinstance(kernel, MemoryKernel)
    assert list(kernel.dests(key())) == ["10.0.0.1", "10.0.0.2"]
    assert driver.carry((before,)).problems == {}


def test_only_new_members_are_looked_for(driver: LvsDriver, places: Places) -> None:
    many = balancer(1, 100)
    driver.carry((many,))
    assert len(places.asked) == 100
    first, *rest = many.pools[0].members
    driver.carry((with_members(many, replace(first, weight=7), *rest, Member("m", "10.0.0.200", 80)),))
    assert places.asked[100:] == ["10.0.0.200"]


def test_a_member_behind_a_router_serves_nobody_and_keeps_no_other_from_it(
    driver: LvsDriver, places: Places
) -> None:
    whole = balancer(1, 2)
    far = with_members(whole, *whole.pools[0].members, Member("far", "10.0.9.9", 80))
    driver.carry((whole,))
    outcome = driver.carry((far, balancer(2)))
    assert outcome.problems == driver.problems == {}, "all else that is wanted of it is carried"
    assert list(driver.far) == ["b1"]
    assert "10.0.9.9 is behind a router" in driver.far["b1"]
    kernel = driver._kernel
    assert isinstance(kernel, MemoryKernel)
    assert kernel.dests(key()) == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert driver.operating()["far"] is Operating.ERROR
    assert driver.operating()["m1-1"] is Operating.NO_MONITOR

    again = LvsDriver(kernel, Time(), MemoryChecks())
    again.places = places
    again.carry((far,))
    assert kernel.dests(key()) == {"10.0.0.1": 1, "10.0.0.2": 1}, "a start loses no other member"

    places.behind = set()
    places.routes.clear()
    driver.carry((far, balancer(2)))
    assert driver.far == {}
    assert places.routes == [{"10.0.9.9"}], "only who was behind one is looked for again"
    assert set(kernel.dests(key())) == {"10.0.0.1", "10.0.0.2", "10.0.9.9"}
    places.routes.clear()
    driver.carry((far, balancer(2)))
    assert places.routes == []


def test_a_monitor_has_no_say_of_a_member_behind_a_router(driver: LvsDriver) -> None:
    far = with_members(balancer(1, 1, monitor=Monitor("h", Check.TCP)), Member("far", "10.0.9.9", 80))
    driver.carry((far,))
    driver.judge("far", alive=True)
    kernel = driver._kernel
    assert isinstance(kernel, MemoryKernel)
    assert kernel.dests(key()) == {}
    assert driver.operating()["far"] is Operating.ERROR
    driver.carry((balancer(1, 1),))
    assert kernel.dests(key()) == {"10.0.0.1": 1}
    assert driver.far == {}


def test_a_real_kernel_knows_its_own_addresses() -> None:
    asked = ("127.0.0.1", "::1", "192.0.2.7", "2001:db8::7", "127.3.2.1")
    assert Kernels().own(asked) == {"127.0.0.1", "::1", "127.3.2.1"}

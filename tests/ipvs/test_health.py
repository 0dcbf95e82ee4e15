"""Members that die, come back or do not hear the VIP, and how soon the kernel knows."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sekisho.model.balancer import Operating
from support_ipvs import VIP, WHO, Bed, address, balancer, member, monitor, until


@pytest.fixture(autouse=True)
def carried(bed: Bed) -> Iterator[None]:
    bed.carry(balancer(member("m1"), member("m2"), monitor=monitor()))
    until(lambda: both(bed), "members do not come up")
    yield
    bed.carry()


def both(bed: Bed) -> bool:
    return all(bed.weights(name) == {address("m1"): 1, address("m2"): 1} for name in bed.directors)


def out(bed: Bed) -> bool:
    return bed.weights(bed.active()) == {address("m2"): 1}


def test_a_member_that_dies_is_out_within_two_seconds_and_comes_back(bed: Bed) -> None:
    active = bed.active()
    bed.deafen("m1")
    began = time.monotonic()
    try:
        until(lambda: bed.weights(active) == {address("m2"): 1}, "it stays in", 0.05)
        assert time.monotonic() - began < 2.0
        assert bed.ask(4) == {"m2": 4}
        told = bed.keeper.reports
        bed.keeper.hears(lambda: told[active].operating["m1-80"] is Operating.ERROR, "the keeper is not told")
    finally:
        bed.listen("m1", WHO)
    until(lambda: both(bed), "it does not come back")
    until(lambda: set(bed.ask(2)) == {"m1", "m2"}, "it does not serve again")


def test_a_member_whose_host_is_gone_is_out_within_a_beat_and_its_time(bed: Bed) -> None:
    bed.ip("lan", "link set to-m1 down")
    began = time.monotonic()
    try:
        until(lambda: out(bed), "it stays in")
        assert time.monotonic() - began < 3.0
    finally:
        bed.ip("lan", "link set to-m1 up")
    until(lambda: both(bed), "it does not come back")


def test_a_member_that_is_well_but_deaf_gets_nothing(bed: Bed) -> None:
    bed.loopback("m1", VIP, there=False)
    try:
        until(lambda: out(bed), "it stays in")
        assert bed.ask(4) == {"m2": 4}
        reasons = bed.directors[bed.active()]._driver.checks.reasons  # type: ignore[attr-defined]
        assert "does not hear the VIP" in reasons["m1-80"]
    finally:
        bed.loopback("m1", VIP)
    until(lambda: both(bed), "it does not come back")

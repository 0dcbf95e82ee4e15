from __future__ import annotations

from dataclasses import replace

import pytest

from sekisho.devices.balancer.intent import codes, operating, prefix, servers
from sekisho.model.balancer import Check, Member, Monitor, Operating
from support_lvs import balancer

WEB = balancer(1, 2, monitor=Monitor("h", Check.TCP))
ONE = {"m1-1": Operating.ERROR, "m1-2": Operating.ONLINE}
BOTH = dict.fromkeys(ONE, Operating.ERROR)


@pytest.mark.parametrize(
    ("written", "meant"), [("200", {200}), ("200,202", {200, 202}), ("200-203", {200, 201, 202, 203})]
)
def test_codes_as_octavia_writes_them(written: str, meant: set[int]) -> None:
    assert codes(written) == meant


@pytest.mark.parametrize(("written", "bits"), [("", 0), ("64", 64), ("255.255.255.0", 24)])
def test_what_one_source_is(written: str, bits: int) -> None:
    assert prefix(written) == bits


@pytest.mark.parametrize(
    ("members", "status"),
    [({}, Operating.ONLINE), (ONE, Operating.DEGRADED), (BOTH, Operating.ERROR)],
)
def test_a_balancer_does_as_its_members_do(members: dict[str, Operating], status: Operating) -> None:
    said = operating(WEB, members)
    assert said["p1"] is said["l1"] is said["b1"] is status
    assert said["m1-1"] is members.get("m1-1", Operating.OFFLINE)


def test_what_is_switched_off_is_offline() -> None:
    assert operating(replace(WEB, enabled=False), {})["b1"] is Operating.OFFLINE
    off = replace(WEB, listeners=(replace(WEB.listeners[0], enabled=False),))
    assert operating(off, BOTH)["l1"] is Operating.OFFLINE
    assert operating(off, BOTH)["b1"] is Operating.ONLINE


def test_without_a_monitor_nobody_knows() -> None:
    said = operating(balancer(1), {})
    assert said["m1-1"] is Operating.NO_MONITOR
    assert said["b1"] is Operating.ONLINE


def test_backups_stand_in_for_all_others_only() -> None:
    main, sorry = Member("a", "10.0.0.1", 80), Member("b", "10.0.0.2", 80, backup=True)
    assert servers((main, sorry), ("a", "b")) == (main,)
    assert servers((main, sorry), ("b",)) == (sorry,)
    drained = replace(main, weight=0)
    assert servers((drained, sorry), ("a", "b")) == (drained, sorry)
    assert servers((replace(main, enabled=False), sorry), ("a", "b")) == (sorry,)

"""A real FRRouting beside what the contract says: daemons that are away, and lines that are no parts."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sekisho.devices.switch.driver import Step
from sekisho.devices.switch.intent import Port, Route
from sekisho.model.errors import Refused, Unavailable
from support_frr import LONG, Router, router

pytestmark = pytest.mark.frr

ROUTE = Route("default", "10.9.0.0/16", ("10.0.0.253",), 1)
# What no part says: it must be left alone by a change, and come back with a backup.
FOREIGN = (
    "ip prefix-list outside seq 5 permit 192.0.2.0/24",
    "route-map out permit 10",
    "match ip address prefix-list outside",
    "exit",
    "interface eth2",
    "description foreign",
    "ip address 10.55.0.1/24",
    "exit",
    "access-list exact seq 5 permit 10.0.0.0/24 exact-match",
    "ip route 10.3.0.0/16 10.0.0.1 tag 7",
)


@pytest.fixture
def real() -> Iterator[Router]:
    with router() as made:
        yield made


def by_hand(real: Router, *lines: str) -> None:
    words = [word for line in ("configure terminal", *lines) for word in ("-c", line)]
    place = ["--vty_socket", str(real.folder), "--config_dir", str(real.folder)]
    subprocess.run(["vtysh", *place, *words], check=True, capture_output=True, timeout=LONG)


def test_routes_are_not_gone_because_their_daemon_is(real: Router) -> None:
    driver = real.driver()
    driver.apply([Step(None, ROUTE)])
    staticd = real.processes[1]
    staticd.send_signal(signal.SIGTERM)
    staticd.wait(LONG)
    with pytest.raises(Unavailable, match="does not answer"):
        driver.read()
    with pytest.raises(Unavailable):
        driver.apply([Step(ROUTE, replace(ROUTE, preference=9))])


def test_what_no_part_says_is_left_alone_and_comes_back_with_a_backup(real: Router) -> None:
    driver = real.driver()
    empty = driver.running()
    by_hand(real, *FOREIGN)
    full = driver.running()
    state = driver.read()
    driver.apply([Step(None, ROUTE)])
    driver.apply([Step(ROUTE, None)])
    assert driver.running() == full
    driver.restore(empty)
    assert driver.running() == empty
    driver.restore(full)
    assert driver.running() == full
    assert driver.read() == state


def test_an_interface_that_is_not_there_is_no_part(real: Router) -> None:
    driver = real.driver()
    by_hand(real, "interface eth77", "description ghost", "exit")
    assert {p.name for p in driver.read().parts.values() if isinstance(p, Port)} == {"eth1", "eth2"}


def test_the_kernel_has_the_route_and_the_interface_is_down(real: Router) -> None:
    driver = real.driver()
    eth2 = next(p for p in driver.read().parts.values() if isinstance(p, Port) and p.name == "eth2")
    driver.apply([Step(None, ROUTE)])
    until(real, "route show 10.9.0.0/16", "10.0.0.253")
    driver.apply([Step(eth2, replace(eth2, enabled=False))])
    until(real, "link show eth2", "state DOWN")


def until(real: Router, asked: str, wanted: str) -> None:
    for _ in range(500):
        show = ["ip", "-n", real.namespace, *asked.split()]
        found = subprocess.run(show, check=True, capture_output=True, text=True).stdout
        if wanted in found:
            return
        threading.Event().wait(0.02)
    raise AssertionError(found)


def test_the_first_word_that_is_refused_is_told(real: Router) -> None:
    with pytest.raises(Refused, match="blackhole"):
        real.driver().apply([Step(None, replace(ROUTE, via=("10.0.0.1", "discard")))])

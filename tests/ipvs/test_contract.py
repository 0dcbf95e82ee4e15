"""A director carries balancers as every device must, over the kernel's own table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from sekisho.devices.balancer.driver import BalancerDriver
from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.ipvs import Ipvs, open_ipvs
from sekisho.devices.balancer.lvs_dsr.roles import ForgetfulBook
from sekisho.devices.balancer.lvs_dsr.services import (
    PROTOCOLS,
    Counts,
    Dest,
    Key,
    Service,
    Stand,
    Step,
    Sync,
    Verb,
)
from sekisho.model.balancer import Balancer, Check, Member, Monitor
from sekisho.model.errors import Unavailable
from sekisho.testing.contract_balancer import CHECKS, Rig, Services
from support_director import ip, within
from support_lvs import AnsweringChecks, balancer, key, with_members

NAMES = {number: name for name, number in PROTOCOLS.items()}
THEIRS = Service(Key(6, "10.9.9.9", 80), "rr")
PLACE = "contract"


@dataclass
class Faults:
    """Counts steps, and lets none through after `left` more; below 0 all."""

    calls: int = 0
    left: int = -1
    met: bool = False

    def step(self) -> None:
        if self.left == 0:
            self.met = True
            raise Unavailable("The kernel does not answer over netlink.")
        self.left -= 1
        self.calls += 1


@dataclass
class Failing:
    """The real table, step by step, until it is told to fail."""

    real: Ipvs
    faults: Faults

    def services(self) -> dict[Key, tuple[Service, Counts]]:
        return self.real.services()

    def stand(self, key: Key) -> Stand | None:
        return self.real.stand(key)

    def apply(self, steps: Sequence[Step]) -> list[str]:
        found = []
        for step in steps:
            self.faults.step()
            found += self.real.apply([step])
        return found

    def sync(self, wanted: Sync | None) -> bool:
        return self.real.sync(wanted)

    def close(self) -> None:
        self.real.close()


@dataclass
class RealRig:
    faults: Faults = field(default_factory=Faults)
    book: ForgetfulBook = field(default_factory=ForgetfulBook)
    checks: AnsweringChecks = field(default_factory=lambda: AnsweringChecks(set()))

    def driver(self) -> BalancerDriver:
        kernel = Failing(within(PLACE, open_ipvs), self.faults)
        self.checks.driver = LvsDriver(kernel, time.monotonic, self.checks, book=self.book)
        return self.checks.driver

    def balancers(self) -> tuple[Balancer, Balancer]:
        return balancer(1, monitor=Monitor("h", Check.TCP)), balancer(2, 3)

    def impossible(self) -> Balancer | None:
        return with_members(balancer(3), Member("m3-1", "10.0.0.1", 8080))

    def services(self) -> Services:
        with closing(within(PLACE, open_ipvs)) as kernel:
            stands = {key: kernel.stand(key) for key in kernel.services()}
        return {
            (k.address, NAMES[k.protocol], k.port): frozenset(a for a, d in s.dests.items() if d.weight)
            for k, s in stands.items()
            if s is not None
        }

    def tell(self, *steps: Step) -> None:
        with closing(within(PLACE, open_ipvs)) as kernel:
            assert set(kernel.apply(steps)) == {""}

    def strange(self) -> bool:
        server = Dest("10.9.9.1", 80, 1)
        self.tell(Step(Verb.NEW_SERVICE, THEIRS), Step(Verb.NEW_DEST, THEIRS, server))
        return True

    def meddle(self) -> bool:
        self.tell(Step(Verb.DEL_SERVICE, Service(key(1), "")))
        return True

    def fall(self, member: Member) -> bool:
        assert self.checks.driver
        self.checks.driver.judge(member.id, alive=False)
        return True

    def calls(self) -> int:
        return self.faults.calls

    def interrupt(self, number: int) -> bool:
        self.faults.left, self.faults.met = number, False
        return True

    def interrupted(self) -> bool:
        return self.faults.met

    def mend(self) -> None:
        self.faults.left = -1


@pytest.fixture
def rig() -> Iterator[RealRig]:
    ip("netns", "add", PLACE)
    ip("-n", PLACE, "link", "set", "lo", "up")
    ip("-n", PLACE, "route", "add", "default", "dev", "lo")  # IPVS takes no server without a route
    try:
        yield RealRig()
    finally:
        ip("netns", "delete", PLACE)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_the_kernel(rig: RealRig, check: Callable[[Rig], None]) -> None:
    check(rig)

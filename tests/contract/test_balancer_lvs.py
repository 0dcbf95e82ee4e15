"""A director carries balancers as every device must, over an IPVS table in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sekisho.devices.balancer.driver import BalancerDriver
from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.roles import ForgetfulBook
from sekisho.devices.balancer.lvs_dsr.services import PROTOCOLS, Dest, Key, Service, Stand, Step
from sekisho.model.balancer import Balancer, Check, Member, Monitor
from sekisho.model.errors import Unavailable
from sekisho.testing import contract_balancer
from sekisho.testing.contract_balancer import CHECKS, Rig, Services
from support_lvs import AnsweringChecks, MemoryKernel, Time, balancer, key, with_members

NAMES = {number: name for name, number in PROTOCOLS.items()}
THEIRS = Key(6, "10.9.9.9", 80)


class LvsRig:
    def __init__(self) -> None:
        self.kernel = MemoryKernel()
        self.book = ForgetfulBook()
        self.checks = AnsweringChecks(set())
        self.broken = False

    def driver(self) -> BalancerDriver:
        self.checks.driver = LvsDriver(self.kernel, Time(), self.checks, book=self.book)
        return self.checks.driver

    def balancers(self) -> tuple[Balancer, Balancer]:
        return balancer(1, monitor=Monitor("h", Check.TCP)), balancer(2, 3)

    def impossible(self) -> Balancer | None:
        return with_members(balancer(3), Member("m3-1", "10.0.0.1", 8080))

    def services(self) -> Services:
        return {
            (k.address, NAMES[k.protocol], k.port): frozenset(a for a, d in s.dests.items() if d.weight)
            for k, s in self.kernel.table.items()
        }

    def strange(self) -> bool:
        self.kernel.table[THEIRS] = Stand(Service(THEIRS, "rr"), {"10.9.9.1": Dest("10.9.9.1", 80, 1)})
        return True

    def meddle(self) -> bool:
        del self.kernel.table[key(1)]
        return True

    def fall(self, member: Member) -> bool:
        assert self.checks.driver
        self.checks.driver.judge(member.id, alive=False)
        return True

    def calls(self) -> int:
        return len(self.kernel.told)

    def interrupt(self, number: int) -> bool:
        last = len(self.kernel.told) + number
        self.broken = False

        def refuse(_: Step) -> str:
            if len(self.kernel.told) > last:
                self.broken = self.kernel.away = True
                raise Unavailable("The kernel does not answer over netlink.")
            return ""

        self.kernel.refuse = refuse
        return True

    def interrupted(self) -> bool:
        return self.broken

    def mend(self) -> None:
        self.kernel.refuse = lambda _: ""
        self.kernel.away = False


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_lvs(check: Callable[[Rig], None]) -> None:
    check(LvsRig())


def test_the_rig_is_one() -> None:
    rig: contract_balancer.Rig = LvsRig()
    assert rig.services() == {}

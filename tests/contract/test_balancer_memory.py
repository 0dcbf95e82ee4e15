"""The device in memory carries balancers as every device must."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sekisho.devices.balancer.driver import BalancerDriver
from sekisho.model.balancer import Balancer, Kind, Member
from sekisho.testing.balancer import AWAY, Box, Fault, MemoryBalancer, Piece
from sekisho.testing.contract_balancer import CHECKS, Rig, Service, Services
from support_balancers import balancer

NO = {"10.9.0.100": "This box has no room for it."}


class MemoryRig:
    def __init__(self) -> None:
        self.box = Box()

    def driver(self) -> BalancerDriver:
        return MemoryBalancer(self.box, NO)

    def balancers(self) -> tuple[Balancer, Balancer]:
        return balancer("lb1", 1), balancer("lb2", 2, monitor=False)

    def impossible(self) -> Balancer | None:
        return balancer("lb9", 9)

    def services(self) -> Services:
        found: dict[Service, frozenset[str]] = {}
        pieces = {**self.box.foreign, **self.box.pieces}
        for (kind, _), listener in pieces.items():
            if kind is not Kind.LISTENER:
                continue
            owner, protocol, port, pool, _ = listener
            address = pieces[Kind.BALANCER, owner][0]
            found[str(address), str(protocol), int(str(port))] = frozenset(_serving(pieces, pool))
        return found

    def strange(self) -> bool:
        self.box.foreign = {
            (Kind.BALANCER, "theirs"): ("10.8.0.1", True),
            (Kind.LISTENER, "their-l"): ("theirs", "TCP", 80, "their-p", True),
        }
        return True

    def meddle(self) -> bool:
        del self.box.pieces[Kind.MEMBER, "lb1-m1"]
        return True

    def fall(self, member: Member) -> bool:
        self.box.down.add(member.id)
        return True

    def calls(self) -> int:
        return self.box.writes

    def interrupt(self, number: int) -> bool:
        self.box.faults = (Fault(self.box.calls + number + 1, AWAY, after=bool(number % 2), gone=True),)
        return True

    def interrupted(self) -> bool:
        return self.box.gone

    def mend(self) -> None:
        self.box.come_back()


def _serving(pieces: dict[Piece, Piece], pool: object) -> list[str]:
    members = [piece for (kind, *_), piece in pieces.items() if kind is Kind.MEMBER]
    return [
        str(address)
        for p, address, _, weight, backup, on in members
        if p == pool and on and weight and not backup
    ]


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_memory(check: Callable[[Rig], None]) -> None:
    check(MemoryRig())

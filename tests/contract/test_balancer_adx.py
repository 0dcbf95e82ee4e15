"""An emulated ADX, single and as a pair, carries balancers as every device must; a real one where named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from sekisho.devices.balancer.adx import calls, connection, names
from sekisho.devices.balancer.adx.driver import connect
from sekisho.devices.balancer.adx.pieces import Binding, RealPort, Virtual
from sekisho.devices.balancer.adx.read import standing
from sekisho.devices.balancer.adx.soap import Soap
from sekisho.devices.balancer.driver import BalancerDriver
from sekisho.model.balancer import Algorithm, Balancer, Member
from sekisho.testing.adx.box import Box, Real
from sekisho.testing.adx.box import RealPort as EmulatedPort
from sekisho.testing.adx.box import Virtual as EmulatedVirtual
from sekisho.testing.adx.box import VirtualPort as EmulatedVirtualPort
from sekisho.testing.contract_balancer import CHECKS, Rig, Service, Services
from support_adx import Rig as Boxes
from support_adx import pair, web

TWO = (
    web("first", vip="10.2.0.100", members=("10.2.0.11", "10.2.0.12", "10.2.0.13")),
    web("second", vip="10.2.0.101", port=8080, members=("10.2.0.11", "10.2.0.12"), check=None),
)


class EmulatedRig:
    """One box or two; what their customers see must be the same on both."""

    def __init__(self, boxes: Boxes) -> None:
        self.boxes = boxes
        self.limit: int | None = None
        self.broken = False

    def driver(self) -> BalancerDriver:
        addresses = [f"http://box-{number}" for number in range(len(self.boxes.boxes))]
        options = {"addresses": addresses, "username": "admin"}
        return connect(options, "admin", self.boxes.wait, httpx.MockTransport(self.respond))

    def respond(self, request: httpx.Request) -> httpx.Response:
        writes = request.method == "POST" and not _reads(request)
        if self.limit is not None and (self.broken or (writes and self.calls() >= self.limit)):
            self.broken = True
            raise httpx.ConnectError("the box is gone")
        return self.boxes.respond(request)

    def balancers(self) -> tuple[Balancer, Balancer]:
        return TWO

    def impossible(self) -> Balancer | None:
        return web("bad", vip="10.2.0.102", algorithm=Algorithm.SOURCE_IP)

    def services(self) -> Services:
        each = [_services(box) for box in self.boxes.boxes]
        every = {service for found in each for service in found}
        return {service: _agreed([found.get(service) for found in each]) for service in every}

    def strange(self) -> bool:
        for box in self.boxes.boxes:
            box.running.reals["shop-1"] = Real("shop-1", "10.9.0.1", ports={443: EmulatedPort()})
            shop = EmulatedVirtual("shop", "10.9.0.100", ports={443: EmulatedVirtualPort()})
            shop.bindings.append((443, "shop-1", 443))
            box.running.virtuals["shop"] = shop
        return True

    def meddle(self) -> bool:
        self.boxes.box.running.virtuals[names.of(TWO[0].id)].bindings.pop()
        return True

    def fall(self, member: Member) -> bool:
        for box in self.boxes.boxes:
            box.running.reals[names.of_server(member.address)].ports[member.port].status = "FAILED"
        return True

    def calls(self) -> int:
        return sum(box.writes for box in self.boxes.boxes)

    def interrupt(self, number: int) -> bool:
        self.limit, self.broken = self.calls() + number, False
        return True

    def interrupted(self) -> bool:
        return self.broken

    def mend(self) -> None:
        self.limit, self.broken = None, False


def _reads(request: httpx.Request) -> bool:
    method = request.headers["soapaction"].strip('"').rpartition("#")[2]
    return method.startswith("get") or (method == "runCLI" and b">configure" not in request.content)


def _agreed(found: Sequence[frozenset[str] | None]) -> frozenset[str]:
    return found[0] if found[0] is not None and len(set(found)) == 1 else frozenset({"the boxes differ"})


def _services(box: Box) -> dict[Service, frozenset[str]]:
    found: dict[Service, frozenset[str]] = {}
    for virtual in box.running.virtuals.values():
        for number, port in virtual.ports.items():
            bound = [box.running.reals[real] for own, real, _ in virtual.bindings if own == number]
            up = {r.address for r in bound if r.ports[number].enabled and r.ports[number].status != "FAILED"}
            if virtual.enabled and port.enabled:
                found[virtual.address, box.running.profiles.get(number, "TCP"), number] = frozenset(up)
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_single_box(check: Callable[[Rig], None]) -> None:
    check(EmulatedRig(Boxes()))


# What a pair takes back is in tests/unit/devices/balancer/adx/test_pair.py, in a tenth of the time.
@pytest.mark.parametrize(
    "check", [c for c in CHECKS if "every_call" not in c.__name__], ids=lambda check: check.__name__
)
def test_a_pair(check: Callable[[Rig], None]) -> None:
    check(EmulatedRig(pair()))


# --- a real one --------------------------------------------------------------------------------------------

ASKED = {
    name: os.environ.get(f"SEKISHO_ADX_{name.upper()}", "")
    for name in ("addresses", "username", "password_file", "vips", "members")
}


class RealRig:
    """A real box or pair on which nothing under our names matters; docs/how-to/adx.md says how it is named.

    It looks with the driver's own reader of the configuration's text: there is no second one for a real box.
    """

    def __init__(self) -> None:
        self.addresses = ASKED["addresses"].split(",")
        self.secret = Path(ASKED["password_file"]).read_text(encoding="utf-8").strip()
        self.count = 0

    def _options(self) -> dict[str, Any]:
        return {"addresses": self.addresses, "username": ASKED["username"], "verify": False, "old_tls": True}

    def driver(self) -> BalancerDriver:
        made = connect(self._options(), self.secret)
        for box in made._boxes:
            box.soap._client.event_hooks = {"request": [self._counted]}
        return made

    def _counted(self, request: httpx.Request) -> None:
        self.count += request.method == "POST" and not _reads(request)

    def balancers(self) -> tuple[Balancer, Balancer]:
        vips, members = (ASKED[name].split(",") for name in ("vips", "members"))
        second = web("second", vip=vips[1], port=8080, members=members, check=None)
        return web("first", vip=vips[0], members=members), second

    def impossible(self) -> Balancer | None:
        return web("bad", vip=ASKED["vips"].split(",")[0], algorithm=Algorithm.SOURCE_IP)

    def services(self) -> Services:
        soap = Soap(self.addresses[0], connection.read(self._options()), self.secret)
        pieces = standing(calls.running(soap)).pieces
        found: dict[Service, set[str]] = {}
        for piece in pieces.values():
            if isinstance(piece, Binding):
                port = pieces["real port", piece.real.name, str(piece.real_port)]
                virtual = pieces["virtual", piece.virtual.name]
                assert isinstance(port, RealPort)
                assert isinstance(virtual, Virtual)
                service = found.setdefault((piece.virtual.address, "TCP", piece.port), set())
                if virtual.enabled and port.enabled:
                    service.add(piece.real.address)
        soap.close()
        return {service: frozenset(addresses) for service, addresses in found.items()}

    def strange(self) -> bool:
        return False

    def meddle(self) -> bool:
        soap = Soap(self.addresses[0], connection.read(self._options()), self.secret)
        calls.set_priority(soap, names.of(self.balancers()[0].id), 7)
        soap.close()
        return True

    def fall(self, member: Member) -> bool:
        del member
        return False

    def calls(self) -> int:
        return self.count

    def interrupt(self, number: int) -> bool:
        del number
        return False

    def interrupted(self) -> bool:
        return False

    def mend(self) -> None:
        pass


@pytest.fixture
def real() -> Iterator[RealRig]:
    rig = RealRig()
    yield rig
    driver = rig.driver()
    driver.carry(())
    driver.close()


@pytest.mark.skipif(not all(ASKED.values()), reason="no real ADX is named")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_real_one(check: Callable[[Rig], None], real: RealRig) -> None:
    check(real)

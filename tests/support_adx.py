"""Emulated ADX boxes without a network, and a balancer of a common kind."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from sekisho.devices.balancer.adx.driver import AdxDriver, connect
from sekisho.model.balancer import Balancer, Check, Listener, Member, Monitor, Pool, Protocol, Vip
from sekisho.testing.adx.box import Box
from sekisho.testing.adx.cli import running
from sekisho.testing.adx.soap import answer


def identity(text: str) -> str:
    """A UUID that is the same for the same text."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


@dataclass(slots=True)
class Rig:
    """Boxes by address; those in `away` answer nothing. Waiting lets their clocks go on."""

    boxes: tuple[Box, ...] = field(default_factory=lambda: (Box(),))
    away: set[int] = field(default_factory=set)
    waited: float = 0.0

    def driver(self, **options: Any) -> AdxDriver:
        addresses = [f"http://box-{number}" for number in range(len(self.boxes))]
        asked = {"addresses": addresses, "username": "admin", **options}
        return connect(asked, "admin", self.wait, httpx.MockTransport(self.respond))

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        for box in self.boxes:
            box.pass_time(seconds)

    def respond(self, request: httpx.Request) -> httpx.Response:
        number = int(request.url.host.removeprefix("box-"))
        if number in self.away:
            raise httpx.ConnectError("no route to host")
        headers = {name.lower(): value for name, value in request.headers.items()}
        found = answer(self.boxes[number], request.method, request.url.path, headers, request.content)
        if found.silent:
            raise httpx.ReadTimeout("nothing came")
        return httpx.Response(found.status, content=found.body, headers={"Content-Type": found.kind})

    @property
    def box(self) -> Box:
        return self.boxes[0]

    def text(self, number: int = 0) -> str:
        return running(self.boxes[number])


def pair() -> Rig:
    return Rig((Box(), Box()))


def web(
    name: str = "web",
    *,
    vip: str = "10.2.0.100",
    port: int = 80,
    members: Sequence[str] = ("10.2.0.11", "10.2.0.12"),
    check: Check | None = Check.HTTP,
    **pool: Any,
) -> Balancer:
    """A balancer with a listener, a pool, its members and their check."""
    monitor = Monitor(identity(f"{name} monitor"), check) if check else None
    made = Pool(
        identity(f"{name} pool"),
        Protocol.TCP,
        members=tuple(Member(identity(f"{name} {a}"), a, port) for a in members),
        monitor=monitor,
    )
    made = replace(made, **pool)
    listener = Listener(identity(f"{name} listener"), Protocol.TCP, port, made.id)
    vips = Vip(vip, cidr="10.2.0.0/24")
    return Balancer(identity(name), "adx", vips, listeners=(listener,), pools=(made,))


def with_members(balancer: Balancer, *members: Member) -> Balancer:
    return replace(balancer, pools=(replace(balancer.pools[0], members=members), *balancer.pools[1:]))


def without(balancer: Balancer, address: str) -> Balancer:
    kept = (m for m in balancer.pools[0].members if m.address != address)
    return with_members(balancer, *kept)

"""Balancers for tests, and a keeper of them over a real ledger whose clock stands still until it is moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sekisho.app.balancers import Balancers
from sekisho.app.balancers_settings import BalancersSettings, PairSettings
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.balancer import (
    Balancer,
    Check,
    DirectorReport,
    Kind,
    Listener,
    Member,
    Monitor,
    Operating,
    Pool,
    Protocol,
    Provisioning,
    Statistics,
    StatusPage,
    Vip,
)

OCTAVIA = Principal("octavia", Role.OCTAVIA)
START = 1_800_000_000.0


def members(name: str, count: int = 2, net: int = 1) -> tuple[Member, ...]:
    return tuple(Member(f"{name}-m{n}", f"10.{net}.0.{10 + n}", 80) for n in range(1, count + 1))


def balancer(name: str = "lb1", net: int = 1, *, monitor: bool = True, provider: str = "lvs") -> Balancer:
    """One listener over a pool of two members."""
    check = Monitor(f"{name}-h", Check.TCP) if monitor else None
    pool = Pool(f"{name}-p", Protocol.TCP, members=members(name, net=net), monitor=check)
    listener = Listener(f"{name}-l", Protocol.TCP, 80, pool.id)
    vip = Vip(f"10.{net}.0.100", cidr=f"10.{net}.0.0/24")
    return Balancer(name, provider, vip, "acme", listeners=(listener,), pools=(pool,))


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now - START, "boot")

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


PAIRS = {
    "one": PairSettings("lvs", ("d1", "d2")),
    "two": PairSettings("lvs", ("d3",), zones=("north",)),
    "box": PairSettings("adx"),
}


class Room:
    """A keeper of balancers, what Octavia would believe of them, and directors that say what we want."""

    def __init__(self, folder: Path, **settings: float) -> None:
        self.folder = folder
        self.time = Time()
        self.settings = replace(BalancersSettings(pairs=PAIRS), **settings)  # type: ignore[arg-type]
        self.octavia: dict[str, tuple[Kind, Provisioning, Operating]] = {}
        self.told: list[StatusPage] = []
        self.open()

    def open(self) -> None:
        self.ledger = Ledger(self.folder / "ledger.db")
        self.keeper = Balancers(self.settings, self.ledger, self.time.clock())
        self.heard: list[str] = []
        self.keeper.listen(self.heard.append)

    def restart(self) -> None:
        self.ledger.close()
        self.open()

    def wait(self, seconds: int) -> None:
        """Let time pass while the keeper runs."""
        for _ in range(seconds):
            self.time.pass_by(1)
            self.keeper.tick()

    def report(
        self,
        director: str = "d1",
        *,
        active: bool = True,
        revision: int | None = None,
        problems: dict[str, str] | None = None,
        operating: dict[str, Operating] | None = None,
        statistics: tuple[Statistics, ...] = (),
    ) -> None:
        """Let a director say that it carries what it is told now, unless another revision is named."""
        carried = self.keeper.program_revision(director) if revision is None else revision
        told = DirectorReport(director, carried, active, operating or {}, problems or {}, statistics)
        self.keeper.report(OCTAVIA, told)

    def tell(self) -> StatusPage | None:
        """Let Octavia be told what there is."""
        page = self.keeper.statuses(None)
        if page is None:
            return None
        self.told.append(page)
        for s in page.statuses:
            _, before, _ = self.octavia.get(s.id, (s.kind, Provisioning.PENDING, Operating.OFFLINE))
            provisioning = before if s.only_operating else s.provisioning
            self.octavia[s.id] = (s.kind, provisioning, s.operating)
        self.keeper.told(page.revision)
        return page

    def stands(self) -> dict[str, str]:
        """Tell what Octavia believes of the provisioning of each object."""
        return {i: p.value for i, (_, p, _) in self.octavia.items()}

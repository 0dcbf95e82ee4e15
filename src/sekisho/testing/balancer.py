"""A device in memory that carries load balancers, and fails where it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sekisho.devices.balancer.driver import Health, Outcome
from sekisho.devices.converge import diff
from sekisho.model.balancer import Balancer, Kind, Operating, Pool, Statistics
from sekisho.model.errors import SekishoError, Unavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Piece: TypeAlias = tuple[Any, ...]

AWAY = Unavailable("The device does not answer.")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the `number`-th call to the device, from 1, instead of its work.

    With `after` the call does its work and the answer is lost; with `gone` nothing is answered from then on
    until `come_back`.
    """

    number: int
    error: SekishoError = AWAY
    after: bool = False
    gone: bool = False


@dataclass(slots=True)
class Box:
    """What stands on the device by name, ours and others'. A call reads all, or sets one."""

    pieces: dict[Piece, Piece] = field(default_factory=dict)
    foreign: dict[Piece, Piece] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    calls: int = 0
    writes: int = 0
    gone: bool = False
    pair: bool = True
    active: str = "first"
    down: set[str] = field(default_factory=set)  # ids of members that do not answer
    totals: dict[str, Statistics] = field(default_factory=dict)

    def come_back(self) -> None:
        """Answer again, and without faults."""
        self.gone, self.faults = False, ()

    def read(self) -> dict[Piece, Piece]:
        """Give what stands under our names."""
        self._call()
        return dict(self.pieces)

    def set(self, name: Piece, piece: Piece | None) -> None:
        """Make one thing so, or take it away."""
        fault = self._call()
        self.writes += 1
        if piece is None:
            self.pieces.pop(name, None)
        else:
            self.pieces[name] = piece
        if fault is not None:
            raise fault.error

    def turn(self) -> None:
        """Let the other one be active."""
        self._call()
        self.active = "second" if self.active == "first" else "first"

    def _call(self) -> Fault | None:
        if self.gone:
            raise AWAY
        self.calls += 1
        fault = next((f for f in self.faults if f.number == self.calls), None)
        if fault is None:
            return None
        self.gone = fault.gone
        if not fault.after:
            raise fault.error
        return fault


class MemoryBalancer:
    """A BalancerDriver over a box in memory. It cannot carry a balancer whose VIP is in `refused`."""

    def __init__(self, box: Box, refused: Mapping[str, str] | None = None) -> None:
        self.box = box
        self.refused = refused if refused is not None else {}
        self.closed = False
        self._carried: tuple[Balancer, ...] = ()

    def carry(self, balancers: Sequence[Balancer]) -> Outcome:
        """Make the box carry these."""
        problems = {b.id: self.refused[b.vip.address] for b in balancers if b.vip.address in self.refused}
        self._carried = tuple(b for b in balancers if b.id not in problems)
        wanted = {name: piece for b in self._carried for name, piece in pieces(b)}
        stands = self.box.read()
        changes = diff(wanted, stands, lambda want, have: want == have)
        for name, piece in wanted.items():
            if stands.get(name) != piece:
                self.box.set(name, piece)
        for name in reversed(stands):
            if name not in wanted:
                self.box.set(name, None)
        return Outcome(len(changes), problems)

    def health(self) -> Health:
        """Tell what stands as it does."""
        self.box.read()
        found: dict[str, Operating] = {}
        for balancer in self._carried:
            found |= dict(self._does(balancer))
        ids = {each.id for b in self._carried for each in b.listeners}
        return Health(found, tuple(s for s in self.box.totals.values() if s.listener in ids))

    def _does(self, balancer: Balancer) -> Iterator[tuple[str, Operating]]:
        pools = {p.id: self._pool(p) for p in balancer.pools}
        yield from pools.items()
        for pool in balancer.pools:
            for member in pool.members:
                yield member.id, self._member(pool, member.id)
        found = [pools.get(each.pool, Operating.ONLINE) for each in balancer.listeners]
        for listener, does in zip(balancer.listeners, found, strict=True):
            yield listener.id, does
        bad = Operating.DEGRADED if any(d is not Operating.ONLINE for d in found) else Operating.ONLINE
        yield balancer.id, bad

    def _member(self, pool: Pool, member: str) -> Operating:
        if pool.monitor is None:
            return Operating.NO_MONITOR
        return Operating.ERROR if member in self.box.down else Operating.ONLINE

    def _pool(self, pool: Pool) -> Operating:
        down = [m.id for m in pool.members if m.id in self.box.down] if pool.monitor is not None else []
        if not down:
            return Operating.ONLINE
        return Operating.ERROR if len(down) == len(pool.members) else Operating.DEGRADED

    def drift(self) -> tuple[str, ...]:
        """Say what is not as it was carried."""
        wanted = {name: piece for b in self._carried for name, piece in pieces(b)}
        stands = self.box.read()
        names = [n for n in {**wanted, **stands} if wanted.get(n) != stands.get(n)]
        return tuple(f"{' '.join(map(str, name))} is not as it was carried." for name in names)

    def failover(self) -> None:
        """Let the other one take over."""
        if not self.box.pair:
            raise Unsupported("This device has no other beside it.")
        self.box.turn()

    def close(self) -> None:
        """Let go."""
        self.closed = True


def pieces(balancer: Balancer) -> Iterator[tuple[Piece, Piece]]:
    """Say what must stand for a balancer: each thing by its name."""
    yield (Kind.BALANCER, balancer.id), (balancer.vip.address, balancer.enabled)
    for pool in balancer.pools:
        told = (pool.protocol, pool.algorithm, pool.persistence, pool.granularity, pool.enabled)
        yield (Kind.POOL, pool.id), (balancer.id, told, pool.monitor)
        for m in pool.members:
            how = (pool.id, m.address, m.port, m.weight, m.backup, m.enabled)
            yield (Kind.MEMBER, m.id), how
    for each in balancer.listeners:
        yield (Kind.LISTENER, each.id), (balancer.id, each.protocol, each.port, each.pool, each.enabled)

"""What stands on an ADX: a balancer in, its pieces out, each with a key; pure.

A real server and its ports belong to whoever uses the address: a box knows an address once only, and for each
of its ports one state and one check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from sekisho.devices.balancer.adx import names
from sekisho.model.balancer import Algorithm, Check, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sekisho.model.balancer import Balancer, Listener, Member, Monitor, Pool

STICKY_AGE: Final = 5  # minutes, where a virtual server names none
PLAIN_WEIGHT: Final = 1
_PREDICTORS: Final = {
    (Algorithm.ROUND_ROBIN, False): "round-robin",
    (Algorithm.LEAST_CONNECTIONS, False): "least-conn",
    # the plain predictors take no notice of weights
    (Algorithm.ROUND_ROBIN, True): "weighted-round-robin",
    (Algorithm.LEAST_CONNECTIONS, True): "weighted",
}


@dataclass(frozen=True, slots=True)
class Server:
    """Names a real or a virtual server; the box wants both at each call."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Tells the box what a port is that it does not know by itself. `protocol` is ``TCP`` or ``UDP``."""

    port: int
    protocol: str

    @property
    def key(self) -> Key:
        """Say which one it is."""
        return ("profile", str(self.port))


@dataclass(frozen=True, slots=True)
class Policy:
    """How a server's port is checked: each `interval` seconds, down after `retries` failures.

    With `l4` it is connected to and no more; else `url` ("GET /") is asked for and a code of `codes` wanted.
    """

    name: str
    ssl: bool
    l4: bool
    interval: int
    retries: int
    url: str
    codes: tuple[tuple[int, int], ...] = ()

    @property
    def key(self) -> Key:
        """Say which one it is."""
        return ("policy", self.name)


@dataclass(frozen=True, slots=True)
class RealServer:
    """A member's address, and its share among those of the weighted predictors."""

    server: Server
    weight: int

    @property
    def key(self) -> Key:
        """Say which one it is."""
        return ("real", self.server.name)


@dataclass(frozen=True, slots=True)
class RealPort:
    """A port of a real server: disabled it keeps its connections and gets no new ones. `policy` may be ""."""

    server: Server
    port: int
    enabled: bool
    policy: str

    @property
    def key(self) -> Key:
        """Say which one it is."""
        return ("real port", self.server.name, str(self.port))


@dataclass(frozen=True, slots=True)
class Virtual:
    """A VIP. `sticky_age` is minutes; `priority` the box's own within its pair, 0 on a single one."""

    server: Server
    enabled: bool
    predictor: str
    sticky_age: int
    priority: int

    @property
    def key(self) -> Key:
        """Say which one it is."""
        return ("virtual", self.server.name)


@dataclass(frozen=True, slots=True)
class VirtualPort:
    """A port of a VIP; with `dsr` replies do not pass the box."""

    server: Server
    port: int
    enabled: bool
    sticky: bool
    dsr: bool = True

    @property
    def key(self) -> Key:
        """Say which one it is."""
        return ("virtual port", self.server.name, str(self.port))


@dataclass(frozen=True, slots=True)
class Binding:
    """Sends what comes to a VIP's port to a real server's port."""

    virtual: Server
    port: int
    real: Server
    real_port: int

    @property
    def key(self) -> Key:
        """Say which one it is."""
        return ("binding", self.virtual.name, str(self.port), self.real.name, str(self.real_port))


Key: TypeAlias = tuple[str, ...]
Piece: TypeAlias = Profile | Policy | RealServer | RealPort | Virtual | VirtualPort | Binding
# What is needed by others comes first, and goes last.
ORDER: Final = ("profile", "policy", "real", "real port", "virtual", "virtual port", "binding")


def pieces(balancer: Balancer) -> Mapping[Key, Piece]:
    """Give all that must stand on a single box for a balancer, in the order of `ORDER`."""
    found = sorted(_all(balancer), key=lambda piece: ORDER.index(piece.key[0]))
    return {piece.key: piece for piece in found}


def virtual(balancer: Balancer) -> Server:
    """Name a balancer's virtual server."""
    return Server(names.of(balancer.id), balancer.vip.address)


def real(member: Member) -> Server:
    """Name a member's real server."""
    return Server(names.of_server(member.address), member.address)


def pool_of(balancer: Balancer, listener: Listener) -> Pool | None:
    """Find the pool behind a listener."""
    return next((p for p in balancer.pools if p.id == listener.pool), None)


def serving(balancer: Balancer) -> Iterator[tuple[Listener, Pool, Member]]:
    """Go through the members that stand on the box, each with its listener and pool."""
    for listener in balancer.listeners:
        if (pool := pool_of(balancer, listener)) and pool.enabled:
            for member in pool.members:
                yield listener, pool, member


def _all(balancer: Balancer) -> Iterator[Piece]:
    server = virtual(balancer)
    ages = {pool.persistence // 60 for pool in balancer.pools if pool.persistence}
    age = max(ages, default=STICKY_AGE)
    yield Virtual(server, balancer.enabled, predictor(balancer), age, 0)
    for listener in balancer.listeners:
        if listener.port not in names.STANDARD:
            yield Profile(listener.port, "UDP" if listener.protocol is Protocol.UDP else "TCP")
        pool = pool_of(balancer, listener)
        yield VirtualPort(server, listener.port, listener.enabled, bool(pool and pool.persistence))
    for listener, pool, member in serving(balancer):
        yield from _member(server, listener, pool, member)


def _member(server: Server, listener: Listener, pool: Pool, member: Member) -> Iterator[Piece]:
    checked = pool.monitor if pool.monitor and pool.monitor.enabled else None
    if checked:
        yield policy(checked)
    where = real(member)
    yield RealServer(where, member.weight or PLAIN_WEIGHT)
    # No new connections for weight 0: the box has weight 0 too, but its plain predictors do not look at it.
    enabled = member.enabled and member.weight > 0
    yield RealPort(where, member.port, enabled, policy(checked).name if checked else "")
    yield Binding(server, listener.port, where, member.port)


def policy(monitor: Monitor) -> Policy:
    """Write a health monitor as a port policy; one for TCP names HTTP too, or no port could take it.

    It is named after what it does: a server's port has one policy, and may be in pools of many balancers.
    """
    l4, ssl = monitor.check is Check.TCP, monitor.check is Check.HTTPS
    url = "HEAD /" if l4 else f"{monitor.method} {monitor.path}"
    ranges = () if l4 else codes(monitor.expected)
    name = names.of(f"{monitor.check} {monitor.delay} {monitor.fall} {url} {ranges}")
    return Policy(name, ssl, l4, monitor.delay, monitor.fall, url, ranges)


def codes(text: str) -> tuple[tuple[int, int], ...]:
    """Read HTTP codes as Octavia writes them, "200,202" or "200-204", as ranges."""
    spans = (part.strip().partition("-") for part in text.split(","))
    return tuple((int(first), int(last or first)) for first, _, last in spans)


def predictor(balancer: Balancer) -> str:
    """Choose how the box chooses: one way for a virtual server, by weight only where weights differ."""
    asked = balancer.flavor.get("predictor", "")
    used = [pool for listener in balancer.listeners if (pool := pool_of(balancer, listener))]
    weights = {m.weight for pool in used for m in pool.members if m.weight}
    algorithm = used[0].algorithm if used else Algorithm.ROUND_ROBIN
    return asked or _PREDICTORS.get((algorithm, len(weights) > 1), "round-robin")

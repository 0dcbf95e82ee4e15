"""What an emulated ADX holds, what can befall it, and how much time has passed on it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from sekisho.testing.adx import words

UNBINDING: Final = 5.0  # seconds
Kind: TypeAlias = Literal["forbidden", "fault", "garbage", "empty", "silent", "broken"]


class FaultError(Exception):
    """What the box answers as a SOAP fault: its name, and words for people."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.text = text


@dataclass(frozen=True, slots=True)
class Mishap:
    """What befalls one call; with `done` only after it was carried out."""

    kind: Kind
    done: bool = False


@dataclass(slots=True)
class RealPort:
    """A port of a real server. `status` overrides what the box would find out; counters are given."""

    enabled: bool = True
    policy: str = ""
    keepalive: bool = False
    status: str = ""
    active: int = 0
    total: int = 0
    received: int = 0
    sent: int = 0


@dataclass(slots=True)
class Real:
    """A real server; its port ``default`` stands by itself and is not in `ports`."""

    name: str
    address: str
    weight: int = 1
    ports: dict[int, RealPort] = field(default_factory=dict)


@dataclass(slots=True)
class VirtualPort:
    """A port of a virtual server."""

    enabled: bool = True
    sticky: bool = False
    dsr: bool = False


@dataclass(slots=True)
class Virtual:
    """A virtual server. `predictor` "" is the box's own, `sticky_age` 0 the usual five minutes."""

    name: str
    address: str
    enabled: bool = True
    predictor: str = ""
    sticky_age: int = 0
    priority: int = 0
    description: str = ""
    ports: dict[int, VirtualPort] = field(default_factory=dict)
    bindings: list[tuple[int, str, int]] = field(default_factory=list)  # own port, real server, its port


@dataclass(slots=True)
class Policy:
    """A port policy."""

    ssl: bool
    l4: bool
    interval: int
    retries: int
    url: str
    codes: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Config:
    """What is configured: running, or saved. A profile says whether a port is TCP or UDP."""

    reals: dict[str, Real] = field(default_factory=dict)
    virtuals: dict[str, Virtual] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    profiles: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Box:
    """One emulated box.

    `now` is its clock in seconds, moved by `pass_time` only. `mishaps` are by the number of the call that
    they befall, the first being 1. `renamed` gives arguments other names, as this box's WSDL then says;
    without `wsdl` it serves none. `calls` lists the methods that were called, of which `writes` could
    change something. With `hurries`, whoever asks whether unbinding is done makes five seconds pass.
    """

    username: str = "admin"
    password: str = "admin"  # noqa: S105 - of an emulated box on the loopback interface
    running: Config = field(default_factory=Config)
    saved: Config = field(default_factory=Config)
    now: float = 0.0
    mishaps: dict[int, Mishap] = field(default_factory=dict)
    renamed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    wsdl: bool = True
    hurries: bool = False
    unbinds: float = UNBINDING  # seconds until it is done with that
    calls: list[str] = field(default_factory=list)
    writes: int = 0
    unbinding: list[tuple[str, int, str, int, float]] = field(default_factory=list)
    deaf: set[str] = field(default_factory=set)  # methods that it says yes to and does not do
    always: Mishap | None = None  # what befalls every call
    slow: float = 0.0  # seconds before each answer

    def pass_time(self, seconds: float) -> None:
        """Let time pass: unbinding comes to its end."""
        self.now += seconds
        self.unbinding = [leaving for leaving in self.unbinding if leaving[4] > self.now]

    def save(self) -> None:
        """Keep what runs over a restart."""
        self.saved = copy.deepcopy(self.running)

    def restart(self) -> None:
        """Begin again with what was saved."""
        self.running = copy.deepcopy(self.saved)
        self.unbinding.clear()

    def real(self, name: str) -> Real:
        """Find a real server."""
        if name not in self.running.reals:
            raise FaultError("RealServerNotFound", f"real server {name} does not exist")
        return self.running.reals[name]

    def virtual(self, name: str) -> Virtual:
        """Find a virtual server."""
        if name not in self.running.virtuals:
            raise FaultError("VirtualServerNotFound", f"virtual server {name} does not exist")
        return self.running.virtuals[name]

    def real_port(self, name: str, port: int) -> RealPort:
        """Find a real server's port."""
        found = self.real(name).ports
        if port not in found:
            raise FaultError("PortNotFound", f"real server {name} has no port {port}")
        return found[port]

    def virtual_port(self, name: str, port: int) -> VirtualPort:
        """Find a virtual server's port."""
        found = self.virtual(name).ports
        if port not in found:
            raise FaultError("PortNotFound", f"virtual server {name} has no port {port}")
        return found[port]

    def known(self, port: int) -> None:
        """Refuse a port that the box knows nothing of: it wants a profile first."""
        if port not in words.PORTS and port not in self.running.profiles:
            raise FaultError("PortProfileNotFound", f"port {port} has no profile")

    def bindings(self, real: str, port: int) -> list[tuple[str, int]]:
        """Tell which virtual servers' ports use a real server's port, those being unbound among them."""
        bound = [
            (v.name, own)
            for v in self.running.virtuals.values()
            for own, name, number in v.bindings
            if (name, number) == (real, port)
        ]
        return bound + [
            (v, own) for v, own, name, number, _ in self.unbinding if (name, number) == (real, port)
        ]

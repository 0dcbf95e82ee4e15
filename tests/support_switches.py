"""Small switches in memory and what their changes are written to, for tests of changing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sekisho.devices.switch.change import Before, Member, Outcome
from sekisho.devices.switch.intent import Facts, Intent, Key, Part, Port, PortMode, State, Vlan, parts
from sekisho.devices.switch.work import Intended
from sekisho.model.switch import Phase
from sekisho.testing.switch import MemorySwitch
from sekisho.testing.switch_rules import whole


def state(*more: Part, name: str = "leaf-1") -> State:
    """A switch with one VLAN on two trunks, and whatever is given instead or beside."""
    ports = (Port(f"Ethernet1/{n}", mode=PortMode.TRUNK, allowed="10", channel="") for n in (1, 2))
    found = {**parts(Vlan(10, "web"), *ports), **parts(*more)}
    return State(Facts(name, "memory", f"serial-{name}", "1"), {k: whole(p) for k, p in found.items()})


def intent(*mentioned: Part, name: str = "leaf-1") -> Intent:
    return Intent(name, parts(*mentioned))


WIDER = (Vlan(20, "mail"), Port("Ethernet1/1", allowed="10,20"))


@dataclass
class Book:
    """Remembers what a transaction wrote, in order, beside what its switches were called for."""

    lines: list[str] = field(default_factory=list)
    phases: list[tuple[str, Phase]] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    before: dict[str, Before] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    on: Callable[[str], object] = lambda _line: None

    def phase(self, switch: str, phase: Phase, done: int = 0, of: int = 0, problem: str = "") -> None:
        del done, of, problem
        self.phases.append((switch, phase))

    def backup(self, switch: str, text: str) -> str:
        self.kept[switch] = text
        return f"backup-{switch}"

    def begun(self, before: Mapping[str, Before]) -> None:
        self.on("begun")
        self.lines.append("begun")
        self.before.update(before)

    def verified(self, after: Mapping[str, str]) -> None:
        self.on("verified")
        self.lines.append("verified")
        self.after.update(after)

    def ended(self, outcomes: Mapping[str, Outcome]) -> None:
        self.lines.append("ended")
        self.outcomes.update(outcomes)


@dataclass
class Clockwork:
    """Time that passes while somebody waits; `meanwhile` is done at each pause, `stop_at` ends the keeper."""

    now: float = 0.0
    meanwhile: Callable[[], None] = lambda: None
    stop_at: float = float("inf")

    def passed(self) -> float:
        return self.now

    def pause(self, seconds: float) -> bool:
        self.now += seconds
        self.meanwhile()
        return self.now >= self.stop_at


def member(switch: MemorySwitch, wanted: Intent, seen: str = "", allowed: tuple[str, ...] = ()) -> Member:
    """One switch that is to become what is wanted."""
    name = switch.state.facts.hostname
    purpose = Intended(wanted, seen, allowed)
    return Member(name, f"sekisho-{name}", lambda: switch, lambda: None, purpose.prepare)


def same(one: Mapping[Key, Part], other: Mapping[Key, Part]) -> bool:
    return dict(one) == dict(other)

"""One emulated switch: what it runs and starts with, its checkpoints and records, and what goes wrong."""

from __future__ import annotations

import re
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sekisho.host.clock import Clock
from sekisho.testing.nexus import factory, running, secrets
from sekisho.testing.nexus.faults import Faults
from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sekisho.testing.nexus.candidate import Candidate
    from sekisho.testing.nexus.output import Output
    from sekisho.testing.nexus.tree import Tree

CHECKPOINTS: Final = 10
_SECRETS: Final = re.compile(r"((?:password(?: [05])?|community) )\S+")
_CLOCK: Final = Clock()


@dataclass(slots=True)
class Checkpoint:
    """The configuration of one moment, by tree and by text."""

    tree: Tree
    text: str
    user: str
    time: float


@dataclass(frozen=True, slots=True)
class Heard:
    """Who is at the other end of a port, as LLDP hears it."""

    system: str
    remote_port: str
    chassis: str = "0000.0000.0001"
    description: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the accounting log."""

    time: float
    user: str
    origin: str
    command: str
    ok: bool = True


@dataclass(slots=True)
class Timer:
    """A replaced configuration that goes back unless somebody commits it in time."""

    until: float
    before: Tree


@dataclass(eq=False, repr=False)
class Box:
    """One switch. Tests set and look at what is public; all else goes through its doors."""

    hostname: str = "switch"
    version: str = "9.3(10)"
    ports: int = 48
    model: str = "N9K-C93180YC-EX"
    serial: str = "FDO00000001"
    username: str = "admin"
    password: str = "admin"  # noqa: S105 - of a switch that is none
    layer: str = "Layer2"
    clock: Callable[[], float] = _CLOCK.now
    faults: Faults = field(default_factory=Faults)
    neighbours: dict[str, Heard] = field(default_factory=dict)  # by port, "eth1/1"
    files: dict[str, str] = field(default_factory=dict)  # bootflash
    startup: str = ""
    saves: int = 0
    boots: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.checkpoints: dict[str, Checkpoint] = {}
        self.accounting: deque[Entry] = deque(maxlen=2000)
        self.timer: Timer | None = None
        self.holder: Session | None = None
        self.peer: Box | None = None
        self.candidates: dict[str, Candidate] = {}
        self.tokens: dict[str, tuple[str, float]] = {}
        self.started = self.clock()
        self.changed_at = 0.0
        self.faults_hit = False
        self.tree = self._factory_new()
        self.startup = self.running_config()

    def __setattr__(self, name: str, value: object) -> None:
        if name == "hostname" and "tree" in self.__dict__:
            self.tree.root.attrs["name"] = str(value)
        object.__setattr__(self, name, value)

    def _factory_new(self) -> Tree:
        tree = factory.blank(self.ports, layer=self.layer)
        factory.set_up(tree, self.hostname, self.username, self.password)
        return tree

    # --- who comes in ---------------------------------------------------------------------------

    def knows(self, user: str, password: str) -> bool:
        """Tell whether somebody may sign in."""
        with self.lock:
            found = self.tree.find(f"sys/userext/user-[{user}]") if user and "]" not in user else None
            return found is not None and secrets.fits(password, found.get("_hash"))

    def may_change(self, user: str) -> bool:
        """Tell whether a user's role lets it configure."""
        domain = self.tree.find(f"sys/userext/user-[{user}]/userdomain-[all]")
        roles = {role.attrs["name"] for role in domain.only("aaaUserRole")} if domain else set()
        return bool(roles & {"network-admin", "vdc-admin", "dev-ops"})

    def session(self, user: str, origin: str = "") -> Session:
        """Open a command line."""
        return Session(self, user, origin)

    def claim(self, session: Session | None, user: str = "") -> None:
        """Check that somebody may configure now; raises Refusal."""
        if self.faults.locked_by:
            raise Refusal(f"ERROR: Configuration is locked by {self.faults.locked_by}")
        if not self.may_change(session.user if session else user):
            raise Refusal("% Permission denied for the role")

    # --- what changes ---------------------------------------------------------------------------

    def before_line(self, line: str) -> None:
        """Let what was ordered go wrong at this configuration line; raises Refusal."""
        self.faults.line(line)
        if self.faults.reboot_at_line:
            self.faults.reboot_at_line -= 1
            if not self.faults.reboot_at_line:
                self.reboot()
                raise ConnectionResetError("the box restarts")

    def changed(self, session: Session, told: str) -> None:
        """Write down who changed what."""
        self.changed_at = self.clock()
        object.__setattr__(self, "hostname", self.tree.root.get("name"))
        self.account(session.user, session.origin, told)

    def count_object(self) -> None:
        """Count an object of a posted tree, and remember if this is the one that was to fail."""
        self.faults_hit = self.faults.dme_object == 1
        self.faults.object()

    def dme_changed(self, user: str, origin: str, what: str) -> None:
        """Write down what was changed through the data model."""
        self.changed_at = self.clock()
        object.__setattr__(self, "hostname", self.tree.root.get("name"))
        self.account(user, origin, what)

    def account(self, user: str, origin: str, command: str, *, ok: bool = True) -> None:
        """Add a line to the accounting log."""
        masked = _SECRETS.sub(r"\1********", command)
        self.accounting.append(Entry(self.clock(), user, origin, masked, ok))

    def running_config(self) -> str:
        """Write the running configuration, without the lines about time."""
        return running.text(self.tree, self.version)

    def load(self, text: str) -> Tree:
        """Make a tree of a configuration's text, on a blank box; raises Refusal at a bad line."""
        fresh = Box.__new__(Box)
        fresh.__dict__.update(self.__dict__)
        fresh.__dict__.update(
            faults=Faults(), accounting=deque(maxlen=1), tree=factory.blank(self.ports, layer=self.layer)
        )
        writer = _Writer(fresh, self.username)
        writer.enter("config")
        for line in _whole_lists(text.splitlines()):
            writer.line(line)
        return fresh.tree

    def save(self) -> None:
        """Copy running to startup."""
        self.startup = self.running_config()
        self.saves += 1

    def checkpoint(self, name: str, user: str) -> None:
        """Keep the running configuration under a name; raises Refusal."""
        if name in self.checkpoints:
            raise Refusal(f"ERROR: Checkpoint {name} already exists")
        if len(self.checkpoints) >= CHECKPOINTS:
            raise Refusal(f"ERROR: Maximum of {CHECKPOINTS} checkpoints reached")
        if not re.fullmatch(r"[\w.-]{1,80}", name):
            raise Refusal("% Invalid checkpoint name")
        self.checkpoints[name] = Checkpoint(self.tree.copy(), self.running_config(), user, self.clock())

    def back_to(self, tree: Tree) -> None:
        """Make another configuration the running one, whole; raises Refusal if that was ordered to fail."""
        if self.faults.rollback_fails:
            raise Refusal(self.faults.rollback_fails)
        self.tree = tree.copy()
        self.changed_at = self.clock()
        object.__setattr__(self, "hostname", self.tree.root.get("name"))

    def replace(self, text: str, timeout: float = 0) -> None:
        """Make a text the running configuration; it goes back after `timeout` seconds unless committed."""
        before = self.tree
        self.back_to(self.load(text))
        if timeout:
            self.timer = Timer(self.clock() + timeout, before)

    def tick(self) -> None:
        """Let pass what has passed by the clock: a replacement that nobody committed goes back."""
        if self.timer is not None and self.clock() >= self.timer.until:
            self.tree = self.timer.before
            self.timer = None

    def reboot(self) -> None:
        """Start anew from the startup configuration: sessions, tokens and what was not saved are gone."""
        with self.lock:
            self.timer = None
            self.tokens.clear()
            self.candidates.clear()
            self.boots += 1
            self.started = self.clock()
            if self.startup:
                self.tree = self.load(self.startup)
            else:
                self.checkpoints.clear()
                object.__setattr__(self, "hostname", "switch")
                self.tree = self._factory_new()
            object.__setattr__(self, "hostname", self.tree.root.get("name"))

    @property
    def release(self) -> tuple[int, ...]:
        """The version's numbers, to compare: 7.0(3)I7(10) is (7, 0, 3, 7, 10)."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version))


def _whole_lists(lines: list[str]) -> Iterator[str]:
    """Join a list of VLANs that goes on in further lines: thousands of them take a moment, not a minute."""
    start = "switchport trunk allowed vlan "
    held = ""
    for line in lines:
        plain = line.strip()
        if held and plain.startswith(f"{start}add "):
            held += "," + plain.removeprefix(f"{start}add ")
            continue
        if held:
            yield held
        held = plain if plain.startswith(start) and plain.removeprefix(start)[:1].isdigit() else ""
        if not held:
            yield line
    if held:
        yield held


def pair(one: Box, other: Box) -> None:
    """Wire two boxes as a vPC pair: ports 47 and 48, or the last two, go to each other."""
    one.peer, other.peer = other, one
    for mine, peer in ((one, other), (other, one)):
        for number in (mine.ports - 1, mine.ports):
            mine.neighbours[f"eth1/{number}"] = Heard(peer.hostname, f"Ethernet1/{number}")


class _Writer(Session):
    """A session that reads a configuration in: nobody is asked whether they may."""

    def permit(self, plain: str) -> None:
        """Let every line."""

    def _config(self, plain: str) -> Output:
        try:
            return super()._config(plain)
        except Refusal as wrong:
            raise Refusal(f"{wrong.text} at: {plain}") from wrong

"""What is played in the lab: VMs, who does what when, who must be bound and who must stay free.

Data only; whoever plays it (`story`) starts the switch, the processes and the programs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sekisho.lab.ovs import Identity
from sekisho.model.errors import NotFound

INTERNET: Final = "internet"
# TEST-NET-2 and -3 (RFC 5737) stand for the internet: they count as such, and lead nowhere real.
INTERNET_NETWORKS: Final = ("198.51.100.0/24", "203.0.113.0/24")
GATEWAY: Final = "10.0.0.254"
_PORTS_OF_A_MAIL_SERVER: Final = "25,80,587"


@dataclass(frozen=True, slots=True)
class Machine:
    """A VM to plug in. `identity` None is an uplink: the internet, nobody's subject."""

    name: str
    mac: str
    addresses: tuple[str, ...]
    gateway: str = GATEWAY
    vlan: int = 0
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """One program in one VM: `words` go to ``sekisho.lab.traffic ROLE``; from `start` to `stop` seconds."""

    vm: str
    role: str
    start: float
    stop: float
    words: tuple[str, ...] = ()
    sentence: str = ""  # for the live view: what it does, as a person would say it

    @property
    def log(self) -> str:
        """Name the file of what it did."""
        return f"{self.vm}-{self.role}.jsonl"

    def argv(self, python: str, folder: str) -> list[str]:
        """Give the command line, bounded by its own time."""
        seconds = str(self.stop - self.start)
        program = [python, "-m", "sekisho.lab.traffic", self.role]
        return [*program, "--out", f"{folder}/{self.log}", "--seconds", seconds, *self.words]


@dataclass(frozen=True, slots=True)
class Bound:
    """A VM that must be bound: by which detector's policy, how soon, and what it must lose and keep.

    `loses` and `keeps` are TCP ports as its own probe sees them; `limit` is bit/s it must stay under
    (0: not limited).
    """

    vm: str
    detector: str
    within: float
    loses: tuple[int, ...] = ()
    keeps: tuple[int, ...] = ()
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole play. Everybody not in `bound` must stay untouched; after `duration` all must be free."""

    name: str
    sentence: str
    duration: float
    machines: tuple[Machine, ...]
    actors: tuple[Actor, ...]
    bound: tuple[Bound, ...] = ()
    internet: Machine = field(
        default_factory=lambda: Machine(INTERNET, "02:00:00:00:ff:fe", (f"{GATEWAY}/24",), gateway="")
    )

    @property
    def untouched(self) -> tuple[str, ...]:
        """Name the VMs that must never be bound."""
        guilty = {bound.vm for bound in self.bound}
        return tuple(m.name for m in self.machines if m.name not in guilty)

    def problems(self) -> tuple[str, ...]:
        """List what does not fit together; empty when all does."""
        names = {m.name for m in self.machines}
        unknown = [f"{a.vm} acts but is not there" for a in self.actors if a.vm not in names]
        unknown += [f"{b.vm} is to be bound but is not there" for b in self.bound if b.vm not in names]
        late = [f"{a.vm} {a.role} goes on after the end" for a in self.actors if a.stop > self.duration]
        logs = [a.log for a in self.actors]
        twice = [f"{log} is written twice" for log in sorted({x for x in logs if logs.count(x) > 1})]
        return (*unknown, *late, *twice)


def machine(number: int, name: str, project: str, *tags: str) -> Machine:
    """Make VM `number` of the lab's one network."""
    mac = f"fa:16:3e:00:00:{number:02x}"
    identity = Identity(f"port-{name}", f"server-{name}", project, "lab-net", tags)
    return Machine(name, mac, (f"10.0.0.{number}/24",), identity=identity)


_CAST: Final = (
    machine(11, "mail", "acme", "mail"),
    machine(12, "spammer", "shady", "new"),
    machine(13, "heavy", "bulk"),
    machine(14, "scanner", "shady"),
    machine(15, "web", "acme"),
    machine(16, "client", "acme"),
)
_WITH_ATTACKERS: Final = (*_CAST, machine(17, "reflector", "shady"), machine(18, "spoofer", "shady"))


def _probe(vm: str, start: float, stop: float) -> Actor:
    # The address below takes mail: what fails there is our doing, not the server's.
    return Actor(vm, "probe", start, stop, ("--to", "198.51.100.100", "--ports", _PORTS_OF_A_MAIL_SERVER))


def _good_people(stop: float) -> tuple[Actor, ...]:
    return (
        Actor(
            "mail", "mail", 0, stop, ("--to", "198.51.100.1,198.51.100.2,198.51.100.3"), "a mail every 3 s"
        ),
        Actor("web", "web", 0, stop, (), "serves a quiet page"),
        Actor("client", "browse", 1, stop, ("--to", "10.0.0.15,198.51.100.80"), "reads pages"),
        _probe("mail", 1, stop),
        _probe("client", 1, stop),
    )


_SPAM_WORDS: Final = ("--to", "198.51.100.0/24", "--rate", "20")
_TWENTY: Final = tuple(machine(100 + n, f"spam{n:02}", f"shady{n:02}", "new") for n in range(20))


def _spammer(start: float, stop: float, until: float) -> tuple[Actor, ...]:
    return (
        Actor("spammer", "spam", start, stop, _SPAM_WORDS, "20 mail servers a second"),
        _probe("spammer", 0, until),
    )


def _heavy(start: float, stop: float) -> Actor:
    words = ("--to", "203.0.113.9", "--port", "5001", "--bits", "6e7")
    return Actor("heavy", "udp", start, stop, words, "uploads 60 Mbit/s")


def _scanner(start: float, stop: float) -> Actor:
    words = ("--to", "203.0.113.0/28", "--ports", "1-1024", "--rate", "200")
    return Actor("scanner", "scan", start, stop, words, "knocks at 200 ports a second")


def _reflector(start: float, stop: float) -> Actor:
    words = ("--to", "203.0.113.16/28", "--port", "4444", "--source-port", "53", "--bits", "3e7")
    return Actor("reflector", "udp", start, stop, words, "answers 30 Mbit/s of DNS nobody asked for")


def _spoofer(start: float, stop: float) -> Actor:
    words = ("--to", "203.0.113.40", "--ports", "80", "--sources", "192.0.2.0/24", "--rate", "2000")
    return Actor("spoofer", "syn", start, stop, words, "2,000 SYNs a second, none with its own address")


_SPAM_BOUND: Final = Bound("spammer", "smtp-connections", within=5.0, loses=(25,), keeps=(80, 587))
_HEAVY_BOUND: Final = Bound("heavy", "egress-bytes", within=20.0, limit=10.5e6)
_SCAN_BOUND: Final = Bound("scanner", "scan-ports", within=30.0)
_REFLECTION_BOUND: Final = Bound("reflector", "amplification-bytes", within=20.0)
_FLOOD_BOUND: Final = Bound("spoofer", "syn-flood", within=20.0)

SCENARIOS: Final[dict[str, Scenario]] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "story",
            "A spammer, a heavy sender and a scanner among good people; the whole of it in 70 seconds.",
            70.0,
            _CAST,
            (*_good_people(68), *_spammer(4, 20, 68), _heavy(12, 36), _scanner(20, 40)),
            (_SPAM_BOUND, _HEAVY_BOUND, _SCAN_BOUND),
        ),
        Scenario(
            "mixed",
            "Ten minutes of everybody at once: nobody good may be touched, the mail server least of all.",
            600.0,
            _WITH_ATTACKERS,
            (
                *_good_people(595),
                *_spammer(30, 150, 595),
                _heavy(60, 240),
                _scanner(90, 200),
                _reflector(150, 260),
                _spoofer(270, 360),
            ),
            (_SPAM_BOUND, _HEAVY_BOUND, _SCAN_BOUND, _REFLECTION_BOUND, _FLOOD_BOUND),
        ),
        Scenario(
            "spam",
            "One spammer and one honest mail server: the shortest way from a connection to a rule.",
            30.0,
            _CAST[:2],
            (
                Actor("mail", "mail", 0, 28, ("--to", "198.51.100.1"), "a mail every 3 s"),
                *_spammer(2, 8, 28),
            ),
            (_SPAM_BOUND,),
        ),
        Scenario(
            "reaction",
            "Twenty spammers, one after another: how long from the connection over the line to the rule.",
            80.0,
            (_CAST[0], *_TWENTY),
            (
                Actor("mail", "mail", 0, 78, ("--to", "198.51.100.1"), "a mail every 3 s"),
                *(
                    # no two begin at the same part of a second: the judge sits once in each
                    Actor(m.name, "spam", 2.0 + 2.37 * i, 8.0 + 2.37 * i, _SPAM_WORDS)
                    for i, m in enumerate(_TWENTY)
                ),
            ),
            tuple(Bound(m.name, "smtp-connections", 3.0) for m in _TWENTY),
        ),
        Scenario(
            "quiet",
            "Good people only: whatever is bound is a mistake.",
            60.0,
            (_CAST[0], _CAST[4], _CAST[5]),
            _good_people(58),
        ),
    )
}


def find(name: str) -> Scenario:
    """Find a scenario; raises NotFound naming those there are."""
    if name not in SCENARIOS:
        raise NotFound(f"There is no scenario {name!r}; there are: {', '.join(SCENARIOS)}.")
    return SCENARIOS[name]

"""One bridge's rules and meters through ovs-ofctl: read, compare, change in bundles; only ours, ever.

Flows are ours by the upper half of their cookie. Meters carry none, so the numbers of ours stand in a
book (`book.py`).
"""

from __future__ import annotations

import math
import subprocess
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from sekisho.devices.vswitch import words
from sekisho.devices.vswitch.words import FlowSeen, MeterSeen
from sekisho.model.errors import Conflict, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sekisho.devices.converge import Changes
    from sekisho.devices.vswitch.book import MeterBook
    from sekisho.devices.vswitch.pipeline import Layout
    from sekisho.devices.vswitch.program import Meter, Program, Rule

# OpenFlow's hard timeout has 16 bits (OpenFlow 1.5.1 section 7.3.4.2): 18.2 h.
LONGEST: Final = 65535
# A rule that ends later than it can say is renewed once it has less than this left.
_RENEW: Final = 12 * 3600.0
# Timeouts are whole seconds, rounded up, and commands take their time: how much later, and how much
# earlier than it should a rule may end by the switch's account when we do not know who laid it.
_LATER: Final = 2.0
_EARLIER: Final = 0.3
# By how much a rule we laid for just this end may seem to be off while commands are slow.
_STRANGE: Final = 10.0
_MOST_KNOWN: Final = 100_000
_OURS: Final = 0xFFFFFFFF_00000000
_STALE: Final = ("METER_EXISTS", "UNKNOWN_METER", "INVALID_METER")
_GONE: Final = (
    "terminating with signal 14",  # its own --timeout
    "is not a bridge or a socket",
    "No such file",
    "Connection refused",
    "connection dropped",
    "Connection reset",
    "Broken pipe",
)


@dataclass(frozen=True, slots=True)
class OfctlSettings:
    """Where the bridge's management socket is, how long a command may take, where our meters begin.

    An empty `run_dir` lets ovs-ofctl look where it was built or told to (``OVS_RUNDIR``).
    Neutron QoS takes the lowest free meter numbers; ours begin far above. `protocol` must be among
    those the bridge speaks and have bundles: OpenFlow14 or OpenFlow15.
    """

    run_dir: str = "/var/run/openvswitch"
    timeout: float = 5.0
    first_meter: int = 20_000
    protocol: str = "OpenFlow15"


@dataclass(frozen=True, slots=True)
class Laid:
    """A rule as it should stand: in the switch's own words, so that what stands can be compared."""

    rule: Rule
    place: str
    actions: str
    cookie: int


@dataclass(frozen=True, slots=True)
class Metered:
    """A meter as it should stand, with the number it has on this bridge."""

    meter: Meter
    number: int


Desired: TypeAlias = Laid | Metered
Actual: TypeAlias = FlowSeen | MeterSeen


class Asks(Protocol):
    """One bridge's ovs-ofctl, or what stands in for it."""

    def __call__(self, command: str, *arguments: str, stdin: str = "", bundle: bool = False) -> str:
        """Run one command; raises Unavailable when nobody answers, Refused when the switch says no."""
        ...


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def run_here(argv: Sequence[str], stdin: str, timeout: float) -> Ran:
    """Run a command as who we are; raises OSError or subprocess.TimeoutExpired."""
    done = subprocess.run(  # noqa: S603 - our own words, no shell
        argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@dataclass(slots=True)
class Ofctl:
    """Runs ovs-ofctl against one bridge; `run` is for where others must run it for us."""

    bridge: str
    settings: OfctlSettings
    run: Callable[[Sequence[str], str, float], Ran] = run_here

    def __call__(self, command: str, *arguments: str, stdin: str = "", bundle: bool = False) -> str:
        """Run one command; raises Unavailable when nobody answers, Refused when the switch says no."""
        place = f"unix:{self.settings.run_dir}/{self.bridge}.mgmt" if self.settings.run_dir else self.bridge
        target = () if command == "parse-flows" else (place,)
        argv = ["ovs-ofctl", f"-O{self.settings.protocol}", "--no-names", *(["--bundle"] if bundle else [])]
        argv += [command, *target, *arguments]
        try:
            done = self.run(argv, stdin, self.settings.timeout)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(
                "The switch does not answer.",
                f"{' '.join(argv)}: no answer in {self.settings.timeout} s.",
                0.2,
            ) from error
        except OSError as error:
            raise Unavailable("The switch cannot be asked.", f"ovs-ofctl: {error}.", 5.0) from error
        if done.code == 0:
            return done.out
        said = f"{' '.join(argv)}: {done.err.strip()}"
        if any(word in done.err for word in _GONE):
            raise Unavailable("The switch does not answer.", said, 0.05)
        raise Refused("The switch refused a change.", said)


@dataclass(slots=True)
class BridgeDriver:
    """Drives one bridge towards one program after the other; not thread-safe.

    `now` is the agent's steady clock at the moment of each convergence.
    """

    ofctl: Asks
    book: MeterBook
    layout: Layout
    now: float = 0.0
    # Normal forms of lines as this ovs-ofctl writes them, and the ends of the rules we laid ourselves.
    _known: dict[str, tuple[str, str]] = field(default_factory=dict)
    _promises: dict[str, tuple[float, int]] = field(default_factory=dict)

    # --- what should stand -----------------------------------------------------------------------

    def desired(self, program: Program) -> dict[str, Desired]:
        """Put a program into the switch's words; meters get their numbers here."""
        self.book.load()
        if program.meters or self.book.entries:
            seen = self._meters()
            self.book.assign(program.meters, seen.keys() - self._ours(seen))
        numbers = self.book.numbers
        items: dict[str, Desired] = {
            _meter_place(numbers[m.key]): Metered(m, numbers[m.key]) for m in program.meters
        }
        lines = [self._line(rule) for rule in program.rules]
        self._normalise(lines)
        for rule, line in zip(program.rules, lines, strict=True):
            place, actions = self._known[line]
            items[place] = Laid(rule, place, actions, words.cookie(rule, self.layout))
        return items

    def _line(self, rule: Rule) -> str:
        place = words.match_words(rule, self.layout)
        return f"{place},actions={words.action_words(rule, self.layout, self.book.numbers)}"

    def _normalise(self, lines: Sequence[str]) -> None:
        """Learn how ovs-ofctl itself writes these lines, so that dumps can be compared word by word."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        new = [x for x in lines if x not in self._known]
        if not new:
            return
        forms = list(words.normal_forms(self.ofctl("parse-flows", "-", stdin="\n".join(new) + "\n")))
        if len(forms) != len(new):
            raise Refused("The switch does not understand a rule.", f"ovs-ofctl parse-flows: {new}")
        self._known.update(zip(new, forms, strict=True))

    # --- converge.Driver -------------------------------------------------------------------------

    def read(self) -> dict[str, Actual]:
        """Tell what of ours stands on the bridge now."""
        # Each command is a process, and until they are through a new port is not bound.
        seen = self._meters() if self.book.entries else {}
        ours = self._ours(seen)
        # One of another kind under a number of ours was changed by somebody: it differs from any we want.
        meters = {_meter_place(n): m or MeterSeen(n, -1, -1) for n, m in seen.items() if n in ours}
        return {**meters, **{f.place: f for f in self._flows()}}

    def _flows(self) -> list[FlowSeen]:
        cookie = f"cookie={self.layout.cookie << 32:#x}/{_OURS:#x}"
        return list(words.flows(self.ofctl("dump-flows", cookie)))

    def _meters(self) -> dict[int, MeterSeen | None]:
        configured = self.ofctl("dump-meters")
        return words.meters(configured, self.ofctl("meter-stats") if self.book.entries else "")

    def _ours(self, seen: Mapping[int, MeterSeen | None]) -> set[int]:
        """Tell which of the meters seen are ours."""
        booked = {e[0]: (e[1], e[2]) for e in self.book.entries.values()}
        there = booked.keys() & seen.keys()
        ours = {n for n in there if (m := seen[n]) and (m.rate, m.burst) == booked[n]}
        if there == ours:
            return ours
        used = Counter(n for f in self._flows() for n in words.metered(f.actions))
        counted = words.users(self.ofctl("meter-stats"))
        return ours | {n for n in there if used[n] and counted.get(n, 0) <= used[n]}

    def same(self, desired: Desired, actual: Actual) -> bool:
        """Tell whether what stands is as good as what should."""
        match desired, actual:
            case Metered(), MeterSeen():
                return (desired.meter.rate, desired.meter.burst) == (actual.rate, actual.burst)
            case Laid(), FlowSeen():
                told = (desired.actions, desired.cookie) == (actual.actions, actual.cookie)
                return told and self._ends_well(desired.rule.until, actual)
            case _:
                return False

    def _ends_well(self, until: float | None, actual: FlowSeen) -> bool:
        if actual.idles or until is None or not actual.timeout:
            return not actual.idles and until is None and not actual.timeout
        left, wanted = actual.timeout - actual.age, until - self.now
        if _RENEW < left <= wanted:
            return True
        if actual.timeout < LONGEST and self._promises.get(actual.place) == (until, actual.timeout):
            return abs(left - wanted) <= _STRANGE
        return wanted - _EARLIER <= left <= wanted + _LATER

    def apply(self, changes: Changes[Desired, Actual]) -> int:
        """Make meters, then change all flows in one bundle, then remove meters; give how many changes."""
        for item in changes.add:
            if isinstance(item, Metered):
                self._meter("add-meter", words.meter_words(item.meter, item.number))
        for item, _ in changes.alter:
            if isinstance(item, Metered):
                self._meter("mod-meter", words.meter_words(item.meter, item.number))
        self._bundle(changes)
        gone = {seen.number for seen in changes.remove if isinstance(seen, MeterSeen)}
        for number in gone:
            self._remove_meter(number)
        if gone:
            self.book.forget(gone)
        return len(changes)

    def _bundle(self, changes: Changes[Desired, Actual]) -> None:
        laid = [i for i in (*changes.add, *(d for d, _ in changes.alter)) if isinstance(i, Laid)]
        removed = [seen for seen in changes.remove if isinstance(seen, FlowSeen)]
        lines = [self._add(item) for item in laid]
        lines += [f"delete_strict cookie={f.cookie:#x}/-1,{f.place}" for f in removed]
        for place in (*(item.place for item in laid), *(f.place for f in removed)):
            self._promises.pop(place, None)
        if lines:
            with _changed_meanwhile():
                self.ofctl("add-flows", "-", stdin="\n".join(lines) + "\n", bundle=True)
        for item in laid:
            if item.rule.until is not None:
                self._promises[item.place] = item.rule.until, self._timeout(item.rule.until)

    def _add(self, laid: Laid) -> str:
        until = laid.rule.until
        timeout = "" if until is None else f",hard_timeout={self._timeout(until)}"
        return f"add cookie={laid.cookie:#x}{timeout},{self._line(laid.rule)}"

    def _timeout(self, until: float) -> int:
        return min(LONGEST, max(1, math.ceil(until - self.now)))

    def _meter(self, command: str, what: str) -> None:
        with _changed_meanwhile():
            self.ofctl(command, what)

    def _remove_meter(self, number: int) -> None:
        """Remove a meter unless somebody uses it: its flows would go with it."""
        if not words.users(self.ofctl("meter-stats", f"meter={number}")).get(number):
            self._meter("del-meter", f"meter={number}")


@contextmanager
def _changed_meanwhile() -> Iterator[None]:
    """Turn a refusal that comes of others' changes since we looked into a Conflict."""
    try:
        yield
    except Refused as error:
        if any(word in error.fixer for word in _STALE):
            raise Conflict("The switch's meters changed meanwhile.", error.fixer) from error
        raise


def _meter_place(number: int) -> str:
    return f"meter={number}"


@dataclass(slots=True)
class Tally:
    """What was dropped at each place since we look: a counter that starts anew is added to, not lost."""

    _before: dict[str, tuple[int, int]] = field(default_factory=dict)
    _last: dict[str, tuple[int, int]] = field(default_factory=dict)

    def count(self, items: Mapping[str, Desired], actual: Mapping[str, Actual]) -> dict[str, tuple[int, int]]:
        """Sum packets and bytes per owner; places no longer desired are forgotten."""
        counting = {p: i for p, i in items.items() if isinstance(i, Metered) or not i.rule.steps}
        totals: dict[str, tuple[int, int]] = {}
        before, last = {}, {}
        for place, item in counting.items():
            seen = actual.get(place)
            old = self._last.get(place, (0, 0))
            now = (seen.packets, seen.bytes) if seen else (0, 0)
            base = self._before.get(place, (0, 0))
            if now < old:
                base = base[0] + old[0], base[1] + old[1]
            before[place], last[place] = base, now
            for owner in item.meter.owners if isinstance(item, Metered) else item.rule.owners:
                packets, octets = totals.get(owner, (0, 0))
                totals[owner] = packets + base[0] + now[0], octets + base[1] + now[1]
        self._before, self._last = before, last
        return totals

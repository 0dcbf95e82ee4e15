"""One bridge's rules and meters: read, compare, change; only ours, ever.

Flows are ours by the upper half of their cookie. Meters carry none, so the numbers of ours stand in a
book (`book.py`).
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from sekisho.devices.vswitch import words
from sekisho.devices.vswitch.encode import Batch, Timed
from sekisho.devices.vswitch.words import FlowSeen, MeterSeen
from sekisho.model.errors import Conflict, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sekisho.devices.converge import Changes
    from sekisho.devices.vswitch.book import MeterBook
    from sekisho.devices.vswitch.ofctl import Asks
    from sekisho.devices.vswitch.pipeline import Layout
    from sekisho.devices.vswitch.program import Match, Meter, Program, Rule, Step

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


class Overtaken(Unavailable):
    """What a port needed was laid while others were still looked at: look again."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A rule as it should stand: in the switch's own words, so that what stands can be compared."""

    rule: Rule
    place: str
    actions: str
    cookie: int
    written: str  # the place in our words


@dataclass(frozen=True, slots=True)
class Metered:
    """A meter as it should stand, with the number it has on this bridge."""

    meter: Meter
    number: int


Desired: TypeAlias = Laid | Metered
Actual: TypeAlias = FlowSeen | MeterSeen


class Lays(Protocol):
    """What lays many meters, or rules, on a bridge at once (`wire.Wire`)."""

    def __call__(self, batch: Batch) -> None:
        """Lay rules all or none; raises Unavailable, Refused, or Conflict when a meter is not as thought."""
        ...


@dataclass(slots=True)
class BridgeDriver:
    """Drives one bridge towards one program after the other, in one thread; another may `hasten`.

    `lays` lays batches; without it, and when it cannot, ovs-ofctl does. `now` is the agent's steady
    clock at the moment of each convergence.
    """

    ofctl: Asks
    book: MeterBook
    layout: Layout
    lays: Lays | None = None
    now: float = 0.0
    # What we wrote of rules, the normal forms of these lines as this ovs-ofctl writes them, and the
    # ends of the rules we laid ourselves by the place we wrote.
    _written: dict[tuple[int, Match, tuple[Step, ...]], tuple[str, int]] = field(default_factory=dict)
    _known: dict[str, tuple[str, str]] = field(default_factory=dict)
    _promises: dict[str, tuple[float, int]] = field(default_factory=dict)
    # Meters as last read: all, and the numbers of ours; whose the others are is not known before.
    _fresh: tuple[Mapping[int, MeterSeen | None], set[int]] | None = None
    _foreign: set[int] | None = None
    _standing: set[int] = field(default_factory=set)
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _hastened: int = 0
    _heeded: int = 0

    # --- two at once -----------------------------------------------------------------------------

    def hasten(self, program: Program, now: float) -> None:
        """Lay what one port needs, without a look at the switch and whatever else is under way.

        Raises what laying and the book raise; then nobody knows what stands.
        """
        with self._writing:
            if self._foreign is None:
                raise Unavailable("The switch has not been read yet.")
            self._hastened += 1
            self.book.assign_ahead(program.meters, self._foreign)
            numbers = self.book.numbers
            old = tuple(m for m in program.meters if numbers[m.key] in self._standing)
            new = tuple(m for m in program.meters if m not in old)
            timed = tuple(self._timed(rule, now) for rule in program.rules)
            self._lay(Batch(self.layout, numbers, new, old, timed))
            # Not written down first: a crash in between leaves a meter that nobody uses, no more.
            self.book.post()

    def heed(self) -> None:
        """Begin again if a port was hastened since: raises Overtaken, once for however many."""
        with self._turn():
            pass

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Write alone, and only while nothing was laid that this convergence may know nothing of."""
        with self._writing:
            if self._heeded != self._hastened:
                self._heeded = self._hastened
                raise Overtaken("A port was bound meanwhile.")
            yield

    # --- what should stand -----------------------------------------------------------------------

    def desired(self, program: Program) -> dict[str, Desired]:
        """Put a program into the switch's words; meters get their numbers here."""
        self._fresh = None
        with self._turn():
            self.book.load()
        if program.meters or self.book.entries or self._foreign is None:
            self._fresh = seen, ours = self._look()
            with self._turn():
                self._foreign, self._standing = seen.keys() - ours, set(ours)
                self.book.assign(program.meters, self._foreign)
        numbers = self.book.numbers
        items: dict[str, Desired] = {
            _meter_place(numbers[m.key]): Metered(m, numbers[m.key]) for m in program.meters
        }
        rules = [(rule, *self._words(rule)) for rule in program.rules]
        lines = [f"{place},{self._actions(rule, numbers)}" for rule, place, _ in rules]
        self._normalise(lines)
        for (rule, written, cookie), line in zip(rules, lines, strict=True):
            place, actions = self._known[line]
            items[place] = Laid(rule, place, actions, cookie, written)
        kept = self._promises
        self._promises = {place: kept[place] for _, place, _ in rules if place in kept}
        return items

    def _words(self, rule: Rule) -> tuple[str, int]:
        """Give the place of a rule in our words, and its cookie."""
        key = rule.priority, rule.match, rule.steps
        if key not in self._written:
            if len(self._written) > _MOST_KNOWN:
                self._written.clear()
            self._written[key] = words.match_words(rule, self.layout), words.cookie(rule, self.layout)
        return self._written[key]

    def _actions(self, rule: Rule, numbers: Mapping[str, int]) -> str:
        return f"actions={words.action_words(rule, self.layout, numbers)}"

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
        # Each command is a process: what `desired` has just read is not read again.
        seen, ours = self._fresh or (self._look() if self.book.entries else ({}, set()))
        self._fresh = None
        # One of another kind under a number of ours was changed by somebody: it differs from any we want.
        meters = {_meter_place(n): m or MeterSeen(n, -1, -1) for n, m in seen.items() if n in ours}
        return {**meters, **{f.place: f for f in self._flows()}}

    def _look(self) -> tuple[Mapping[int, MeterSeen | None], set[int]]:
        seen = self._meters()
        return seen, self._ours(seen)

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
                return told and self._ends_well(desired, actual)
            case _:
                return False

    def _ends_well(self, desired: Laid, actual: FlowSeen) -> bool:
        until = desired.rule.until
        if actual.idles or until is None or not actual.timeout:
            return not actual.idles and until is None and not actual.timeout
        left, wanted = actual.timeout - actual.age, until - self.now
        if _RENEW < left <= wanted:
            return True
        if actual.timeout < LONGEST and self._promises.get(desired.written) == (until, actual.timeout):
            return abs(left - wanted) <= _STRANGE
        return wanted - _EARLIER <= left <= wanted + _LATER

    def apply(self, changes: Changes[Desired, Actual]) -> int:
        """Make meters, then change all flows in one bundle, then remove meters; give how many changes."""
        altered = [d for d, _ in changes.alter]
        laid = [i for i in (*changes.add, *altered) if isinstance(i, Laid)]
        removed = [seen for seen in changes.remove if isinstance(seen, FlowSeen)]
        gone = {seen.number for seen in changes.remove if isinstance(seen, MeterSeen)}
        with self._turn():
            batch = Batch(
                self.layout,
                self.book.numbers,
                tuple(i.meter for i in changes.add if isinstance(i, Metered)),
                tuple(i.meter for i in altered if isinstance(i, Metered)),
                tuple(self._timed(item.rule, self.now) for item in laid),
            )
            self._lay(batch, removed)
            for number in gone:
                self._remove_meter(number)
            if gone:
                self.book.forget(gone)
        return len(changes)

    def _timed(self, rule: Rule, now: float) -> Timed:
        timeout = 0 if rule.until is None else min(LONGEST, max(1, math.ceil(rule.until - now)))
        return Timed(rule, self._words(rule)[1], timeout)

    def _lay(self, batch: Batch, removed: Sequence[FlowSeen] = ()) -> None:
        """Make and alter meters, then add and remove flows."""
        lines = [f"delete_strict cookie={f.cookie:#x}/-1,{f.place}" for f in removed]
        left = self._lay_at_once(batch)
        for command, meters in (("add-meter", left.made), ("mod-meter", left.altered)):
            for meter in meters:
                self._meter(command, words.meter_words(meter, left.numbers[meter.key]))
        lines = [self._add(timed, left.numbers) for timed in left.rules] + lines
        if lines:
            with _changed_meanwhile():
                self.ofctl("add-flows", "-", stdin="\n".join(lines) + "\n", bundle=True)
        self._standing |= {batch.numbers[m.key] for m in batch.made}
        for timed in batch.rules:
            if timed.rule.until is not None:
                self._promises[self._words(timed.rule)[0]] = timed.rule.until, timed.timeout

    def _lay_at_once(self, batch: Batch) -> Batch:
        """Lay what can be without ovs-ofctl; give the rest."""
        rules = replace(batch, made=(), altered=())
        # A rule that goes with its meter would go to a stranger's where that stands in the meter's place.
        for part, rest in ((replace(batch, rules=()), rules), (rules, replace(rules, rules=()))):
            if self.lays is None:
                break
            try:
                if part.made or part.altered or part.rules:
                    self.lays(part)
            except (Unavailable, Refused):
                # ovs-ofctl speaks other versions, with others' rights, and has words for what is wrong.
                break
            batch = rest
        return batch

    def _add(self, timed: Timed, numbers: Mapping[str, int]) -> str:
        timeout = f",hard_timeout={timed.timeout}" if timed.timeout else ""
        place, cookie = self._words(timed.rule)
        return f"add cookie={cookie:#x}{timeout},{place},{self._actions(timed.rule, numbers)}"

    def _meter(self, command: str, what: str) -> None:
        with _changed_meanwhile():
            self.ofctl(command, what)

    def _remove_meter(self, number: int) -> None:
        """Remove a meter unless somebody uses it: its flows would go with it."""
        if not words.users(self.ofctl("meter-stats", f"meter={number}")).get(number):
            self._meter("del-meter", f"meter={number}")
            self._standing.discard(number)


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

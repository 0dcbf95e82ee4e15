"""One bridge's rules and meters through ovs-ofctl: read, compare, change in bundles; only ours, ever.

Flows are ours by the upper half of their cookie. Meters carry none, so the numbers of ours are kept
in the Bridge row (``external_ids:sekisho-meters``), written before a meter is made.
"""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sekisho.devices.vswitch import words
from sekisho.devices.vswitch.program import Limit, Meter, Program, Rule
from sekisho.devices.vswitch.words import FlowSeen, MeterSeen
from sekisho.model.errors import Conflict, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.devices.converge import Changes
    from sekisho.devices.vswitch.ovsdb import Database
    from sekisho.devices.vswitch.pipeline import Layout

_METERS: Final = "sekisho-meters"
# OpenFlow's hard timeout has 16 bits (OpenFlow 1.5.1 section 7.3.4.2): 18.2 h.
_LONGEST: Final = 65535
# A rule that ends later than it may say is renewed once it has less than this left.
_RENEW: Final = 12 * 3600.0
# Timeouts are whole seconds, rounded up, and dumps are as old as they took.
_TOLERANCE: Final = 1.6
_GONE: Final = ("No such file", "Connection refused", "connection dropped", "Connection reset", "Broken pipe")


@dataclass(frozen=True, slots=True)
class OfctlSettings:
    """Where the bridge's management socket is, how long a command may take, where our meters begin.

    Neutron QoS takes the lowest free meter numbers; ours begin far above.
    """

    run_dir: str = "/var/run/openvswitch"
    timeout: float = 5.0
    first_meter: int = 20_000


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


@dataclass(slots=True)
class Ofctl:
    """Runs ovs-ofctl against one bridge."""

    bridge: str
    settings: OfctlSettings

    def __call__(self, command: str, *arguments: str, stdin: str = "", bundle: bool = False) -> str:
        """Run one command; raises Unavailable when nobody answers, Refused when the switch says no."""
        target = () if command == "parse-flows" else (f"unix:{self.settings.run_dir}/{self.bridge}.mgmt",)
        argv = ["ovs-ofctl", "-OOpenFlow15", "--no-names", *(["--bundle"] if bundle else [])]
        argv += [command, *target, *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - our own words, no shell
                argv, input=stdin, capture_output=True, text=True, timeout=self.settings.timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(
                "The switch does not answer.",
                f"{' '.join(argv)}: no answer in {self.settings.timeout} s.",
                0.2,
            ) from error
        except OSError as error:
            raise Unavailable("The switch cannot be asked.", f"ovs-ofctl: {error}.", 5.0) from error
        if done.returncode == 0:
            return done.stdout
        said = f"{' '.join(argv)}: {done.stderr.strip()}"
        if any(word in done.stderr for word in _GONE):
            raise Unavailable("The switch does not answer.", said, 0.05)
        raise Refused("The switch refused a change.", said)


@dataclass(slots=True)
class MeterBook:
    """Which meter numbers of a bridge are ours, and what each is for; kept in the Bridge row."""

    database: Database
    bridge: str
    first: int
    numbers: dict[str, int] = field(default_factory=dict)
    read: bool = False

    def load(self) -> dict[str, int]:
        """Read the book, once."""
        if not self.read:
            self.database.write(self._read)
            self.read = True
        return self.numbers

    def assign(self, keys: Sequence[str], used: set[int]) -> None:
        """Give each new key a number that nobody uses, and write the book before any meter is made."""
        new = [k for k in keys if k not in self.numbers]
        if not new:
            return
        taken, number = used | set(self.numbers.values()), self.first
        for key in new:
            while number in taken:
                number += 1
            taken.add(number)
            self.numbers[key] = number
        self._write()

    def forget(self, numbers: set[int]) -> None:
        """Take numbers out once their meters are gone."""
        if numbers & set(self.numbers.values()):
            self.numbers = {k: n for k, n in self.numbers.items() if n not in numbers}
            self._write()

    def _row(self, idl: Any) -> Any:
        for row in idl.tables["Bridge"].rows.values():
            if row.name == self.bridge:
                return row
        raise NotFound(
            f"There is no bridge {self.bridge}.", f"ovsdb: no Bridge row is named {self.bridge!r}."
        )

    def _read(self, idl: Any) -> None:
        kept = self._row(idl).external_ids.get(_METERS, "{}")
        try:
            self.numbers = {str(k): int(n) for k, n in json.loads(kept).items()}
        except (ValueError, AttributeError, TypeError):
            # Somebody's edit; the meters it named are left standing, which harms nobody.
            self.numbers = {}

    def _write(self) -> None:
        text = json.dumps(self.numbers, separators=(",", ":"))

        def change(idl: Any) -> None:
            self._row(idl).setkey("external_ids", _METERS, text)

        try:
            self.database.write(change)
        except BaseException:
            self.read = False
            raise


class BridgeDriver:
    """Drives one bridge towards one program at one moment (`now`: the agent's steady clock)."""

    def __init__(self, ofctl: Ofctl, book: MeterBook, layout: Layout, now: float) -> None:
        self._ofctl = ofctl
        self._book = book
        self._layout = layout
        self._now = now
        self._foreign: set[int] = set()

    # --- what should stand -----------------------------------------------------------------------

    def desired(self, program: Program, known: dict[str, tuple[str, str]]) -> dict[str, Desired]:
        """Put a program into the switch's words; `known` remembers normal forms from call to call."""
        self.read_meters()
        self._book.assign([m.key for m in program.meters], self._foreign)
        numbers = self._book.numbers
        items: dict[str, Desired] = {
            _meter_place(numbers[m.key]): Metered(m, numbers[m.key]) for m in program.meters
        }
        lines = [self._line(rule) for rule in program.rules]
        for rule, line in zip(program.rules, lines, strict=True):
            if line not in known:
                self._normalise([x for x in lines if x not in known], known)
            place, actions = known[line]
            items[place] = Laid(rule, place, actions, words.cookie(rule, self._layout))
        return items

    def _line(self, rule: Rule) -> str:
        place = words.match_words(rule, self._layout)
        return f"{place},actions={words.action_words(rule, self._layout, self._book.numbers)}"

    def _normalise(self, lines: Sequence[str], known: dict[str, tuple[str, str]]) -> None:
        forms = list(words.normal_forms(self._ofctl("parse-flows", "-", stdin="\n".join(lines) + "\n")))
        if len(forms) != len(lines):
            raise Refused("The switch does not understand a rule.", f"ovs-ofctl parse-flows: {lines}")
        known.update(zip(lines, forms, strict=True))

    # --- converge.Driver -------------------------------------------------------------------------

    def read(self) -> dict[str, Actual]:
        """Tell what of ours stands on the bridge now."""
        meters = {_meter_place(m.number): m for m in self.read_meters()}
        ours = f"cookie={self._layout.cookie << 32:#x}/0xffffffff00000000"
        return {**meters, **{f.place: f for f in words.flows(self._ofctl("dump-flows", ours))}}

    def read_meters(self) -> list[MeterSeen]:
        """Read our meters, and take down which numbers are somebody else's."""
        configured = self._ofctl("dump-meters")
        ours = set(self._book.load().values())
        counted = self._ofctl("meter-stats") if ours else ""
        seen = words.meters(configured, counted)
        self._foreign = set(seen) - ours
        # One of another kind under a number of ours was changed by somebody: it differs from any we want.
        return [m or MeterSeen(n, -1, -1) for n, m in seen.items() if n in ours]

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
        if until is None or not actual.timeout:
            return until is None and not actual.timeout
        left = actual.timeout - actual.age
        wanted = until - self._now
        return left <= wanted + _TOLERANCE and (left >= wanted - _TOLERANCE or left > _RENEW)

    def apply(self, changes: Changes[Desired, Actual]) -> int:
        """Make meters, then change all flows in one bundle, then remove meters; give how many changes."""
        for item in changes.add:
            if isinstance(item, Metered):
                self._meter("add-meter", words.meter_words(item.meter, item.number))
        for item, _ in changes.alter:
            if isinstance(item, Metered):
                self._meter("mod-meter", words.meter_words(item.meter, item.number))
        laid = [*changes.add, *(d for d, _ in changes.alter)]
        lines = [self._add(item) for item in laid if isinstance(item, Laid)]
        lines += [self._remove(seen) for seen in changes.remove if isinstance(seen, FlowSeen)]
        if lines:
            self._ofctl("add-flows", "-", stdin="\n".join(lines) + "\n", bundle=True)
        gone = {seen.number for seen in changes.remove if isinstance(seen, MeterSeen)}
        for number in gone:
            self._meter("del-meter", f"meter={number}")
        self._book.forget(gone)
        return len(changes)

    def _meter(self, command: str, what: str) -> None:
        try:
            self._ofctl(command, what)
        except Refused as error:
            if "METER_EXISTS" in error.fixer or "UNKNOWN_METER" in error.fixer:
                raise Conflict("The switch's meters changed meanwhile.", error.fixer) from error
            raise

    def _add(self, laid: Laid) -> str:
        until = laid.rule.until
        timeout = ""
        if until is not None:
            timeout = f",hard_timeout={min(_LONGEST, max(1, math.ceil(until - self._now)))}"
        line = self._line(laid.rule)
        return f"add cookie={laid.cookie:#x}{timeout},{line}"

    def _remove(self, seen: FlowSeen) -> str:
        return f"delete_strict cookie={seen.cookie:#x}/-1,{seen.place}"


def _meter_place(number: int) -> str:
    return f"meter={number}"


def limited_by(rule: Rule) -> str:
    """Give the key of the meter a rule sends through, empty if none."""
    return next((s.meter for s in rule.steps if isinstance(s, Limit)), "")


def counters(items: Mapping[str, Desired], actual: Mapping[str, Actual]) -> dict[str, tuple[int, int]]:
    """Sum what was dropped, packets and bytes, per owner."""
    totals: dict[str, tuple[int, int]] = {}
    for place, item in items.items():
        seen = actual.get(place)
        if seen is None or (isinstance(item, Laid) and item.rule.steps):
            continue
        owners = item.rule.owners if isinstance(item, Laid) else item.meter.owners
        for owner in owners:
            packets, octets = totals.get(owner, (0, 0))
            totals[owner] = packets + seen.packets, octets + seen.bytes
    return totals

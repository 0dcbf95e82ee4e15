"""An Open vSwitch in memory that executes what it is told and says where a packet goes.

It stands in for ovs-ofctl (call it) and for the database's Bridge row (`write`), speaks the same text,
and refuses what Open vSwitch refuses. Time is in the test's hands.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.vswitch.pipeline import Layout
from sekisho.devices.vswitch.program import MARK
from sekisho.model.errors import Refused, Unavailable
from sekisho.testing import flow_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sekisho.testing.flow_text import Flow
    from sekisho.testing.packets import Packet

_DEPTH: Final = 64  # how often a packet may be looked up again, as in Open vSwitch
_TRANSPORTS: Final = (6, 17, 132)


@dataclass(slots=True)
class _Laid:
    """A flow in the table, when it was laid, and what it has counted."""

    flow: Flow
    since: float
    packets: int = 0
    bytes: int = 0

    @property
    def place(self) -> tuple[object, ...]:
        return self.flow.table, self.flow.priority, self.flow.match


@dataclass(slots=True)
class _Meter:
    """A token bucket: kbit/s, kbit, and what is left in it (bits)."""

    rate: int
    burst: int
    left: float
    filled: float
    packets: int = 0
    bytes: int = 0

    def passes(self, bits: int, now: float) -> bool:
        self.left = min(self.burst * 1000.0, self.left + (now - self.filled) * self.rate * 1000)
        self.filled = now
        if bits > self.left:
            self.packets += 1
            self.bytes += bits // 8
            return False
        self.left -= bits
        return True


@dataclass(slots=True)
class Fate:
    """What became of a packet: whether it went on to the rest of the bridge, exports, meters met."""

    passed: bool = False
    samples: list[tuple[int, int]] = field(default_factory=list)  # observation domain, point
    meters: list[int] = field(default_factory=list)


class FakeSwitch:
    """One bridge. `now` is its clock; `away` makes it answer nobody."""

    def __init__(self, bridge: str = "br0", layout: Layout | None = None) -> None:
        self.bridge = bridge
        self.layout = layout or Layout()
        self.now = 1000.0
        self.away = False
        self.external_ids: dict[str, str] = {}
        self.commands: list[str] = []
        self._flows: list[_Laid] = []
        self._meters: dict[int, _Meter] = {}
        self.restart()

    def restart(self) -> None:
        """Lose flows and meters, keep the database, as Open vSwitch does."""
        self._flows, self._meters = [], {}
        self("add-flow", "priority=0,actions=NORMAL")

    @property
    def table_hash(self) -> str:
        """What all flows and meters say, cookies included, ends and counters not."""
        self._expire()
        flows = sorted(
            repr((*f.place[:2], sorted(f.flow.match), f.flow.cookie, f.flow.steps)) for f in self._flows
        )
        meters = sorted((n, m.rate, m.burst) for n, m in self._meters.items())
        return hashlib.sha256(repr((flows, meters)).encode()).hexdigest()

    # --- the database ----------------------------------------------------------------------------

    def write(self, change: Callable[[Any], None], timeout: float = 5.0) -> bool:
        """Let `change` edit the one Bridge row; `timeout` is for those who can be slow."""
        del timeout
        before = dict(self.external_ids)

        def setkey(column: str, key: str, value: str) -> None:
            getattr(row, column)[key] = value

        def delkey(column: str, key: str) -> None:
            getattr(row, column).pop(key, None)

        keys = {"setkey": setkey, "delkey": delkey}
        row = SimpleNamespace(name=self.bridge, external_ids=self.external_ids, **keys)
        change(SimpleNamespace(tables={"Bridge": SimpleNamespace(rows={0: row})}))
        return before != self.external_ids

    def post(self, change: Callable[[Any], None]) -> None:
        """Let `change` edit the row; here that is at once."""
        self.write(change)

    # --- ovs-ofctl -------------------------------------------------------------------------------

    def __call__(self, command: str, *arguments: str, stdin: str = "", bundle: bool = False) -> str:
        """Run one ovs-ofctl command; a bundle is carried out whole or not at all."""
        if self.away and command != "parse-flows":
            raise Unavailable("The switch does not answer.", "ovs-ofctl: Connection refused")
        self._expire()
        self.commands.append(command)
        first = arguments[0] if arguments else ""
        if command in ("parse-flows", "dump-flows", "dump-meters", "meter-stats"):
            return self._tell(command, first, stdin)
        match command:
            case "add-flows":
                self._change(stdin.splitlines(), bundle=bundle)
            case "add-flow":
                self._change([f"add {first}"], bundle=False)
            case "mod-flows":
                self._modify(first)
            case "del-flows":
                self._flows = [f for f in self._flows if not self._selected(f, first)]
            case "add-meter" | "mod-meter" | "del-meter":
                self._change_meter(command, first)
            case _:
                raise Refused("No such command.", f"ovs-ofctl: unknown command '{command}'")
        return ""

    def _tell(self, command: str, first: str, stdin: str) -> str:
        match command:
            case "parse-flows":
                return "".join(self._parsed(line) for line in stdin.splitlines())
            case "dump-flows":
                return "".join(self._dumped(f) for f in self._flows if self._selected(f, first))
            case "dump-meters":
                return "".join(
                    f"meter={n} kbps burst stats bands=\ntype=drop rate={m.rate} burst_size={m.burst}\n\n"
                    for n, m in self._meters.items()
                )
            case _:
                return "".join(self._counted(n, m) for n, m in self._meters.items())

    def _parsed(self, line: str) -> str:
        flow = self._read(line)
        table = f"table:{flow.table} " if flow.table else ""
        return f"OFPT_FLOW_MOD (OF1.5) (xid=0x1): ADD {table}{self._printed(flow)}\n"

    def _printed(self, flow: Flow) -> str:
        match = flow_text.print_match(flow.match, self.layout)
        comma = "," if match else ""
        return f"priority={flow.priority}{comma}{match} actions={flow_text.print_steps(flow.steps)}"

    def _dumped(self, laid: _Laid) -> str:
        flow = laid.flow
        ends = f" idle_timeout={flow.idle_timeout}," if flow.idle_timeout else ""
        ends += f" hard_timeout={flow.hard_timeout}," if flow.hard_timeout else ""
        return (
            f" cookie={flow.cookie:#x}, duration={self.now - laid.since:.3f}s, table={flow.table},"
            f" n_packets={laid.packets}, n_bytes={laid.bytes},{ends} idle_age=0,"
            f" {self._printed(flow)}\n"
        )

    def _counted(self, number: int, meter: _Meter) -> str:
        users = sum(("meter", number) in f.flow.steps for f in self._flows)
        return (
            f"meter:{number} flow_count:{users} packet_in_count:0 byte_in_count:0 duration:1.000s bands:\n"
            f"0: packet_count:{meter.packets} byte_count:{meter.bytes}\n\n"
        )

    def _change(self, lines: Iterable[str], *, bundle: bool) -> None:
        before = list(self._flows)
        try:
            for line in lines:
                verb, _, text = line.partition(" ")
                self._add(text) if verb == "add" else self._delete_strict(text)
        except Refused:
            if bundle:
                self._flows = before
            raise

    def _add(self, text: str) -> None:
        flow = self._read(text)
        for step in flow.steps:
            if step[0] == "meter" and step[1] not in self._meters:
                raise Refused("The switch refused a change.", "Error OFPMMFC_INVALID_METER")
        laid = _Laid(flow, self.now)
        old = next((f for f in self._flows if f.place == laid.place), None)
        if old:  # counters are kept unless reset_counts is said
            laid.packets, laid.bytes = old.packets, old.bytes
            self._flows.remove(old)
        self._flows.append(laid)

    def _delete_strict(self, text: str) -> None:
        flow = flow_text.read_flow(text, "drop", self.layout)
        place = (flow.table, flow.priority, flow.match)
        masked = "cookie=" in text
        self._flows = [
            f for f in self._flows if f.place != place or (masked and f.flow.cookie != flow.cookie)
        ]

    def _modify(self, text: str) -> None:
        head, _, actions = text.partition("actions=")
        steps = flow_text.read_steps(actions, self.layout)
        for laid in self._flows:
            if self._selected(laid, head):
                laid.flow = replace(laid.flow, steps=steps)

    def _selected(self, laid: _Laid, text: str) -> bool:
        wanted = flow_text.read_flow(text, "drop", self.layout)
        cookie, _, mask = text.partition("cookie=")[2].partition(",")[0].partition("/")
        bits = int(mask, 0) if mask else -1
        ours = not cookie or laid.flow.cookie & bits == int(cookie, 0) & bits
        table = "table=" not in text or laid.flow.table == wanted.table
        return ours and table and wanted.match <= laid.flow.match

    def _read(self, text: str) -> Flow:
        head, found, actions = text.partition("actions=")
        flow = flow_text.read_flow(head, actions, self.layout)
        terms = {t.name: t.value for t in flow.match}
        problem = "" if found else "must specify an action"
        if any(not t.mask or t.value & ~t.mask for t in flow.match):
            problem = f"{flow.match_text}: unknown field, or value outside its mask"
        elif {"tp_src", "tp_dst"} & terms.keys() and terms.get("nw_proto") not in _TRANSPORTS:
            problem = "tp_dst without its protocol"
        elif "nw_frag" in terms and terms.get("eth_type") not in (0x0800, 0x86DD):
            problem = "nw_frag without eth_type"
        elif any(s[0] == "other" and s[1] not in ("NORMAL", "drop") for s in flow.steps):
            problem = f"unknown action {actions}"
        if problem:
            raise Refused("The switch refused a change.", f"ovs-ofctl: {problem}")
        return flow

    def _change_meter(self, command: str, text: str) -> None:
        number = int(text.partition("meter=")[2].partition(",")[0])
        if command == "del-meter":
            self._meters.pop(number, None)
            self._flows = [f for f in self._flows if ("meter", number) not in f.flow.steps]
            return
        if (command == "add-meter") is (number in self._meters):
            which = "METER_EXISTS" if command == "add-meter" else "UNKNOWN_METER"
            raise Refused("The switch refused a change.", f"OFPT_ERROR (OF1.5) (xid=0x2): OFPMMFC_{which}")
        rate, burst = (int(text.partition(f"{w}=")[2].partition(",")[0]) for w in ("rate", "burst_size"))
        self._meters[number] = _Meter(rate, burst, burst * 1000.0, self.now)

    # --- packets ---------------------------------------------------------------------------------

    def _expire(self) -> None:
        self._flows = [
            f for f in self._flows if not f.flow.hard_timeout or self.now < f.since + f.flow.hard_timeout
        ]

    def send(self, in_port: int, packet: Packet) -> Fate:
        """Let a packet come in at a port, and say what becomes of it."""
        self._expire()
        fate = Fate()
        self._look_up({**packet.fields(), "in_port": in_port, MARK: 0}, packet.length, fate, 0)
        return fate

    def _look_up(self, fields: dict[str, int], length: int, fate: Fate, depth: int) -> None:
        laid = next(self._matching(fields, self.layout.table if depth else 0), None)
        if laid is None:
            return
        laid.packets += 1
        laid.bytes += length
        for step in laid.flow.steps:
            match step:
                case ("sample", *told):
                    numbers = dict(str(t).split("=") for t in told)
                    fate.samples.append((int(numbers["obs_domain_id"]), int(numbers["obs_point_id"])))
                case ("meter", int(number)):
                    fate.meters.append(number)
                    if not self._meters[number].passes(length * 8, self.now):
                        return
                case ("mark", _, int(value), int(mask)):
                    fields[MARK] = fields[MARK] & ~mask | value & mask
                case ("again", _):
                    if depth == _DEPTH:
                        return
                    self._look_up(fields, length, fate, depth + 1)
                case _:
                    fate.passed = True

    def _matching(self, fields: dict[str, int], table: int) -> Iterator[_Laid]:
        found = (f for f in self._flows if f.flow.table == table and _matches(f.flow, fields))
        yield from sorted(found, key=lambda f: -f.flow.priority)


def _matches(flow: Flow, fields: dict[str, int]) -> bool:
    return all(fields.get(t.name, 0) & t.mask == t.value for t in flow.match)

"""Rules and meters in ovs-ofctl's words (ovs-fields(7), ovs-actions(7)), and its dumps read back. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.devices.vswitch.program import MARK, Again, Limit, Mark, Meter, Rule, Sample, Step, Term

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sekisho.devices.vswitch.pipeline import Layout

# What each field is called where a rule is written; those not named here keep their name.
_WRITTEN: Final = {"eth_type": "dl_type"}
_FRAGMENTS: Final = {(0, 3): "no", (1, 3): "first"}


@dataclass(frozen=True, slots=True)
class FlowSeen:
    """A flow of ours as the switch shows it; `age` and `timeout` in seconds, timeout 0 for none.

    `idles` tells of an idle timeout, which no rule of ours has.
    """

    place: str  # "table=T,priority=P,MATCH" in the switch's own words
    actions: str
    cookie: int
    age: float
    timeout: int
    packets: int
    bytes: int
    idles: bool = False


@dataclass(frozen=True, slots=True)
class MeterSeen:
    """A meter as the switch shows it: kbit/s, kbit, and what its band has dropped."""

    number: int
    rate: int
    burst: int
    packets: int = 0
    bytes: int = 0


def match_words(rule: Rule, layout: Layout) -> str:
    """Write where a rule stands and what it matches."""
    # The order matters to the parser: a field's prerequisites come first.
    order = ("eth_type", "nw_proto")
    terms = sorted(rule.match, key=lambda t: (t.name not in order, t.name))
    words = [_term_words(t, layout) for t in terms]
    return ",".join([f"table={layout.table},priority={rule.priority}", *words])


def _term_words(t: Term, layout: Layout) -> str:
    name = f"reg{layout.register}" if t.name == MARK else _WRITTEN.get(t.name, t.name)
    if t.name == "nw_frag":
        return f"nw_frag={_FRAGMENTS[t.value, t.mask]}"
    if t.name == "dl_dst":
        return f"dl_dst={mac_words(t.value)}"
    full = {"in_port", "eth_type", "nw_proto", "icmp_type"}
    if t.name in full or (t.name.startswith("tp_") and t.mask == 0xFFFF):
        return f"{name}={t.value:#x}" if t.name == "eth_type" else f"{name}={t.value}"
    return f"{name}={t.value:#x}/{t.mask:#x}"


def mac_words(value: int) -> str:
    """Write 48 bits as a MAC address."""
    text = f"{value:012x}"
    return ":".join(text[i : i + 2] for i in range(0, 12, 2))


def action_words(rule: Rule, layout: Layout, numbers: Mapping[str, int]) -> str:
    """Write what a rule does; `numbers` gives each meter's number by its key."""
    return ",".join(_step_words(step, layout, numbers) for step in rule.steps) or "drop"


def _step_words(step: Step, layout: Layout, numbers: Mapping[str, int]) -> str:
    match step:
        case Sample():
            ids = f"obs_domain_id={step.domain},obs_point_id={step.point}"
            return f"sample(probability=65535,collector_set_id={step.collector_set},{ids})"
        case Limit():
            return f"meter:{numbers[step.meter]}"
        case Mark():
            return f"set_field:{step.value:#x}/{step.mask:#x}->reg{layout.register}"
        case Again():
            return f"resubmit(,{layout.table})"


def cookie(rule: Rule, layout: Layout) -> int:
    """Give a rule's cookie: ours above, what the rule says below."""
    return layout.reserved if layout.one_cookie else layout.cookie << 32 | rule.identity


def meter_words(meter: Meter, number: int) -> str:
    """Write a meter."""
    band = f"type=drop,rate={meter.rate},burst_size={meter.burst}"
    return f"meter={number},kbps,burst,stats,bands={band}"


# ovs-ofctl's own normal form of what it was given ("parse-flows") and of what stands ("dump-flows").
_PARSED: Final = re.compile(
    r"ADD (?:table:(\d+) )?(priority=.*?) (?:cookie:\S+ )?(?:hard:\d+ )?actions=(.*)$"
)
_DUMPED: Final = re.compile(
    r"^ *cookie=(0x[0-9a-f]+), duration=([\d.]+)s, table=(\d+), n_packets=(\d+), n_bytes=(\d+),"
    r"(?: idle_timeout=(\d+),)?(?: hard_timeout=(\d+),)?(.*) actions=(.*)$"
)
_USED: Final = re.compile(r"^meter:(\d+) flow_count:(\d+)", re.MULTILINE)
_METERED: Final = re.compile(r"meter:(\d+)")
_METER: Final = re.compile(
    r"^meter=(\d+) kbps (?:burst )?(?:stats )?bands=\s*type=drop rate=(\d+)(?: burst_size=(\d+))?",
    re.MULTILINE,
)
_NUMBER: Final = re.compile(r"^meter=(\d+) ", re.MULTILINE)
_STATS: Final = re.compile(
    r"^meter:(\d+) .*?bands:\s*0: packet_count:(\d+) byte_count:(\d+)", re.MULTILINE | re.DOTALL
)


def normal_forms(parsed: str) -> Iterator[tuple[str, str]]:
    """Read place and actions of each line of `parse-flows`, in order."""
    for line in parsed.splitlines():
        found = _PARSED.search(line)
        if found:
            yield f"table={found[1] or 0},{found[2]}", found[3]


def flows(dumped: str) -> Iterator[FlowSeen]:
    """Read `dump-flows`."""
    for line in dumped.splitlines():
        found = _DUMPED.match(line)
        if found:
            cookie, age, table, packets, octets, idle, hard, match, actions = found.groups()
            # Ages and flags stand before the match, apart from it by a space.
            place = f"table={table},{match.rpartition(' ')[2]}"
            yield FlowSeen(
                place.rstrip(","),
                actions,
                int(cookie, 16),
                float(age),
                int(hard or 0),
                int(packets),
                int(octets),
                idles=idle is not None,
            )


def metered(actions: str) -> list[int]:
    """Give the numbers of the meters that actions send through."""
    return [int(n) for n in _METERED.findall(actions)]


def users(counted: str) -> dict[int, int]:
    """Read from `meter-stats` how many flows use each meter."""
    return {int(n): int(count) for n, count in _USED.findall(counted)}


def meters(configured: str, counted: str) -> dict[int, MeterSeen | None]:
    """Read `dump-meters` and `meter-stats`; None for meters of a kind we never make."""
    drops = {int(n): (int(p), int(b)) for n, p, b in _STATS.findall(counted)}
    found: dict[int, MeterSeen | None] = {int(n): None for n in _NUMBER.findall(configured)}
    for number, rate, burst in _METER.findall(configured):
        n = int(number)
        found[n] = MeterSeen(n, int(rate), int(burst or 0), *drops.get(n, (0, 0)))
    return found

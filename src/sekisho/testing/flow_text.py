"""OpenFlow as people write it and Open vSwitch prints it, read into something that can be executed.

It reads more ways of writing than we use, so that a test may lay any flow by hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from sekisho.devices.vswitch.program import FIELDS, MARK, Match, Term, term

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sekisho.devices.vswitch.pipeline import Layout

# A step as both sides agree on it: its name and its numbers, or the text we do not know.
StepForm: TypeAlias = tuple[str | int, ...]

_SHORT: Final[Mapping[str, tuple[int, int]]] = {
    "ip": (0x0800, -1),
    "ipv6": (0x86DD, -1),
    "arp": (0x0806, -1),
    "icmp": (0x0800, 1),
    "icmp6": (0x86DD, 58),
    "tcp": (0x0800, 6),
    "tcp6": (0x86DD, 6),
    "udp": (0x0800, 17),
    "udp6": (0x86DD, 17),
    "sctp": (0x0800, 132),
    "sctp6": (0x86DD, 132),
}
_FRAGMENTS: Final[Mapping[str, tuple[int, int]]] = {
    "yes": (1, 1),
    "no": (0, 3),
    "first": (1, 3),
    "later": (3, 3),
    "not_later": (0, 2),
}
_FLAGS: Final = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns")
_ALIASES: Final = {"tcp_dst": "tp_dst", "udp_dst": "tp_dst", "sctp_dst": "tp_dst", "dl_type": "eth_type"} | {
    "tcp_src": "tp_src", "udp_src": "tp_src", "sctp_src": "tp_src", "eth_dst": "dl_dst", "ip_frag": "nw_frag",
    "icmpv6_type": "icmp_type", "ip_proto": "nw_proto",
}  # fmt: skip
_FLAG: Final = re.compile(r"([+-])([a-z]+)")
_LOAD: Final = re.compile(r"load:(\w+)->NXM_NX_REG(\d+)\[(?:(\d+)(?:\.\.(\d+))?)?\]")
_SET: Final = re.compile(r"set_field:(\w+)(?:/(\w+))?->reg(\d+)")
_WHOLE: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow as it was told, or a line of ``dump-flows``."""

    table: int
    cookie: int
    priority: int
    match: Match
    match_text: str
    steps: tuple[StepForm, ...]
    idle_timeout: int = 0
    hard_timeout: int = 0


# --- reading -------------------------------------------------------------------------------------


_META: Final = frozenset(
    {"table", "cookie", "priority", "duration", "n_packets", "n_bytes", "importance"}
    | {"idle_timeout", "hard_timeout", "idle_age", "hard_age"}
)
_FLOW_FLAGS: Final = frozenset(
    ("reset_counts", "send_flow_rem", "check_overlap", "no_packet_counts", "no_byte_counts")
)


def read_flow(head: str, actions: str, layout: Layout) -> Flow:
    """Read one flow: what stands before ``actions=`` and what after."""
    meta: dict[str, str] = {}
    matches: list[str] = []
    for token in re.split(r"[,\s]+", head.strip(" ,")):
        name, has_value, value = token.partition("=")
        if has_value and name in _META:
            meta[name] = value
        elif token and token not in _FLOW_FLAGS:
            matches.append(token)
    return Flow(
        table=int(meta.get("table", "0")),
        cookie=int(meta.get("cookie", "0").partition("/")[0], 0),
        priority=int(meta.get("priority", "32768")),
        match=frozenset(t for m in matches for t in _read_term(m, layout)),
        match_text=",".join(matches),
        steps=read_steps(actions, layout),
        idle_timeout=int(meta.get("idle_timeout", "0")),
        hard_timeout=int(meta.get("hard_timeout", "0")),
    )


def _read_term(token: str, layout: Layout) -> Iterator[Term]:
    name, _, value = token.partition("=")
    name = MARK if name == f"reg{layout.register}" else _ALIASES.get(name, name)
    if token in _SHORT:
        kind, protocol = _SHORT[token]
        yield term("eth_type", kind)
        if protocol >= 0:
            yield term("nw_proto", protocol)
    elif name == "dl_vlan":
        yield term("vlan_tci", int(value, 0) | 0x1000, 0x1FFF)
    elif name == "nw_frag" and value in _FRAGMENTS:
        yield Term(name, *_FRAGMENTS[value])
    elif name == "tcp_flags" and value[:1] in "+-":
        yield _read_flags(value)
    elif name in FIELDS:
        yield _read_number(name, value)
    else:
        yield Term(token, 0, 0)  # none of ours has such a field: it will equal nothing


def _read_flags(value: str) -> Term:
    pairs = _FLAG.findall(value)
    bits = {name: 1 << _FLAGS.index(name) for _, name in pairs if name in _FLAGS}
    return Term("tcp_flags", sum(bits[n] for s, n in pairs if s == "+" and n in bits), sum(bits.values()))


def _read_number(name: str, value: str) -> Term:
    number, masked, mask = value.partition("/")
    if name == "dl_dst":
        number, mask = f"0x{number.replace(':', '')}", f"0x{mask.replace(':', '')}"
    try:
        return term(name, int(number, 0), int(mask, 0) if masked else None)
    except ValueError:
        return Term(f"{name}={value}", 0, 0)


def read_steps(actions: str, layout: Layout) -> tuple[StepForm, ...]:
    """Read actions into a form in which two ways to write the same are equal; a drop is none."""
    parts = [p.strip() for p in _split(actions) if p.strip()]
    return () if parts == ["drop"] else tuple(_read_step(p, layout) for p in parts)


def _split(actions: str) -> Iterator[str]:
    """Split at the commas that stand in no brackets."""
    depth, start = 0, 0
    for i, letter in enumerate(actions):
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            yield actions[start:i]
            start = i + 1
    yield actions[start:]


def _read_step(text: str, layout: Layout) -> StepForm:
    if loaded := _LOAD.fullmatch(text):
        value, register, low, high = loaded.groups()
        first, last = int(low or 0), int(high or low or 31)
        return "mark", int(register), int(value, 0) << first, (1 << last + 1) - (1 << first)
    if written := _SET.fullmatch(text):
        value, mask, register = written.groups()
        return "mark", int(register), int(value, 0), int(mask, 0) if mask else _WHOLE
    if text.startswith("meter:"):
        return "meter", int(text[6:])
    if text in (f"resubmit(,{layout.table})", f"goto_table:{layout.table}"):
        return "again", layout.table
    if text.startswith("sample("):
        return ("sample", *sorted(text[7:-1].split(",")))
    return ("other", text)


# --- printing ------------------------------------------------------------------------------------


def print_match(match: Match, layout: Layout) -> str:
    """Print a match the way Open vSwitch does: protocols by their short names."""
    terms = {t.name: t for t in match}
    kind = terms["eth_type"].value if "eth_type" in terms else -1
    protocol = terms["nw_proto"].value if "nw_proto" in terms else -1
    short = [name for name, numbers in _SHORT.items() if numbers == (kind, protocol)]
    hidden = {"eth_type", "nw_proto"} if short else set()
    return ",".join(short + [_print_term(t, layout) for t in sorted(match) if t.name not in hidden])


def _print_term(t: Term, layout: Layout) -> str:
    exact = t.mask == (1 << FIELDS[t.name]) - 1
    match t.name:
        case "dl_dst":
            return f"dl_dst={t.value.to_bytes(6, 'big').hex(':')}"
        case "nw_frag":
            return f"nw_frag={next(n for n, v in _FRAGMENTS.items() if v == (t.value, t.mask))}"
        case "mark":
            return f"reg{layout.register}={t.value:#x}/{t.mask:#x}"
        case "vlan_tci" if t.mask == 0x1FFF and t.value & 0x1000:
            return f"dl_vlan={t.value & 0xFFF}"
        case "tcp_flags":
            return "tcp_flags=" + "".join(_print_flags(t))
        case _:
            return f"{t.name}={t.value}" if exact else f"{t.name}={t.value:#x}/{t.mask:#x}"


def _print_flags(t: Term) -> Iterator[str]:
    for bit, name in enumerate(_FLAGS):
        if t.mask >> bit & 1:
            yield f"{'+' if t.value >> bit & 1 else '-'}{name}"


def print_steps(steps: tuple[StepForm, ...]) -> str:
    """Print actions as Open vSwitch does under OpenFlow 1.5."""
    return ",".join(map(_print_step, steps)) or "drop"


def _print_step(step: StepForm) -> str:
    match step:
        case ("mark", register, int(value), int(mask)):
            return f"set_field:{value:#x}/{mask:#x}->reg{register}"
        case ("meter", number):
            return f"meter:{number}"
        case ("again", table):
            return f"resubmit(,{table})"
        case ("sample", *told):
            return f"sample({','.join(map(str, told))})"
        case _:
            return str(step[1])

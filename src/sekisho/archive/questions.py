"""Questions about the past: whose traffic, how much, when, with whom; nouns of `model.archived` out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from sekisho.archive import keys, shapes, spans
from sekisho.archive.spans import HOUR, MINUTE
from sekisho.archive.store import ask
from sekisho.model.archived import AMOUNTS, Far, FlowTop, Series, SubjectFlows, Traffic, protocol, service
from sekisho.model.errors import Malformed
from sekisho.tables import address_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.archive.store import Store

MOST_STEPS: Final = 20_000
MOST_ROWS: Final = 2_000_000
# A far end's question reads raw rows, which is work.
PATIENCE: Final = {"max_execution_time": 60, "max_memory_usage": 4_000_000_000}
FORMS: Final = {
    "parquet": ("Parquet", "application/vnd.apache.parquet"),
    "csv": ("CSVWithNames", "text/csv"),
}
SUMS: Final = (
    "sumIf(bytes, direction = 'egress') AS egress_bytes, "
    "sumIf(bytes, direction = 'ingress') AS ingress_bytes, "
    "sumIf(packets, direction = 'egress') AS egress_packets, "
    "sumIf(packets, direction = 'ingress') AS ingress_packets"
)
# Of what `spans` gives.
_TOTALS: Final = (
    "sum(eb) AS egress_bytes, sum(ib) AS ingress_bytes, sum(ep) AS egress_packets, sum(ip) AS ingress_packets"
)
_GROUPS: Final = {"subject": ("subject",), "protocol": ("protocol",), "port": ("protocol", "port")}
_WHEN: Final = "time >= toDateTime({since:Int64}, 'UTC') AND time < toDateTime({until:Int64}, 'UTC')"
# Raw rows are sorted by their time as it stands, and found by nothing else.
_WHEN_RAW: Final = (
    "time >= toDateTime64({since:Float64}, 6, 'UTC') AND time < toDateTime64({until:Float64}, 6, 'UTC')"
)


def span(since: float, until: float, now: float) -> tuple[float, float]:
    """Settle a span: until 0 is now, since 0 is an hour before; raises Malformed where it is none."""
    until = until or now
    since = since or until - HOUR
    if not (math.isfinite(since) and math.isfinite(until) and 0 <= since < until < 1 << 32):
        raise Malformed("The span is none: `since` is before `until`, both in unix seconds.")
    return since, until


def top(store: Store, since: float, until: float, by: str, limit: int, of: str) -> FlowTop:
    """Find the greatest of a span: exactly, as long as its raw rows are kept, then of whole steps."""
    if by not in AMOUNTS or of not in _GROUPS:
        raise Malformed(f"Ask by one of {', '.join(AMOUNTS)}, of one of {', '.join(_GROUPS)}.")
    covered, groups = spans.cover(store, since, until), _GROUPS[of]
    listed = ", ".join(groups)
    whole = ", ".join(f"sum(sum({name})) OVER ()" for name in ("eb", "ib", "ep", "ip"))
    found = ask(
        store,
        f"SELECT {listed}, {_TOTALS}, {whole} FROM ({covered.sums(groups)}) GROUP BY {listed} "
        f"ORDER BY {by} DESC, {listed} LIMIT {{limit:UInt32}}",
        {"limit": limit},
    )
    known = names(store, (row[0] for row in found.rows)) if of == "subject" else {}
    items = tuple(Traffic(_called(row[:-8], of, known), *map(float, row[-8:-4])) for row in found.rows)
    total = found.rows[0][-4:] if found.rows else (0.0,) * 4
    return FlowTop(covered.since, covered.until, by, items, Traffic("", *map(float, total)))


def series(store: Store, subject: str, since: float, until: float, step: float) -> Series:
    """Give what was sent and got in each step of whole minutes."""
    width = max(MINUTE, math.ceil(step / MINUTE) * MINUTE) if math.isfinite(step) else 0
    first = int(since) // MINUTE * MINUTE
    count = math.ceil((until - first) / width) if width else 0
    if not 0 < count <= MOST_STEPS:
        raise Malformed(f"That is {count} steps; ask for 1 to {MOST_STEPS:,} of them.")
    hours = width % HOUR == 0 and first % HOUR == 0
    last = first + count * width
    whose = "subject = {subject:UInt64} AND " if subject else ""
    found = ask(
        store,
        f"SELECT intDiv(toUnixTimestamp(time) - {{since:Int64}}, {{width:Int64}}) AS at, {SUMS} "
        f"FROM {shapes.HOURS if hours else shapes.MINUTES} WHERE {whose}{_WHEN} GROUP BY at",
        {"since": first, "until": last, "width": width, "subject": keys.key(subject)},
    )
    rows = [[0.0] * count for _ in AMOUNTS]
    for at, *amounts in found.rows:
        for row, amount in zip(rows, amounts, strict=True):
            row[int(at)] = float(amount)
    return Series(subject, float(first), float(last), float(width), *map(tuple, rows))


def subject_flows(store: Store, subject: str, since: float, until: float, limit: int) -> SubjectFlows:
    """Sum up one subject, and its greatest far ends from the raw rows there are."""
    key = keys.key(subject)
    covered = spans.cover(store, since, until)
    total = ask(store, f"SELECT {_TOTALS} FROM ({covered.sums((), subject=True)})", {"subject": key})
    sent = "sender = {subject:UInt64}"
    found = ask(
        store,
        f"SELECT if({sent}, dst_hi, src_hi) AS hi, if({sent}, dst_lo, src_lo) AS lo, protocol, "
        f"{shapes.PORT} AS port, "
        f"sumIf(bytes, {sent}), sumIf(bytes, NOT {sent}), sumIf(packets, {sent}), sumIf(packets, NOT {sent}) "
        f"FROM {shapes.FLOWS} WHERE {_WHEN_RAW} AND ({sent} OR receiver = {{subject:UInt64}}) AND NOT exact "
        "GROUP BY hi, lo, protocol, port ORDER BY sum(bytes) DESC LIMIT {limit:UInt32}",
        {"since": since, "until": until, "subject": key, "limit": limit},
        PATIENCE,
    )
    far = tuple(
        Far(address_text(int(row[0]), int(row[1])), int(row[2]), int(row[3]), *map(float, row[4:]))
        for row in found.rows
    )
    whole = Traffic(subject, *map(float, total.rows[0]))
    return SubjectFlows(subject, covered.since, covered.until, whole, far)


def export(
    store: Store, since: float, until: float, *, subject: str, form: str, limit: int
) -> tuple[str, bytes]:
    """Give raw rows with names and addresses as people write them: media type and file."""
    if form not in FORMS or not 0 < limit <= MOST_ROWS:
        raise Malformed(f"Export as {' or '.join(FORMS)}, and at most {MOST_ROWS:,} rows at once.")
    kind, media = FORMS[form]
    whose = " AND (sender = {subject:UInt64} OR receiver = {subject:UInt64})" if subject else ""
    told = {"since": since, "until": until, "subject": keys.key(subject), "limit": limit}
    known = (
        f"(SELECT key, argMax(name, time) AS name FROM {shapes.INVENTORY} "
        "WHERE kind = 'subject' GROUP BY key)"
    )
    plain = (
        "in_if, out_if, protocol, src_port, dst_port, bitAnd(tcp_flags, 255) AS tcp_flags, vlan, rate, "
        "packets, bytes, exact"
    )
    question = (
        f"SELECT f.time AS time, x.address AS exporter, s.name AS sender, r.name AS receiver, "
        f"{_address('src')}, {_address('dst')}, {plain} "
        f"FROM (SELECT * FROM {shapes.FLOWS} WHERE {_WHEN_RAW}{whose} "
        "ORDER BY time LIMIT {limit:UInt32}) AS f "
        f"LEFT JOIN {known} AS s ON f.sender = s.key LEFT JOIN {known} AS r ON f.receiver = r.key "
        f"LEFT JOIN (SELECT key, any(address) AS address FROM {shapes.EXPORTERS} GROUP BY key) AS x "
        "ON f.exporter = x.key ORDER BY time"
    )
    return media, store.ask(question, kind, told, PATIENCE)


def names(store: Store, found: Iterable[Any]) -> dict[int, str]:
    """Look up what subjects are called, by their keys."""
    wanted = ", ".join(str(int(key)) for key in found)
    if not wanted:
        return {}
    known = ask(
        store,
        f"SELECT key, argMax(name, time) FROM {shapes.INVENTORY} "
        f"WHERE kind = 'subject' AND key IN ({wanted}) GROUP BY key",
    )
    return {int(key): str(name) for key, name in known.rows}


def _called(group: tuple[Any, ...], of: str, known: dict[int, str]) -> str:
    if of == "subject":
        return known.get(int(group[0]), f"{int(group[0]):016x}")
    return protocol(int(group[0])) if of == "protocol" else service(int(group[0]), int(group[1]))


def _address(side: str) -> str:
    hi, lo = f"{side}_hi", f"{side}_lo"
    both = f"unhex(concat(leftPad(hex({hi}), 16, '0'), leftPad(hex({lo}), 16, '0')))"
    mapped = f"{hi} = 0 AND bitShiftRight({lo}, 32) = 65535"
    four = f"IPv4NumToString(toUInt32(bitAnd({lo}, 4294967295)))"
    return f"if({mapped}, {four}, IPv6NumToString(toFixedString({both}, 16))) AS {side}"

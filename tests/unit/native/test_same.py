"""The compiled core does what the columns do: same rows, same sums, same complaints."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
import pytest

from sekisho import native
from sekisho.detect import confidence, counting
from sekisho.detect.detector import Observations, Rows, Take
from sekisho.detect.distinct import Distinct
from sekisho.detect.picking import NOTHING, Pick, Trait
from sekisho.detect.settings import DetectSettings
from sekisho.detect.sums import Sums
from sekisho.detect.window import Detection
from sekisho.flows.decode import Decoder
from sekisho.flows.exporters import Exporters, ExporterSettings
from sekisho.flows.index import NONE, _mixed, hashed
from sekisho.flows.resolve import Resolver, ResolveSettings
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.model.inventory import Host, Inventory, Subject, Telemetry
from sekisho.model.policy import Condition, Direction, PolicySet, Threshold, Unit
from sekisho.tables import F64, V4_MAPPED, Burst, FlowBatch, columns
from sekisho.testing.contract_detector import SUBJECTS, traffic
from support_detect import DETECTORS, START, condition, detection, inventory, policy
from support_native import assert_same_rows, both, needs_core
from support_templates import a_set, captured, ipfix, ipfix_options, template, variable

pytestmark = needs_core

CAPTURES = ("ovs31-ipfix", "ovs31-netflow5", "ovs31-sflow")


def test_nobody_can_choose_keys_that_all_want_one_place() -> None:
    """The core's tables are filled with what exporters send; a long run of full places slows everybody."""
    keys, at, places = np.zeros(0, np.uint64), 1, 1 << (2 * 2000).bit_length()
    while len(keys) < 2000:
        some = np.arange(at, at + (1 << 18), dtype=np.uint64)
        keys = np.concatenate([keys, some[_mixed(some) % np.uint64(places) - np.uint64(100) < 16]])
        at += 1 << 18
    rows = hashed(keys[:2000], np.arange(2000, dtype=np.int32))._held[1]
    assert isinstance(rows, np.ndarray)
    free = np.flatnonzero(rows == NONE)
    assert np.diff(free).max() < 200


# --- detection --------------------------------------------------------------------------------------------


def counted(name: str, destinations: str, seed: int) -> list[np.ndarray[Any, Any]]:
    amount = 0.5 if DETECTORS[name].unit.name == "RATIO" else 20.0
    names = [f"s{n}" for n in range(SUBJECTS)]
    found = detection(policy(condition(name, amount, 60), destinations=destinations), subjects=names)
    for second in range(3):
        for part in range(3):
            batch = traffic(seed=seed + 10 * second + part)
            batch.time[:] = START + second
            found.add(batch)
        evidence = found.close(START + second + 1)
    state = [np.array([e.findings[0].lower for e in evidence])]
    state += [np.array([c.amount for e in evidence for c in (*e.top_destinations, *e.top_ports)])]
    for stream in found._streams.values():
        for lane in stream.lanes.values():
            if isinstance(lane.counter, Sums):
                state.append(lane.counter.total)
            elif isinstance(lane.counter, Distinct):
                state += [lane.counter.table, lane.counter.hits, lane.counter.filled, lane.counter.samples]
        state.append(np.bincount(stream.recent.slot + 1, minlength=SUBJECTS + 1))
    return state


@pytest.mark.parametrize("destinations", ["all", "internet"])
@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_detector_counts_the_same(name: str, destinations: str) -> None:
    compiled, columns = both(lambda: counted(name, destinations, 4))
    assert len(compiled) == len(columns)
    for one, other in zip(compiled, columns, strict=True):
        assert np.allclose(one, other, rtol=1e-12), name
    assert any(column.any() for column in columns[2:]), "nothing was counted"


@pytest.mark.parametrize(
    ("name", "emptied"),
    [
        ("login-attempts", "login_ports"),
        ("login-hosts", "login_ports"),
        ("amplification-bytes", "amplification_ports"),
        ("amplification-packets", "amplification_ports"),
        ("ingress-amplification-bytes", "amplification_ports"),
    ],
)
def test_a_list_of_ports_that_was_emptied_means_no_port(name: str, emptied: str) -> None:
    def told() -> float:
        names = [f"s{n}" for n in range(SUBJECTS)]
        asked = policy(condition(name, 20.0, 60), destinations="all")
        found = detection(asked, subjects=names, **{emptied: ()})
        found.add(traffic(seed=3))
        found.close(START + 1)
        return float(found.judges[0].lines[0].lane.estimate(np.arange(SUBJECTS)).sum())

    assert both(told) == (0.0, 0.0)


@pytest.mark.parametrize("ports", [(65_535,), (0,), (0, 40_000, 65_535), (22, 23, 40_000)], ids=str)
@pytest.mark.parametrize("name", ["login-attempts", "login-hosts", "amplification-bytes"])
def test_the_first_and_the_last_port_are_ports_like_any(name: str, ports: tuple[int, ...]) -> None:
    def told() -> F64:
        names = [f"s{n}" for n in range(SUBJECTS)]
        asked = policy(condition(name, 1e9, 60), destinations="all")
        found = detection(asked, subjects=names, login_ports=ports, amplification_ports=ports)
        batch = traffic(seed=8)
        batch.time[:] = START
        found.add(batch)
        found.close(START + 1)
        return found.judges[0].lines[0].lane.estimate(np.arange(SUBJECTS))

    compiled, columns = both(told)
    assert np.allclose(compiled, columns, rtol=1e-12)
    assert compiled.any()


@pytest.mark.parametrize("ours", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("spread", [0.0, 0.9, 3.5])
def test_a_batch_over_several_seconds_or_hardly_of_ours_counts_the_same(spread: float, ours: float) -> None:
    def told() -> tuple[F64, dict[str, float]]:
        asked = policy(condition("egress-bytes", 1e15, 60), destinations="all")
        found = detection(asked, subjects=[f"s{n}" for n in range(SUBJECTS)])
        found.close(START)
        batch, rng = traffic(seed=5), np.random.default_rng(9)
        batch.time[:] = START + rng.permutation(np.linspace(0.0, spread, len(batch)))
        nobody = rng.random(len(batch)) >= ours
        batch.sender[nobody] = batch.receiver[nobody] = -1
        found.add(batch)
        found.close(START + 4)
        return found.judges[0].lines[0].lane.estimate(np.arange(SUBJECTS)), found.counters()

    (compiled, counts), (columns, counts_in_columns) = both(told)
    assert np.allclose(compiled, columns, rtol=1e-12)
    assert compiled.any() == (ours > 0)
    del counts["window_bytes"], counts_in_columns["window_bytes"]
    assert counts == counts_in_columns


@pytest.mark.parametrize("name", sorted(name for name, each in DETECTORS.items() if each.distinct))
def test_things_are_told_apart_the_same_while_more_and_more_subjects_show_some(name: str) -> None:
    """The table of a distinct count grows within a tick, and moves."""
    groups = 8

    def told() -> F64:
        names = [f"s{n}" for n in range(groups * SUBJECTS)]
        found = detection(policy(condition(name, 1e9, 60), destinations="all"), subjects=names)
        for group in (0, 1, 0, *range(groups), 0, 0):
            batch = traffic(seed=group)
            batch.time[:] = START
            for ends in (batch.sender, batch.receiver):
                ends[ends >= 0] += group * SUBJECTS
            found.add(batch)
        found.close(START + 1)
        return found.judges[0].lines[0].lane.estimate(np.arange(groups * SUBJECTS))

    compiled, columns = both(told)
    assert np.array_equal(compiled, columns)
    assert np.count_nonzero(compiled) > groups * SUBJECTS / 8


def everything(seed: int, others: int = 0) -> list[np.ndarray[Any, Any]]:
    """Count for all detectors together, to all destinations and to the internet, and tell all sums.

    With `others`, so many subjects that send nothing stand before the rest, and everybody is a suspect of
    some detectors, nobody of the same ones.
    """
    policies = [
        policy(condition(name, 0.3, 60), name=f"{name}-{where}", destinations=where)
        for name in sorted(DETECTORS)
        for where in ("all", "internet")
    ]
    found = detection(*policies, subjects=[f"s{n}" for n in range(others + SUBJECTS)])
    for second in range(2):
        batch = traffic(seed=seed + second)
        batch.time[:] = START + second
        for ends in (batch.sender, batch.receiver):
            ends[ends >= 0] += others
        found.add(batch)
        found.close(START + second + 1)
        for number, stream in enumerate(found._streams.values()):
            if others:
                chosen = np.random.default_rng([seed, number]).random(len(stream.recent.suspects)) < 0.5
                stream.recent.suspects[:] = chosen
    state: list[np.ndarray[Any, Any]] = []
    for stream in found._streams.values():
        state += [lane.estimate(np.arange(others + SUBJECTS)) for lane in stream.lanes.values()]
        kept = stream.recent.slot >= 0
        order = np.lexsort((stream.recent.amount[kept], stream.recent.slot[kept]))
        state += [stream.recent.slot[kept][order], stream.recent.amount[kept][order]]
    return state


@pytest.mark.parametrize(
    "room",
    [
        {},
        {"_EACH": 0, "_FEWEST": 100},  # entries: poured out after every few rows
        {"_KINDS": 2},  # kinds of rows
        {"_AT_ONCE": 3},  # picks that gather together
        {"_AT_ONCE": 1, "_EACH": 0, "_FEWEST": 70, "_KINDS": 3},
    ],
    ids=str,
)
def test_rows_count_the_same_however_little_room_there_is(
    room: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in room.items():
        monkeypatch.setattr(counting, name, value)
    compiled, columns = both(lambda: everything(11))
    assert len(compiled) == len(columns) > 100
    for one, other in zip(compiled, columns, strict=True):
        assert np.allclose(one, other, rtol=1e-12)


def test_the_rows_of_suspects_are_the_same_however_many_sets_of_them_there_are() -> None:
    compiled, columns = both(lambda: everything(12, others=400))
    for one, other in zip(compiled, columns, strict=True):
        assert np.allclose(one, other, rtol=1e-12)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A plug-in's detector: bytes of UDP, whatever else `also` asks, of whoever is ours on its side."""

    direction: Direction
    also: Trait = NOTHING
    name: str = "foreign"
    unit: Unit = Unit.BYTES
    parts: int = 1
    distinct: bool = False
    exact_ports: tuple[int, ...] = ()
    source_port: bool = False

    def take(self, rows: Rows, *, internet: bool) -> tuple[Take, ...]:
        mask = rows.udp & (rows.slot(self.direction) >= 0)
        for direction, trait in ((Direction.EGRESS, Trait.EGRESS), (Direction.INGRESS, Trait.INGRESS)):
            if trait in self.also:
                mask &= rows.side(direction, internet=False)
        if internet:
            outward = self.direction is Direction.EGRESS
            mask &= rows.batch.dst_internet if outward else rows.batch.src_internet
        return (rows.amounts(mask, self.direction, rows.batch.bytes),)

    def picks(self, settings: DetectSettings) -> tuple[Pick, ...]:
        del settings
        return (Pick(((Trait.UDP | self.also, NOTHING),), self.direction, "bytes"),)

    def estimate(self, seen: Observations) -> F64:
        return seen.first[0]

    def bounds(self, seen: Observations, z: float) -> tuple[F64, F64]:
        return confidence.total(*seen.first, z)


@pytest.mark.parametrize("destinations", ["all", "internet"])
@pytest.mark.parametrize(
    "also", [NOTHING, Trait.EGRESS, Trait.INGRESS, Trait.EGRESS | Trait.INGRESS], ids=str
)
@pytest.mark.parametrize("direction", list(Direction))
def test_a_pick_that_names_no_side_or_the_other_takes_rows_of_its_own_side_alone(
    direction: Direction, also: Trait, destinations: str
) -> None:
    """A row whose sender is nobody's is in no sum of senders, whether the pick says so or not."""

    def told() -> tuple[F64, list[int]]:
        asked = Condition("foreign", Threshold(1e15, 60, Unit.BYTES))
        watched = PolicySet(1, (policy(asked, destinations=destinations),))
        found = Detection(DetectSettings(seed=7), watched, {"foreign": Foreign(direction, also)})
        found.replace_inventory(inventory([f"s{n}" for n in range(SUBJECTS)]))
        batch = traffic(seed=6)
        batch.time[:] = START
        found.add(batch)
        found.close(START + 1)
        (stream,) = found._streams.values()
        kept = stream.recent.slot[stream.recent.slot >= 0]
        return found.judges[0].lines[0].lane.estimate(np.arange(SUBJECTS)), sorted(kept.tolist())

    (compiled, kept), (columns, kept_in_columns) = both(told)
    assert np.allclose(compiled, columns, rtol=1e-12)
    assert compiled.any()
    assert kept == kept_in_columns


def test_a_batch_to_be_filled_is_one_s_own_whatever_another_thread_makes_meanwhile() -> None:
    spare = [native.block(5).batch(5) for _ in range(2)]
    where = {batch.time.ctypes.data for batch in spare}
    spare.clear()  # now there is memory that both want
    others: list[FlowBatch] = []

    def meanwhile(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code in (native.block.__code__, native._Block.batch.__code__) and event == "line":
            others.append(native.block(5).batch(5))
        return meanwhile

    before = sys.gettrace()
    sys.settrace(meanwhile)
    try:
        made = native.block(5).batch(5)
    finally:
        sys.settrace(before)
    taken = [batch.time.ctypes.data for batch in (made, *others)]
    assert where & set(taken)
    assert len(set(taken)) == len(taken) > 3


def test_a_column_is_asked_for_of_the_core_or_of_whoever_put_another_in_its_place() -> None:
    batch = native.block(5).batch(3)
    made = native.columns_of(batch)
    batch.sender[:] = 1, 2, 3
    assert native.columns_of(batch) is made
    assert batch.sender.tolist() == [1, 2, 3]
    assert len(batch) == len(batch.src_mac) == len(batch.take(slice(2, 3))) + 2 == 3
    batch.sender = np.array([7, 8, 9], np.int32)
    found = native.columns_of(batch)
    assert found is not made
    names = list(columns(FlowBatch))
    assert found.words[names.index("sender")] == batch.sender.ctypes.data
    assert (
        found.words[names.index("src_mac")] == batch.src_mac.ctypes.data == made.words[names.index("src_mac")]
    )
    with pytest.raises(AttributeError):
        batch.sendre  # type: ignore[attr-defined]  # noqa: B018


def test_memory_is_used_again_once_nobody_has_the_batch_any_more() -> None:
    one = native.block(900).batch(900)
    where, part = one.time.ctypes.data, one.take(slice(5))
    other = native.block(900).batch(900)
    assert other.time.ctypes.data != where
    del one
    assert native.block(900).batch(900).time.ctypes.data not in (where, other.time.ctypes.data)
    del part, other
    two = [native.block(900).batch(900), native.block(900).batch(900)]
    assert where in {made.time.ctypes.data for made in two}


def test_a_batch_keeps_its_memory_though_none_of_its_columns_was_asked_for() -> None:
    batch = native.block(5).batch(3)
    batch.time = batch.time.copy()
    other = native.block(5).batch(3)
    assert other.src_mac.ctypes.data != batch.src_mac.ctypes.data


def test_what_no_decoder_would_clear_cannot_be_written_to() -> None:
    batch = native.block(5).batch(5)
    batch.rate[:], batch.sender[:] = 1, 2
    with pytest.raises(ValueError, match="read-only"):
        batch.src_mac[:] = 1


# --- resolving --------------------------------------------------------------------------------------------


def world() -> tuple[Exporters, Inventory]:
    telemetry = tuple(Telemetry("br-int", p, 400, 5, 77) for p in ("sflow", "ipfix", "netflow5"))
    hosts = tuple(Host(f"h{n}", (f"192.0.2.{n}",), telemetry) for n in range(1, 4))
    subjects = tuple(
        Subject(
            f"s{n}",
            f"h{n % 3 + 1}",
            bridge="br-int",
            ifindex=10 + n // 3,
            ofport=1 + n // 2,  # claimed by two now and then
            mac=f"02:00:00:00:00:{n // 2:02x}",
            addresses=(f"10.0.0.{n // 2}", f"2001:db8::{n:x}"),
        )
        for n in range(40)
    )
    return Exporters(), Inventory(1, hosts, subjects)


def records(exporters: Exporters, n: int, seed: int) -> FlowBatch:
    rng = np.random.default_rng(seed)
    zero = np.zeros(1, np.uint64)
    rows = [
        exporters.rows(
            protocol, zero, zero + np.uint64(V4_MAPPED | 0xC000_0200 + host), zero, zero, domain, 1.0
        )[0]
        for protocol in (1, 2, 3, 4)
        for host in (1, 2, 9)
        for domain in (np.array([5], np.uint32), np.array([77], np.uint32))
    ]
    batch = traffic(n, seed)
    batch.exporter[:] = rng.choice(rows, n)
    batch.in_if[:], batch.out_if[:] = rng.integers(0, 26, n), rng.integers(0, 26, n)
    batch.out_format[:] = rng.choice([0, 0, 0, 1, 2], n)
    batch.point[:] = rng.integers(0, 24, n)
    v4 = rng.random(n) < 0.6
    for side in ("src", "dst"):
        lo = rng.choice([0x0A00_0000, 0xC633_0000, 0xAC10_0000], n) + rng.integers(0, 30, n)
        hi = rng.choice(np.array([0x2001_0DB8 << 32, 0xFC00 << 48, 0xFE80 << 48, 0], np.uint64), n)
        getattr(batch, f"{side}_hi")[:] = np.where(v4, 0, hi)
        getattr(batch, f"{side}_lo")[:] = np.where(v4, V4_MAPPED | lo, rng.integers(0, 45, n)).astype(
            np.uint64
        )
        getattr(batch, f"{side}_mac")[:] = np.where(
            rng.random(n) < 0.3, 0, 0x0200_0000_0000 + rng.integers(0, 25, n)
        )
    return batch


def resolved(seed: int, *, runs: bool) -> tuple[FlowBatch, dict[str, int]]:
    exporters, inventory = world()
    own = ResolveSettings(("198.51.100.0/26", "198.51.0.0/31", "2001:db8:1::/48"))
    batch = records(exporters, 5000, seed)
    if runs:  # as exporters send: many records of one, and most of them alike
        batch.exporter[:] = np.sort(batch.exporter)
        batch.src_hi[:2500], batch.in_if[1000:3000], batch.out_format[:4000] = 0, 10, 0
        batch.src_lo[:2500] = V4_MAPPED | 0x0A00_0003
    resolver = Resolver(own, inventory, exporters)
    resolver.resolve(batch)
    return batch, dict(resolver.counters)


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_rows_are_the_same_subjects(seed: int, *, runs: bool) -> None:
    (compiled, counts), (columns, counts_in_columns) = both(lambda: resolved(seed, runs=runs))
    assert_same_rows(compiled, columns)
    assert counts == counts_in_columns
    assert counts["ambiguous"] > 0
    assert min((columns.sender >= 0).sum(), (columns.receiver >= 0).sum()) > 100


# --- decoding ---------------------------------------------------------------------------------------------


def mutated(name: str, seed: int) -> list[bytes]:
    """Real datagrams again and again, some of them cut, stretched or changed in some octets."""
    rng = random.Random(seed)
    real = captured(f"{name}.pcap")
    found = [*real]
    for datagram in (real * 100)[:500]:
        octets = bytearray(datagram)
        kind = rng.random() if seed else 1.0
        if kind < 0.2:
            del octets[rng.randrange(len(octets)) :]
        elif kind < 0.6:
            for _ in range(rng.randint(1, 4)):
                octets[rng.randrange(len(octets))] = rng.choice([0, 1, 4, 255, rng.randrange(256)])
        elif kind < 0.7:
            octets += rng.randbytes(rng.randint(1, 60))
        found.append(bytes(octets))
    return found


def heard(datagrams: list[bytes], seed: int) -> tuple[FlowBatch, dict[str, float], Any]:
    exporters = Exporters(ExporterSettings(total=64, per_address=24))
    decoder = Decoder(exporters, DecodeSettings(samples=6, records=3))
    rng = np.random.default_rng(seed)
    batches, now, left = [], 1000.0, datagrams
    while left:
        size = int(rng.integers(1, 120))
        some, left = left[:size], left[size:]
        data = np.zeros((len(some), 2048), np.uint8)
        for i, datagram in enumerate(some):
            data[i, : len(datagram)] = np.frombuffer(datagram, np.uint8)
        # mostly one source, or hardly anything would have a template
        lo = rng.choice([1, 2, 3], len(some), p=[0.96, 0.02, 0.02]).astype(np.uint64) | np.uint64(V4_MAPPED)
        burst = Burst(
            data,
            np.array([len(d) for d in some], np.int32),
            np.zeros(len(some), np.uint64),
            lo,
            np.full(len(some), 7, np.uint16),
            len(some),
            now,
        )
        batches.append(decoder.decode(burst, now))
        now += 0.1
    return FlowBatch.concat(batches), decoder.counters(), exporters.report()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CAPTURES)
def test_datagrams_hold_the_same(name: str, seed: int) -> None:
    datagrams = mutated(name, seed)
    (compiled, counts, report), (columns, counts_in_columns, other) = both(lambda: heard(datagrams, seed))
    assert len(columns) > 50
    assert counts == counts_in_columns
    assert report == other
    assert_same_rows(compiled, columns, sort=True)


# Elements with lengths they may have: native, reduced, longer than we need, variable, and of others.
ELEMENTS = (
    *((e, n) for e in (1, 2, 23, 85, 86) for n in (1, 3, 4, 8, 10)),
    *((e, n) for e in (4, 60, 61) for n in (1, 2)),
    *((e, 2) for e in (6, 7, 11, 32, 139, 58, 59, 182, 183, 180, 181)),
    *((e, n) for e in (10, 14, 252, 253, 138) for n in (2, 4)),
    *((e, 1) for e in (176, 177, 178, 179)),
    *((e, 6) for e in (56, 57, 80, 81)),
    *((e, 4) for e in (8, 12, 34, 302)),
    *((e, 16) for e in (27, 28)),
    *((e, 65535) for e in (82, 83, 4000)),
)


def spoken(seed: int) -> list[bytes]:
    """Templates nobody would think of, records of random octets, and now and then a sampling rate."""
    rng = random.Random(seed)
    found, sequence = [], 0
    for ident in range(256, 276):
        family = rng.choice([(8, 12), (27, 28), ()])
        specs = [
            s
            for s in rng.sample(ELEMENTS, rng.randint(2, 14))
            if s[0] not in (8, 12, 27, 28) or rng.random() < 0.1
        ]
        specs += [s for s in ELEMENTS if s[0] in family]
        if rng.random() < 0.5:
            specs += [(4, 1), (6, 2)]  # flags mean something of TCP alone
        found.append(ipfix(a_set(2, template(ident, specs)), sequence=sequence))
        for _ in range(6):
            sets = b""
            for _ in range(rng.randint(1, 3)):
                content = b""
                for _ in range(rng.randint(1, 5)):
                    for _, size in specs:
                        octets = bytes(
                            rng.choice([0, 1, 6, 6, 6, 58, rng.randrange(256)]) for _ in range(min(size, 9))
                        )
                        content += (
                            variable(octets, long=rng.random() < 0.3)
                            if size == 65535
                            else octets.rjust(size, b"\0")
                        )
                sets += a_set(ident, content + bytes(rng.randint(0, 3)))
            found.append(ipfix(sets, sequence=sequence))
            sequence += rng.randint(0, 40)
        if rng.random() < 0.4:
            scope = rng.choice([(10, 4), (145, 2), (144, 4)])
            options = a_set(3, ipfix_options(ident + 100, [scope], [(34, 4)]))
            number = rng.choice([0, 1, 6, ident]).to_bytes(scope[1], "big")
            told = a_set(ident + 100, number + rng.choice([1, 50, 400]).to_bytes(4, "big"))
            found.append(ipfix(options, told, sequence=sequence))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_templates_are_read_the_same(seed: int) -> None:
    datagrams = spoken(seed)
    (compiled, counts, report), (columns, counts_in_columns, other) = both(lambda: heard(datagrams, seed))
    assert len(columns) > 100
    assert counts == counts_in_columns
    assert report == other
    assert_same_rows(compiled, columns, sort=True)

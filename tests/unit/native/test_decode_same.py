"""Whole bursts by the compiled core and in columns: the same rows, complaints, losses and templates."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import support_datagrams as wire
from sekisho.flows.decode import Decoder
from sekisho.flows.exporters import Exporters, ExporterSettings
from sekisho.flows.wire.netflow5_compiled import CompiledNetflow5
from sekisho.flows.wire.plain import PlainBursts
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.tables import V4_MAPPED, Burst, FlowBatch
from support_fuzz import seeds
from support_native import assert_same_rows, both, needs_core
from support_templates import FLOW, a_set, captured, flow, ipfix, ipfix_options, template, v9, v9_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

pytestmark = needs_core

SETTINGS = DecodeSettings(template_idle=600.0, samples=6, records=4)
SLOT = 1500


def burst_of(datagrams: Sequence[tuple[int, bytes]], time: float) -> Burst:
    """Datagrams, each with the last octets of its source."""
    data = np.zeros((len(datagrams) + 1, SLOT), np.uint8)
    for row, (_, datagram) in enumerate(datagrams):
        data[row, : len(datagram)] = np.frombuffer(datagram, np.uint8)
    return Burst(
        data,
        np.array([len(d) for _, d in datagrams], np.int32),
        np.zeros(len(datagrams), np.uint64),
        np.array([V4_MAPPED | source for source, _ in datagrams], np.uint64),
        np.full(len(datagrams), 7, np.uint16),
        len(datagrams),
        time,
    )


def heard(
    bursts: Sequence[Sequence[tuple[int, bytes]]], step: float = 0.5
) -> tuple[FlowBatch, dict[str, Any]]:
    exporters = Exporters(ExporterSettings(total=64, per_address=32))
    decoder = Decoder(exporters, SETTINGS)
    batches = []
    for number, datagrams in enumerate(bursts):
        now = 1000.0 + number * step
        batch = decoder.decode(burst_of(datagrams, now), now)
        batches.append(batch.take(np.arange(len(batch))))  # a copy: the next one gets the memory of this one
        del batch
    told: dict[str, Any] = {"counters": decoder.counters(), "exporters": exporters.report()}
    sflow: Any = decoder.protocols["sflow"]
    told["interfaces"] = sorted(map(str, sflow.interface_counters.table().tolist()))
    return FlowBatch.concat(batches), told


def test_datagrams_may_stand_elsewhere_while_what_is_told_of_them_does_not() -> None:
    """So does a ring: its columns stay, and of the datagrams each burst has others."""
    sample = wire.sflow(wire.flow_sample(wire.raw_header(FRAMES[0])))
    sets = a_set(2, template(256, FLOW)), a_set(256, flow() * 2)
    kinds = [ipfix(*sets), v9(a_set(0, template(256, FLOW)), sets[1]), sample, wire.netflow5(wire.record5())]
    room = 8

    def told() -> tuple[FlowBatch, dict[str, float]]:
        decoder, batches = Decoder(Exporters(), SETTINGS), []
        columns = burst_of([(1, b"")] * room, 0.0)
        for number in range(30):
            datagrams = kinds * 2 if number % 3 else kinds[number // 3 % 4 :][:1] * (1 + number % room)
            moved = burst_of([(1, datagram) for datagram in datagrams], 1000.0 + number)
            stride = SLOT - 8 * (number % 5)
            moved.data = np.concatenate([moved.data[:, :stride].reshape(-1), np.zeros(number, np.uint8)])
            moved.data = moved.data[: stride * len(datagrams)].reshape(-1, stride)
            columns.data, columns.count, columns.time = moved.data, moved.count, moved.time
            columns.length[: moved.count] = moved.length
            columns.address_lo[: moved.count] = moved.address_lo
            batch = decoder.decode(columns, columns.time)
            batches.append(batch.take(np.arange(len(batch))))
            del batch, moved
        return FlowBatch.concat(batches), decoder.counters()

    (compiled, counters), (in_columns, counters_in_columns) = both(told)
    assert counters == counters_in_columns
    assert_same_rows(compiled, in_columns, sort=True)
    assert len(in_columns) > 200


def assert_same(bursts: Sequence[Sequence[tuple[int, bytes]]], step: float = 0.5) -> FlowBatch:
    (compiled, told), (columns, told_in_columns) = both(lambda: heard(bursts, step))
    assert told == told_in_columns
    assert_same_rows(compiled, columns, sort=True)
    assert isinstance(columns, FlowBatch)
    return columns


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Tells of each burst the core was asked about whether it was plain."""
    found: list[bool] = []
    decode = PlainBursts.decode

    def watched(self: PlainBursts, burst: Burst, rows: NDArray[np.int64], now: float) -> FlowBatch | None:
        batch = decode(self, burst, rows, now)
        found.append(batch is not None)
        return batch

    monkeypatch.setattr(PlainBursts, "decode", watched)
    return found


class Router:
    """An exporter that sends flows, renews its templates now and then, and tells its sampling."""

    def __init__(self, seed: int, source: int) -> None:
        self._rng = random.Random(seed * 100 + source)
        self.source, self._is_v9 = source, source % 2 == 0
        self._sequence = self._rng.choice([0, 5, 0xFFFF_FFF0])
        self._scope = ((10, 4), (144, 4), (145, 2), (14, 4))[source % 4]
        self._samples = source % 3 > 0

    def message(self, *sets: bytes, records: int) -> bytes:
        made = v9(*sets, sequence=self._sequence) if self._is_v9 else ipfix(*sets, sequence=self._sequence)
        lost = self._rng.choice([0] * 9 + [3])
        self._sequence = (self._sequence + (1 if self._is_v9 else records) + lost) % (1 << 32)
        return made

    def templates(self) -> bytes:
        found = [template(256, FLOW), template(300, ((27, 16), (28, 16), *FLOW[2:]))]
        return a_set(0 if self._is_v9 else 2, b"".join(found))

    def options(self) -> bytes:
        if self._is_v9:
            kind = {10: 2, 144: 1, 145: 5, 14: 2}[self._scope[0]]
            return a_set(1, v9_options(400, [(kind, self._scope[1])], [(34, 4)]))
        return a_set(3, ipfix_options(400, [self._scope], [(34, 4)]))

    def rate(self) -> bytes:
        of = {10: 1, 144: 0, 145: 256, 14: 2}[self._scope[0]]
        return a_set(
            400, of.to_bytes(self._scope[1], "big") + self._rng.choice([1, 7, 400]).to_bytes(4, "big")
        )

    def data(self) -> bytes:
        counts = self._rng.choice([0, 1, 1500, 1 << 60]), self._rng.choice([0, 1, 77])
        interfaces = self._rng.choice([0, 1, 2]), self._rng.choice([0, 1, 2])
        one = flow(counts=counts, protocol=self._rng.choice([6, 17, 1]), interfaces=interfaces)
        six = self._rng.randbytes(32) + one[8:]
        n = self._rng.randint(0, 4)
        pad = bytes(self._rng.choice([0, 0, 3]))
        return self.message(
            a_set(256, one * n + pad), *([a_set(300, six)] if n % 2 else []), records=n + n % 2
        )

    def opening(self) -> list[bytes]:
        found = [self.message(self.templates(), self.options(), records=0)]
        return [*found, self.message(self.rate(), records=1)] if self._samples else found

    def renewal(self) -> bytes:
        return self.message(self.templates(), records=0)


def steady(seed: int) -> list[list[tuple[int, bytes]]]:
    """Bursts of several routers: mostly flows, sometimes templates again, rarely sampling again."""
    rng, routers = random.Random(seed), [Router(seed, source) for source in range(6)]
    bursts = [[(r.source, m) for r in routers for m in r.opening()] for _ in range(2)]
    for _ in range(20):
        burst = []
        for _ in range(rng.randint(1, 40)):
            router = rng.choice(routers)
            burst.append((router.source, router.renewal() if rng.random() < 0.1 else router.data()))
        bursts.append(burst)
    if seed % 2:
        last = bursts[-1]
        last.insert(len(last) // 2, (0, v9(a_set(0, template(256, FLOW[:6])))))
        last.insert(len(last) // 3, (1, ipfix(a_set(2, template(256, ())))))
        last.append((99, b"\0\x09" + bytes(30)))
    return bursts


@pytest.mark.parametrize("seed", range(6))
def test_steady_flows_are_plain_and_the_same(seed: int, plain: list[bool]) -> None:
    columns = assert_same(steady(seed))
    assert len(columns) > 200
    assert len(set(columns.rate.tolist())) > 1, "no sampling was told"
    assert sum(plain) > len(plain) / 2


def test_nothing_is_left_of_the_batch_before() -> None:
    full = ((27, 16), (28, 16), (56, 6), (80, 6), (58, 2), (138, 4), *FLOW[2:])
    templates = a_set(2, template(256, FLOW) + template(257, full))
    record = b"".join(b"\3" * size if size != 8 else (3).to_bytes(8) for _, size, *_ in full)
    few = [(1, ipfix(a_set(256, flow() * n))) for n in (1, 2)]
    many = [(1, ipfix(a_set(257, record * 9)))] * 30
    sample = wire.sflow(wire.flow_sample(wire.raw_header(FRAMES[1])))
    shapes = [few, many, [(2, sample)] * 5, few * 40, [(2, sample), *few], many, few, many * 2, few]
    columns = assert_same([[(1, ipfix(templates))], *shapes, *shapes])
    assert np.count_nonzero(columns.point) == np.count_nonzero(columns.src_hi) == 2 * 4 * 270
    assert len(columns) > 2400


def test_open_vswitch_is_plain_once_its_templates_are_known(plain: list[bool]) -> None:
    sent = [(1, datagram) for datagram in captured("ovs31-ipfix.pcap")]
    # of the bridge, and not its report on itself in domain 0
    flows = [(1, d) for _, d in sent if int.from_bytes(d[12:16]) and int.from_bytes(d[16:18]) >= 256]
    assert len(assert_same([sent, flows, flows * 3])) > 3 * len(flows) / 2
    assert plain == [False, True, True]


def test_templates_that_are_only_ever_renewed_do_not_end(plain: list[bool]) -> None:
    router = Router(1, 1)
    bursts = [[(1, m) for m in router.opening()], [(1, router.renewal())]]
    for _ in range(40):
        bursts += [[(1, router.renewal()), (1, router.data())], [(1, router.data())]]
    columns = assert_same(bursts, step=30.0)  # 2,400 s, and templates end after 600
    assert len(columns) > 50
    assert sum(plain) >= 78


def test_templates_that_are_not_renewed_end(plain: list[bool]) -> None:
    router = Router(1, 2)
    bursts = [[(2, m) for m in router.opening()], [(2, router.renewal()), (2, router.renewal())]]
    bursts += [[(2, router.data())] for _ in range(40)]
    assert_same(bursts, step=30.0)
    assert plain[10]
    assert not plain[-1]


SIX = ((27, 16), (28, 16), *FLOW[2:])
OF_THE_EXPORTER = a_set(3, ipfix_options(400, [(144, 4)], [(34, 4)]))


def told_rate(rate: int) -> bytes:
    return ipfix(a_set(400, bytes(4) + rate.to_bytes(4)))


def test_what_is_told_anew_holds_for_the_next_burst(plain: list[bool]) -> None:
    six = bytes(32) + flow()[8:]
    both_kinds = a_set(2, template(256, FLOW) + template(257, SIX))
    data = [(1, ipfix(a_set(256, flow()), a_set(257, six)))]
    bursts = [[(1, ipfix(both_kinds, OF_THE_EXPORTER))], data, data]
    bursts += [[(1, told_rate(7))], data, [(1, told_rate(400))], data]
    bursts += [[(1, ipfix(a_set(2, template(256, SIX))))], [(1, ipfix(a_set(256, six)))]]
    columns = assert_same(bursts)
    assert columns.rate.tolist() == [0, 0, 0, 0, 7, 7, 400, 400, 400]
    assert columns.ip_version.tolist() == [4, 6] * 4 + [6]
    assert plain == [False, False, True, False, True, False, True, False, True]


def test_a_rate_goes_with_the_exporter_that_told_it(plain: list[bool]) -> None:
    templates, data = ipfix(a_set(2, template(256, FLOW)), OF_THE_EXPORTER), ipfix(a_set(256, flow()))
    others = [[(2, templates)], [(2, data)]] * 35
    bursts = [[(1, templates)], [(1, told_rate(7))], [(1, data)], [(1, data)], *others]
    bursts += [[(3, templates)], [(3, data)], [(3, data)]]
    columns = assert_same(
        bursts, step=60.0
    )  # 4,200 s in which the first is silent: after 3,600 it is forgotten
    assert columns.rate.tolist() == [7] * 2 + [0] * 37
    assert plain[3]
    assert plain[-1]


FRAMES = (
    wire.ethernet(0x0800, wire.ipv4(6, wire.tcp())),
    wire.ethernet(0x0800, wire.ipv4(17, wire.udp()), [(0x8100, 5), (0x88A8, 7)]),
    wire.ethernet(0x86DD, wire.ipv6(0, wire.extension(58) + wire.icmp())),
    wire.ethernet(0x86DD, wire.ipv6(44, wire.fragment6(6, 8) + wire.tcp())),
    wire.ethernet(0x0806, bytes(28)),
)


def sampled(rng: random.Random) -> bytes:
    """A datagram of samples of all kinds, of which some lie."""
    samples = []
    for _ in range(rng.randint(0, 8)):
        records = []
        for _ in range(rng.choice([0, 1, 1, 2, 3, 5])):
            frame = rng.choice(FRAMES)
            frame = frame[: rng.choice([len(frame), rng.randint(0, len(frame))])]
            records.append(
                rng.choice(
                    [
                        wire.raw_header(frame, frame_length=rng.choice([64, 1500, 1 << 21])),
                        wire.raw_header(frame[14:], protocol=rng.choice([11, 12, 7])),
                        wire.sampled_ethernet(rng.choice([60, 1 << 30])),
                        wire.sampled_ipv4(900),
                        wire.sampled_ipv6(70),
                        wire.switch(rng.choice([4, 4095])),
                        wire.record(rng.choice([1, 2, 3, 4, 1001, 77]), rng.randbytes(4 * rng.randint(0, 9))),
                    ]
                )
            )
        rate = rng.choice([0, 1, 400, 1 << 31])
        samples.append(
            rng.choice(
                [
                    wire.flow_sample(*records, rate=rate),
                    wire.expanded_sample(*records, rate=rate),
                    wire.counter_sample(wire.generic_counters(3), expanded=rng.random() < 0.5),
                    wire.record(rng.choice([1, 2, 3, 4, 9]), rng.randbytes(4 * rng.randint(0, 14))),
                ]
            )
        )
    datagram = bytearray(wire.sflow(*samples))
    for _ in range(rng.choice([0, 0, 0, 1, 3])):
        datagram[rng.randrange(4, len(datagram))] = rng.choice([0, 1, 2, 255])
    return bytes(datagram[: rng.choice([SLOT, SLOT, rng.randint(4, SLOT)])])


@pytest.mark.parametrize("seed", range(6))
def test_samples_of_all_kinds_are_the_same(seed: int) -> None:
    rng = random.Random(seed)
    bursts = [[(rng.randint(0, 2), sampled(rng)) for _ in range(rng.randint(1, 60))] for _ in range(12)]
    assert len(assert_same(bursts)) > 100


PLAIN_FRAMES = (FRAMES[0], wire.ethernet(0x0800, wire.ipv4(17, wire.udp() + bytes(20))))


def nearly_usual(rng: random.Random) -> bytes:
    """A sample of an Ethernet frame and what a switch did with it, of which mostly something is odd."""
    frame = rng.choice(PLAIN_FRAMES)
    told = struct.pack(">IIII", rng.choice([1, 1, 1, 11]), rng.choice([64, 1500, 1 << 21]), 4, len(frame))
    lying = struct.pack(">IIII", 1, 1500, 4, len(frame) + rng.choice([1, 16, 1 << 31]))
    raw = [wire.record(1, told + frame), wire.record(1, lying + frame), wire.record(1, told[:12])]
    switch = [wire.switch(rng.choice([7, 4094, 4095, 1 << 20])), wire.record(1001, struct.pack(">II", 9, 0))]
    weights = 8, 1, 1
    records = rng.choices([[], [switch[0]], [switch[1]]], weights=weights)[0]
    records = [*records, *rng.choices(raw, weights=weights)]
    records += rng.choices([[], [switch[0]], [raw[0]]], weights=weights)[0]
    rng.shuffle(records)
    interfaces = [rng.choice([0, 5, 5, 0x3FFF_FFFF, 0x4000_0100, 0x8000_0003, 0xC000_0001]) for _ in "io"]
    return wire.flow_sample(
        *records,
        rate=rng.choice([0, 400, 400, 1 << 31]),
        in_if=interfaces[0],
        out_if=interfaces[1],
        count=rng.choice([None, None, None, len(records) + 1, max(len(records) - 1, 0)]),
    )


@pytest.mark.parametrize("seed", range(4))
def test_samples_that_are_nearly_usual_are_the_same(seed: int) -> None:
    rng = random.Random(seed)
    datagrams = [wire.sflow(*(nearly_usual(rng) for _ in range(rng.randint(0, 6)))) for _ in range(200)]
    columns = assert_same([[(1, d) for d in datagrams[i : i + 20]] for i in range(0, 200, 20)])
    assert len(columns) > 200
    assert {0, 2} <= set(columns.out_format.tolist())
    assert len(set(columns.vlan.tolist())) > 2


def test_a_datagram_that_ends_with_the_slab_is_the_same() -> None:
    rng = random.Random(9)
    sent = [sampled(rng) for _ in range(150)] + [d for _, d in steady(0)[0]] + captured("ovs31-ipfix.pcap")

    def alone() -> tuple[list[FlowBatch], dict[str, float]]:
        decoder, batches = Decoder(Exporters(), SETTINGS), []
        for datagram in sent:
            burst = burst_of([(1, datagram)], 1000.0)
            burst.data = np.frombuffer(datagram, np.uint8).copy().reshape(1, -1)
            batches.append(decoder.decode(burst, 1000.0))
        return batches, decoder.counters()

    (compiled, told), (columns, told_in_columns) = both(alone)
    assert told == told_in_columns
    assert_same_rows(FlowBatch.concat(compiled), FlowBatch.concat(columns))


@pytest.mark.parametrize("seed", range(3))
def test_records_of_version_5_are_the_same(seed: int) -> None:
    rng = random.Random(seed)
    bursts = []
    for _ in range(6):
        burst = []
        for _ in range(rng.randint(1, 30)):
            records = [
                rng.randbytes(38) + bytes([rng.choice([6, 17])]) + rng.randbytes(9)
                for _ in range(rng.randint(0, 30))
            ]
            datagram = bytearray(wire.netflow5(*records, sampling=rng.choice([0, 1, 100, 0x4064])))
            if rng.random() < 0.2:
                datagram[3] = rng.randrange(256)
            burst.append(
                (rng.randint(0, 3), bytes(datagram[: rng.choice([SLOT, SLOT, rng.randint(4, 1400)])]))
            )
        bursts.append(burst)
    assert len(assert_same(bursts)) > 500


class Five:
    """An exporter of version 5, which numbers as Cisco does, or as Open vSwitch; some gets lost."""

    def __init__(self, rng: random.Random, source: int, engine: int, *, to_last: bool) -> None:
        self._rng, self.source, self._engine, self._to_last = rng, source, engine, to_last
        self._flows = 0 if source == 9 else rng.choice([0, 4000, 0xFFFF_FFF0])

    def datagram(self) -> tuple[int, bytes]:
        size = self._rng.choice([1, 2, 7, 30, 30])
        records = [
            self._rng.randbytes(38) + bytes([self._rng.choice([6, 17])]) + self._rng.randbytes(9)
            for _ in range(size)
        ]
        if self._rng.random() < 0.02:  # another device in its place
            self._to_last = not self._to_last
        number = self._flows + (size - 1 if self._to_last else 0)
        self._flows += size + self._rng.choice([0] * 9 + [3, 3, 3, -size, 0x2000_0000])
        sampling, engine = self._rng.choice([0, 1, 0x4064]), self._engine
        sequence = number % (1 << 32)
        return self.source, wire.netflow5(*records, sampling=sampling, engine=engine, sequence=sequence)


@pytest.mark.parametrize("seed", range(4))
def test_datagrams_of_version_5_in_which_nothing_lies_are_the_same(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, decode = [], CompiledNetflow5.decode

    def watched(
        self: CompiledNetflow5, burst: Burst, rows: NDArray[np.int64], now: float
    ) -> FlowBatch | None:
        batch = decode(self, burst, rows, now)
        whole.append(batch is not None)
        return batch

    monkeypatch.setattr(CompiledNetflow5, "decode", watched)
    rng = random.Random(seed)
    steady = [Five(rng, n % 3, n, to_last=n % 2 == 1) for n in range(6)]
    early, late = Five(rng, 7, 0, to_last=True), Five(rng, 8, 0, to_last=False)
    bursts = []
    for number in range(66):
        heard_now = [*steady, *([early] if number < 3 else []), *([late] if number > 58 else [])]
        burst = [rng.choice(heard_now).datagram() for _ in range(rng.randint(1, 25))]
        new = Five(rng, 9, number, to_last=True)
        brief = [new.datagram() for _ in range(2)] if number % 3 == 0 else []
        bursts += [brief[:1], burst + brief[1:]]
    # An hour of silence, and the row of `early` is another's.
    assert len(assert_same(bursts, step=60.0)) > 5000
    assert sum(whole) > 55


def spoilt(rng: random.Random, datagram: bytes) -> bytes:
    """Change some octets of a datagram, or cut it, or leave it as it is."""
    octets = bytearray(datagram[:SLOT])
    if rng.random() < 0.4:
        for _ in range(rng.choice([1, 2, 5])):
            octets[rng.randrange(len(octets))] = rng.choice([0, 1, 2, 4, 255, rng.randrange(256)])
        if rng.random() < 0.3:
            del octets[rng.randint(4, len(octets)) :]
    return bytes(octets)


@pytest.mark.parametrize("seed", range(100, 104))
def test_whatever_comes_is_the_same(seed: int) -> None:
    rng = random.Random(seed)
    known = [[datagram for burst in steady(seed) for _, datagram in burst], [*seeds()]]
    bursts = [
        [(rng.randint(0, 2), spoilt(rng, rng.choice(rng.choice(known)))) for _ in range(rng.randint(1, 20))]
        for _ in range(25)
    ]
    assert len(assert_same(bursts)) > 100

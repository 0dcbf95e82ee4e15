from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

import support_datagrams as wire
from sekisho.flows.exporters import Exporters, ExporterSettings
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.flows.wire.sflow import Sflow
from sekisho.tables import FLAGS_KNOWN, OUT_DISCARDED, OUT_MULTIPLE, OUT_SINGLE

if TYPE_CHECKING:
    from sekisho.tables import FlowBatch

FRAME = wire.ethernet(0x0800, wire.ipv4(6, wire.tcp(40000, 25, 0x02)))
RAW = wire.raw_header(FRAME, frame_length=1000)


@pytest.fixture
def exporters() -> Exporters:
    return Exporters()


@pytest.fixture
def sflow(exporters: Exporters) -> Sflow:
    return Sflow(exporters, DecodeSettings())


def hear(sflow: Sflow, *datagrams: bytes, now: float = 1000.0) -> FlowBatch:
    burst = wire.burst_of(datagrams, time=now)
    return sflow.decode(burst, np.arange(burst.count), now)


def test_a_sample_is_scaled_by_its_rate(sflow: Sflow) -> None:
    batch = hear(sflow, wire.sflow(wire.flow_sample(RAW, rate=400)))
    assert (batch.rate[0], batch.packets[0], batch.bytes[0]) == (400, 400, 400_000)
    assert (batch.in_if[0], batch.out_if[0], batch.out_format[0]) == (10, 11, OUT_SINGLE)
    assert (batch.src_port[0], batch.dst_port[0], batch.tcp_flags[0]) == (40000, 25, FLAGS_KNOWN | 2)
    assert batch.time[0] == 1000.0
    assert batch.sender[0] == -1


def test_a_rate_of_zero_counts_as_not_told(sflow: Sflow) -> None:
    batch = hear(sflow, wire.sflow(wire.flow_sample(RAW, rate=0)))
    assert (batch.rate[0], batch.packets[0], batch.bytes[0]) == (0, 1, 1000)


def test_each_sample_has_its_own_rate(sflow: Sflow) -> None:
    samples = [wire.flow_sample(RAW, rate=r) for r in (100, 200, 400)]
    assert hear(sflow, wire.sflow(*samples)).packets.tolist() == [100, 200, 400]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (11, (11, OUT_SINGLE)),
        (0x4000_0000 | 256, (0, OUT_DISCARDED)),
        (0x8000_0000 | 3, (0, OUT_MULTIPLE)),
        (0x8000_0000, (0, OUT_MULTIPLE)),
        (0x3FFF_FFFF, (0, OUT_SINGLE)),
    ],
)
def test_what_the_format_bits_say(sflow: Sflow, output: int, expected: tuple[int, int]) -> None:
    batch = hear(sflow, wire.sflow(wire.flow_sample(RAW, out_if=output)))
    assert (batch.out_if[0], batch.out_format[0]) == expected


def test_an_unknown_input_is_zero(sflow: Sflow) -> None:
    samples = [wire.flow_sample(RAW, in_if=i) for i in (0, 0x3FFF_FFFF, 0x8000_0002, 7)]
    assert hear(sflow, wire.sflow(*samples)).in_if.tolist() == [0, 0, 0, 7]


def test_expanded_samples_have_whole_interface_numbers(sflow: Sflow) -> None:
    batch = hear(
        sflow,
        wire.sflow(
            wire.expanded_sample(RAW, in_if=(0, 0x7123_4567), out_if=(0, 0x8000_0001)),
            wire.flow_sample(RAW, in_if=5),
            wire.expanded_sample(RAW, out_if=(1, 256)),
            wire.expanded_sample(RAW, out_if=(2, 4)),
        ),
    )
    assert batch.in_if.tolist() == [0x7123_4567, 5, 10, 10]
    assert batch.out_if.tolist() == [0x8000_0001, 11, 0, 0]
    assert batch.out_format.tolist() == [OUT_SINGLE, OUT_SINGLE, OUT_DISCARDED, OUT_MULTIPLE]
    assert batch.packets.tolist() == [400] * 4


def test_the_switch_tells_the_vlan_of_an_untagged_frame(sflow: Sflow) -> None:
    tagged = wire.raw_header(wire.ethernet(0x0800, wire.ipv4(17, wire.udp()), [(0x8100, 7)]))
    batch = hear(
        sflow,
        wire.sflow(
            wire.flow_sample(wire.switch(30), RAW),
            wire.flow_sample(RAW, wire.switch(30)),
            wire.flow_sample(wire.switch(30), tagged),
            wire.flow_sample(wire.switch(0xFFFF_FFFF), RAW),
        ),
    )
    assert batch.vlan.tolist() == [30, 30, 7, 0]


def test_sampled_fields_instead_of_a_header(sflow: Sflow) -> None:
    batch = hear(
        sflow,
        wire.sflow(
            wire.flow_sample(wire.sampled_ipv4(100), rate=10),
            wire.flow_sample(wire.sampled_ipv6(200), rate=10),
            wire.flow_sample(wire.sampled_ethernet(300), rate=10),
            wire.flow_sample(wire.sampled_ipv4(100), wire.sampled_ethernet(118), rate=10),
        ),
    )
    assert batch.ip_version.tolist() == [4, 6, 0, 4]
    assert batch.protocol.tolist() == [17, 6, 0, 17]
    assert batch.src_port.tolist() == [5353, 99, 0, 5353]
    assert batch.tcp_flags.tolist() == [0, FLAGS_KNOWN | 0x12, 0, 0]
    assert batch.bytes.tolist() == [1000, 2000, 3000, 1180]
    assert batch.src_mac.tolist() == [0, 0, 0x020000000001, 0x020000000001]
    assert (int(batch.dst_hi[1]), int(batch.dst_lo[1])) == wire.split(wire.V6_DST)
    assert batch.dst_lo[0] == wire.split("198.51.100.7")[1]


def test_a_raw_header_goes_over_sampled_fields(sflow: Sflow) -> None:
    batch = hear(sflow, wire.sflow(wire.flow_sample(RAW, wire.sampled_ipv4(100), rate=1)))
    assert (batch.protocol[0], batch.dst_port[0], batch.bytes[0]) == (6, 25, 1000)


def test_headers_that_begin_with_ip(sflow: Sflow) -> None:
    batch = hear(
        sflow,
        wire.sflow(
            wire.flow_sample(wire.raw_header(wire.ipv4(17, wire.udp()), protocol=11)),
            wire.flow_sample(wire.raw_header(wire.ipv6(17, wire.udp()), protocol=12)),
            wire.flow_sample(RAW),
            wire.flow_sample(wire.raw_header(bytes(40), protocol=7)),
        ),
    )
    assert batch.ip_version.tolist() == [4, 6, 4, 0]
    assert batch.dst_port.tolist() == [53, 53, 25, 0]
    assert sflow.counters["header_protocol_unknown"] == 1


def test_agents_and_sub_agents_behind_one_address(sflow: Sflow, exporters: Exporters) -> None:
    sample = wire.flow_sample(RAW)
    batch = hear(
        sflow,
        wire.sflow(sample, agent="10.9.9.9", sub_agent=0),
        wire.sflow(sample, agent="10.9.9.9", sub_agent=1),
        wire.sflow(sample, agent="2001:db8::9", sub_agent=1),
        wire.sflow(sample, sample, agent="10.9.9.9", sub_agent=0, sequence=3),
    )
    assert batch.exporter.tolist() == [0, 1, 2, 0, 0]
    reports = exporters.report()
    assert [r.agent for r in reports] == ["10.9.9.9", "10.9.9.9", "2001:db8::9"]
    assert [r.domain for r in reports] == [0, 1, 1]
    assert [r.lost for r in reports] == [1, 0, 0]
    assert [r.records for r in reports] == [3, 1, 1]


def test_an_agent_without_address(sflow: Sflow) -> None:
    nobody = struct.pack(">IIIIII", 5, 0, 3, 1, 1000, 1) + wire.flow_sample(RAW)
    assert hear(sflow, nobody).dst_port.tolist() == [25]


def test_an_exporter_over_the_cap_is_counted(exporters: Exporters) -> None:
    del exporters
    sflow = Sflow(Exporters(ExporterSettings(per_address=1)), DecodeSettings())
    datagrams = [wire.sflow(wire.flow_sample(RAW), sub_agent=i) for i in range(3)]
    assert len(hear(sflow, *datagrams)) == 1
    assert sflow.counters["datagrams_refused"] == 2


def test_counter_samples(sflow: Sflow) -> None:
    batch = hear(
        sflow,
        wire.sflow(
            wire.counter_sample(
                wire.record(2, struct.pack(">II", 2, 3) + bytes(44)),
                wire.record(1004, struct.pack(">QI", 1, 17)),
                wire.record(1005, struct.pack(">I", 4) + b"tap1"),
                wire.generic_counters(10, 5000),
            ),
            wire.flow_sample(RAW),
            wire.counter_sample(wire.generic_counters(99), expanded=True, source=99),
            wire.counter_sample(wire.generic_counters(12, 0xFFFF_FFFF_FFFF_FFFF, unknown=True)),
            wire.counter_sample(wire.record(2001, bytes(8)), source=1000),
        ),
    )
    assert len(batch) == 1
    table = sflow.interface_counters.table()
    assert table["ifindex"].tolist() == [10, 12, 99]
    one = table[0]
    assert (one["in_octets"], one["in_packets"], one["in_drops"], one["in_errors"]) == (5000, 60, 4, 5)
    assert (one["out_octets"], one["out_packets"], one["out_drops"]) == (10000, 120, 8)
    assert (one["ofport"], one["name"], one["speed"], one["frame_errors"]) == (17, b"tap1", 10**9, 5)
    assert bool(one["up"])
    assert (table[1]["in_octets"], table[1]["in_packets"]) == (0, 50)


def test_what_an_interface_told_last_stands(sflow: Sflow) -> None:
    def told(octets: int) -> bytes:
        return wire.sflow(wire.counter_sample(wire.generic_counters(10, octets)))

    hear(sflow, told(1), told(2))
    hear(sflow, told(3), now=1010.0)
    (row,) = sflow.interface_counters.table()
    assert (row["in_octets"], row["time"]) == (3, 1010.0)


def test_interfaces_are_bounded() -> None:
    sflow = Sflow(Exporters(), DecodeSettings(interfaces=3))
    samples = [wire.counter_sample(wire.generic_counters(i), source=i) for i in range(1, 6)]
    hear(sflow, wire.sflow(*samples))
    assert len(sflow.interface_counters) == 3
    assert sflow.counters["interfaces_refused"] == 2


def test_interfaces_of_the_forgotten_make_room() -> None:
    exporters = Exporters(ExporterSettings(idle=100.0))
    sflow = Sflow(exporters, DecodeSettings(interfaces=1))
    hear(sflow, wire.sflow(wire.counter_sample(wire.generic_counters(1))))
    for now in range(1000, 1200, 20):
        hear(sflow, wire.sflow(sub_agent=1), now=float(now))
    assert len(sflow.interface_counters.table()) == 0
    hear(sflow, wire.sflow(wire.counter_sample(wire.generic_counters(2)), sub_agent=1), now=1200.0)
    assert sflow.interface_counters.table()["ifindex"].tolist() == [2]


GOOD = wire.sflow(wire.flow_sample(RAW))


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (GOOD[:20], "datagram_cut"),
        (GOOD[:4] + b"\0\0\0\x09" + GOOD[8:], "agent_address_unknown"),
        (GOOD[:28], "samples_missing"),
        (wire.sflow(wire.flow_sample(RAW), count=0xFFFF_FFFF), "samples_missing"),
        (wire.sflow(count=0xFFFF_FFFF), "samples_over_cap"),
        (wire.sflow(struct.pack(">II", 1, 5000) + bytes(60)), "samples_length_lies"),
        (wire.sflow(struct.pack(">II", 1, 0xFFFF_FFFF) + bytes(60)), "samples_length_lies"),
        (wire.sflow(wire.record(1, bytes(20))), "sample_short"),
        (wire.sflow(wire.record(2, bytes(8))), "sample_short"),
        (wire.sflow(wire.record(9, bytes(40))), "samples_unknown"),
        (wire.sflow(wire.flow_sample(RAW, count=5)), "records_missing"),
        (wire.sflow(wire.flow_sample(struct.pack(">II", 1, 900))), "records_length_lies"),
        (wire.sflow(wire.flow_sample(wire.record(1, bytes(8)))), "record_short"),
        (wire.sflow(wire.flow_sample(wire.record(3, bytes(8)))), "record_short"),
        (wire.sflow(wire.flow_sample(wire.switch(4))), "sample_without_packet"),
        (wire.sflow(wire.flow_sample(RAW, rate=2**32 - 1)), "sample_implausible"),
        (
            wire.sflow(wire.flow_sample(wire.raw_header(FRAME, frame_length=2**32 - 1))),
            "sample_implausible",
        ),
        (
            wire.sflow(wire.flow_sample(wire.record(1, struct.pack(">IIII", 1, 60, 0, 9000) + FRAME))),
            "header_length_lies",
        ),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value),
)
def test_what_is_wrong_is_counted_and_the_rest_is_heard(sflow: Sflow, bad: bytes, kind: str) -> None:
    batch = hear(sflow, GOOD, bad, GOOD)
    assert sflow.counters[kind] == 1
    assert batch.dst_port.tolist().count(25) >= 2
    assert len(batch) <= 3


def test_a_lying_header_length_reads_nothing_behind_its_record(sflow: Sflow) -> None:
    short = wire.record(1, struct.pack(">IIII", 1, 60, 0, 128) + FRAME[:32])
    batch = hear(sflow, wire.sflow(wire.flow_sample(short, wire.switch(9))))
    assert (batch.src_lo[0], batch.dst_lo[0], batch.dst_port[0]) == (wire.split("10.0.0.1")[1], 0, 0)


def test_many_empty_samples_end(sflow: Sflow) -> None:
    empty = struct.pack(">II", 77, 0) * 250
    batch = hear(sflow, *[wire.sflow(empty, count=250)] * 50)
    assert len(batch) == 0
    assert sflow.counters["samples_unknown"] == 12_500


def test_datagrams_of_different_shapes_keep_their_order(sflow: Sflow) -> None:
    def sized(*rates: int) -> bytes:
        return wire.sflow(*[wire.flow_sample(RAW, rate=r) for r in rates])

    batch = hear(sflow, sized(1, 2, 3), sized(), sized(4), sized(5, 6))
    assert batch.packets.tolist() == [1, 2, 3, 4, 5, 6]


def test_a_real_open_vswitch(sflow: Sflow, exporters: Exporters) -> None:
    batch = hear(sflow, *wire.captured("ovs31-sflow.pcap"))
    assert len(batch) == 248
    assert set(batch.rate.tolist()) == {8.0}
    assert set(batch.in_if.tolist()) <= {10, 11}
    ports = sflow.interface_counters.table()
    assert dict(zip(ports["name"].tolist(), ports["ofport"].tolist(), strict=True)) == {
        b"br0": 65534, b"tap1": 1, b"tap2": 2,
    }  # fmt: skip
    (report,) = exporters.report()
    assert (report.datagrams, report.records, report.lost, report.late) == (45, 248, 0, 0)
    complaints = set(sflow.counters.totals()) - {"datagrams", "records", "flow_samples", "counter_samples"}
    assert complaints == set()

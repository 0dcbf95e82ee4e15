from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import support_datagrams as wire
from sekisho.flows.exporters import Exporters, ExporterSettings
from sekisho.flows.wire.netflow5 import Netflow5
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.tables import FLAGS_KNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.tables import FlowBatch


@pytest.fixture
def exporters() -> Exporters:
    return Exporters()


@pytest.fixture
def netflow(exporters: Exporters) -> Netflow5:
    return Netflow5(exporters, DecodeSettings())


def hear(netflow: Netflow5, *datagrams: bytes) -> FlowBatch:
    burst = wire.burst_of(datagrams)
    return netflow.decode(burst, np.arange(burst.count), 1000.0)


def test_the_fields_of_a_record(netflow: Netflow5) -> None:
    batch = hear(netflow, wire.netflow5(wire.record5(packets=3, octets=300, ports=(40000, 25))))
    assert batch.src_lo[0] == wire.split("10.0.0.1")[1]
    assert batch.dst_lo[0] == wire.split("198.51.100.7")[1]
    assert (batch.ip_version[0], batch.protocol[0]) == (4, 6)
    assert (batch.src_port[0], batch.dst_port[0], batch.tcp_flags[0]) == (40000, 25, FLAGS_KNOWN | 0x12)
    assert (batch.in_if[0], batch.out_if[0], batch.out_format[0]) == (3, 4, 0)
    assert (batch.packets[0], batch.bytes[0], batch.rate[0]) == (3, 300, 1)


def test_only_tcp_has_flags(netflow: Netflow5) -> None:
    assert hear(netflow, wire.netflow5(wire.record5(protocol=17))).tcp_flags.tolist() == [0]


@pytest.mark.parametrize("mode", [0, 0x4000, 0x8000])
def test_counts_are_scaled_by_the_interval_and_not_by_its_mode(netflow: Netflow5, mode: int) -> None:
    record = wire.record5(packets=3, octets=300)
    batch = hear(netflow, wire.netflow5(record, sampling=mode | 100), wire.netflow5(record, sampling=mode))
    assert batch.rate.tolist() == [100, 1]
    assert batch.packets.tolist() == [300, 3]
    assert batch.bytes.tolist() == [30_000, 300]


def test_datagrams_of_different_sizes_keep_their_order(netflow: Netflow5) -> None:
    sizes = [3, 1, 30, 2]
    datagrams = [
        wire.netflow5(*[wire.record5(packets=100 * i + j) for j in range(n)]) for i, n in enumerate(sizes)
    ]
    batch = hear(netflow, *datagrams)
    assert batch.packets.tolist() == [100 * i + j for i, n in enumerate(sizes) for j in range(n)]


def test_engines_are_exporters_of_their_own(netflow: Netflow5, exporters: Exporters) -> None:
    record = wire.record5()
    batch = hear(netflow, wire.netflow5(record, engine=0x0102), wire.netflow5(record, engine=0x0103))
    assert batch.exporter.tolist() == [0, 1]
    assert [r.domain for r in exporters.report()] == [0x0102, 0x0103]


@pytest.mark.parametrize(
    ("bad", "kind", "number", "rows"),
    [
        (wire.netflow5(wire.record5())[:23], "datagram_cut", 1, 0),
        (wire.netflow5(wire.record5())[:-1], "records_missing", 1, 0),
        (wire.netflow5(wire.record5(), count=7), "records_missing", 6, 1),
        (wire.netflow5(wire.record5(), count=65535), "count_over_30", 1, 1),
        (wire.netflow5(), "count_zero", 1, 0),
        (wire.netflow5(*[wire.record5()] * 35), "count_over_30", 1, 30),
        (wire.netflow5(*[wire.record5()] * 5, count=2), "records", 2 + 1, 2),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value),
)
def test_counts_that_lie(netflow: Netflow5, bad: bytes, kind: str, number: int, rows: int) -> None:
    batch = hear(netflow, bad, wire.netflow5(wire.record5(), engine=9))
    assert netflow.counters[kind] == number
    assert len(batch) == rows + 1


def test_an_exporter_over_the_cap_is_counted() -> None:
    netflow = Netflow5(Exporters(ExporterSettings(per_address=1)), DecodeSettings())
    batch = hear(netflow, *[wire.netflow5(wire.record5(), engine=e) for e in range(3)])
    assert len(batch) == 1
    assert netflow.counters["datagrams_refused"] == 2


def sent(sizes: Sequence[int], *, to_last: bool, first: int = 0) -> list[bytes]:
    """Datagrams of these sizes, numbered as Cisco (flows before) or Open vSwitch (last flow) does."""
    made, flows = [], first
    for size in sizes:
        number = flows + size - 1 if to_last else flows
        made.append(wire.netflow5(*[wire.record5()] * size, sequence=number))
        flows += size
    return made


SIZES = [4, 4, 2, 30, 1, 7, 30, 30, 3, 12, 5]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("first", [0, 5000])
@pytest.mark.parametrize("to_last", [False, True])
def test_no_numbering_looks_like_loss(
    netflow: Netflow5, exporters: Exporters, *, to_last: bool, first: int, together: bool
) -> None:
    datagrams = sent(SIZES, to_last=to_last, first=first)
    for part in [datagrams] if together else [[d] for d in datagrams]:
        hear(netflow, *part)
    assert (exporters.lost[0], exporters.late[0], exporters.restarted[0]) == (0, 0, 0)


@pytest.mark.parametrize("to_last", [False, True])
def test_lost_flows_are_counted(netflow: Netflow5, exporters: Exporters, *, to_last: bool) -> None:
    datagrams = sent(SIZES, to_last=to_last)
    for at, datagram in enumerate(datagrams):
        if at != 8:  # three flows
            hear(netflow, datagram)
    assert (exporters.lost[0], exporters.late[0]) == (3, 0)


def test_a_real_open_vswitch(netflow: Netflow5, exporters: Exporters) -> None:
    batch = hear(netflow, *wire.captured("ovs31-netflow5.pcap"))
    assert batch.packets.tolist() == [396, 659, 7, 7, 229, 594, 7, 6, 20, 20]
    assert batch.in_if.tolist() == [2, 1, 1, 2, 2, 1, 1, 2, 1, 2]
    (report,) = exporters.report()
    assert (report.records, report.lost, report.late, report.restarted) == (10, 0, 0, 0)

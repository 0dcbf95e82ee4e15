from __future__ import annotations

import pytest

import support_datagrams as wire
from sekisho.flows.decode import Decoder
from sekisho.flows.exporters import Exporters
from sekisho.flows.wire.protocol import Counters

SFLOW = wire.sflow(wire.flow_sample(wire.raw_header(wire.ethernet(0x0800, wire.ipv4(6, wire.tcp())))))
NETFLOW = wire.netflow5(wire.record5(), wire.record5())


@pytest.fixture
def decoder() -> Decoder:
    return Decoder(Exporters())


def test_protocols_are_told_apart_within_a_burst(decoder: Decoder) -> None:
    datagrams = [NETFLOW, SFLOW, *wire.captured("ovs31-ipfix.pcap"), SFLOW]
    batch = decoder.decode(wire.burst_of(datagrams), 1000.0)
    counted = decoder.counters()
    assert counted["sflow.datagrams"] == 2
    assert counted["netflow5.datagrams"] == 1
    assert counted["ipfix.datagrams"] == 29
    assert counted["exporters.live"] == decoder.exporters.count
    assert sorted(decoder.protocols) == ["ipfix", "netflow5", "netflow9", "sflow"]
    assert len(batch) == 2 + 2 + 9


def test_nothing_known_is_counted_and_empty(decoder: Decoder) -> None:
    datagrams = [b"", b"\0\5", b"GET / HTTP/1.1\r\n", b"\0\0\0\4" + bytes(60), b"\0\1\0\5" + bytes(60)]
    batch = decoder.decode(wire.burst_of(datagrams), 1000.0)
    assert len(batch) == 0
    assert decoder.counters() == {
        "unrecognised.short": 2.0,
        "unrecognised.version": 3.0,
        "exporters.live": 0.0,
        "exporters.refused": 0.0,
        "exporters.unwelcome": 0.0,
    }


def test_an_empty_burst_is_an_empty_batch(decoder: Decoder) -> None:
    assert len(decoder.decode(wire.burst_of([]), 1000.0)) == 0


def test_rows_behind_the_count_are_another_bursts(decoder: Decoder) -> None:
    burst = wire.burst_of([SFLOW, SFLOW, SFLOW])
    burst.count = 1
    assert len(decoder.decode(burst, 1000.0)) == 1


def test_a_batch_does_not_live_in_the_slab(decoder: Decoder) -> None:
    burst = wire.burst_of([SFLOW, NETFLOW])
    batch = decoder.decode(burst, 1000.0)
    before = batch.src_lo.copy(), batch.in_if.copy()
    burst.data.fill(0)
    assert (batch.src_lo == before[0]).all()
    assert (batch.in_if == before[1]).all()


def test_the_marks_of_protocols_exclude_each_other(decoder: Decoder) -> None:
    for first in (5, 0x0005_0000, 0x0009_0000, 0x000A_0000, 0x0005_0005):
        claims = [p.name for p in decoder.protocols.values() if first & p.mark[0] == p.mark[1]]
        assert len(claims) == 1


def test_counters_are_bounded() -> None:
    counters = Counters(cap=3)
    for kind in ("a", "b", "c", "d", "e", "a"):
        counters.count(kind)
    counters.count("f", 0)
    assert counters.totals() == {"a": 2, "b": 1, "c": 1, "other": 2}
    assert counters["d"] == 0

"""What must hold whatever octets a decoder is given."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

import support_datagrams as wire
import support_templates as templates
from sekisho.flows.decode import Decoder
from sekisho.flows.exporters import Exporters, ExporterSettings
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.flows.wire.sflow import Sflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.tables import FlowBatch

# Small, so that every bound is met.
BOUNDS = DecodeSettings(
    samples=16,
    records=8,
    interfaces=8,
    templates=24,
    templates_per_exporter=8,
    template_fields=64,
    hold_bytes=16 << 10,
    hold_bytes_per_exporter=4 << 10,
)
EXPORTERS = ExporterSettings(total=16, per_address=8, idle=600.0)
SLOT = 2048


def decoder() -> Decoder:
    return Decoder(Exporters(EXPORTERS), BOUNDS)


def hear(ear: Decoder, datagrams: Sequence[bytes], now: float) -> FlowBatch:
    """Decode a burst, whatever it is, and hold the decoder to its promises."""
    sources = [f"192.0.2.{i % 3}" for i in range(len(datagrams))]
    burst = wire.burst_of(datagrams, sources, now, SLOT)
    before = burst.data.copy()
    batch = ear.decode(burst, now)
    assert np.array_equal(burst.data, before)
    judge_batch(ear, batch)
    judge_bounds(ear)
    return batch


def judge_batch(ear: Decoder, batch: FlowBatch) -> None:
    for column in fields(batch):
        values = getattr(batch, column.name)
        assert len(values) == len(batch.time)
        assert values.dtype == column.metadata["dtype"], column.name
    rows = batch.exporter
    assert (rows >= 0).all()
    assert (ear.exporters.generation[rows] > 0).all()
    assert np.isfinite(batch.packets).all()
    assert np.isfinite(batch.bytes).all()
    assert (batch.packets >= 0).all()
    assert (batch.bytes >= 0).all()
    assert np.isin(batch.ip_version, (0, 4, 6)).all()
    assert (batch.out_format <= 2).all()
    assert (batch.src_mac >> np.uint64(48) == 0).all()
    assert (batch.vlan < 4096).all()


def judge_bounds(ear: Decoder) -> None:
    assert ear.exporters.count <= EXPORTERS.total
    assert (ear.exporters.lost >= 0).all()
    for protocol in ear.protocols.values():
        assert len(protocol.counters.totals()) <= 64
        assert all(n > 0 for n in protocol.counters.totals().values())
    sflow = ear.protocols["sflow"]
    assert isinstance(sflow, Sflow)
    assert len(sflow.interface_counters) <= BOUNDS.interfaces
    for name in ("netflow9", "ipfix"):
        assert len(ear.protocols[name]._records.templates) <= BOUNDS.templates  # type: ignore[attr-defined]


@cache
def seeds() -> tuple[bytes, ...]:
    """Datagrams to start from: real ones, and made-up ones for what the captures lack."""
    frames = [
        wire.ethernet(
            0x86DD, wire.ipv6(0, wire.extension(44) + wire.fragment6(6, 0) + wire.tcp()), [(0x8100, 1)]
        ),
        wire.ethernet(0x0800, wire.ipv4(6, wire.tcp(), options=bytes(8)), [(0x88A8, 1), (0x8100, 2)]),
    ]
    records = [wire.raw_header(f) for f in frames] + [
        wire.sampled_ipv4(9),
        wire.sampled_ipv6(9),
        wire.switch(1),
    ]
    made = [
        wire.sflow(wire.expanded_sample(*records), wire.counter_sample(wire.generic_counters(3))),
        wire.sflow(wire.flow_sample(*records), wire.counter_sample(expanded=True), agent="2001:db8::1"),
        wire.netflow5(*[wire.record5()] * 3, sampling=100),
        *_templated(),
    ]
    real = [d for name in ("sflow", "netflow5", "ipfix") for d in wire.captured(f"ovs31-{name}.pcap")]
    return (*made, *real)


def _templated() -> list[bytes]:
    flows = templates.flow() * 3
    shaped = ((82, templates.VAR), (8, 4), (2, 8), (210, 3), (888, 4, 6876))
    options = ((149, 4),), ((34, 4), (305, 4))
    mixed = templates.variable(b"tap1") + bytes(19)
    v9_data = templates.a_set(256, flows)
    return [
        templates.v9(templates.a_set(0, templates.template(256, templates.FLOW)), v9_data),
        templates.v9(
            templates.a_set(1, templates.v9_options(257, ((1, 4),), ((34, 4),)) + bytes(2)), v9_data
        ),
        templates.v9(v9_data, templates.a_set(257, bytes(16))),
        templates.ipfix(
            templates.a_set(2, templates.template(256, templates.FLOW) + templates.template(258, shaped)),
            v9_data,
            templates.a_set(258, mixed * 2),
        ),
        templates.ipfix(
            templates.a_set(3, templates.ipfix_options(257, *options)), templates.a_set(257, bytes(24))
        ),
        templates.ipfix(templates.a_set(2, templates.template(256, ()))),
    ]

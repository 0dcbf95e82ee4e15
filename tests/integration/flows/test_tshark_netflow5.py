"""NetFlow v5 as Wireshark reads it: the same fields, record by record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import support_datagrams as wire
import support_tshark as tshark
from sekisho.flows.exporters import Exporters
from sekisho.flows.wire.netflow5 import Netflow5
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.tables import FLAGS_KNOWN, address_text

if TYPE_CHECKING:
    from pathlib import Path

    from sekisho.tables import FlowBatch

pytestmark = pytest.mark.skipif(not tshark.present(), reason="tshark is not installed")

FIELDS = [
    "srcaddr",
    "dstaddr",
    "inputint",
    "outputint",
    "packets",
    "octets",
    "srcport",
    "dstport",
    "protocol",
]


def ours(batch: FlowBatch) -> list[list[str]]:
    counted = np.stack([batch.in_if, batch.out_if, batch.packets, batch.bytes], axis=1).astype(np.int64)
    transport = np.stack([batch.src_port, batch.dst_port, batch.protocol], axis=1)
    return [
        [
            address_text(0, int(batch.src_lo[i])),
            address_text(0, int(batch.dst_lo[i])),
            *(str(number) for number in counted[i].tolist() + transport[i].tolist()),
        ]
        for i in range(len(batch))
    ]


def test_netflow5_of_open_vswitch_and_made_up(tmp_path: Path) -> None:
    crafted = wire.netflow5(*[wire.record5(packets=i, protocol=17, ports=(i, 70 * i)) for i in range(1, 31)])
    datagrams = [*wire.captured("ovs31-netflow5.pcap"), crafted]
    for datagram, packet in zip(datagrams, tshark.dissect(datagrams, 2055, tmp_path), strict=True):
        burst = wire.burst_of([datagram])
        batch = Netflow5(Exporters(), DecodeSettings()).decode(burst, np.array([0]), 1.0)
        records = list(tshark.titled(packet, "pdu "))
        assert ours(batch) == [[tshark.first(r, f"cflow.{name}") for name in FIELDS] for r in records]
        flags = [int(tshark.first(r, "cflow.tcpflags") or "0", 0) for r in records]
        told = [f if p == 6 else 0 for f, p in zip(flags, batch.protocol.tolist(), strict=True)]
        assert (batch.tcp_flags & ~np.uint16(FLAGS_KNOWN)).tolist() == told

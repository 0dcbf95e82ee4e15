"""NetFlow v9 as RFC 3954 and routers have it."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from sekisho.flows.wire.netflow9 import Netflow9
from sekisho.flows.wire.protocol import NETFLOW9
from support_templates import FLOW, Ear, a_set, flow, template, v9, v9_options

DEFINE = a_set(0, template(256, FLOW))


@pytest.fixture
def ear() -> Ear:
    return Ear(Netflow9)


def test_flows_of_a_template(ear: Ear) -> None:
    batch = ear.hear(v9(DEFINE, a_set(256, flow() + flow(ports=(2, 3)) + bytes(2)), domain=5))
    assert batch.src_port.tolist() == [1234, 2]
    assert ear.exporters.protocol[0] == NETFLOW9
    assert ear.exporters.domain[0] == 5
    assert ear.exporters.records[0] == 2


def test_several_templates_in_one_set_with_padding(ear: Ear) -> None:
    both = a_set(0, template(256, FLOW) + template(257, FLOW[::-1]) + bytes(4))
    backwards = b"".join((struct.pack(">QQIIBBHHII", 3, 1500, 2, 1, 2, 6, 25, 1234, 8, 7),))
    batch = ear.hear(v9(both, a_set(256, flow()), a_set(257, backwards)))
    assert batch.src_port.tolist() == [1234, 1234]
    assert batch.bytes.tolist() == [1500, 1500]


def test_the_first_mac_and_vlan_a_router_tells(ear: Ear) -> None:
    fields = ((56, 6), (57, 6), (58, 2), (59, 2), (61, 1))
    record = b"\x02" * 6 + b"\x03" * 6 + struct.pack(">HHB", 100, 200, 1)
    batch = ear.hear(v9(a_set(0, template(300, fields)), a_set(300, record)))
    # Direction 1 is kept: only Open vSwitch tells each packet twice.
    assert batch.src_mac.tolist() == [0x020202020202]
    assert batch.dst_mac.tolist() == [0x030303030303]
    assert batch.vlan.tolist() == [100]


@pytest.mark.parametrize(("scope", "in_if", "rate"), [((2, 4), 1, 100), ((2, 4), 9, 0), ((1, 4), 9, 100)])
def test_sampling_by_scope(ear: Ear, scope: tuple[int, int], in_if: int, rate: int) -> None:
    """Scope type 2 is an interface, 1 the whole exporter."""
    told = a_set(1, v9_options(500, (scope,), ((34, 4), (35, 1))) + bytes(2))
    options = a_set(500, struct.pack(">IIB", 1, 100, 1) + bytes(3))
    batch = ear.hear(v9(DEFINE, told, options, a_set(256, flow(interfaces=(in_if, 8)))))
    assert batch.rate.tolist() == [rate]
    assert batch.bytes.tolist() == [1500 * max(rate, 1)]


def test_sampling_by_sampler(ear: Ear) -> None:
    told = a_set(1, v9_options(500, ((1, 4),), ((48, 1), (49, 1), (50, 4))))
    options = a_set(500, b"".join(struct.pack(">IBBI", 0, i, 2, i * 100) for i in (1, 2)))
    define = a_set(0, template(300, ((48, 1), (1, 4), (2, 4))))
    rows = a_set(300, b"".join(struct.pack(">BII", i, 10, 1) for i in (1, 2, 3)))
    assert ear.hear(v9(define, told, options, rows)).rate.tolist() == [100, 200, 0]


def test_options_without_a_scope_speak_of_the_exporter(ear: Ear) -> None:
    told = a_set(1, v9_options(500, (), ((34, 4),)))
    batch = ear.hear(v9(DEFINE, told, a_set(500, struct.pack(">I", 7)), a_set(256, flow())))
    assert batch.rate.tolist() == [7]


def test_the_sequence_counts_packets(ear: Ear) -> None:
    ear.hear(v9(DEFINE, sequence=10), v9(a_set(256, flow() * 5), sequence=11))
    ear.hear(v9(a_set(256, flow() * 5), sequence=12), v9(a_set(256, flow()), sequence=16))
    assert ear.exporters.lost[0] == 3
    ear.hear(v9(a_set(256, flow()), sequence=14))
    assert (ear.exporters.lost[0], ear.exporters.late[0]) == (2, 1)


def test_a_full_burst_of_one_template_is_one_gather(ear: Ear) -> None:
    ear.hear(v9(DEFINE))
    packets = [v9(a_set(256, b"".join(flow(source=i * 30 + k) for k in range(28)))) for i in range(64)]
    batch = ear.hear(*packets)
    wanted = [i * 30 + k for i in range(64) for k in range(28)]
    assert (batch.src_lo & np.uint64(0xFFFFFFFF)).tolist() == wanted

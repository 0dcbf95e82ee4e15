from __future__ import annotations

import numpy as np
import pytest

import support_datagrams as wire
from sekisho.flows.wire.gather import Octets
from sekisho.flows.wire.headers import EXTENSIONS, fill_ethernet, fill_ipv4, fill_ipv6
from sekisho.tables import FLAGS_KNOWN, FlowBatch

V4_SRC, V4_DST = 0xFFFF_0A00_0001, 0xFFFF_C633_6407


def parse(*packets: bytes, fill: object = fill_ethernet) -> FlowBatch:
    burst = wire.burst_of(packets)
    batch = FlowBatch.empty(len(packets))
    start = np.arange(len(packets)) * burst.data.shape[1]
    assert callable(fill)
    fill(batch, np.arange(len(packets)), Octets(burst.data), start, start + burst.length)
    return batch


def row(batch: FlowBatch, i: int, *names: str) -> tuple[int, ...]:
    return tuple(int(getattr(batch, name)[i]) for name in names)


def test_ethernet_ipv4_tcp() -> None:
    batch = parse(wire.ethernet(0x0800, wire.ipv4(6, wire.tcp(40000, 25, 0x12))))
    assert row(batch, 0, "src_mac", "dst_mac", "vlan") == (0x020000000001, 0x020000000002, 0)
    assert row(batch, 0, "ip_version", "protocol", "src_port", "dst_port") == (4, 6, 40000, 25)
    assert row(batch, 0, "src_hi", "src_lo", "dst_hi", "dst_lo") == (0, V4_SRC, 0, V4_DST)
    assert batch.tcp_flags[0] == FLAGS_KNOWN | 0x12


@pytest.mark.parametrize(
    ("tags", "vlan"),
    [
        ([(0x8100, 100)], 100),
        ([(0x88A8, 200), (0x8100, 100)], 200),
        ([(0x8100, 300), (0x8100, 100)], 300),
        ([(0x9100, 0xF000 | 400)], 400),
    ],
)
def test_vlan_tags_up_to_two(tags: list[tuple[int, int]], vlan: int) -> None:
    batch = parse(wire.ethernet(0x0800, wire.ipv4(17, wire.udp()), tags))
    assert row(batch, 0, "vlan", "ip_version", "src_port", "dst_port") == (vlan, 4, 5353, 53)


def test_a_third_tag_ends_it() -> None:
    batch = parse(wire.ethernet(0x0800, wire.ipv4(17, wire.udp()), [(0x8100, 1), (0x8100, 2), (0x8100, 3)]))
    assert row(batch, 0, "vlan", "ip_version") == (1, 0)


def test_mixed_frames_keep_their_rows() -> None:
    batch = parse(
        wire.ethernet(0x0806, bytes(28)),
        wire.ethernet(0x0800, wire.ipv4(17, wire.udp(1, 2)), [(0x8100, 5)]),
        wire.ethernet(0x86DD, wire.ipv6(6, wire.tcp(3, 4))),
        wire.ethernet(0x0800, wire.ipv4(6, wire.tcp(5, 6))),
    )
    assert batch.ip_version.tolist() == [0, 4, 6, 4]
    assert batch.src_port.tolist() == [0, 1, 3, 5]
    assert batch.dst_port.tolist() == [0, 2, 4, 6]
    assert batch.vlan.tolist() == [0, 5, 0, 0]
    assert (batch.tcp_flags > 0).tolist() == [False, False, True, True]


def test_ipv4_options_are_stepped_over() -> None:
    batch = parse(wire.ethernet(0x0800, wire.ipv4(6, wire.tcp(7, 8), options=bytes([1] * 12))))
    assert row(batch, 0, "src_port", "dst_port") == (7, 8)


def test_later_fragments_have_no_ports() -> None:
    batch = parse(
        wire.ethernet(0x0800, wire.ipv4(17, wire.udp(), more=True)),
        wire.ethernet(0x0800, wire.ipv4(17, wire.udp(), fragment=185)),
    )
    assert batch.src_port.tolist() == [5353, 0]
    assert batch.protocol.tolist() == [17, 17]
    assert batch.dst_lo.tolist() == [V4_DST, V4_DST]


def test_icmp_type_and_code_stand_in_the_destination_port() -> None:
    batch = parse(
        wire.ethernet(0x0800, wire.ipv4(1, wire.icmp(8, 3))),
        wire.ethernet(0x86DD, wire.ipv6(58, wire.icmp(128, 1))),
    )
    assert batch.dst_port.tolist() == [8 << 8 | 3, 128 << 8 | 1]
    assert batch.src_port.tolist() == [0, 0]
    assert batch.tcp_flags.tolist() == [0, 0]


def test_sctp_has_ports_and_gre_has_none() -> None:
    batch = parse(
        wire.ethernet(0x0800, wire.ipv4(132, wire.udp(36412, 36413))),
        wire.ethernet(0x0800, wire.ipv4(47, wire.udp())),
    )
    assert batch.src_port.tolist() == [36412, 0]
    assert batch.tcp_flags.tolist() == [0, 0]


def test_ipv6_addresses() -> None:
    batch = parse(wire.ethernet(0x86DD, wire.ipv6(6, wire.tcp())))
    assert row(batch, 0, "src_hi", "src_lo") == wire.split(wire.V6_SRC)
    assert row(batch, 0, "dst_hi", "dst_lo") == wire.split(wire.V6_DST)


def test_ipv6_extension_headers_are_walked() -> None:
    chain = wire.extension(43) + wire.extension(51, 1) + wire.authentication(60) + wire.extension(6, 2)
    batch = parse(wire.ethernet(0x86DD, wire.ipv6(0, chain + wire.tcp(9, 10))))
    assert row(batch, 0, "protocol", "src_port", "dst_port") == (6, 9, 10)


def test_ipv6_fragments() -> None:
    batch = parse(
        wire.ethernet(0x86DD, wire.ipv6(44, wire.fragment6(17, 0) + wire.udp(1, 2))),
        wire.ethernet(0x86DD, wire.ipv6(44, wire.fragment6(17, 100) + wire.udp(1, 2))),
    )
    assert batch.protocol.tolist() == [17, 17]
    assert batch.src_port.tolist() == [1, 0]


def test_the_chain_of_extensions_is_bounded() -> None:
    def chained(count: int) -> bytes:
        chain = b"".join(wire.extension(0) for _ in range(count - 1)) + wire.extension(6)
        return wire.ethernet(0x86DD, wire.ipv6(0, chain + wire.tcp(9, 10)))

    batch = parse(chained(EXTENSIONS), chained(EXTENSIONS + 1))
    assert row(batch, 0, "ip_version", "protocol", "src_port") == (6, 6, 9)
    assert row(batch, 1, "ip_version", "protocol", "src_port") == (6, 0, 0)


def test_esp_hides_what_follows() -> None:
    batch = parse(wire.ethernet(0x86DD, wire.ipv6(50, wire.tcp(9, 10))))
    assert row(batch, 0, "protocol", "src_port") == (50, 0)


def test_headers_without_ethernet() -> None:
    assert row(parse(wire.ipv4(17, wire.udp()), fill=fill_ipv4), 0, "ip_version", "dst_port") == (4, 53)
    assert row(parse(wire.ipv6(17, wire.udp()), fill=fill_ipv6), 0, "ip_version", "dst_port") == (6, 53)


def test_another_version_than_the_frame_says_is_not_ip() -> None:
    batch = parse(
        wire.ethernet(0x0800, wire.ipv6(17, wire.udp())), wire.ethernet(0x0800, b"\x41" + bytes(40))
    )
    assert batch.ip_version.tolist() == [0, 4]
    assert batch.src_port.tolist() == [0, 0]  # a header of one word is none


def test_padding_behind_the_packet_is_not_read() -> None:
    bare = wire.ethernet(0x0800, wire.ipv4(6, b""))
    assert row(parse(bare + b"\xff" * 26), 0, "protocol", "src_port", "tcp_flags") == (6, 0, 0)


NEEDS = {
    "dst_mac": 6, "src_mac": 12, "protocol": 24, "src_lo": 30, "dst_lo": 34,
    "src_port": 36, "dst_port": 38, "tcp_flags": 48,
}  # fmt: skip


def test_a_cut_frame_gives_what_it_has() -> None:
    frame = wire.ethernet(0x0800, wire.ipv4(6, wire.tcp()))
    whole = parse(frame)
    cut = parse(*[frame[:n] for n in range(len(frame) + 1)])
    for name, need in NEEDS.items():
        value = int(getattr(whole, name)[0])
        assert value != 0
        expected = [value if n >= need else 0 for n in range(len(frame) + 1)]
        assert getattr(cut, name).tolist() == expected, name


def test_a_cut_ipv6_frame_gives_what_it_has() -> None:
    frame = wire.ethernet(0x86DD, wire.ipv6(0, wire.extension(6) + wire.tcp()), [(0x8100, 7)])
    whole = parse(frame)
    cut = parse(*[frame[:n] for n in range(len(frame) + 1)])
    needs = {"vlan": 16, "src_hi": 34, "dst_lo": 58, "src_port": 68, "dst_port": 70, "tcp_flags": 80}
    for name, need in needs.items():
        value = int(getattr(whole, name)[0])
        expected = [value if n >= need else 0 for n in range(len(frame) + 1)]
        assert getattr(cut, name).tolist() == expected, name

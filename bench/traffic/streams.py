"""Datagrams to measure with: a stream's name in, its templates and datagrams out, the same ones every time.

Synthetic streams are made as exporters send them; those named after Open vSwitch are what a real one sent.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from traffic.cloud import FIRST_IFINDEX, Cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

CAPTURES: Final = Path(__file__).parents[2] / "tests" / "data" / "captures"
SHAPES: Final = 512  # different datagrams, sent over and over
SAMPLES, RECORDS5, RECORDS = 7, 30, 28  # in a datagram: as Open vSwitch, Cisco and most routers have it
PACKETS: Final = 10  # in each record of NetFlow and IPFIX: whoever counts packets has counted records
HEADER: Final = 128  # octets of each packet that sFlow samples carry
FLOW: Final = struct.Struct(">IIHHBBIIQQ")
FLOW_FIELDS: Final = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (10, 4), (14, 4), (1, 8), (2, 8))
# Where each protocol's header has its sequence number: octets from the start.
SEQUENCE: Final[Mapping[str, int]] = {"sflow": 16, "netflow5": 16, "netflow9": 12, "ipfix": 8}


@dataclass(frozen=True, slots=True)
class Stream:
    """What each exporter sends: `first` once, so that templates are known, then `datagrams`.

    `records` is how many flow records each datagram holds. `packets` is how many packets a record tells, 0
    where they differ.
    """

    protocol: str
    datagrams: tuple[bytes, ...]
    records: tuple[int, ...]
    first: tuple[bytes, ...] = ()
    packets: int = PACKETS

    @property
    def counts_datagrams(self) -> bool:
        """What a sequence number counts: datagrams, or records."""
        return self.protocol in ("sflow", "netflow9")

    @property
    def steps(self) -> tuple[int, ...]:
        """How far the sequence number moves with each datagram."""
        return (1,) * len(self.records) if self.counts_datagrams else self.records


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow record before it is written down."""

    interface: int
    source: int
    destination: int
    sport: int
    dport: int


def flows(cloud: Cloud, first: int, count: int) -> Iterator[Flow]:
    """Make flows `first` and following, all different: a quarter stays in the cloud, a fifth is mail."""
    for n in range(first, first + count):
        subject = n * 7919 % cloud.subjects
        inside = 0x0A00_0000 + n * 104_729 % cloud.subjects
        outside = 0xC633_0000 + n * 31 % 65536
        yield Flow(
            FIRST_IFINDEX + subject // cloud.exporters,
            0x0A00_0000 + subject,
            outside if n % 4 else inside,
            1024 + n % 60_000,
            (443, 25, 53, 80, 22)[n % 5],
        )


def sflow(shape: int, made: Sequence[Flow], headers: Sequence[int] = (HEADER,)) -> bytes:
    """Build a datagram with one sample a flow; `headers` are how much of the packets it carries."""
    samples = b""
    for i, flow in enumerate(made):
        packet = struct.pack(">BBHHHBBHII", 0x45, 0, 1400, 1, 0, 64, 6, 0, flow.source, flow.destination)
        packet += struct.pack(">HHIIHHHH", flow.sport, flow.dport, 1, 1, 0x5010, 512, 0, 0) + bytes(74)
        frame = bytes.fromhex("020000000002020000000001") + b"\x08\x00" + packet
        frame = frame[: headers[i % len(headers)]]
        record = struct.pack(">IIIIII", 1, 16 + len(frame), 1, 1418, 4, len(frame)) + frame
        switch = struct.pack(">IIIIII", 1001, 16, 0, 0, 0, 0)
        head = struct.pack(">IIIIIIII", shape, 0x0200_03E8, 400, shape * 400, 0, flow.interface, 1, 2)
        samples += struct.pack(">II", 1, len(head) + len(switch) + len(record)) + head + switch + record
    return struct.pack(">II4sIIII", 5, 1, bytes([127, 0, 0, 1]), 0, shape, 1000, len(made)) + samples


def netflow5(shape: int, made: Sequence[Flow]) -> bytes:
    """Build a datagram of NetFlow v5."""
    records = b"".join(
        struct.pack(
            ">IIIHHIIIIHHBBBBHHBBH",
            *(flow.source, flow.destination, 0, flow.interface, 1, PACKETS, 9000, 1, 2),
            *(flow.sport, flow.dport, 0, 0x1B, 6, 0, 0, 0, 24, 24, 0),
        )
        for flow in made
    )
    return struct.pack(">HHIIIIBBH", 5, len(made), 1000, 1, 0, shape, 0, 0, 0) + records


def flow_records(made: Sequence[Flow]) -> bytes:
    """Write flows down as records of FLOW_FIELDS."""
    return b"".join(
        FLOW.pack(
            flow.source, flow.destination, flow.sport, flow.dport, 6, 0x1B, flow.interface, 1, 9000, PACKETS
        )
        for flow in made
    )


def a_set(ident: int, content: bytes) -> bytes:
    """Build a set of NetFlow v9 or IPFIX."""
    return struct.pack(">HH", ident, 4 + len(content)) + content


def template() -> bytes:
    """Build template 256, of FLOW_FIELDS."""
    fields = b"".join(struct.pack(">HH", *f) for f in FLOW_FIELDS)
    return struct.pack(">HH", 256, len(FLOW_FIELDS)) + fields


def v9(shape: int, count: int, content: bytes) -> bytes:
    """Build a NetFlow v9 packet of one set."""
    content += bytes(-len(content) % 4)
    return struct.pack(">HHIIII", 9, count, 1000, 1, shape, 0) + content


def ipfix(sequence: int, content: bytes) -> bytes:
    """Build an IPFIX message of one set."""
    return struct.pack(">HHIII", 10, 16 + len(content), 1, sequence, 0) + content


def payloads(name: str) -> Iterator[bytes]:
    """Read the UDP payloads of a capture of raw IPv4."""
    capture, at = (CAPTURES / name).read_bytes(), 24
    while at < len(capture):
        (length,) = struct.unpack_from("<I", capture, at + 8)
        yield capture[at + 16 + 28 : at + 16 + length]
        at += 16 + length


def ovs_ipfix() -> Stream:
    """Take what a real Open vSwitch sent: its templates first, then its messages of one record each."""
    first: list[bytes] = []
    datagrams: list[bytes] = []
    for message in payloads("ovs31-ipfix.pcap"):
        (domain, kind) = struct.unpack_from(">IH", message, 12)
        if kind < 256:
            first.append(message)
        elif domain:  # domain 0 is its report on itself
            datagrams.append(message)
    return Stream("ipfix", tuple(datagrams), (1,) * len(datagrams), tuple(first), packets=0)


def ovs_sflow() -> Stream:
    """Take what a real Open vSwitch sent, as far as it holds samples of packets and nothing else."""
    datagrams, records = [], []
    for datagram in payloads("ovs31-sflow.pcap"):
        count, at, kinds = struct.unpack_from(">I", datagram, 24)[0], 28, set()
        for _ in range(count):
            kind, length = struct.unpack_from(">II", datagram, at)
            kinds.add(kind)
            at += 8 + length
        if kinds == {1}:
            datagrams.append(datagram)
            records.append(count)
    return Stream("sflow", tuple(datagrams), tuple(records), packets=0)


def ovs_netflow5() -> Stream:
    """Take what a real Open vSwitch sent."""
    datagrams = tuple(payloads("ovs31-netflow5.pcap"))
    records = tuple(struct.unpack_from(">H", datagram, 2)[0] for datagram in datagrams)
    return Stream("netflow5", datagrams, records, packets=0)


def synthetic(protocol: str, cloud: Cloud, sizes: Sequence[int], shapes: int = SHAPES) -> Stream:
    """Make a stream of `shapes` datagrams that hold `sizes` records in turn."""
    datagrams, records, first = [], [], 0
    for shape in range(shapes):
        made = list(flows(cloud, first, sizes[shape % len(sizes)]))
        datagrams.append(_datagram(protocol, shape, made, mixed=len(sizes) > 1))
        records.append(len(made))
        first += len(made)
    learn = {
        "netflow9": (v9(0, 1, a_set(0, template())),),
        "ipfix": (ipfix(0, a_set(2, template())),),
    }
    packets = 1 if protocol == "sflow" else PACKETS
    return Stream(protocol, tuple(datagrams), tuple(records), learn.get(protocol, ()), packets)


def _datagram(protocol: str, shape: int, made: Sequence[Flow], *, mixed: bool) -> bytes:
    match protocol:
        case "sflow":
            return sflow(shape, made, (64, 128, 96, 80) if mixed else (HEADER,))
        case "netflow5":
            return netflow5(shape, made)
        case "netflow9":
            return v9(shape, len(made), a_set(256, flow_records(made)))
        case _:
            return ipfix(shape, a_set(256, flow_records(made)))


def streams() -> dict[str, Callable[[Cloud, int], Stream]]:
    """Say what can be sent, by name; each takes the cloud it speaks of and how many different datagrams."""
    mixed = (1, 30, 7, 12, 2, 28, 19, 5)
    return {
        "sflow": lambda cloud, shapes: synthetic("sflow", cloud, (SAMPLES,), shapes),
        "netflow5": lambda cloud, shapes: synthetic("netflow5", cloud, (RECORDS5,), shapes),
        "netflow9": lambda cloud, shapes: synthetic("netflow9", cloud, (RECORDS,), shapes),
        "ipfix": lambda cloud, shapes: synthetic("ipfix", cloud, (RECORDS,), shapes),
        "ipfix_ovs": lambda _cloud, _shapes: ovs_ipfix(),
        "sflow_ovs": lambda _cloud, _shapes: ovs_sflow(),
        "netflow5_ovs": lambda _cloud, _shapes: ovs_netflow5(),
        "sflow_mixed": lambda cloud, shapes: synthetic("sflow", cloud, (1, 7, 3, 5, 8, 2), shapes),
        "netflow9_mixed": lambda cloud, shapes: synthetic("netflow9", cloud, mixed, shapes),
        "ipfix_mixed": lambda cloud, shapes: synthetic("ipfix", cloud, mixed, shapes),
    }


def stream(name: str, cloud: Cloud, shapes: int = SHAPES) -> Stream:
    """Make a stream by name."""
    return streams()[name](cloud, shapes)

"""How many flow records a second one core takes, from the socket to the windows.

    python bench/collector.py [--datagrams N] [--protocols sflow,ipfix] [--json]

Another process sends real datagrams over loopback; this one does what a collector does: `recvmmsg`,
decode, resolve, count in the windows of the policies that are shipped, close every second. Rates are
records by CPU time of this whole process, user and system. Beside each stands `recvmmsg` alone with
the same datagrams: what the kernel leaves us.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.detect.settings import DetectSettings
from sekisho.detect.window import Detection
from sekisho.flows.decode import Decoder
from sekisho.flows.exporters import Exporters
from sekisho.flows.memory import keep_freed
from sekisho.flows.receive import Receiver, ReceiveSettings
from sekisho.flows.resolve import Resolver, ResolveSettings
from sekisho.metering.catalogue import METERED
from sekisho.model.inventory import Host, Inventory, Subject, Telemetry
from sekisho.model.policy import PolicySet
from sekisho.model.policy_file import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sekisho.tables import Burst

ROOT: Final = Path(__file__).parents[1]
SUBJECTS: Final = 1000
FIRST_IFINDEX: Final = 10
SHAPES: Final = 512  # different datagrams, sent over and over
SAMPLES, RECORDS5, RECORDS = 7, 30, 28  # in a datagram: as Open vSwitch, Cisco and the peers' tests have it
CHUNK: Final = 4096  # sent while nobody listens, then heard at once: bursts are full, as under load
FLOW: Final = struct.Struct(">IIHHBBIIQQ")
FLOW_FIELDS: Final = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (10, 4), (14, 4), (1, 8), (2, 8))
# One record in a message, with interface names of variable length: its cache is off by default.
OVS_CAPTURE: Final = ROOT / "tests" / "data" / "captures" / "ovs31-ipfix.pcap"


@dataclass(frozen=True, slots=True)
class Stream:
    """What one exporter sends: `first` once, so that templates are known, then `datagrams`."""

    datagrams: tuple[bytes, ...]
    first: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Tally:
    """What came of one run."""

    datagrams: int = 0
    records: int = 0
    seconds: float = 0.0
    dropped: int = 0
    stages: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("decode", "resolve", "detect"), 0.0)
    )


def flows(shape: int, count: int) -> list[tuple[int, int, int, int, int]]:
    """(interface, source, destination, source port, destination port) of some flows, all different."""
    made = []
    for i in range(count):
        n = shape * count + i
        subject = n * 7919 % SUBJECTS
        made.append(
            (
                FIRST_IFINDEX + subject,
                0x0A00_0000 + subject,
                0xC633_0000 + n * 31 % 65536,
                1024 + n % 60_000,
                (443, 25, 53, 80, 22)[n % 5],
            )
        )
    return made


def sflow(shape: int) -> bytes:
    """Build a datagram of seven samples with headers of 128 octets."""
    samples = b""
    for number, source, destination, sport, dport in flows(shape, SAMPLES):
        packet = struct.pack(">BBHHHBBHII", 0x45, 0, 1400, 1, 0, 64, 6, 0, source, destination)
        packet += struct.pack(">HHIIHHHH", sport, dport, 1, 1, 0x5010, 512, 0, 0) + bytes(74)
        frame = bytes.fromhex("020000000002020000000001") + b"\x08\x00" + packet
        record = struct.pack(">IIIIII", 1, 16 + len(frame), 1, 1418, 4, len(frame)) + frame
        switch = struct.pack(">IIIIII", 1001, 16, 0, 0, 0, 0)
        head = struct.pack(">IIIIIIII", shape, 0x0200_03E8, 400, shape * 400, 0, number, 1, 2)
        samples += struct.pack(">II", 1, len(head) + len(switch) + len(record)) + head + switch + record
    return struct.pack(">II4sIIII", 5, 1, bytes([127, 0, 0, 1]), 0, shape, 1000, SAMPLES) + samples


def netflow5(shape: int) -> bytes:
    """Build a datagram of thirty records."""
    records = b"".join(
        struct.pack(
            ">IIIHHIIIIHHBBBBHHBBH",
            *(source, destination, 0, number, 1, 10, 9000, 1, 2, sport, dport),
            *(0, 0x1B, 6, 0, 0, 0, 24, 24, 0),
        )
        for number, source, destination, sport, dport in flows(shape, RECORDS5)
    )
    return struct.pack(">HHIIIIBBH", 5, RECORDS5, 1000, 1, 0, shape * RECORDS5, 0, 0, 0) + records


def flow_records(shape: int) -> bytes:
    """Twenty-eight records of FLOW_FIELDS."""
    return b"".join(
        FLOW.pack(source, destination, sport, dport, 6, 0x1B, number, 1, 9000, 10)
        for number, source, destination, sport, dport in flows(shape, RECORDS)
    )


def a_set(ident: int, content: bytes) -> bytes:
    """Build a set of NetFlow v9 or IPFIX."""
    return struct.pack(">HH", ident, 4 + len(content)) + content


def template(fields: Sequence[tuple[int, int]]) -> bytes:
    """Build template 256."""
    return struct.pack(">HH", 256, len(fields)) + b"".join(struct.pack(">HH", *f) for f in fields)


def v9(shape: int, content: bytes) -> bytes:
    """Build a NetFlow v9 packet of one set."""
    return struct.pack(">HHIIII", 9, RECORDS, 1000, 1, shape, 0) + content


def ipfix(sequence: int, content: bytes) -> bytes:
    """Build an IPFIX message of one set."""
    return struct.pack(">HHIII", 10, 16 + len(content), 1, sequence, 0) + content


def ovs_ipfix() -> Stream:
    """Take what a real Open vSwitch sent: its templates first, then its messages of packets."""
    capture, at = OVS_CAPTURE.read_bytes(), 24
    first: list[bytes] = []
    datagrams: list[bytes] = []
    while at < len(capture):
        (length,) = struct.unpack_from("<I", capture, at + 8)
        message = capture[at + 16 + 28 : at + 16 + length]
        at += 16 + length
        (domain, kind) = struct.unpack_from(">IH", message, 12)
        if kind < 256:
            first.append(message)
        elif domain:  # domain 0 is its report on itself
            datagrams.append(message)
    return Stream(tuple(datagrams), tuple(first))


def streams() -> dict[str, Callable[[], Stream]]:
    """Say what is measured, by name."""
    shapes = range(SHAPES)
    return {
        "sflow": lambda: Stream(tuple(sflow(i) for i in shapes)),
        "netflow5": lambda: Stream(tuple(netflow5(i) for i in shapes)),
        "netflow9": lambda: Stream(
            tuple(v9(i + 1, a_set(256, flow_records(i))) for i in shapes),
            (v9(0, a_set(0, template(FLOW_FIELDS))),),
        ),
        "ipfix": lambda: Stream(
            tuple(ipfix(i * RECORDS, a_set(256, flow_records(i))) for i in shapes),
            (ipfix(0, a_set(2, template(FLOW_FIELDS))),),
        ),
        "ipfix_ovs": ovs_ipfix,
    }


def inventory() -> Inventory:
    """One host with all the subjects the datagrams speak of."""
    telemetry = tuple(Telemetry("br-int", p, sampling=400) for p in ("sflow", "ipfix", "netflow5"))
    subjects = tuple(
        Subject(
            f"port-{i}",
            "host",
            f"project-{i % 50}",
            bridge="br-int",
            ifindex=FIRST_IFINDEX + i,
            ofport=FIRST_IFINDEX + i,
        )
        for i in range(SUBJECTS)
    )
    return Inventory(1, (Host("host", ("127.0.0.1",), telemetry),), subjects)


def policies() -> PolicySet:
    """Read the policies that are shipped; those by counters cost a collector nothing."""
    files = sorted((ROOT / "policies").glob("*.toml"))
    found = [parse(file.read_text(), CATALOGUE | METERED, file.name)[0] for file in files]
    return PolicySet(1, tuple(policy for several in found for policy in several))


class Road:
    """What a collector does with a burst, each part of it timed."""

    def __init__(self, tally: Tally) -> None:
        exporters = Exporters()
        known = inventory()
        self.decoder = Decoder(exporters)
        self._resolver = Resolver(ResolveSettings(), known, exporters)
        self._detection = Detection(DetectSettings(), policies())
        self._detection.replace_inventory(known)
        self._tally = tally
        self._due = 0.0

    def take(self, burst: Burst) -> None:
        """Decode, resolve, count, and close the second when it is over."""
        marks = [time.process_time()]
        batch = self.decoder.decode(burst, burst.time)
        marks.append(time.process_time())
        self._resolver.resolve(batch)
        marks.append(time.process_time())
        self._detection.add(batch)
        if burst.time >= self._due:
            self._detection.close(burst.time)
            self._due = burst.time + 1.0
        marks.append(time.process_time())
        self._tally.records += len(batch)
        for stage, (begin, end) in zip(self._tally.stages, pairwise(marks), strict=True):
            self._tally.stages[stage] += end - begin


def run(name: str, datagrams: int, *, alone: bool) -> Tally:
    """Hear `datagrams` of one stream from another process; with `alone` nothing is done with them."""
    tally = Tally()
    receiver = Receiver(ReceiveSettings(ports=(0,)))
    road = None if alone else Road(tally)
    if road:
        hear_first(road, receiver, streams()[name]().first)
    tally.records, tally.stages = 0, dict.fromkeys(tally.stages, 0.0)
    command = [sys.executable, __file__, "--send", name, str(receiver.addresses[0][1]), str(datagrams)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
        heard = receiver.datagrams
        for _ in range(0, datagrams, CHUNK):
            answered(sender)
            before = time.process_time()
            while (burst := receiver.receive(time.time())) is not None:
                if road:
                    road.take(burst)
            tally.seconds += time.process_time() - before
        tally.datagrams = receiver.datagrams - heard
    tally.dropped = datagrams - tally.datagrams
    receiver.close()
    return tally


def answered(sender: subprocess.Popen[bytes]) -> None:
    """Have the next chunk sent, and wait until it is."""
    assert sender.stdin  # noqa: S101 - both are pipes
    assert sender.stdout  # noqa: S101
    sender.stdin.write(b"\n")
    sender.stdin.flush()
    sender.stdout.readline()


def hear_first(road: Road, receiver: Receiver, datagrams: Sequence[bytes]) -> None:
    """Teach the templates before anything is measured."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for datagram in datagrams:
            sock.sendto(datagram, receiver.addresses[0])
    while (burst := receiver.receive(time.time())) is not None:
        road.take(burst)


def send(name: str, port: int, datagrams: int) -> None:
    """Send so many datagrams of a stream, a chunk for each line read, and say when it is out."""
    shapes = streams()[name]().datagrams
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        for begin in range(0, datagrams, CHUNK):
            sys.stdin.readline()
            for i in range(begin, min(begin + CHUNK, datagrams)):
                sock.send(shapes[i % len(shapes)])
            print(flush=True)


def measure(name: str, datagrams: int) -> dict[str, float]:
    """Run a stream through the collector, and through `recvmmsg` alone."""
    tally, limit = run(name, datagrams, alone=False), run(name, datagrams, alone=True)
    each = tally.records / max(tally.datagrams, 1)
    seconds = max(tally.seconds, 1e-9)
    return {
        "records_per_second_per_core": round(tally.records / seconds),
        "records_per_second_recvmmsg_alone": round(limit.datagrams * each / max(limit.seconds, 1e-9)),
        "records": tally.records,
        "datagrams": tally.datagrams,
        "dropped": tally.dropped,
        "cpu_seconds": round(seconds, 4),
        **{f"share_{stage}": round(spent / seconds, 3) for stage, spent in tally.stages.items()},
    }


def show(name: str, told: dict[str, float]) -> None:
    """Print one line for people."""
    rate, limit = told["records_per_second_per_core"], told["records_per_second_recvmmsg_alone"]
    shares = ", ".join(f"{s} {told[f'share_{s}']:.0%}" for s in ("decode", "resolve", "detect"))
    print(f"{name:10} {rate / 1e6:6.2f} M records/s/core   recvmmsg alone {limit / 1e6:6.2f} M   ({shares})")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datagrams", type=int, default=400_000, help="sent for each figure")
    parser.add_argument("--protocols", default=",".join(streams()), help="which, separated by commas")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--send", nargs=3, metavar=("NAME", "PORT", "DATAGRAMS"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.send:
        send(given.send[0], int(given.send[1]), int(given.send[2]))
        return
    keep_freed()
    told = {name: measure(name, given.datagrams) for name in given.protocols.split(",")}
    if given.json:
        print(json.dumps(told))
        return
    for name, figures in told.items():
        show(name, figures)


if __name__ == "__main__":
    main()

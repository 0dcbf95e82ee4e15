"""A real Open vSwitch tells each packet twice and each new connection exactly: we count each once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import numpy as np
import pytest

from sekisho.flows.resolve import Resolver, ResolveSettings
from sekisho.flows.wire.ipfix import Ipfix
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.model.inventory import Host, Inventory, Subject, Telemetry
from sekisho.tables import FlowBatch
from support_ovs import plug
from support_templates import Ear, burst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.lab.ovs import PrivateSwitch

pytestmark = pytest.mark.ovs

PACKETS, CONNECTIONS, DOMAIN, EXACT = 20, 10, 123, 77

# Nobody reads what it hears while the traffic runs: the socket must hold it all.
_LISTEN = """
    import socket
    SO_RCVBUFFORCE = 33
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        listener.bind(("127.0.0.1", 4739))
        print("ready", flush=True)
        while True:
            data, (_, port) = listener.recvfrom(65535)
            print(port, data.hex(), flush=True)
"""
_SERVE = """
    import socket
    with socket.create_server(("", 25)) as server:
        print("ready", flush=True)
        while True:
            server.accept()[0].close()
"""
_SEND = f"""
    import socket
    for _ in range({CONNECTIONS}):
        socket.create_connection(("10.0.0.2", 25), 5).close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        for port in [999] * {PACKETS} + [1000]:
            speaker.sendto(b"x" * 200, ("10.0.0.2", port))
"""


@contextmanager
def running(switch: PrivateSwitch, vm: str, program: str) -> Iterator[IO[bytes]]:
    """Run a program that says when it is ready; gives what it writes from then on."""
    argv = [sys.executable, "-c", textwrap.dedent(program)]
    with switch.popen(vm, argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process.stdout
        finally:
            process.kill()


@pytest.fixture
def told(switch: PrivateSwitch, bridge: str) -> Iterator[IO[bytes]]:
    """Listen from before the bridge exports: templates come at once, and then not for ten minutes."""
    assert bridge
    with running(switch, "", _LISTEN) as told:
        yield told


@pytest.fixture
def inventory(switch: PrivateSwitch, bridge: str, told: IO[bytes]) -> Inventory:
    """Two VMs; the bridge tells all packets, and SMTP connections and replies of the first exactly."""
    assert told.readable()
    subjects = []
    for number in (1, 2):
        vm = plug(switch, number)
        ifindex = int(switch.vsctl("get", "Interface", vm.interface, "ifindex"))
        mac, ofport = f"02:00:00:00:00:{number:02x}", switch.ofport(f"vm{number}")
        subjects.append(
            Subject(f"port-{number}", "h", mac=mac, bridge=bridge, ifindex=ifindex, ofport=ofport)
        )
    target = 'targets="127.0.0.1:4739"'
    switch.vsctl(
        *("--", "--id=@all", "create", "IPFIX", target, "sampling=1", f"obs_domain_id={DOMAIN}"),
        *("--", "set", "Bridge", bridge, "ipfix=@all", "--", "--id=@exact", "create", "IPFIX", target),
        *("--", "--id=@b", "get", "Bridge", bridge),
        *("--", "create", "Flow_Sample_Collector_Set", "id=7", "bridge=@b", "ipfix=@exact"),
    )
    port = subjects[0].ofport
    point = f"obs_domain_id={EXACT},obs_point_id={port}"
    sample = f"sample(probability=65535,collector_set_id=7,{point}),NORMAL"
    for match in (
        f"in_port={port},tcp,tp_dst=25,tcp_flags=+syn-ack",
        f"dl_dst={subjects[0].mac},tcp,tp_src=25,tcp_flags=+syn+ack",
    ):
        switch.ofctl("add-flow", bridge, f"priority=9,{match},actions={sample}")
    telemetry = (Telemetry(bridge, "ipfix", 1, DOMAIN, EXACT),)
    return Inventory(1, (Host("h", ("127.0.0.1",), telemetry),), tuple(subjects))


@pytest.fixture
def heard(switch: PrivateSwitch, inventory: Inventory, told: IO[bytes]) -> list[tuple[int, bytes]]:
    """All messages about the traffic of one run: UDP port and payload."""
    assert inventory.subjects
    with running(switch, "vm2", _SERVE):
        done = switch.run("vm1", [sys.executable, "-c", textwrap.dedent(_SEND)])
        assert done.returncode == 0, done.stderr
        return _until_the_last(told)


def _until_the_last(told: IO[bytes]) -> list[tuple[int, bytes]]:
    """Read until the packet to port 1000 has been told on input and on output."""
    messages: list[tuple[int, bytes]] = []
    watch, last = Ear(Ipfix, DecodeSettings(ovs_directions="both")), 0
    while last < 2:
        port, payload = told.readline().split()
        messages.append((int(port), bytes.fromhex(payload.decode())))
        last += int((watch.hear(messages[-1][1]).dst_port == 1000).sum())
    return messages


def test_each_packet_and_each_connection_counts_once(
    heard: list[tuple[int, bytes]], inventory: Inventory
) -> None:
    ear = Ear(Ipfix)
    resolver = Resolver(ResolveSettings(), inventory, ear.exporters)
    made = burst([m for _, m in heard], address=0x7F000001, ports=[port for port, _ in heard])
    batch = ear.decoder.decode(made, np.arange(made.count), 1.0)
    resolver.resolve(batch)

    packets = batch.take((batch.dst_port == 999) & (batch.protocol == 17))
    assert packets.packets.sum() == PACKETS
    assert packets.sender.tolist() == [0] * PACKETS
    assert packets.receiver.tolist() == [1] * PACKETS
    assert packets.rate.tolist() == [1] * PACKETS

    exact = batch.take(batch.exact)
    assert exact.point.tolist() == [inventory.subjects[0].ofport] * len(exact)
    attempts, replies = exact.dst_port == 25, exact.src_port == 25
    assert _ends(exact.take(attempts)) == [(0, -1)] * CONNECTIONS
    assert _ends(exact.take(replies)) == [(-1, 0)] * CONNECTIONS
    assert len(exact) == 2 * CONNECTIONS
    told = ear.exporters
    assert (told.lost.sum(), told.late.sum(), told.restarted.sum()) == (0, 0, 0)


def _ends(batch: FlowBatch) -> list[tuple[int, int]]:
    return list(zip(batch.sender.tolist(), batch.receiver.tolist(), strict=True))

"""A bridge exports to us, is put right when somebody changes it, and real datagrams arrive."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sekisho.devices.vswitch.ovsdb import Database
from sekisho.devices.vswitch.telemetry import (
    TelemetrySettings,
    converge_telemetry,
    forget_deleted_bridges,
    refresh_templates,
    remove_telemetry,
)
from sekisho.model.errors import Conflict, Malformed, NotFound, Unavailable
from support_ovs import plug

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.lab.ovs import PrivateSwitch

pytestmark = pytest.mark.ovs

SFLOW = TelemetrySettings(sampling=2, polling=1, target="127.0.0.1:6343", agent="lo")
IPFIX = TelemetrySettings(protocol="ipfix", sampling=1, domain=123, target="127.0.0.1:4739")
NETFLOW = TelemetrySettings(protocol="netflow5", domain=0x0203, target="127.0.0.1:2055", active_timeout=1)

_LISTEN = """
    import socket, sys
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", int(sys.argv[1])))
        print("ready", flush=True)
        for _ in range(int(sys.argv[2])):
            print(listener.recv(65535).hex(), flush=True)
"""
_SEND = """
    import socket, sys
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        for _ in range(int(sys.argv[3])):
            speaker.sendto(b"x" * 200, (sys.argv[1], int(sys.argv[2])))
"""
_KNOCK = """
    import socket, sys
    for _ in range(int(sys.argv[3])):
        with socket.socket() as speaker:
            speaker.settimeout(2)
            print(speaker.connect_ex((sys.argv[1], int(sys.argv[2]))))
"""


@pytest.fixture
def database(switch: PrivateSwitch, bridge: str) -> Iterator[Database]:
    with Database(f"{switch.folder}/db.sock", "host7") as database:
        assert bridge == "br0"
        database.subjects()
        yield database
        remove_telemetry(database, "br0")


class Listener:
    """A UDP socket inside the switch's namespace."""

    def __init__(self, switch: PrivateSwitch, port: int) -> None:
        words = [sys.executable, "-c", textwrap.dedent(_LISTEN), str(port), "100000"]
        self._process = switch.popen("", words, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._out = self._process.stdout
        assert self._out.readline() == b"ready\n"

    def hear(self) -> bytes:
        return bytes.fromhex(self._out.readline().decode())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._out.close()


@pytest.fixture
def listen(switch: PrivateSwitch, request: pytest.FixtureRequest) -> Iterator[Listener]:
    listener = Listener(switch, request.param)
    yield listener
    listener.close()


def _get(switch: PrivateSwitch, table: str, record: str, column: str) -> str:
    return switch.vsctl("get", table, record, column).strip()


def _slot(switch: PrivateSwitch, column: str) -> str:
    return _get(switch, "Bridge", "br0", column)


@pytest.mark.parametrize(("settings", "column"), [(SFLOW, "sflow"), (IPFIX, "ipfix"), (NETFLOW, "netflow")])
def test_a_second_run_changes_nothing(
    switch: PrivateSwitch, database: Database, settings: TelemetrySettings, column: str
) -> None:
    settings = replace(settings, exact_domain=77)
    assert converge_telemetry(database, "br0", settings)
    row = _slot(switch, column)
    assert not converge_telemetry(database, "br0", settings)
    assert _slot(switch, column) == row != "[]"


def test_another_protocol_or_rate_takes_the_place_of_the_old(
    switch: PrivateSwitch, database: Database
) -> None:
    converge_telemetry(database, "br0", SFLOW)
    row = _slot(switch, "sflow")
    assert converge_telemetry(database, "br0", replace(SFLOW, sampling=64))
    assert _slot(switch, "sflow") == row
    assert _get(switch, "sFlow", row, "sampling") == "64"
    assert converge_telemetry(database, "br0", IPFIX)
    assert _slot(switch, "sflow") == "[]"
    assert _slot(switch, "ipfix") != "[]"


@pytest.mark.parametrize(
    "harm",
    [
        ("set", "sFlow", "{row}", "sampling=9999"),
        ("set", "sFlow", "{row}", 'targets="192.0.2.1:1"'),
        ("set", "sFlow", "{row}", "external_ids={}"),
        ("clear", "Bridge", "br0", "sflow"),
        (
            "--",
            "--id=@new",
            "create",
            "sFlow",
            'targets="192.0.2.1:1"',
            "--",
            "set",
            "Bridge",
            "br0",
            "sflow=@new",
        ),
    ],
)
def test_what_somebody_changes_is_put_right(
    switch: PrivateSwitch, database: Database, harm: tuple[str, ...]
) -> None:
    converge_telemetry(database, "br0", SFLOW)
    row = _slot(switch, "sflow")
    switch.vsctl(*(word.format(row=row) if "{row}" in word else word for word in harm))
    database.write(lambda _: None)
    assert converge_telemetry(database, "br0", SFLOW)
    row = _slot(switch, "sflow")
    assert _get(switch, "sFlow", row, "sampling") == "2"
    assert _get(switch, "sFlow", row, "targets") == '["127.0.0.1:6343"]'
    assert not converge_telemetry(database, "br0", SFLOW)


def test_what_somebody_else_set_up_first_is_left_alone(switch: PrivateSwitch, database: Database) -> None:
    switch.vsctl(
        "--", "--id=@s", "create", "sFlow", 'targets="192.0.2.1:1"', "--", "set", "Bridge", "br0", "sflow=@s"
    )
    theirs = _slot(switch, "sflow")
    with pytest.raises(Conflict, match="br0"):
        converge_telemetry(database, "br0", SFLOW)
    assert converge_telemetry(database, "br0", IPFIX)
    assert remove_telemetry(database, "br0")
    assert _slot(switch, "sflow") == theirs
    assert _get(switch, "sFlow", theirs, "targets") == '["192.0.2.1:1"]'


def test_somebody_elses_collector_set_is_left_alone(switch: PrivateSwitch, database: Database) -> None:
    bridge = _slot(switch, "_uuid")
    switch.vsctl("create", "Flow_Sample_Collector_Set", "id=5", f"bridge={bridge}")
    with pytest.raises(Conflict, match="5"):
        converge_telemetry(database, "br0", replace(SFLOW, exact_domain=77, collector_set=5))
    assert _slot(switch, "sflow") == "[]"
    assert converge_telemetry(database, "br0", replace(SFLOW, exact_domain=77))
    remove_telemetry(database, "br0")
    (row,) = switch.vsctl("--columns=_uuid", "--bare", "list", "Flow_Sample_Collector_Set").split()
    assert _get(switch, "Flow_Sample_Collector_Set", row, "id") == "5"
    switch.vsctl("destroy", "Flow_Sample_Collector_Set", row)


def test_removal_leaves_nothing_and_says_when_there_was_nothing(
    switch: PrivateSwitch, database: Database
) -> None:
    converge_telemetry(database, "br0", replace(IPFIX, exact_domain=77))
    assert remove_telemetry(database, "br0")
    assert [switch.vsctl("list", t) for t in ("sFlow", "IPFIX", "Flow_Sample_Collector_Set")] == [""] * 3
    assert _slot(switch, "external_ids") == "{}"
    assert not remove_telemetry(database, "br0")


def test_a_deleted_bridge_is_let_go_so_that_its_name_can_be_used_again(
    switch: PrivateSwitch, database: Database
) -> None:
    converge_telemetry(database, "br0", replace(IPFIX, exact_domain=77))
    switch.delete_bridge("br0")
    database.write(lambda _: None)
    assert forget_deleted_bridges(database)
    assert switch.vsctl("--columns=name", "--bare", "list", "Bridge") == ""
    assert not forget_deleted_bridges(database)
    switch.add_bridge("br0")
    assert converge_telemetry(database, "br0", IPFIX)


def test_an_unknown_bridge_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound, match="br9"):
        converge_telemetry(database, "br9", SFLOW)
    assert not remove_telemetry(database, "br9")


@pytest.mark.parametrize("wrong", [{"protocol": "netflow9"}, {"sampling": 0}])
def test_wrong_settings_are_malformed(wrong: dict[str, object]) -> None:
    with pytest.raises(Malformed, match="telemetry"):
        replace(SFLOW, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("listen", [6343], indirect=True)
def test_sflow_arrives_with_its_agent_and_the_interfaces(
    switch: PrivateSwitch, database: Database, listen: Listener
) -> None:
    one, _ = plug(switch, 1), plug(switch, 2)
    converge_telemetry(database, "br0", SFLOW)
    switch.run(one.name, [sys.executable, "-c", textwrap.dedent(_SEND), "10.0.0.2", "9", "200"])
    datagram = listen.hear()
    # sFlow v5: version, address type, agent address (sFlow v5 specification, section 5).
    assert datagram[:12] == bytes.fromhex("0000000500000001") + socket.inet_aton("127.0.0.1")


@pytest.mark.parametrize("listen", [2055], indirect=True)
def test_netflow5_arrives_with_its_engine(
    switch: PrivateSwitch, database: Database, listen: Listener
) -> None:
    one, _ = plug(switch, 1), plug(switch, 2)
    converge_telemetry(database, "br0", NETFLOW)
    switch.run(one.name, [sys.executable, "-c", textwrap.dedent(_SEND), "10.0.0.2", "9", "5"])
    datagram = listen.hear()
    assert datagram[:2] == bytes.fromhex("0005")
    assert datagram[20:22] == bytes.fromhex("0203")


def _record_to_vm2(message: bytes) -> bool:
    # Open vSwitch tells of its own exporting process too, in observation domain 0.
    return not _is_template(message) and socket.inet_aton("10.0.0.2") in message


def _domain(message: bytes) -> int:
    # IPFIX message header: version, length, export time, sequence, observation domain (RFC 7011 3.1).
    assert message[:2] == bytes.fromhex("000a")
    return int.from_bytes(message[12:16], "big")


def _is_template(message: bytes) -> bool:
    return int.from_bytes(message[16:18], "big") in (2, 3)


@pytest.mark.parametrize("listen", [4739], indirect=True)
def test_exact_telemetry_sends_one_record_for_each_new_connection(
    switch: PrivateSwitch, database: Database, listen: Listener
) -> None:
    one, _ = plug(switch, 1), plug(switch, 2)
    converge_telemetry(
        database, "br0", replace(SFLOW, sampling=100000, exact_domain=77, exact_target="127.0.0.1:4739")
    )
    sample = (
        f"sample(probability=65535,collector_set_id={SFLOW.collector_set},obs_domain_id=77,obs_point_id=9)"
    )
    match = f"priority=9,tcp,in_port={switch.ofport('vm1')},tp_dst=25,tcp_flags=+syn-ack"
    switch.ofctl("add-flow", "br0", f"{match},actions={sample},NORMAL")
    switch.run(one.name, [sys.executable, "-c", textwrap.dedent(_KNOCK), "10.0.0.2", "25", "20"])
    records = 0
    while records < 20:
        message = listen.hear()
        assert _domain(message) in (0, 77)
        records += _record_to_vm2(message)
    # The switch adds up what its datapath forwarded at its leisure, or now.
    switch.appctl("revalidator/purge")
    counted = switch.ofctl("dump-flows", "br0", "tcp,tp_dst=25")
    assert "n_packets=20," in counted


@pytest.mark.parametrize("listen", [4739], indirect=True)
def test_templates_come_again_when_asked_for(
    switch: PrivateSwitch, database: Database, listen: Listener
) -> None:
    one, _ = plug(switch, 1), plug(switch, 2)
    converge_telemetry(database, "br0", IPFIX)
    database.settle()
    assert _templates_before_the_next_packet(switch, listen, one.name, 0xABCD)
    assert not _templates_before_the_next_packet(switch, listen, one.name, 0xBCDE)
    for port in (0xCDEF, 0xDEFA):
        refresh_templates(database, "br0", IPFIX)
        database.settle()
        assert _templates_before_the_next_packet(switch, listen, one.name, port)


def test_templates_asked_for_while_the_switch_is_away_leave_telemetry_in_place(
    switch: PrivateSwitch, database: Database
) -> None:
    converge_telemetry(database, "br0", replace(IPFIX, exact_domain=77))
    switch.stop_vswitchd()
    with pytest.raises(Unavailable):
        refresh_templates(database, "br0", replace(IPFIX, exact_domain=77), timeout=0.2)
    assert not converge_telemetry(database, "br0", replace(IPFIX, exact_domain=77))
    switch.start_vswitchd()
    database.settle()


def _templates_before_the_next_packet(switch: PrivateSwitch, listen: Listener, vm: str, port: int) -> bool:
    switch.run(vm, [sys.executable, "-c", textwrap.dedent(_SEND), "10.0.0.2", str(port), "1"])
    templates = False
    while True:
        message = listen.hear()
        templates |= _is_template(message)
        # ARP's records hold the address too; a port of its own tells this packet from those before it.
        if _record_to_vm2(message) and port.to_bytes(2) in message and _domain(message) == 123:
            return templates

"""IPFIX sequence numbers, and Open vSwitch: its real datagrams and others made from its own templates."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from sekisho.flows.wire.ipfix import Ipfix
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.tables import V4_MAPPED, FlowBatch
from support_templates import FLOW, Ear, a_set, captured, flow, ipfix, template

CAPTURE = captured("ovs31-ipfix.pcap")
DEFINITIONS, RECORDS = CAPTURE[:20], CAPTURE[20:]
DEFINE = a_set(2, template(256, FLOW))
ONE, TWO = 0x3EFB7396EB25, 0x4EF1FF03D30C


@pytest.fixture
def ear() -> Ear:
    return Ear(Ipfix)


def as_input(message: bytes) -> bytes:
    """Say of an output record that it is an input one, as the switch sends before it.

    Its first fields are the point (4 octets) and the direction (1).
    """
    return message[:24] + b"\x00" + message[25:]


def test_a_count_that_no_link_carries_is_left_out(ear: Ear) -> None:
    records = flow(), flow(counts=(2**63, 3)), flow(counts=(1500, 2**64 - 1)), flow()
    batch = ear.hear(ipfix(DEFINE, a_set(256, b"".join(records))))
    assert batch.bytes.tolist() == [1500, 1500]
    assert ear.count("record_implausible") == 2


class TestOpenVSwitch:
    def test_the_capture(self, ear: Ear) -> None:
        batch = ear.hear(*CAPTURE)
        assert len(batch) == 9
        assert batch.in_if.tolist() == [10, 10, 11, 11, 10, 10, 11, 11, 10]
        assert batch.out_if.tolist() == [11, 11, 10, 10, 11, 11, 10, 10, 11]
        assert batch.point.tolist() == [45] * 9
        assert batch.protocol.tolist() == [6] * 7 + [1] * 2
        assert batch.src_mac[:3].tolist() == [ONE, ONE, TWO]
        assert batch.dst_mac[:3].tolist() == [TWO, TWO, ONE]
        assert batch.src_lo[0] == V4_MAPPED | 0x0A4D0001
        assert batch.src_port[:2].tolist() == [45922, 45934]
        assert batch.dst_port.tolist()[-2:] == [0, 0x0800]  # echo reply, echo request

    def test_counts_are_the_deltas_as_they_stand(self, ear: Ear) -> None:
        """Sampled 1:8, and scaled by the switch already; the exporter's totals stand beside them."""
        batch = ear.hear(*CAPTURE)
        assert batch.packets[:2].tolist() == [8, 496]
        assert batch.bytes[:2].tolist() == [448, 744000]
        assert (batch.packets % 8 == 0).all()
        assert batch.rate.tolist() == [0] * 9

    def test_its_totals_never_stand_in_for_counts(self, ear: Ear) -> None:
        fields = ((138, 4), (61, 1), (56, 6), (80, 6), (256, 2), (240, 1), (85, 8), (86, 8))
        record = bytes(20) + struct.pack(">QQ", 10**12, 10**9)
        batch = ear.hear(ipfix(a_set(2, template(300, fields)), a_set(300, record)))
        assert (batch.bytes.tolist(), batch.packets.tolist()) == ([0], [1])

    def test_no_flags_are_told(self, ear: Ear) -> None:
        assert not ear.hear(*CAPTURE).tcp_flags.any()

    def test_interface_names_of_any_length_stand_twice_in_an_output_record(self, ear: Ear) -> None:
        name = b"\x04tap1\x00"
        assert RECORDS[0].count(name) == 1
        ear.hear(*DEFINITIONS)
        renamed = [
            ipfix(a_set(281, RECORDS[0][20:].replace(name, bytes([n]) + b"v" * n + b"\x00")), domain=123)
            for n in (0, 1, 14, 60, 254)
        ]
        long = RECORDS[0][20:].replace(name, b"\xff\x01\x00" + b"v" * 256 + b"\x02ab")
        batch = ear.hear(*renamed, ipfix(a_set(281, long), domain=123))
        assert len(batch) == 6
        assert batch.out_if.tolist() == [11] * 6
        assert batch.dst_port.tolist() == [5201] * 6
        assert batch.packets.tolist() == [8] * 6

    def test_all_its_templates_are_taken(self, ear: Ear) -> None:
        ear.hear(*DEFINITIONS)
        assert len(ear.decoder._records.templates) > 40
        assert set(ear.decoder.counters.totals()) == {"datagrams", "records", "options_records"}

    def test_data_waits_for_templates_that_come_late(self, ear: Ear) -> None:
        assert len(ear.hear(*RECORDS, now=1.0)) == 0
        assert len(ear.hear(*DEFINITIONS, now=9.0)) == 9

    @pytest.mark.parametrize(("setting", "kept"), [("auto", 9), ("input", 9), ("output", 9), ("both", 18)])
    def test_input_and_output_records_of_a_packet_count_once(self, setting: str, kept: int) -> None:
        ear = Ear(Ipfix, DecodeSettings(ovs_directions=setting))  # type: ignore[arg-type] # parametrised
        ear.hear(*DEFINITIONS)
        both = [m for record in RECORDS for m in (as_input(record), record)]
        assert len(ear.hear(*both)) == kept
        assert ear.count("ovs_other_direction") == 18 - kept

    def test_a_switch_that_samples_one_direction_alone_is_heard(self, ear: Ear) -> None:
        ear.hear(*DEFINITIONS)
        assert len(ear.hear(*[as_input(r) for r in RECORDS])) == 9
        other = Ear(Ipfix)
        assert len(other.hear(*CAPTURE)) == 9

    def test_auto_is_told_apart_by_exporter_and_time(self, ear: Ear) -> None:
        def hear(*messages: bytes, domain: int, now: float) -> FlowBatch:
            return ear.hear(*[m[:12] + struct.pack(">I", domain) + m[16:] for m in messages], now=now)

        for domain in (1, 2):
            hear(*DEFINITIONS[:18], domain=domain, now=0.0)
        hear(as_input(RECORDS[0]), domain=1, now=0.0)
        assert [len(hear(RECORDS[0], domain=d, now=1.0)) for d in (1, 2)] == [0, 1]
        for now in range(50, 601, 50):
            assert len(hear(RECORDS[0], domain=1, now=float(now))) == 0
        assert len(hear(RECORDS[0], domain=1, now=650.0)) == 1

    def test_other_exporters_directions_are_left_alone(self, ear: Ear) -> None:
        define = a_set(2, template(300, ((61, 1), (1, 4))))
        rows = b"".join(struct.pack(">BI", d, 10) for d in (0, 1))
        assert len(ear.hear(ipfix(define, a_set(300, rows)))) == 2


class TestSequence:
    def test_counts_data_records_of_the_domain(self, ear: Ear) -> None:
        ear.hear(ipfix(DEFINE, sequence=100))
        ear.hear(ipfix(a_set(256, flow() * 3), a_set(256, flow()), sequence=100))
        ear.hear(ipfix(a_set(256, flow() * 2), sequence=104), ipfix(a_set(256, flow()), sequence=1, domain=2))
        ear.hear(ipfix(a_set(256, flow()), sequence=109))
        assert ear.exporters.lost.tolist()[:2] == [3, 0]
        assert ear.exporters.records[0] == 7

    def test_options_records_count_too(self, ear: Ear) -> None:
        told = a_set(3, struct.pack(">HHH", 500, 2, 1) + b"\x00\x90\x00\x04\x00\x22\x00\x04")
        ear.hear(ipfix(DEFINE, told, a_set(500, bytes(16)), a_set(256, flow()), sequence=0))
        ear.hear(ipfix(a_set(256, flow()), sequence=3))
        assert ear.exporters.lost[0] == 0

    def test_unknown_templates_are_no_loss(self, ear: Ear) -> None:
        ear.hear(ipfix(DEFINE, sequence=0))
        ear.hear(ipfix(a_set(900, bytes(90)), sequence=0), ipfix(a_set(256, flow()), sequence=9))
        ear.hear(ipfix(a_set(900, bytes(90)), sequence=10))
        ear.hear(ipfix(a_set(256, flow()), sequence=20))
        assert ear.exporters.lost[0] == 0
        ear.hear(ipfix(a_set(256, flow()), sequence=22))
        assert ear.exporters.lost[0] == 1

    def test_what_a_cut_message_had_beyond_its_end_is_no_loss(self, ear: Ear) -> None:
        ear.hear(ipfix(DEFINE, sequence=0))
        two = ipfix(a_set(256, flow()), a_set(256, flow()), sequence=0)
        ear.hear(two[: -len(flow())])
        assert ear.count("records") == 1
        ear.hear(ipfix(a_set(256, flow()), sequence=2))
        assert ear.exporters.lost[0] == 0
        ear.hear(ipfix(a_set(256, flow()), sequence=4))
        assert ear.exporters.lost[0] == 1

    def test_the_capture_has_no_loss_though_domain_0_moves_its_counter(self, ear: Ear) -> None:
        for message in CAPTURE:
            ear.hear(message)
        assert ear.exporters.lost.sum() + ear.exporters.late.sum() + ear.exporters.restarted.sum() == 0

    def test_a_lost_record_of_the_capture_is_missed(self, ear: Ear) -> None:
        ear.hear(*CAPTURE[:22], *CAPTURE[23:])
        assert ear.exporters.lost.sum() == 1

    def test_two_exporting_processes_of_one_switch(self, ear: Ear) -> None:
        """The bridge's sampling and its exact telemetry number apart, but both report in domain 0."""

        def exact(message: bytes, ahead: int) -> bytes:
            sequence, domain = struct.unpack_from(">II", message, 8)
            written = struct.pack(">II", sequence + ahead, 7 if domain else 0)
            return message[:8] + written + message[16:]

        pairs = [(m, exact(m, 5000)) for m in CAPTURE]
        ear.hear(*[m for pair in pairs for m in pair], ports=[40000, 40001] * len(pairs))
        assert np.array_equal(np.unique(ear.exporters.domain[: ear.exporters.count]), [0, 7, 123])
        assert ear.exporters.lost.sum() + ear.exporters.late.sum() + ear.exporters.restarted.sum() == 0

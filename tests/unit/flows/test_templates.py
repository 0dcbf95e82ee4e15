"""What NetFlow v9 and IPFIX share: templates, data before them, sampling rates, caps. Told in IPFIX."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from sekisho.flows.wire.ipfix import Ipfix
from sekisho.flows.wire.protocol import DecodeSettings
from sekisho.tables import FLAGS_KNOWN, V4_MAPPED
from support_templates import FLOW, VAR, Ear, a_set, flow, ipfix, ipfix_options, template, variable

DEFINE = a_set(2, template(256, FLOW))


@pytest.fixture
def ear() -> Ear:
    return Ear(Ipfix)


def data(*records: bytes, ident: int = 256, padding: int = 0) -> bytes:
    return a_set(ident, b"".join(records) + bytes(padding))


class TestRecords:
    def test_every_column_of_a_flow(self, ear: Ear) -> None:
        batch = ear.hear(ipfix(DEFINE, data(flow(), flow(ports=(5, 6)))), now=7.0)
        assert batch.src_lo.tolist() == [V4_MAPPED | 0x0A000001] * 2
        assert batch.dst_lo.tolist() == [V4_MAPPED | 0x08080808] * 2
        assert (batch.src_port.tolist(), batch.dst_port.tolist()) == ([1234, 5], [25, 6])
        assert (batch.in_if.tolist(), batch.out_if.tolist()) == ([1, 1], [2, 2])
        assert (batch.packets.tolist(), batch.bytes.tolist()) == ([3, 3], [1500, 1500])
        assert batch.tcp_flags.tolist() == [FLAGS_KNOWN | 2] * 2
        assert batch.time.tolist() == [7, 7]
        assert batch.ip_version.tolist() == [4, 4]
        assert batch.rate.tolist() == [0, 0]

    def test_several_sets_and_padding(self, ear: Ear) -> None:
        batch = ear.hear(ipfix(DEFINE, data(flow(ports=(1, 1)), padding=3), data(flow(ports=(2, 2)))))
        assert batch.src_port.tolist() == [1, 2]
        assert set(ear.decoder.counters.totals()) == {"datagrams", "records"}

    def test_exporters_with_the_same_template_are_told_apart(self, ear: Ear) -> None:
        one, two = (ipfix(DEFINE, data(flow(ports=(d, 0))), domain=d) for d in (1, 2))
        batch = ear.hear(one, two)
        domains = ear.exporters.domain[batch.exporter]
        assert domains.tolist() == batch.src_port.tolist()

    def test_a_template_belongs_to_its_domain(self, ear: Ear) -> None:
        ear.hear(ipfix(DEFINE, domain=1))
        assert len(ear.hear(ipfix(data(flow()), domain=2))) == 0
        assert len(ear.hear(ipfix(data(flow()), domain=1))) == 1

    def test_reduced_size_numbers(self, ear: Ear) -> None:
        fields = ((1, 3), (2, 2), (7, 1), (10, 2), (56, 6), (4, 1))
        record = b"\x01\x00\x02" + b"\x01\x01" + b"\x35" + b"\x12\x34" + b"\x02\x00\x00\x00\x00\x07" + b"\x11"
        batch = ear.hear(ipfix(a_set(2, template(300, fields)), data(record, ident=300)))
        assert (batch.bytes[0], batch.packets[0]) == (0x010002, 0x0101)
        assert (batch.src_port[0], batch.in_if[0], batch.src_mac[0]) == (0x35, 0x1234, 0x020000000007)

    def test_a_field_wider_than_its_element_has_its_value_at_the_end(self, ear: Ear) -> None:
        record = bytes(8) + b"\x30\x39" + bytes(4) + struct.pack(">Q", 77)
        batch = ear.hear(ipfix(a_set(2, template(300, ((7, 10), (1, 12)))), data(record, ident=300)))
        assert (batch.src_port.tolist(), batch.bytes.tolist()) == ([12345], [77])

    def test_ipv6(self, ear: Ear) -> None:
        fields = ((27, 16), (28, 16), (4, 1))
        record = bytes.fromhex("20010db8000000000000000000000001" + "20010db8000000010000000000000002" + "06")
        batch = ear.hear(ipfix(a_set(2, template(300, fields)), data(record, ident=300)))
        assert (batch.src_hi[0], batch.src_lo[0]) == (0x20010DB800000000, 1)
        assert (batch.dst_hi[0], batch.dst_lo[0]) == (0x20010DB800000001, 2)
        assert batch.ip_version[0] == 6

    def test_both_families_in_one_template(self, ear: Ear) -> None:
        fields = ((8, 4), (12, 4), (27, 16), (28, 16))
        v4 = struct.pack(">II", 1, 2) + bytes(32)
        v6 = bytes(8) + bytes(15) + b"\x09" + bytes(15) + b"\x08"
        batch = ear.hear(ipfix(a_set(2, template(300, fields)), data(v4, v6, ident=300)))
        assert batch.ip_version.tolist() == [4, 6]
        assert batch.src_lo.tolist() == [V4_MAPPED | 1, 9]

    @pytest.mark.parametrize(
        ("fields", "record"),
        [
            (((4, 1), (32, 2)), b"\x01\x08\x00"),
            (((4, 1), (176, 1), (177, 1)), b"\x01\x08\x00"),
            (((4, 1), (11, 2), (32, 2)), b"\x01\x08\x00\x00\x00"),
        ],
    )
    def test_icmp_type_and_code_stand_where_the_port_would(
        self, ear: Ear, fields: tuple[tuple[int, int], ...], record: bytes
    ) -> None:
        batch = ear.hear(ipfix(a_set(2, template(300, fields)), data(record, ident=300)))
        assert batch.dst_port.tolist() == [0x0800]

    def test_totals_only_where_there_is_no_delta(self, ear: Ear) -> None:
        both = a_set(2, template(300, ((85, 4), (86, 4), (1, 4), (2, 4))))
        only = a_set(2, template(301, ((85, 4), (86, 4))))
        numbers = struct.pack(">IIII", 900, 90, 10, 1)
        batch = ear.hear(ipfix(both, data(numbers, ident=300), only, data(numbers[:8], ident=301)))
        assert batch.bytes.tolist() == [10, 900]
        assert batch.packets.tolist() == [1, 90]

    def test_a_record_without_counts_is_one_packet(self, ear: Ear) -> None:
        batch = ear.hear(ipfix(a_set(2, template(300, ((4, 1),))), data(b"\x06", ident=300)))
        assert batch.packets.tolist() == [1]


class TestVariableLength:
    FIELDS = ((7, 2), (82, VAR), (11, 2), (83, VAR), (10, 4))

    def record(self, name: bytes, *, long: bool = False, port: int = 1) -> bytes:
        head = struct.pack(">H", port) + variable(name, long=long) + struct.pack(">H", port + 1)
        return head + variable(b"about") + struct.pack(">I", port + 2)

    def test_records_of_every_length_in_one_set(self, ear: Ear) -> None:
        records = [self.record(b"x" * n, port=n, long=n % 2 == 0) for n in (0, 1, 7, 254, 255, 300)]
        batch = ear.hear(ipfix(a_set(2, template(300, self.FIELDS)), data(*records, ident=300, padding=2)))
        assert sorted(batch.src_port.tolist()) == [0, 1, 7, 254, 255, 300]
        assert (batch.dst_port == batch.src_port + 1).all()
        assert (batch.in_if == batch.src_port.astype(np.uint32) + 2).all()

    def test_many_messages_advance_together(self, ear: Ear) -> None:
        ear.hear(ipfix(a_set(2, template(300, self.FIELDS))))
        messages = [
            ipfix(data(*[self.record(b"y" * (i + k), port=i) for k in range(i % 4)], ident=300))
            for i in range(40)
        ]
        batch = ear.hear(*messages)
        wanted = sorted(i for i in range(40) for _ in range(i % 4))
        assert sorted(batch.src_port.tolist()) == wanted

    @pytest.mark.parametrize("lie", [b"\xfe", b"\xff\xff\xff", b"\xff\x00\xff"])
    def test_a_length_beyond_the_set_costs_that_set_only(self, ear: Ear, lie: bytes) -> None:
        bad = struct.pack(">H", 9) + lie + bytes(12)
        ear.hear(ipfix(a_set(2, template(300, self.FIELDS))))
        batch = ear.hear(ipfix(data(bad, ident=300), data(self.record(b"ok", port=4), ident=300)))
        assert batch.src_port.tolist() == [4]
        assert ear.count("record_cut") == 1

    def test_enterprise_elements_are_passed_over(self, ear: Ear) -> None:
        # 6876 is VMware's, which Open vSwitch uses; 29305 marks the reverse direction (RFC 5103).
        fields = ((7, 2, 6876), (1, 8, 29305), (898, VAR, 6876), (7, 2), (1, 8))
        record = struct.pack(">HQ", 111, 222) + variable(b"host7") + struct.pack(">HQ", 3, 4)
        batch = ear.hear(ipfix(a_set(2, template(300, fields)), data(record, ident=300)))
        assert (batch.src_port.tolist(), batch.bytes.tolist()) == ([3], [4])


class TestLifeOfATemplate:
    SWAPPED = a_set(2, template(256, (*FLOW[:2], FLOW[3], FLOW[2], *FLOW[4:])))

    def test_redefined_between_two_sets_of_one_message(self, ear: Ear) -> None:
        batch = ear.hear(ipfix(DEFINE, data(flow()), self.SWAPPED, data(flow()), DEFINE, data(flow())))
        assert sorted(batch.src_port.tolist()) == [25, 1234, 1234]

    def test_redefined_later(self, ear: Ear) -> None:
        ear.hear(ipfix(DEFINE))
        ear.hear(ipfix(self.SWAPPED))
        assert ear.hear(ipfix(data(flow()))).src_port.tolist() == [25]

    @pytest.mark.parametrize("withdrawal", [template(256, ()), template(2, ())])
    def test_withdrawn(self, ear: Ear, withdrawal: bytes) -> None:
        batch = ear.hear(ipfix(DEFINE, data(flow()), a_set(2, withdrawal), data(flow())))
        assert len(batch) == 1
        assert ear.count("template_withdrawn") == 1
        assert ear.count("no_template_held") == 1

    def test_all_options_withdrawn_leaves_the_flow_templates(self, ear: Ear) -> None:
        ear.hear(ipfix(DEFINE, a_set(3, template(3, ()))))
        assert len(ear.hear(ipfix(data(flow())))) == 1

    def test_expires_unless_sent_again(self) -> None:
        ear = Ear(Ipfix, DecodeSettings(template_idle=100))
        ear.hear(ipfix(DEFINE), now=0)
        for now in range(0, 240, 40):
            ear.hear(ipfix(DEFINE), now=now)
            assert len(ear.hear(ipfix(data(flow())), now=now)) == 1
        assert [len(ear.hear(ipfix(data(flow())), now=now)) for now in (290, 340)] == [1, 0]
        assert ear.count("template_expired") == 1

    def test_a_refused_definition_is_complained_about_each_time_though_its_id_is_known(self) -> None:
        ear = Ear(Ipfix, DecodeSettings(template_idle=600))
        both = a_set(2, template(256, FLOW) + template(257, ((1, 0), (2, 0))))  # fields of no octets
        other = a_set(2, template(257, FLOW[:4]))
        ear.hear(ipfix(both, other), now=1000.0)
        ear.hear(ipfix(other, both), now=1000.0)
        for minute in range(1, 21):
            ear.hear(ipfix(both), now=1000.0 + 60 * minute)
        assert ear.count("template_size") == 22
        assert ear.count("template_expired") == 1

    def test_a_clock_that_jumps_forgets_nothing(self) -> None:
        ear = Ear(Ipfix, DecodeSettings(template_idle=100))
        ear.hear(ipfix(DEFINE), now=0)
        assert [len(ear.hear(ipfix(data(flow())), now=now)) for now in (1e6, 5.0)] == [1, 1]

    def test_another_exporter_in_the_same_row_starts_with_nothing(self, ear: Ear) -> None:
        ear.hear(ipfix(DEFINE, data(flow())))
        ear.exporters.generation[0] = 99
        assert len(ear.hear(ipfix(data(flow())))) == 0

    def test_another_exporter_in_the_same_row_is_not_given_what_waited_for_the_former(self, ear: Ear) -> None:
        ear.hear(ipfix(data(flow())))
        assert ear.decoder._records.held.octets > 0
        ear.exporters.generation[0] = 99
        assert len(ear.hear(ipfix(DEFINE))) == 0
        assert ear.decoder._records.held.octets == 0


class TestDataBeforeItsTemplate:
    def test_decoded_when_the_template_comes(self, ear: Ear) -> None:
        assert len(ear.hear(ipfix(data(flow(ports=(7, 7)))), now=1.0)) == 0
        batch = ear.hear(ipfix(DEFINE), now=3.0)
        assert (batch.src_port.tolist(), batch.time.tolist()) == ([7], [1.0])
        assert ear.count("no_template_released") == 1
        assert len(ear.hear(ipfix(DEFINE), now=4.0)) == 0
        assert ear.decoder._records.held.octets == 0

    def test_in_the_same_burst(self, ear: Ear) -> None:
        assert len(ear.hear(ipfix(data(flow(), flow())), ipfix(DEFINE), ipfix(data(flow())))) == 3

    def test_not_for_another_exporter(self, ear: Ear) -> None:
        ear.hear(ipfix(data(flow()), domain=1))
        assert len(ear.hear(ipfix(DEFINE, domain=2))) == 0

    def test_only_for_a_while(self) -> None:
        ear = Ear(Ipfix, DecodeSettings(hold_seconds=10))
        ear.hear(ipfix(data(flow())), now=0.0)
        ear.hear(ipfix(data(flow())), now=5.0)
        assert len(ear.hear(ipfix(DEFINE), now=12.0)) == 1
        assert ear.count("no_template_dropped") == 1

    def test_within_bytes_of_one_exporter_and_of_all(self) -> None:
        big = data(bytes(1000), ident=999)
        ear = Ear(Ipfix, DecodeSettings(hold_bytes_per_exporter=5000, hold_bytes=12000))
        for _ in range(10):
            ear.hear(*[ipfix(big, domain=d) for d in (1, 2, 3, 4)])
        held = ear.decoder._records.held
        assert held._of_row.max() <= 5000
        assert held.octets <= 12000
        assert ear.count("no_template_held") + ear.count("no_template_dropped") == 40

    def test_memory_comes_back(self, ear: Ear) -> None:
        for now in range(100):
            ear.hear(ipfix(data(flow())), now=float(now))
        ear.hear(now=200.0)
        assert ear.decoder._records.held.octets == 0


class TestSampling:
    """Rates told by options data, each applied to the records it is meant for."""

    PLAIN = a_set(2, template(400, ((7, 2), (10, 4), (14, 4), (1, 4), (2, 4))))
    SELECTED = a_set(2, template(401, ((302, 8), (1, 4), (2, 4))))
    OWN = a_set(2, template(402, ((34, 4), (1, 4), (2, 4))))

    def plain(self, in_if: int = 0, out_if: int = 0) -> bytes:
        return data(struct.pack(">HIIII", 1, in_if, out_if, 100, 1), ident=400)

    def told(
        self, scope: tuple[int, int], value: int, fields: tuple[tuple[int, int], ...], raw: bytes
    ) -> bytes:
        record = value.to_bytes(scope[1]) + raw
        return a_set(3, ipfix_options(500, (scope,), fields)) + data(record, ident=500)

    def test_exporter_wide_scales_counts(self, ear: Ear) -> None:
        told = self.told((144, 4), 1, ((34, 4),), struct.pack(">I", 100))
        batch = ear.hear(ipfix(self.PLAIN, told, self.plain()))
        assert (batch.rate.tolist(), batch.packets.tolist(), batch.bytes.tolist()) == ([100], [100], [10000])
        assert len(ear.hear(ipfix(self.PLAIN, self.plain(), domain=9)).rate.nonzero()[0]) == 0

    @pytest.mark.parametrize(
        ("fields", "raw", "rate"),
        [
            (((50, 4),), struct.pack(">I", 64), 64),
            (((305, 4), (306, 4)), struct.pack(">II", 1, 99), 100),
            (((305, 4), (306, 4)), struct.pack(">II", 2, 98), 50),
            (((305, 4),), struct.pack(">I", 512), 512),
            (((309, 4), (310, 4)), struct.pack(">II", 2, 100), 50),
            (((311, 8),), struct.pack(">d", 0.01), 100),
            (((311, 8),), struct.pack(">d", float("nan")), 0),
            (((305, 4), (306, 4)), struct.pack(">II", 0, 99), 0),
            (((309, 4), (310, 4)), struct.pack(">II", 0, 100), 0),
            (((34, 4),), struct.pack(">I", 0xFFFFFFFF), 0),
        ],
    )
    def test_ways_to_tell_a_rate(
        self, ear: Ear, fields: tuple[tuple[int, int], ...], raw: bytes, rate: float
    ) -> None:
        batch = ear.hear(ipfix(self.PLAIN, self.told((144, 4), 1, fields, raw), self.plain()))
        assert batch.rate.tolist() == [rate]

    def test_by_interface(self, ear: Ear) -> None:
        told = [self.told((10, 4), i, ((34, 4),), struct.pack(">I", i * 10)) for i in (1, 2)]
        rows = [self.plain(1, 9), self.plain(2, 9), self.plain(9, 2), self.plain(9, 9)]
        assert ear.hear(ipfix(self.PLAIN, *told, *rows)).rate.tolist() == [10, 20, 20, 0]

    def test_by_selector_before_interface_and_exporter(self, ear: Ear) -> None:
        told = [
            self.told((302, 8), 7, ((305, 4), (306, 4)), struct.pack(">II", 1, 3)),
            self.told((144, 4), 1, ((34, 4),), struct.pack(">I", 1000)),
        ]
        rows = data(struct.pack(">QIIQII", 7, 100, 1, 8, 100, 1), ident=401)
        assert ear.hear(ipfix(self.SELECTED, *told, rows)).rate.tolist() == [4, 1000]

    def test_by_template(self, ear: Ear) -> None:
        told = self.told((145, 2), 400, ((34, 4),), struct.pack(">I", 5))
        other = a_set(2, template(403, ((1, 4),))) + data(bytes(4), ident=403)
        assert sorted(ear.hear(ipfix(self.PLAIN, told, self.plain(), other)).rate.tolist()) == [0, 5]

    def test_the_records_own_rate_comes_first(self, ear: Ear) -> None:
        told = self.told((144, 4), 1, ((34, 4),), struct.pack(">I", 1000))
        own = data(struct.pack(">IIIIII", 8, 100, 1, 0, 100, 1), ident=402)
        batch = ear.hear(ipfix(self.OWN, told, own))
        assert (batch.rate.tolist(), batch.bytes.tolist()) == ([8, 1000], [800, 100000])

    def test_a_rate_that_changes_holds_from_then_on(self, ear: Ear) -> None:
        rates = []
        for rate in (10, 20, 20):
            told = self.told((144, 4), 1, ((34, 4),), struct.pack(">I", rate))
            rates += ear.hear(ipfix(self.PLAIN, told, self.plain())).rate.tolist()
        assert rates == [10, 20, 20]

    def test_no_more_than_so_many_rates(self, ear: Ear) -> None:
        records = b"".join(struct.pack(">IH", i, 10) for i in range(300))
        for block in range(8):
            shifted = b"".join(struct.pack(">IH", i + block * 300, 10) for i in range(300))
            ear.hear(ipfix(a_set(3, ipfix_options(500, ((10, 4),), ((34, 2),))), data(shifted, ident=500)))
        assert len(records) == 1800
        assert len(ear.decoder._records.rates) == 1024
        assert ear.count("sampling_rate_over_cap") == 2400 - 1024

from __future__ import annotations

import random

import numpy as np
import pytest

from sekisho.flows.exporters import Exporters, ExporterSettings
from sekisho.flows.wire.protocol import IPFIX, SFLOW
from sekisho.tables import I32, V4_MAPPED

A, B = 0x0A00_0001, 0x0A00_0002


def seen(
    table: Exporters, *who: tuple[int, int], now: float = 1000.0, protocol: int = SFLOW, agent: int = 0
) -> I32:
    """Rows of datagrams from (IPv4 address, domain)."""
    zero = np.zeros(len(who), np.uint64)
    address = np.array([V4_MAPPED | a for a, _ in who], np.uint64)
    domain = np.array([d for _, d in who], np.uint32)
    return table.rows(protocol, zero, address, zero, zero + np.uint64(agent), domain, now)


def told(table: Exporters, row: int, *numbers: int, step: int = 1) -> tuple[int, int, int]:
    """(lost, late, restarted) after datagrams with these sequence numbers."""
    n = len(numbers)
    rows = np.full(n, row, np.int32)
    table.sequence(rows, np.array(numbers, np.uint32), np.full(n, step, np.uint32), 1000.0)
    return int(table.lost[row]), int(table.late[row]), int(table.restarted[row])


def test_nobody_but_the_named_sources_is_heard_or_takes_room() -> None:
    table = Exporters(ExporterSettings(total=4, sources=("10.0.0.1/32", "2001:db8::/32")))
    assert seen(table, (B, 1), (A, 1), (B, 2), (B, 3), (B, 4), (B, 5), (A, 2)).tolist() == [
        *(-1, 0, -1, -1, -1, -1, 1),
    ]
    assert (table.count, table.unwelcome, table.refused) == (2, 5, 0)
    assert seen(table, (B, 1)).tolist() == [-1]


def test_an_exporter_is_address_protocol_agent_and_domain() -> None:
    table = Exporters()
    first = seen(table, (A, 1), (A, 2), (B, 1), (A, 1))
    assert first.tolist() == [0, 1, 2, 0]
    assert seen(table, (A, 1), protocol=IPFIX).tolist() == [3]
    assert seen(table, (A, 1), agent=9).tolist() == [4]
    assert seen(table, (B, 1), (A, 1)).tolist() == [2, 0]
    assert table.count == 5
    assert table.datagrams[:5].tolist() == [3, 1, 2, 1, 1]


def test_a_burst_of_one_exporter_is_one_row() -> None:
    table = Exporters()
    assert seen(table, *[(A, 7)] * 100).tolist() == [0] * 100
    assert table.datagrams[0] == 100


def test_no_datagrams_no_rows() -> None:
    table = Exporters()
    assert seen(table).tolist() == []
    table.sequence(np.zeros(0, np.int32), np.zeros(0, np.uint32), np.zeros(0, np.uint32), 1.0)
    assert table.count == 0


def test_one_address_cannot_take_more_than_its_share() -> None:
    table = Exporters(ExporterSettings(total=64, per_address=4))
    rows = seen(table, *[(A, d) for d in range(10)])
    assert rows.tolist() == [0, 1, 2, 3, -1, -1, -1, -1, -1, -1]
    assert table.refused == 6
    assert seen(table, (A, 11), (B, 1), (A, 2)).tolist() == [-1, 4, 2]


def test_the_table_is_bounded_in_total() -> None:
    table = Exporters(ExporterSettings(total=8))
    rows = seen(table, *[(A + i, 0) for i in range(20)])
    assert sorted(rows.tolist()) == [-1] * 12 + list(range(8))
    assert table.count == 8
    assert table.refused == 12


def test_the_silent_are_forgotten_and_the_others_stay_where_they_are() -> None:
    table = Exporters(ExporterSettings(total=2, idle=100.0))
    seen(table, (A, 0), (B, 0), now=1000.0)
    for now in range(1010, 1150, 10):
        seen(table, (B, 0), now=float(now))
    assert table.count == 1
    generation = int(table.generation[1])
    assert seen(table, (A, 5), (B, 0), now=1150.0).tolist() == [0, 1]
    assert table.generation[1] == generation
    assert table.generation[0] > generation
    assert table.datagrams[0] == 1


def test_who_speaks_again_in_the_burst_that_fills_the_table_keeps_its_row() -> None:
    table = Exporters(ExporterSettings(total=2, idle=60.0))
    seen(table, (A, 0), (B, 0), now=1000.0)
    table.begin(1059.5)
    seen(table, (B, 0), now=1059.5)
    assert seen(table, (A, 0), (B, 0), (A, 7), now=1060.6).tolist() == [0, 1, -1]
    assert table.refused == 1


def test_who_is_given_a_forgotten_row_begins_a_count_of_its_own() -> None:
    table = Exporters(ExporterSettings(total=1, idle=100.0))
    (row,) = seen(table, (A, 0), now=1000.0)
    assert told(table, row, 1, 2, 5) == (2, 0, 0)
    for now in (1050.0, 1100.0, 1150.0):
        seen(table, now=now)
    assert seen(table, (B, 0), now=1150.0).tolist() == [row]
    assert told(table, row, 5000, 5001) == (0, 0, 0)


def test_a_jumping_clock_forgets_nobody() -> None:
    table = Exporters(ExporterSettings(idle=3600.0))
    seen(table, (A, 0), (B, 0), now=1000.0)
    seen(table, (A, 0), now=1000.0 + 86400)
    seen(table, (A, 0), now=10.0)
    assert table.count == 2


def test_nothing_is_lost_in_sequence() -> None:
    table = Exporters()
    seen(table, (A, 0))
    assert told(table, 0, 10, 11, 12) == (0, 0, 0)
    assert told(table, 0, 13) == (0, 0, 0)


def test_a_gap_is_lost_within_and_between_bursts() -> None:
    table = Exporters()
    seen(table, (A, 0))
    assert told(table, 0, 10, 14) == (3, 0, 0)
    assert told(table, 0, 20) == (8, 0, 0)


def test_a_late_datagram_takes_its_loss_back() -> None:
    table = Exporters()
    seen(table, (A, 0))
    assert told(table, 0, 10, 12, 11, 13) == (0, 1, 0)
    assert told(table, 0, 15) == (1, 1, 0)
    assert told(table, 0, 14, 16) == (0, 2, 0)


def test_a_duplicate_takes_back_no_more_than_was_lost() -> None:
    table = Exporters()
    seen(table, (A, 0))
    assert told(table, 0, 10, 10, 10, 11) == (0, 2, 0)


def test_far_behind_is_a_restart_and_loses_nothing() -> None:
    table = Exporters()
    seen(table, (A, 0))
    assert told(table, 0, 100_000, 1, 2, 4) == (1, 0, 1)
    assert told(table, 0, 5) == (1, 0, 1)


def test_a_far_jump_forward_is_a_loss_unless_it_lands_at_the_beginning() -> None:
    table = Exporters()
    (row,) = seen(table, (A, 0))
    assert told(table, row, 1, 1 << 25) == ((1 << 25) - 2, 0, 0)


def test_a_counter_that_began_anew_beyond_half_the_circle_is_a_restart() -> None:
    table = Exporters()
    seen(table, (A, 0))
    assert told(table, 0, 3_000_000_000, 1, 2) == (0, 0, 1)


def test_the_counter_wraps() -> None:
    table = Exporters()
    seen(table, (A, 0))
    assert told(table, 0, 0xFFFF_FFFE, 0xFFFF_FFFF, 1) == (1, 0, 0)
    assert told(table, 0, 2) == (1, 0, 0)


def test_steps_are_what_the_caller_says() -> None:
    table = Exporters()
    seen(table, (A, 0))
    assert told(table, 0, 100, 130, 190, step=30) == (30, 0, 0)


def test_exporters_are_told_apart_and_refused_rows_passed_over() -> None:
    table = Exporters()
    seen(table, (A, 0), (B, 0))
    rows = np.array([0, 1, -1, 0, 1], np.int32)
    table.sequence(rows, np.array([1, 50, 9, 3, 51], np.uint32), np.ones(5, np.uint32), 1.0)
    assert table.lost[:2].tolist() == [1, 0]


def test_after_resume_the_next_number_is_right() -> None:
    table = Exporters()
    seen(table, (A, 0))
    told(table, 0, 10)
    table.resume(np.array([0, -1], np.int32))
    assert told(table, 0, 5000, 5001) == (0, 0, 0)


def test_records_are_added_up() -> None:
    table = Exporters()
    seen(table, (A, 0))
    table.counted(np.array([0, -1, 0], np.int32), np.array([3, 5, 4]))
    assert table.records[0] == 7


def test_the_report_says_who_and_what() -> None:
    table = Exporters()
    seen(table, (A, 3), now=1234.0)
    told(table, 0, 1, 3)
    (report,) = table.report()
    assert (report.address, report.protocol, report.domain, report.agent) == ("10.0.0.1", "sflow", 3, "")
    assert (report.datagrams, report.lost, report.last_seen) == (1, 1, 1234.0)
    assert table.name(0) == report.address


def test_how_an_exporter_samples_is_what_was_last_told() -> None:
    table = Exporters(ExporterSettings(idle=60))
    rows = seen(table, (A, 1), (B, 1))
    assert [report.sampling for report in table.report()] == [0, 0]
    table.note_sampling(rows[[0, 1, 0, 0]], np.array([400, 1, 512, 0], np.float32))
    assert [report.sampling for report in table.report()] == [512, 1]
    # A row that is given to another exporter begins anew.
    for now in (1050.0, 1100.0, 1150.0):
        seen(table, (B, 1), now=now)
    assert seen(table, (A, 9), now=1150.0).tolist() == [0]
    assert [report.sampling for report in table.report()] == [0, 1]


def by_the_book(numbers: list[int]) -> tuple[int, int]:
    """Losses counted one by one: (lost, late)."""
    expected, lost, late = numbers[0], 0, 0
    for number in numbers:
        if number >= expected:
            lost += number - expected
            expected = number + 1
        else:
            late += 1
            lost -= 1
    return lost, late


@pytest.mark.parametrize("seed", range(8))
def test_columns_count_as_one_by_one_would(seed: int) -> None:
    chance = random.Random(seed)
    numbers = [n for n in range(100, 400) if chance.random() > 0.1]
    for _ in range(30):  # late by a few places, never the first
        at = chance.randrange(1, len(numbers) - 8)
        numbers.insert(at + chance.randrange(1, 7), numbers.pop(at))
    table = Exporters()
    seen(table, (A, 0))
    at = 0
    while at < len(numbers):
        size = chance.randrange(1, 40)
        told(table, 0, *numbers[at : at + size])
        at += size
    assert (int(table.lost[0]), int(table.late[0])) == by_the_book(numbers)
    assert table.restarted[0] == 0

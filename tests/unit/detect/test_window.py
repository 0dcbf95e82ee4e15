from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sekisho.detect.lanes import Lane
from sekisho.detect.settings import DetectSettings
from sekisho.detect.window import Detection
from sekisho.model.errors import Malformed
from sekisho.model.inventory import Inventory
from sekisho.model.policy import PolicySet, Scope, Unit
from sekisho.tables import FLAGS_KNOWN, V4_MAPPED, FlowBatch
from support_detect import (
    START,
    attempts,
    condition,
    detection,
    inventory,
    policy,
    replies,
    rows,
    run,
    subject,
)

VOLUME = condition("egress-bytes", 1000, 10, clear=500)


def sent(sender: int, size: float, time: float = START) -> FlowBatch:
    return rows(1, time, sender=sender, bytes=size)


def test_evidence_says_what_was_found() -> None:
    found = detection(
        policy(condition("smtp-connections", 5, 60), name="spam", confidence=0.9), collector="c1"
    )
    found.add(attempts(0, [7, 7, 7, 8, 8, 9], START, exporter=3))
    (evidence,) = found.close(START + 1)
    (finding,) = evidence.findings
    assert (evidence.subject, evidence.policy, evidence.confidence) == ("a", "spam", 0.9)
    assert (finding.detector, finding.unit, finding.window) == ("smtp-connections", Unit.COUNT, 60)
    assert (finding.estimate, finding.lower, finding.upper, finding.threshold, finding.samples) == (
        6,
        6,
        6,
        5,
        6,
    )
    assert (evidence.window_start, evidence.window_end, evidence.first_seen) == (
        START - 59,
        START + 1,
        START + 1,
    )
    assert [(c.name, c.amount) for c in evidence.top_destinations] == [
        ("0.0.0.7", 3),
        ("0.0.0.8", 2),
        ("0.0.0.9", 1),
    ]
    assert [(c.name, c.amount) for c in evidence.top_ports] == [("25", 6)]
    assert evidence.exporters == ("192.0.2.4",)
    assert evidence.collector == "c1"


def test_evidence_names_only_the_subjects_own_rows() -> None:
    found = detection(policy(condition("smtp-connections", 5, 60)))
    found.add(attempts(1, range(100, 104)))
    found.add(attempts(0, range(6)))
    (evidence,) = found.close(START + 1)
    assert {c.name for c in evidence.top_destinations} <= {f"0.0.0.{n}" for n in range(6)}
    assert len(evidence.top_destinations) == 5


def test_evidence_of_a_busy_second_names_destinations_from_all_of_it() -> None:
    found = detection(policy(condition("smtp-connections", 5, 60)), tops=200)
    for burst in range(100):
        found.add(attempts(0, [burst] * 600, time=START + burst / 100))
    (evidence,) = found.close(START + 1)
    assert len(evidence.top_destinations) >= 95


def test_evidence_toward_a_vm_names_the_sources() -> None:
    found = detection(policy(condition("ingress-amplification-bytes", 1000, 10)))
    found.add(
        rows(2, receiver=0, protocol=17, src_port=53, dst_port=9, bytes=800, src_lo=V4_MAPPED | 0x01020304)
    )
    (evidence,) = found.close(START + 1)
    assert [c.name for c in evidence.top_destinations] == ["1.2.3.4"]
    assert [c.name for c in evidence.top_ports] == ["53"]


def test_crossing_waits_for_the_lower_bound() -> None:
    # Three samples at 1:400 are an estimate of 1,200 whose lower bound is about 250.
    line = condition("egress-packets", 1000, 10)
    for samples, crossed in ((3, False), (8, True)):
        found = detection(policy(line))
        found.add(rows(samples, sender=0, rate=400))
        assert bool(found.close(START + 1)) is crossed, samples


def test_every_condition_must_be_over_its_line() -> None:
    spam = policy(
        condition("smtp-connections", 100, 3600),
        condition("smtp-destinations", 30, 600),
        condition("smtp-refused", 0.5, 600),
    )
    found = detection(spam)
    found.add(attempts(0, np.arange(120) % 5))
    assert found.close(START + 1) == []  # a lot, to few
    found.add(attempts(0, np.arange(100)))
    found.add(replies(0, 200))
    assert found.close(START + 2) == []  # a lot, to many, and welcome
    found.add(attempts(0, np.arange(400)))
    (evidence,) = found.close(START + 3)
    assert [f.detector for f in evidence.findings] == [
        "smtp-connections",
        "smtp-destinations",
        "smtp-refused",
    ]


def test_windows_in_a_row() -> None:
    found = detection(policy(condition("egress-bytes", 1000, 1), windows=3))
    told = []
    for second, size in enumerate([2000, 2000, 0, 2000, 2000, 2000, 2000]):
        found.add(sent(0, size))
        told.append([e.first_seen - START for e in found.close(START + second + 1)])
    assert told == [[], [], [], [], [], [4.0], []]


def test_hysteresis_and_repeats() -> None:
    found = detection(policy(VOLUME), repeat=3.0)
    told = []
    for second, size in enumerate([1000, 0, 0, 0, 0, 0, 600, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1000]):
        found.add(sent(0, size))
        told.append(len(found.close(START + second + 1)))
    # Crossed at once, told again every 3 s while 600 bytes are still over `clear`, over when they
    # have left the window (second 17), and told at once when crossed anew, 2 s after it was last told.
    assert told == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1]
    assert found.counters()["crossed"] == 1


def test_a_subject_between_clear_and_line_is_not_crossed_but_stays_crossed() -> None:
    found = detection(policy(VOLUME))
    assert run(found, 20, [sent(0, 70)]) == []
    assert found.counters()["crossed"] == 0
    assert len(run(found, 1, [sent(0, 400)], START + 20)) == 1
    run(found, 30, [sent(0, 70)], START + 21)
    assert found.counters()["crossed"] == 1
    run(found, 12, [sent(0, 40)], START + 51)
    assert found.counters()["crossed"] == 0


def test_scope() -> None:
    found = Detection(
        DetectSettings(seed=1),
        PolicySet(1, (policy(VOLUME, scope=Scope(projects=("x",), exclude_subjects=("a",))),)),
    )
    found.replace_inventory(
        Inventory(1, (), (subject("a", project="x"), subject("b", project="x"), subject("c")))
    )
    found.add(rows(3, sender=[0, 1, 2], bytes=5000))
    assert [e.subject for e in found.close(START + 1)] == ["b"]


@pytest.mark.parametrize("rate", [10, 400])
def test_volumes_agree_with_brute_force_within_their_bounds(rate: int) -> None:
    rng = np.random.default_rng(rate)
    subjects, window, seconds = 200, 20, 60
    names = [f"s{i}" for i in range(subjects)]
    found = detection(policy(condition("egress-bytes", 1e15, window)), subjects=names)
    truth = np.zeros((seconds, subjects))
    outside = over = cases = 0
    for second in range(seconds):
        sender = rng.integers(0, subjects, 40_000) * rng.integers(0, 2, 40_000)
        size = rng.choice([64.0, 576, 1500], 40_000)
        np.add.at(truth[second], sender, size)
        seen = rng.random(40_000) < 1 / rate
        found.add(
            rows(int(seen.sum()), START + second, sender=sender[seen], bytes=size[seen] * rate, rate=rate)
        )
        found.close(START + second + 1)
        if second % window == window - 1:
            real = truth[second - window + 1 : second + 1].sum(axis=0)
            measure = _lane(found).measure(np.arange(subjects), 1.96)
            over += int((measure.lower > real).sum())
            outside += int(((measure.lower > real) | (measure.upper < real)).sum())
            cases += subjects
    assert over / cases < 0.05
    assert outside / cases < 0.12


def test_a_record_of_many_packets_is_surer_than_one_of_a_single_packet() -> None:
    widths = []
    for packets in (1, 100):
        found = detection(policy(condition("egress-bytes", 1e15, 20)))
        found.add(rows(10, sender=0, rate=100, packets=100 * packets, bytes=1e6))
        found.close(START + 1)
        measure = _lane(found).measure(np.array([0]), 1.96)
        assert measure.lower[0] < measure.estimate[0] == 1e7 < measure.upper[0]
        widths.append(float(measure.upper[0] - measure.lower[0]))
    assert widths[0] > 5 * widths[1]


def _lane(found: Detection) -> Lane:
    return found._judges[0].lines[0].lane


def test_the_sampling_rate_may_change_within_a_window() -> None:
    rng = np.random.default_rng(5)
    truth, over, bias = 10 * 20_000, 0, []
    for _ in range(150):
        found = detection(policy(condition("egress-packets", 1e15, 10)), talker_window=0)
        for second in range(10):
            rate = 50 if second < 5 else 800
            found.add(rows(rng.binomial(20_000, 1 / rate), START + second, sender=0, rate=rate))
            found.close(START + second + 1)
        seen = _lane(found).measure(np.array([0]), 1.96)
        over += int(seen.lower[0] > truth)
        bias.append(seen.estimate[0] / truth)
    assert over <= 7
    assert np.mean(bias) == pytest.approx(1.0, abs=0.03)


def test_spoofed_sources_are_the_same_subject() -> None:
    found = detection(policy(condition("syn-flood", 1000, 10)))
    n = 2000
    source = np.random.default_rng(1).integers(0, 2**32, n, np.uint64)
    found.add(rows(n, sender=1, src_lo=source | np.uint64(V4_MAPPED), tcp_flags=FLAGS_KNOWN | 2))
    assert [e.subject for e in found.close(START + 1)] == ["b"]


def test_a_new_inventory_keeps_what_subjects_did() -> None:
    found = detection(policy(VOLUME), subjects=["a", "b", "c"])
    found.add(rows(3, sender=[0, 1, 2], bytes=[600, 10, 1]))
    found.close(START + 1)
    found.replace_inventory(inventory(["x", "c", "a"], version=2))  # b left, x came, a is row 2
    found.add(rows(2, START + 1, sender=[2, 0], bytes=[600, 600]))
    (evidence,) = found.close(START + 2)
    assert evidence.subject == "a"
    assert evidence.findings[0].estimate == 1200


def test_a_crossed_subject_that_moves_to_another_host_stays_crossed_and_one_that_leaves_is_silent() -> None:
    found = detection(policy(VOLUME), repeat=1.0)
    found.add(rows(2, sender=[0, 1], bytes=5000))
    assert len(found.close(START + 1)) == 2
    found.replace_inventory(Inventory(2, (), (subject("b", host="h9"),)))
    assert [e.subject for e in found.close(START + 2)] == ["b"]


def test_who_left_is_remembered_for_a_while_and_then_forgotten() -> None:
    found = detection(policy(condition("egress-bytes", 1000, 600)), retain=60.0)
    found.add(sent(0, 900))
    found.close(START + 1)
    found.replace_inventory(inventory(["b"], version=2))
    found.close(START + 30)
    found.replace_inventory(inventory(["b", "a"], version=3))
    found.add(sent(1, 200, time=START + 30))
    assert [e.subject for e in found.close(START + 31)] == ["a"]
    found.replace_inventory(inventory(["b"], version=4))
    for second in range(32, 100):
        found.close(START + second)
    found.replace_inventory(inventory(["b", "new"], version=5))  # takes the slot that a had
    assert len(found._roster) == 2
    found.add(sent(1, 200, time=START + 100))
    assert found.close(START + 101) == []


def test_rows_of_an_older_longer_inventory_are_nobodys() -> None:
    found = detection(policy(VOLUME), subjects=["a"])
    found.add(rows(3, sender=[0, 5, 99], receiver=[7, -1, 0], bytes=600))
    assert found.close(START + 1) == []
    assert found.counters()["rows"] == 3


def test_growing_keeps_everything() -> None:
    found = detection(policy(VOLUME, name="v"), policy(condition("scan-ports", 20, 60), name="s"))
    found.add(rows(15, sender=0, bytes=40, dst_port=np.arange(15), tcp_flags=FLAGS_KNOWN | 2))
    found.close(START + 1)
    found.replace_inventory(inventory(["a", *(f"n{i}" for i in range(5000))], version=2))
    found.add(
        rows(15, START + 1, sender=0, bytes=40, dst_port=np.arange(100, 115), tcp_flags=FLAGS_KNOWN | 2)
    )
    found.add(rows(5000, START + 1, sender=np.arange(1, 5001), bytes=1))
    assert {(e.subject, e.policy) for e in found.close(START + 2)} == {("a", "v"), ("a", "s")}


def test_legitimate_mail_never_crosses_the_shipped_lines() -> None:
    spam = policy(
        condition("smtp-connections", 100, 3600), condition("smtp-destinations", 30, 600), name="spam"
    )
    found = detection(spam, talker_window=0)
    rng = np.random.default_rng(6)
    crossed = 0
    for second in range(2 * 3600):
        if second % 60 == 0:  # one a minute, to whoever the customers are, some of them retried
            found.add(attempts(0, rng.integers(0, 200, 1), START + second))
        crossed += len(found.close(START + second + 1))
    assert crossed == 0


def test_a_burst_of_ten_thousand_crossing_at_once_is_told_once_each() -> None:
    n = 10_000
    spam = policy(condition("smtp-connections", 3, 60), condition("smtp-destinations", 2, 60))
    found = detection(spam, subjects=[f"s{i}" for i in range(n)])
    for turn in range(4):
        to = np.arange(n, dtype=np.uint64) * np.uint64(7) + np.uint64(turn)
        found.add(attempts(np.arange(n), to))
    evidence = found.close(START + 1)
    assert sorted(e.subject for e in evidence) == sorted(f"s{i}" for i in range(n))
    assert found.close(START + 2) == []


@pytest.mark.parametrize("jump", [-86_400.0, -1.0, 86_400.0])
def test_a_clock_that_jumps_raises_nothing_and_accuses_nobody(jump: float) -> None:
    found = detection(policy(VOLUME))
    assert run(found, 30, [sent(0, 70)]) == []
    assert run(found, 60, [sent(0, 70)], START + 30 + jump) == []
    assert run(found, 1, [sent(0, 2000)], START + 90 + jump) != []


def test_a_step_back_frees_nobody_and_a_step_forward_ages_the_window() -> None:
    found = detection(policy(VOLUME), repeat=1.0)
    assert len(run(found, 1, [sent(0, 5000)])) == 1
    assert found.close(START - 5000) == []
    assert found.counters()["crossed"] == 1
    assert len(found.close(START - 4999)) == 1
    found.close(START + 5000)
    assert found.counters()["crossed"] == 0


def test_rows_that_arrive_while_closes_are_late_do_not_pile_up_in_one_bucket() -> None:
    found = detection(policy(condition("egress-bytes", 1000, 10)))
    run(found, 1)
    for second in range(1, 60):
        found.add(sent(0, 60, time=START + second + 0.5))
    assert found.close(START + 60) == []
    late = rows(60, START + 60.5 + np.arange(60), sender=0, bytes=60)
    found.add(late)
    assert found.close(START + 121) == []


def test_late_closes_lose_nothing_of_the_last_window() -> None:
    found = detection(policy(condition("egress-bytes", 1000, 10)))
    run(found, 1)
    for second in range(1, 60):
        found.add(sent(0, 150, time=START + second + 0.5))
    (evidence,) = found.close(START + 60)
    assert evidence.findings[0].estimate in (9 * 150, 10 * 150)


def test_new_policies_keep_windows_and_standings() -> None:
    first = policy(VOLUME, name="v")
    found = detection(first)
    found.add(sent(0, 900))
    found.close(START + 1)
    lower = replace(first, conditions=(condition("egress-bytes", 800, 10),))
    other = policy(condition("scan-ports", 10, 10), name="s")
    found.replace_policies(PolicySet(2, (lower, other)))
    assert len(found.close(START + 2)) == 1
    found.replace_policies(PolicySet(3, (lower,)))
    assert found.close(START + 3) == []  # told a second ago, and still known to be crossed
    assert found.counters()["crossed"] == 1


def test_windows_nobody_asks_about_are_let_go() -> None:
    found = detection(
        policy(condition("egress-bytes", 1, 10)), policy(condition("scan-ports", 1, 10), name="s")
    )
    before = found.counters()["lanes"]
    found.replace_policies(PolicySet(2, ()))
    assert found.counters()["lanes"] == before - 2


def test_a_policy_on_an_unknown_detector_is_counted_not_raised() -> None:
    unknown = replace(VOLUME, detector="nonsense")
    found = detection(policy(unknown, name="u"), policy(VOLUME, name="v"))
    found.add(sent(0, 5000))
    assert [e.policy for e in found.close(START + 1)] == ["v"]
    assert found.counters()["policies_unjudged"] == 1


def test_exact_ports_are_those_of_the_policies_and_smtp() -> None:
    assert detection().exact_ports == (25,)
    assert detection(policy(condition("submission-connections", 9, 60))).exact_ports == (25, 465, 587)
    assert detection(talker_window=0).exact_ports == ()


def test_talkers() -> None:
    found = detection(subjects=["a", "b", "c"])
    big = rows(1, sender=0, receiver=1, bytes=10_000, packets=40, dst_internet=False)
    run(found, 12, [big])
    found.add(attempts(2, range(6), START + 12))
    first, second, third = sorted(found.talkers(10), key=lambda t: t.subject)
    assert (first.subject, first.egress_bps, first.egress_pps, first.ingress_bps) == ("a", 80_000, 40, 0)
    assert (second.subject, second.ingress_bps, second.ingress_pps) == ("b", 80_000, 40)
    assert (third.subject, third.smtp_per_minute) == ("c", 6)
    assert len(found.talkers(1)) == 1
    assert found.talkers(0) == ()


def test_twenty_thousand_subjects_fit_in_a_fraction_of_the_memory_allowed() -> None:
    n = 20_000
    every = [condition("egress-bytes", 1e15, w) for w in (10, 300, 86_400)]
    every += [condition("scan-hosts", 3000, 60), condition("smtp-destinations", 3000, 600)]
    found = detection(policy(*every), subjects=[f"s{i}" for i in range(n)])
    found.add(rows(n, sender=np.arange(n), tcp_flags=FLAGS_KNOWN | 2))
    found.add(attempts(np.arange(n), np.arange(n)))
    found.close(START + 1)
    assert found.counters()["window_bytes"] < 160e6


def test_everybody_in_scope_is_set_against_the_line_of_every_policy() -> None:
    narrow = policy(condition("egress-bytes", 1000, 10), name="narrow", scope=Scope(subjects=("a", "c")))
    wide = policy(condition("scan-ports", 100, 60), condition("egress-bytes", 1e6, 10), name="wide")
    found = detection(narrow, wide, subjects=("a", "b", "c", "d"))
    found.add(sent(0, 1000))
    found.add(sent(1, 5e7))
    found.add(sent(2, 99))
    found.add(sent(3, 0.9e2))
    volume, scanned, large = found.distributions()
    assert (volume.policy, volume.detector, volume.unit, volume.window) == (
        "narrow",
        "egress-bytes",
        Unit.BYTES,
        10,
    )
    assert (volume.subjects, volume.over) == (2, 1)
    assert {i: n for i, n in enumerate(volume.counts) if n} == {16: 1, 11: 1}  # at the line; 99 under 100
    assert (scanned.subjects, scanned.over, sum(scanned.counts)) == (4, 0, 0)
    # What is over the last bar is in it, what is under the first in none.
    assert (large.line, large.over) == (1e6, 1)
    assert {i: n for i, n in enumerate(large.counts) if n} == {22: 1, 4: 1}
    found.close(START + 1)
    assert found.distributions() == (volume, scanned, large)
    assert sum(map(sum, (h.counts for h in found.distributions()))) == 4


def test_who_has_left_is_in_no_histogram() -> None:
    found = detection(policy(VOLUME), subjects=("a", "b"))
    found.add(sent(0, 1000))
    found.add(sent(1, 1000))
    found.replace_inventory(inventory(("b",)))
    (only,) = found.distributions()
    assert (only.subjects, only.over, sum(only.counts)) == (1, 1, 1)


def test_a_ring_without_room_is_refused() -> None:
    with pytest.raises(Malformed, match=r"detect\.recent: 0 is not at least 1"):
        DetectSettings(recent=0)

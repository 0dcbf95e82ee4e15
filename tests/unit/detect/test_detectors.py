from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sekisho.detect.window import Detection
from sekisho.tables import FlowBatch
from support_detect import ACK, START, SYN, SYN_ACK, attempts, condition, detection, policy, replies, rows


def number(name: str, *batches: FlowBatch, window: float = 60.0, **kwargs: Any) -> float:
    """The detector's number for subject a after these rows."""
    found = detection(
        policy(condition(name, 1e15, window), destinations=kwargs.pop("destinations", "internet")), **kwargs
    )
    return told(found, name, *batches)


def told(found: Detection, name: str, *batches: FlowBatch) -> float:
    for batch in batches:
        found.add(batch)
    found.close(START + 1)
    line = found._judges[0].lines[0]
    assert line.lane.detector.name == name
    return float(line.lane.estimate(np.array([0]))[0])


A, B = {"sender": 0}, {"receiver": 0}


def test_smtp_counts_exact_attempts_and_nothing_sampled_where_the_switch_tells() -> None:
    sampled = rows(50, dst_port=25, tcp_flags=SYN, rate=400, **A)
    assert number("smtp-connections", attempts(0, range(7)), sampled) == 7


def test_smtp_falls_back_to_sampled_syns_where_the_switch_does_not_tell() -> None:
    batch = rows(6, dst_port=25, tcp_flags=[SYN, SYN, ACK, SYN_ACK, SYN, 0], rate=400, **A)
    assert number("smtp-connections", batch, exact=False) == 3 * 400


def test_a_flow_record_of_a_whole_connection_is_one_attempt() -> None:
    flow = rows(4, dst_port=25, tcp_flags=SYN | ACK | 0x1, rate=1, packets=12, **A)
    assert number("smtp-connections", flow, exact=False) == 4


def test_a_retried_syn_in_one_record_is_one_attempt() -> None:
    assert number("smtp-connections", rows(1, dst_port=25, tcp_flags=SYN, packets=3, **A), exact=False) == 1


def test_smtp_destinations_are_distinct() -> None:
    assert number("smtp-destinations", attempts(0, [1, 2, 3, 1, 2, 3, 1])) == pytest.approx(3, abs=0.01)


def test_smtp_to_private_addresses_never_counts_unless_asked() -> None:
    batch = attempts(0, range(5), dst_internet=False)
    assert number("smtp-connections", batch) == 0
    assert number("smtp-connections", batch, destinations="any") == 5


def test_smtp_refused_is_the_share_without_an_accepting_reply() -> None:
    assert number("smtp-refused", attempts(0, range(40)), replies(0, 10)) == 0.75
    assert number("smtp-refused", attempts(0, range(40)), replies(0, 40)) == 0
    assert number("smtp-refused", replies(0, 10)) == 0


def test_smtp_refused_where_sampled_is_unsure_until_much_was_seen() -> None:
    few = rows(3, dst_port=25, tcp_flags=SYN, rate=100, **A)
    many = rows(3000, dst_port=25, tcp_flags=SYN, rate=100, **A)
    for batch, sure in ((few, False), (many, True)):
        found = detection(policy(condition("smtp-refused", 0.8, 60)), exact=False)
        found.add(batch)
        assert bool(found.close(START + 1)) is sure


def test_submission_is_apart_from_smtp() -> None:
    batches = attempts(0, [1, 2], port=587), attempts(0, [2, 3], port=465), attempts(0, [9], port=25)
    assert number("submission-connections", *batches) == 4
    assert number("submission-destinations", *batches) == pytest.approx(3, abs=0.01)
    assert number("smtp-connections", *batches) == 1


def test_submission_refused_is_apart_from_smtp_refused() -> None:
    mail = attempts(0, range(10), port=25), replies(0, 10)
    tried = attempts(0, range(8), port=587), attempts(0, range(8), port=465), replies(0, 4, port=587)
    assert number("submission-refused", *mail, *tried) == 0.75
    assert number("smtp-refused", *mail, *tried) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("egress-bytes", 300e3),
        ("egress-packets", 2000.0),
        ("ingress-bytes", 50e3),
        ("ingress-packets", 500.0),
    ],
)
def test_volumes_are_scaled_and_leave_exact_rows_out(name: str, value: float) -> None:
    out = rows(5, rate=400, bytes=60e3, **A)
    back = rows(5, rate=100, bytes=10e3, **B)
    assert number(name, out, back, attempts(0, range(50)), replies(0, 50)) == value


@pytest.mark.parametrize("name", ["ingress-bytes", "ingress-packets"])
def test_what_comes_from_the_internet_is_told_by_its_source(name: str) -> None:
    inside = rows(5, src_internet=False, dst_internet=True, **B)
    outside = rows(5, src_internet=True, dst_internet=False, **B)
    assert number(name, inside) == 0
    assert number(name, outside) > 0
    assert number(name, inside, destinations="any") > 0


def test_a_row_between_two_subjects_counts_for_both() -> None:
    both = rows(3, sender=0, receiver=1, dst_internet=False, src_internet=False)
    found = detection(
        policy(condition("egress-packets", 3, 10), name="out", destinations="any"),
        policy(condition("ingress-packets", 3, 10), name="in", destinations="any"),
        policy(condition("egress-packets", 3, 10), name="internet"),
    )
    found.add(both)
    assert {(e.policy, e.subject) for e in found.close(START + 1)} == {("out", "a"), ("in", "b")}


def test_scans_count_syns_where_flags_are_told() -> None:
    probes = rows(
        200, tcp_flags=SYN, src_port=50_000, dst_port=np.arange(1, 201), dst_lo=np.arange(200) // 2, **A
    )
    talk = rows(500, tcp_flags=ACK, dst_port=np.arange(1000, 1500), dst_lo=np.arange(500) + 1000, **A)
    assert number("scan-ports", probes, talk) == pytest.approx(200, rel=0.05)
    assert number("scan-hosts", probes, talk) == pytest.approx(100, rel=0.05)


def test_scans_without_flags_count_tiny_flows_to_services_not_the_answers_of_a_server() -> None:
    probes = rows(100, tcp_flags=0, src_port=50_000, dst_port=np.arange(1, 101), rate=400, packets=800, **A)
    answers = rows(500, tcp_flags=0, src_port=443, dst_port=np.arange(30_000, 30_500), rate=400, **A)
    bulk = rows(50, tcp_flags=0, src_port=50_000, dst_port=np.arange(2000, 2050), packets=30, **A)
    assert number("scan-ports", probes, answers, bulk) == pytest.approx(100, rel=0.05)


def test_syn_flood_is_syns_minus_the_rest() -> None:
    flood = rows(300, tcp_flags=SYN, rate=10, **A)
    rest = rows(100, tcp_flags=ACK, rate=10, **A)
    untold = rows(900, tcp_flags=0, rate=10, **A)
    assert number("syn-flood", flood, rest, untold) == 2000
    assert number("syn-flood", rest) == 0
    assert number("ingress-syn-flood", rows(300, tcp_flags=SYN, **B), rows(50, tcp_flags=ACK, **B)) == 250


def test_amplification_is_udp_from_reflecting_ports() -> None:
    out = rows(4, protocol=17, src_port=[53, 11211, 40_000, 19], bytes=[1000, 2000, 4000, 8000], **A)
    tcp = rows(1, protocol=6, src_port=53, bytes=16_000, **A)
    back = rows(2, protocol=17, src_port=[123, 1], bytes=[500, 700], **B)
    assert number("amplification-bytes", out, tcp, back) == 11_000
    assert number("amplification-packets", out, tcp, back) == 3
    assert number("ingress-amplification-bytes", out, tcp, back) == 500


def test_amplification_ports_are_settable() -> None:
    batch = rows(2, protocol=17, src_port=[53, 500], bytes=[1, 2], **A)
    assert number("amplification-bytes", batch, amplification_ports=(500,)) == 2


def test_logins_are_attempts_at_login_ports() -> None:
    ssh = rows(30, tcp_flags=SYN, dst_port=22, rate=10, dst_lo=np.arange(30) % 5, **A)
    session = rows(300, tcp_flags=ACK, dst_port=22, rate=10, **A)
    web = rows(30, tcp_flags=SYN, dst_port=443, rate=10, **A)
    assert number("login-attempts", ssh, session, web) == 300
    assert number("login-hosts", ssh, session, web) == pytest.approx(5, abs=0.1)


def test_login_hosts_do_not_need_flags_and_attempts_do() -> None:
    untold = rows(40, tcp_flags=0, dst_port=3389, rate=400, dst_lo=np.arange(40), **A)
    assert number("login-hosts", untold) == pytest.approx(40, rel=0.1)
    assert number("login-attempts", untold) == 0

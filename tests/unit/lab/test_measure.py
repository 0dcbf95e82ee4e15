"""What a play came to, computed from made-up logs and events."""

from __future__ import annotations

import pytest

from sekisho.lab import measure, watch
from sekisho.lab.record import Attempt, Volume
from sekisho.lab.watch import RuleEvent

DROP_25 = "tcp,reg13=0/0x10,in_port=3,tp_dst=25"


def tries(*began: float, ok: bool = True, took: float = 0.01) -> list[Attempt]:
    return [Attempt(b, b + took, b, f"198.51.100.{i}", 25, ok) for i, b in enumerate(began)]


def event(mono: float, what: str, match: str = DROP_25) -> RuleEvent:
    return RuleEvent(mono, what, "hard" if what == "DELETED" else "", match)


def test_the_crossing_is_the_connection_that_makes_it_too_many() -> None:
    assert measure.crossing(tries(0, 1, 2, 3, 4), line=3, spread=3, window=5) == 2
    assert measure.crossing(tries(0, 10, 20), line=3, spread=3, window=5) is None


def test_the_crossing_needs_the_spread_too() -> None:
    same = [Attempt(float(i), i + 0.1, 0.0, "198.51.100.1", 25, ok=True) for i in range(10)]
    assert measure.crossing(same, line=3, spread=2, window=5) is None


def test_renewed_rules_are_one_span_and_other_ports_are_none() -> None:
    events = [
        event(1, "ADDED"),
        event(3, "ADDED"),
        event(4, "ADDED", DROP_25.replace("in_port=3", "in_port=4")),
        event(5, "ADDED", "tcp,reg13=0/0x1,in_port=3,tp_dst=25,tcp_flags=+syn-ack"),
        event(9, "DELETED"),
        event(20, "ADDED"),
    ]
    assert measure.spans(events, 3, "tp_dst=25") == [
        measure.Span(1, 9),
        measure.Span(20, float("inf")),
    ]


def test_a_word_of_the_match_is_a_whole_word() -> None:
    assert measure.spans([event(1, "ADDED", DROP_25 + "00")], 3, "tp_dst=25") == []


@pytest.mark.parametrize(
    ("attempt", "wrong"),
    [
        (Attempt(5, 5.1, 0, "a", 25, ok=True), True),  # got through while blocked
        (Attempt(5, 5.8, 0, "a", 25, ok=False), False),
        (Attempt(1, 1.8, 0, "a", 25, ok=False), True),  # failed while free
        (Attempt(1, 1.1, 0, "a", 25, ok=True), False),
        (Attempt(2.9, 3.0, 0, "a", 25, ok=True), False),  # too near an edge to tell
        (Attempt(8.9, 9.7, 0, "a", 25, ok=False), False),  # began blocked, ended free
    ],
)
def test_what_got_through_or_failed_against_the_rules_is_found(attempt: Attempt, *, wrong: bool) -> None:
    assert bool(measure.wrong_tries([attempt], [measure.Span(3, 9)])) is wrong


def test_the_rate_is_of_what_came_between_two_moments() -> None:
    came = [Volume(float(i), 0, 1.0, 1_000_000 if i < 5 else 125_000, 1) for i in range(1, 11)]
    assert measure.rate(came, 5.0, 10.0) == pytest.approx(1_000_000)
    assert measure.rate([], 0, 1) == 0.0


def test_the_one_line_for_machines() -> None:
    result = measure.Result(seconds_to_rule=[0.5, 0.9, 0.7], false_positives=1, freed=False)
    plain = result.plain()
    assert plain["seconds_to_rule"] == {"median": 0.7, "max": 0.9, "runs": 3}
    assert plain["false_positives"] == 1
    assert plain["freed"] is False
    assert measure.Result().plain()["seconds_to_rule"] == {"median": None, "max": None, "runs": 0}


def test_the_switch_is_heard() -> None:
    line = " event=DELETED reason=hard table=0 hard_timeout=10 cookie=0x5e4b15e04a3d98a0 " + DROP_25
    heard = watch.read(line, 7.0)
    assert heard == RuleEvent(7.0, "DELETED", "hard", DROP_25)
    assert heard.in_port == 3
    assert watch.read(line.replace("0x5e4b15e0", "0x00000001"), 7.0) is None
    assert watch.read("OFPST_FLOW_MONITOR reply (OF1.5) (xid=0x0):", 7.0) is None

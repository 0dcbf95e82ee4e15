"""The contract of our table refuses what breaks it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from sekisho.devices.vswitch import pipeline
from sekisho.devices.vswitch.pipeline import GUARD, LIMITED_EGRESS, OBSERVED, STAGES, check, check_all, unset
from sekisho.devices.vswitch.program import MARK, Again, Limit, Mark, Rule, Sample, Term, term
from sekisho.model.errors import Malformed

IN = term("in_port", 3)
IP, TCP = term("eth_type", 0x0800), term("nw_proto", 6)
DROP = Rule("drop", 64100, frozenset({IN, unset(GUARD)}))
LIMIT = Rule(
    "limit-egress",
    63999,
    frozenset({IN, unset(LIMITED_EGRESS)}),
    (Limit("m"), Mark(LIMITED_EGRESS, LIMITED_EGRESS), Again()),
)
OBSERVE = Rule(
    "observe",
    64900,
    frozenset({IN, unset(OBSERVED), IP, TCP, term("tp_dst", 25)}),
    (Sample(1, 2, 3), Mark(OBSERVED, OBSERVED), Again()),
)


def test_what_keeps_the_contract_passes() -> None:
    check_all([DROP, LIMIT, OBSERVE])


def test_stages_stand_apart_in_the_order_of_the_walk() -> None:
    spans = [(s.priority - s.width + 1, s.priority) for s in STAGES.values()]
    assert all(low > above for (low, _), (_, above) in pairwise(spans))
    marks = [s.marks for s in STAGES.values()] + [GUARD]
    assert sum(marks) == sum(marks) & 0xFFFFFFFF
    assert all(a & b == 0 for i, a in enumerate(marks) for b in marks[i + 1 :])


@pytest.mark.parametrize(
    ("rule", "breach"),
    [
        (replace(DROP, stage="nowhere"), "no stage"),
        (replace(DROP, priority=1), "priority"),
        (replace(DROP, match=frozenset({unset(GUARD)})), "no subject"),
        (replace(DROP, match=frozenset({IN})), "unset"),
        (replace(DROP, match=frozenset({IN, term(MARK, GUARD, GUARD)})), "unset"),
        (replace(DROP, match=DROP.match | {term("tcp_flags", 2)}), "does not match tcp_flags"),
        (replace(DROP, match=DROP.match | {term("tp_dst", 25)}), "without their protocol"),
        (replace(DROP, match=DROP.match | {TCP}), "without eth_type"),
        (replace(DROP, match=DROP.match | {term("in_port", 4)}), "twice"),
        (replace(DROP, match=DROP.match | {IP, TCP, Term("tp_dst", 7, 6)}), "outside its mask"),
        (replace(DROP, steps=(Again(),)), "nothing else"),
        (replace(LIMIT, steps=(Limit("m"), Again())), "marking"),
        (replace(LIMIT, steps=(Limit("m"), Mark(OBSERVED, OBSERVED), Again())), "no others"),
        (replace(LIMIT, steps=(Sample(1, 2, 3), *LIMIT.steps[1:])), "such a step"),
        (replace(OBSERVE, match=OBSERVE.match - {TCP}), "without their protocol"),
    ],
)
def test_what_breaks_it_is_refused(rule: Rule, breach: str) -> None:
    with pytest.raises(Malformed) as caught:
        check(rule)
    assert any(breach in problem for problem in caught.value.problems)


def test_two_rules_have_not_one_place() -> None:
    with pytest.raises(Malformed, match="one place"):
        check_all([DROP, replace(DROP, until=5.0)])


def test_a_rule_is_known_by_what_it_says_and_not_by_its_end() -> None:
    assert replace(DROP, until=5.0, owners=("r1",)).identity == DROP.identity
    assert replace(DROP, priority=64099).identity != DROP.identity
    assert pipeline.Layout().cookie < 2**32

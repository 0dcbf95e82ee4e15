"""Who is in a scope is asked once for all who are alike, and says of each what the scope itself says."""

from __future__ import annotations

import random

import numpy as np
import pytest

from sekisho.detect.judge import Kinds
from sekisho.model.inventory import Subject
from sekisho.model.policy import Scope

NOW = 1000.0
SCOPES = (
    Scope(),
    Scope(projects=("p1", "p2")),
    Scope(subjects=("s3", "s77", "nobody")),
    Scope(subjects=("s3",), projects=("p0",), exclude_subjects=("s8", "s0")),
    Scope(exclude_subjects=("s4",)),
    Scope(tags=("gold",), exclude_hosts=("h1",)),
    Scope(hosts=("h0",), subjects=("s5",), exclude_tags=("gold",)),
    Scope(younger=500.0, subjects=("s6", "s7")),
    Scope(qos=("plan",), exclude_projects=("p3",)),
)


def somebody(number: int, rng: random.Random) -> Subject:
    return Subject(
        f"s{number}",
        f"h{rng.randrange(3)}",
        f"p{rng.randrange(5)}",
        tags=("gold",) if rng.random() < 0.3 else (),
        qos=("plan",) if rng.random() < 0.3 else (),
        project_created=rng.choice((0.0, 100.0, 900.0)),
    )


@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_everybody_is_where_the_scope_says(scope: Scope) -> None:
    rng = random.Random(4)
    subjects = [None if rng.random() < 0.2 else somebody(n, rng) for n in range(200)]
    slots = {s.id: slot for slot, s in enumerate(subjects) if s is not None}
    found = Kinds(subjects, slots).within(scope, NOW)
    assert found.tolist() == [s is not None and scope.matches(s, NOW) for s in subjects]


def test_of_nobody_there_is_nobody_in_scope() -> None:
    assert Kinds([], {}).within(Scope(), NOW).tolist() == []
    assert np.array_equal(Kinds([None, None], {}).within(Scope(), NOW), [False, False])


def test_a_name_that_has_left_its_slot_is_passed_over() -> None:
    assert Kinds([None], {"s1": 0}).within(Scope(subjects=("s1",)), NOW).tolist() == [False]

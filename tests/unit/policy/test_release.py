from __future__ import annotations

import pytest

from sekisho.model.policy import Condition, Direction, Drop, Mode, Policy, Protocol, Step, Threshold, Unit
from sekisho.model.release import REMEMBERED, release
from sekisho.model.restriction import Restriction, State

DAY = 86400.0
NOW = 1000 * DAY
YEAR = 365 * DAY
SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
WHEN = (Condition("smtp-connections", Threshold(60, 60, Unit.COUNT, "60/min")),)
SPAM = Policy("spam", WHEN, (Step((SMTP,), DAY),), Mode.ENFORCE, early_release=7 * DAY)
BOUND = Restriction(
    "r1", "port-1", (SMTP,), "x", "p", State.ACTIVE, NOW, NOW + YEAR, YEAR, 0, "spam", automatic=True
)


@pytest.mark.parametrize(
    ("before", "wait"), [((), 0), ((20,), 7), ((22, 20), 14), ((24, 22, 20), 28), ((26, 24, 22, 20), 56)]
)
def test_each_release_doubles_the_wait_for_the_next(before: tuple[int, ...], wait: int) -> None:
    earlier = [NOW - days * DAY for days in before]
    free = max(earlier, default=NOW) + wait * DAY
    assert release(BOUND, SPAM, earlier, free).may
    if wait:
        refused = release(BOUND, SPAM, earlier, free - 1)
        assert (refused.may, refused.at) == (False, free)


def test_what_is_long_ago_is_held_against_nobody() -> None:
    old = [NOW - REMEMBERED - n * DAY for n in (0, 1, 2)]
    assert release(BOUND, SPAM, [*old, NOW - 7 * DAY], NOW).may
    assert release(BOUND, SPAM, old, NOW).may

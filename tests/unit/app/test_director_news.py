"""What of a director's report the keeper has to be told."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sekisho.app.balancers_heard import laid_over
from sekisho.app.director_news import WHOLE, News
from sekisho.model.balancer import DirectorReport, Operating, Statistics
from sekisho.model.plain import to_plain

MANY = DirectorReport(
    "d1",
    1,
    active=True,
    operating={f"3e1a1b1c-0000-4000-8000-{n:012d}": Operating.ONLINE for n in range(13_000)},
    statistics=tuple(Statistics(f"5f1a1b1c-0000-4000-8000-{n:012d}") for n in range(1000)),
)


def test_one_member_that_falls_among_thousands_is_a_short_message() -> None:
    news = News()
    assert len(json.dumps(to_plain(news.of(MANY)))) > 100_000
    news.taken(MANY)
    first = next(iter(MANY.operating))
    after = replace(MANY, operating={**MANY.operating, first: Operating.ERROR})
    told = news.of(after)
    assert told.operating == {first: Operating.ERROR}
    assert len(json.dumps(to_plain(told))) < 1000


def test_all_is_told_now_and_then() -> None:
    news = News()
    overs = []
    for _ in range(2 * WHOLE + 3):
        overs.append(news.of(MANY).over)
        news.taken(MANY)
    assert [n for n, over in enumerate(overs) if not over] == [0, WHOLE + 1, 2 * WHOLE + 2]


STATES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(list(Operating)))


@given(st.lists(st.tuples(STATES, st.booleans())))
def test_laid_over_each_other_they_are_what_the_director_knows(
    states: list[tuple[dict[str, Operating], bool]],
) -> None:
    news, kept = News(), None
    for state, lost in states:
        whole = DirectorReport("d1", 1, active=True, operating=state)
        told = news.of(whole)
        if lost:  # taken or not, the director cannot know
            news.forget()
            continue
        kept = laid_over(kept, told)
        news.taken(whole)
        assert kept.operating == state

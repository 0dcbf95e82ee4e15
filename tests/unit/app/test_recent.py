"""What is remembered of collectors' reports, against all of them kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.app.recent import GRAINS, Recent
from sekisho.model.report import CollectorReport, Talker

NOW = 1_800_000_000.0


def report(name: str = "c1", /, **rates: float) -> CollectorReport:
    talkers = tuple(Talker(subject, rate, rate / 2) for subject, rate in rates.items())
    return CollectorReport(name, NOW, talkers=talkers)


def take(recent: Recent, reports: tuple[CollectorReport, ...], now: float) -> None:
    """Let all of them report at this moment."""
    recent.take((replace(r, time=now) for r in reports), now)


def test_a_subject_is_remembered_as_it_was_reported() -> None:
    recent = Recent()
    for i in range(60):
        take(recent, (report(a=8e6 if i < 30 else 8e5),), NOW + 2 * i)
    found = recent.series("a", NOW, NOW + 120, 10)
    assert found.egress_bytes == pytest.approx([1e7] * 6 + [1e6] * 6)
    assert found.ingress_bytes == pytest.approx([5e6] * 6 + [5e5] * 6)


def test_who_is_not_among_the_busiest_counts_as_silent() -> None:
    recent = Recent()
    take(recent, (report(a=8.0),), NOW)
    take(recent, (report(b=8.0),), NOW + 2)
    assert recent.series("a", NOW, NOW + 5, 5).egress_bytes == (2.5,)
    assert recent.series("never", NOW, NOW + 5, 5).egress_bytes == (0.0,)


def test_two_collectors_that_see_one_subject_count_it_once() -> None:
    recent = Recent()
    take(recent, (report("c1", a=80.0), report("c2", a=72.0, b=8.0)), NOW)
    assert recent.series("", NOW, NOW + 5, 5).egress_bytes == pytest.approx((5 * 11.0,))


def test_an_hour_is_kept_finely_and_a_day_coarsely() -> None:
    recent = Recent()
    for i in range(0, 2 * 86400, 10):
        take(recent, (report(a=float(i)),), NOW + i)
    end = NOW + 2 * 86400
    fine = recent.series("a", end - 3000, end, 10).egress_bytes
    assert fine == pytest.approx([(2 * 86400 - 3000 + i * 10) * 10 / 8 for i in range(300)])
    day = recent.series("a", end - 86340, end, 60).egress_bytes
    assert day[0] == pytest.approx((86400 + 60 + 25) * 60 / 8)
    assert recent.series("a", NOW, NOW + 3600, 60).egress_bytes == (0.0,) * 60, "forgotten"


def test_the_longest_silent_make_room() -> None:
    recent = Recent(2)
    take(recent, (report(a=8.0),), NOW)
    take(recent, (report(b=8.0),), NOW + 5)
    take(recent, (report(b=8.0, c=8.0),), NOW + 10)
    assert recent.series("a", NOW, NOW + 5, 5).egress_bytes == (0.0,)
    assert recent.series("b", NOW + 5, NOW + 10, 5).egress_bytes == (5.0,)


def test_what_is_remembered_moves_with_a_stepped_clock() -> None:
    recent = Recent()
    take(recent, (report(a=8.0),), NOW)
    recent.shift(3600)
    assert recent.series("a", NOW + 3600, NOW + 3605, 5).egress_bytes == (5.0,)
    take(recent, (report(a=16.0),), NOW + 3605)
    assert recent.series("a", NOW + 3600, NOW + 3610, 5).egress_bytes == (5.0, 10.0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.dictionaries(st.sampled_from("abc"), st.integers(0, 10**9)))),
    st.sampled_from([5, 10, 30]),
)
def test_it_says_what_all_reports_say(told: list[tuple[int, dict[str, int]]], step: int) -> None:
    recent, kept, now = Recent(), list[tuple[float, dict[str, int]]](), NOW
    for pause, rates in told:
        now += 1 + pause
        take(recent, (report("c1", **{k: float(v) for k, v in rates.items()}),), now)
        kept.append((now, rates))
    since = NOW
    until = max(NOW + step, now + step - (now - NOW) % step)
    found = recent.series("a", since, until, step).egress_bytes
    for i, got in enumerate(found):
        mine = [r.get("a", 0) for t, r in kept if since + i * step <= t < since + (i + 1) * step]
        if mine:
            assert got == pytest.approx(sum(mine) / len(mine) * step / 8, rel=1e-4)


def test_a_time_of_which_nobody_reported_is_a_gap_and_no_silence() -> None:
    recent = Recent()
    for i in (*range(0, 60, 2), *range(100, 180, 2)):
        take(recent, (report(a=8e6),), NOW + i)
    found = recent.series("a", NOW - 30, NOW + 200, 10)
    heard = [i * 10 - 30 for i, told in enumerate(found.heard) if told]
    # What was said last holds for a while; that somebody reported later in the same minute tells nothing.
    assert heard == [*range(0, 80, 10), *range(100, 200, 10)]
    assert [b for b, told in zip(found.egress_bytes, found.heard, strict=True) if not told] == [0.0] * 5
    assert recent.series("never", NOW, NOW + 60, 10).heard == (True,) * 6
    assert recent.began == NOW


def test_a_step_between_two_reports_is_no_gap() -> None:
    recent = Recent()
    for i in range(0, 120, 11):
        take(recent, (report(a=8e6),), NOW + i)
    found = recent.series("a", NOW, NOW + 120, 5)
    assert found.heard == (True,) * 24
    assert found.egress_bytes == pytest.approx((5e6,) * 24)


def test_one_collector_of_two_that_is_silent_leaves_its_subjects_unknown() -> None:
    recent, lost = Recent(), replace(report("c2", b=8e6), time=NOW)
    for i in range(0, 120, 2):
        recent.take((replace(report("c1", a=8e6), time=NOW + i), lost), NOW + i)
    assert recent.series("a", NOW, NOW + 120, 10).heard == (True,) * 12
    found = recent.series("b", NOW, NOW + 120, 10)
    assert found.heard == (True, True, *(False,) * 10)
    assert recent.series("", NOW + 60, NOW + 120, 10).egress_bytes == pytest.approx((1e7,) * 6)


def test_grains_are_made_for_each_other() -> None:
    (fine, _), (coarse, _) = GRAINS
    assert coarse % fine == 0

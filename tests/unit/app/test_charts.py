from __future__ import annotations

import math
from typing import Any, cast

import pytest

from sekisho.app.charts import Charts
from sekisho.app.recent import Recent
from sekisho.model.archived import Series
from sekisho.model.errors import Unavailable
from sekisho.model.report import CollectorReport, Talker

NOW = 1_800_000_000.0


class Archive:
    """Holds 100 bytes a step of everybody, up to a moment; `away` once told so."""

    def __init__(self, newest: float) -> None:
        self.newest = newest
        self.away = False

    def series(self, subject: str, since: float, until: float, step: float) -> Series:
        if self.away:
            raise Unavailable("away")
        moments = [since + i * step for i in range(int((until - since) / step))]
        held = tuple(100.0 if t < self.newest else 0.0 for t in moments)
        return Series(subject, since, until, step, held, held)


def charts(archive: Archive | None) -> Charts:
    recent = Recent()
    for i in range(120):
        now = NOW - 600 + i * 5
        recent.take((CollectorReport("c", now, talkers=(Talker("a", 8.0, 8.0),)),), now)
    return Charts(recent, cast("Any", archive), lambda: NOW)


def test_without_an_archive_the_keepers_memory_is_shown() -> None:
    assert charts(None).series("a", NOW - 20, NOW, 10).egress_bytes == (10.0, 10.0)


def test_what_the_archive_has_not_loaded_yet_is_filled_in() -> None:
    found = charts(Archive(NOW - 60)).series("a", NOW - 600, NOW, 10).egress_bytes
    assert found == (100.0,) * 54 + (10.0,) * 6


def test_what_the_archive_says_of_old_times_stands() -> None:
    found = charts(Archive(NOW - 400)).series("a", NOW - 600, NOW, 10).egress_bytes
    assert found[20:41] == (0.0,) * 21
    assert found[43:] == (10.0,) * 17


def test_an_archive_that_is_away_leaves_what_is_remembered() -> None:
    archive = Archive(NOW)
    made = charts(archive)
    archive.away = True
    assert made.series("a", NOW - 20, NOW, 10).egress_bytes == (10.0, 10.0)


def test_what_neither_the_archive_nor_a_collector_tells_of_is_a_gap() -> None:
    made = charts(Archive(NOW - 900))
    made.recent.take((CollectorReport("c", NOW + 300),), NOW + 300)
    found = made.series("a", NOW - 1200, NOW + 300, 60)
    # Nobody can tell of the time before this keeper's first report; then it was heard; then nobody reported.
    assert found.heard == (True,) * 20 + (False,) * 5


class Minutes(Archive):
    """Sums whole minutes only, as the archive does: 60 bytes a second of everybody."""

    def series(self, subject: str, since: float, until: float, step: float) -> Series:
        width = math.ceil(step / 60) * 60
        first = since // 60 * 60
        count = math.ceil((until - first) / width)
        held = tuple(60.0 * width if first + i * width < self.newest else 0.0 for i in range(count))
        return Series(subject, first, first + count * width, float(width), held, held)


@pytest.mark.parametrize("step", [5.0, 10.0, 100.0])
@pytest.mark.parametrize("moved", [0.0, 20.0])
def test_finer_steps_than_the_archive_has_stand_where_they_were(step: float, moved: float) -> None:
    since = NOW - 3000 + moved
    found = charts(Minutes(NOW - 600)).series("a", since, NOW, step)
    assert (found.since, found.step) == (since, step)
    assert len(found.egress_bytes) == math.ceil((NOW - since) / step)
    at = [since + i * step for i in range(len(found.egress_bytes))]
    # Nobody was busy in this keeper's memory before that: what the archive has is spread over its minute.
    early = [n for t, n in zip(at, found.egress_bytes, strict=True) if t < NOW - 720]
    assert early == pytest.approx([60.0 * step] * len(early))
    late = [n for t, n in zip(at, found.egress_bytes, strict=True) if t > NOW - 400]
    assert late == pytest.approx([step] * len(late))


def test_a_line_drops_at_the_moment_and_not_over_a_minute() -> None:
    made = charts(Minutes(NOW + 60))
    for i in range(1, 4):
        now = NOW + i * 5
        made.recent.take((CollectorReport("c", now, talkers=(Talker("a", 800.0, 8.0),)),), now)
    late = Charts(made.recent, made.flows, lambda: NOW + 1000)
    found = late.series("a", NOW, NOW + 60, 5).egress_bytes
    assert found[:4] == (5.0, 500.0, 500.0, 500.0)


def test_why_the_archive_did_not_tell_is_said() -> None:
    archive = Archive(NOW)
    made = charts(archive)
    assert made.series("a", NOW - 20, NOW, 10).lacking == ""
    archive.away = True
    assert made.series("a", NOW - 20, NOW, 10).lacking == "away"
    assert charts(None).series("a", NOW - 20, NOW, 10).lacking == "none"


def test_what_came_before_this_keeper_stands_in_the_minute_in_which_it_began() -> None:
    recent = Recent()
    for i in range(1, 8):
        now = NOW + 25 + i * 5
        recent.take((CollectorReport("c", now, talkers=(Talker("a", 8.0, 8.0),)),), now)
    made = Charts(recent, cast("Any", Minutes(NOW + 60)), lambda: NOW + 1000)
    found = made.series("a", NOW, NOW + 60, 10).egress_bytes
    assert found[3:] == (10.0, 10.0, 10.0)
    assert found[:3] == pytest.approx(((3600 - 30) / 3,) * 3)

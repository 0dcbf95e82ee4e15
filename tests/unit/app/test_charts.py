from __future__ import annotations

from typing import Any, cast

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


def test_why_the_archive_did_not_tell_is_said() -> None:
    archive = Archive(NOW)
    made = charts(archive)
    assert made.series("a", NOW - 20, NOW, 10).lacking == ""
    archive.away = True
    assert made.series("a", NOW - 20, NOW, 10).lacking == "away"
    assert charts(None).series("a", NOW - 20, NOW, 10).lacking == "none"

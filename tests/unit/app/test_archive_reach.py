"""What the keeper adds to a back-test, and how it tells of an archive that is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from sekisho.app import archive_reach
from sekisho.app.archive_reach import Passed, Watching
from sekisho.app.archive_settings import KeeperArchiveSettings
from sekisho.app.settings import KeeperSettings
from sekisho.detect.guard import GuardSettings
from sekisho.model.archived import BacktestOrder, Bound
from sekisho.model.errors import Malformed, Unavailable
from sekisho.model.policy import Exemption, Scope
from sekisho.model.report import Page
from sekisho.model.restriction import Restriction, State
from support_flows import Archive

EXEMPT = Exemption("e1", Scope(subjects=("port-0",)), "Known.", "anna", 0.0)


def restriction(name: str, created: float, until: float, *, automatic: bool = True) -> Restriction:
    state = State.ACTIVE if until else State.PROPOSED
    return Restriction(
        name, f"port-{name}", (), "", "", state, created, until, 60.0, 1, "spam", automatic=automatic
    )


class Keeper:
    def check_policies(self, text: str) -> tuple[str, ...]:
        return () if text == "good" else ("line 1: no.",)

    def exemptions(self) -> tuple[Exemption, ...]:
        return (EXEMPT,)

    def restrictions(self, *_: Any) -> Page[Restriction]:
        found = (
            restriction("1", 2000.0, 3000.0),
            restriction("2", 1500.0, 0.0),
            restriction("3", 1200.0, 1800.0, automatic=False),
            restriction("4", 100.0, 900.0),
        )
        return Page(found)


def passed(archive: Archive, **more: Any) -> Passed:
    return Passed(cast("Any", archive), cast("Any", Keeper()), KeeperSettings(**more))


def test_a_back_test_goes_out_with_the_guard_the_exemptions_and_who_was_bound() -> None:
    archive = Archive()
    guarding = GuardSettings(per_hour_cloud=3)
    passed(archive, guard=guarding).backtest(
        BacktestOrder("good", 1000.0, 4000.0, bound=(Bound("x", "y", 0, 1),))
    )
    sent = archive.asked[-1]
    assert sent.exemptions == (EXEMPT,)
    assert sent.guard["per_hour_cloud"] == 3
    assert sent.bound == (Bound("port-1", "spam", 2000.0, 3000.0),)


def test_policies_that_cannot_be_read_are_refused_here_with_every_problem() -> None:
    archive = Archive()
    with pytest.raises(Malformed) as told:
        passed(archive).backtest(BacktestOrder("bad", 1.0, 2.0))
    assert told.value.problems == ("line 1: no.",)
    assert archive.asked == []


def test_an_archive_that_is_away_needs_a_person_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive()
    watching = Watching(passed(archive))
    watching.look()
    assert watching.notices() == ()
    assert watching.metrics()["sekisho_archive_rows"] == 7.0

    def away() -> None:
        raise Unavailable("It does not answer.", "127.0.0.1:8791 does not answer.")

    monkeypatch.setattr(archive, "status", away)
    watching.look()
    assert watching.notices() == ("archive: 127.0.0.1:8791 does not answer.",)
    assert watching.metrics()["sekisho_archive_up"] == 0.0
    monkeypatch.undo()
    watching.look()
    assert (watching.notices(), watching.metrics()["sekisho_archive_up"]) == ((), 1.0)


def test_the_archive_that_up_started_is_found_by_its_file(tmp_path: Path) -> None:
    settings = KeeperSettings(state=str(tmp_path))
    assert archive_reach.reach(settings, cast("Any", Keeper())) is None
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "archive").write_text("secret\n")
    assert archive_reach.reach(settings, cast("Any", Keeper())) is not None
    named = KeeperSettings(archive=KeeperArchiveSettings(token_file=str(tmp_path / "nothing")))
    with pytest.raises(Malformed, match="nothing"):
        archive_reach.reach(named, cast("Any", Keeper()))

"""Every scenario can be played: it fits together, and the switch and the programs take its words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sekisho.lab.scenario import SCENARIOS, Actor, Scenario, find
from sekisho.lab.traffic import parse
from sekisho.model.errors import NotFound

every = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)


@every
def test_it_fits_together(scenario: Scenario) -> None:
    assert scenario.problems() == ()
    numbers = [m.mac for m in scenario.machines] + [m.addresses for m in scenario.machines]
    assert len({str(n) for n in numbers}) == 2 * len(scenario.machines)


@every
def test_every_actor_is_understood_and_ends_by_itself(scenario: Scenario) -> None:
    for actor in scenario.actors:
        words = actor.argv("python", "logs")[3:]
        assert parse(words).seconds == actor.stop - actor.start > 0


@every
def test_who_must_lose_a_port_is_watched_from_inside(scenario: Scenario) -> None:
    watched = {a.vm for a in scenario.actors if a.role == "probe"}
    assert {b.vm for b in scenario.bound if b.loses} <= watched


def test_what_does_not_fit_is_named() -> None:
    story = find("story")
    ghost = Actor("ghost", "mail", 0, 9999)
    problems = replace(story, actors=(*story.actors, ghost, story.actors[0])).problems()
    assert [p for p in problems if "ghost" in p and "not there" in p]
    assert [p for p in problems if "after the end" in p]
    assert [p for p in problems if "written twice" in p]


def test_an_unknown_scenario_is_not_found_and_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match="mixed"):
        find("opera")


def test_nobody_is_both_bound_and_untouched() -> None:
    mixed = find("mixed")
    assert set(mixed.untouched) == {"mail", "web", "client"}

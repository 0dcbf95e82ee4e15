"""What the settings may say of pairs, and every mistake by its place."""

from __future__ import annotations

from typing import Any

import pytest

from sekisho.app import settings
from sekisho.app.director import DirectorSettings
from sekisho.model.errors import Malformed


def keeper(**pairs: dict[str, Any]) -> settings.KeeperSettings:
    return settings.keeper({"keeper": {"balancers": {"pairs": pairs}}})


def test_pairs_by_name_keep_their_order() -> None:
    found = keeper(
        b={"directors": ["d1", "d2"]}, a={"provider": "adx", "options": {"addresses": ["192.0.2.1"]}}
    )
    assert list(found.balancers.pairs) == ["b", "a"]
    assert found.balancers.pairs["b"].directors == ("d1", "d2")
    assert found.balancers.pairs["a"].options == {"addresses": ["192.0.2.1"]}


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ({"one": {}}, "balancers.pairs.one.directors: name the directors"),
        ({"one": {"directors": ["d"]}, "two": {"directors": ["d"]}}, "d is in one already"),
        (
            {"one": {"directors": ["d"], "zone": ["north"]}},
            "keeper.balancers.pairs.one.zone: unknown name; did you mean 'zones'",
        ),
        ({"one": {"provider": "f5"}}, "keeper.balancers.pairs.one.provider"),
    ],
)
def test_a_mistake_is_told_with_its_place(pairs: dict[str, dict[str, Any]], says: str) -> None:
    with pytest.raises(Malformed) as error:
        keeper(**pairs)
    assert any(says in problem for problem in error.value.problems), error.value.problems


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"patience": float("inf")}, "balancers.patience: inf is no number of seconds"),
        ({"patience": 61.0}, "balancers.patience: 61.0 is too long"),
        ({"silent": 0.0}, "balancers.silent: 0.0"),
        ({"look": -1.0}, "balancers.look: -1.0"),
        ({"drift": float("nan")}, "balancers.drift: nan"),
    ],
)
def test_times_are_numbers_of_seconds(told: dict[str, float], says: str) -> None:
    """Else a change would be waited for without end, and its object stay pending."""
    assert settings.keeper({"keeper": {"balancers": {"drift": 0.0}}}).balancers.drift == 0
    with pytest.raises(Malformed) as error:
        settings.keeper({"keeper": {"balancers": told}})
    assert any(says in problem for problem in error.value.problems), error.value.problems


def test_a_driven_device_is_looked_at_before_it_counts_as_silent() -> None:
    told: dict[str, Any] = {"look": 30.0, "pairs": {"one": {"directors": ["d"]}}}
    settings.keeper({"keeper": {"balancers": told}})
    told["pairs"]["box"] = {"provider": "adx"}
    with pytest.raises(Malformed) as error:
        settings.keeper({"keeper": {"balancers": told}})
    (problem,) = error.value.problems
    assert "balancers.look: 30.0 is too long; write less than `silent`, 30.0" in problem
    settings.keeper({"keeper": {"balancers": told | {"silent": 31.0}}})


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"report_every": 0.0}, "report_every: 0.0"),
        ({"drain": -5.0}, "drain: -5.0"),
        ({"wait": float("nan")}, "wait: nan"),
        ({"links": ["10.2.0.0/24", "x"]}, "links: 'x' is no network"),
        ({"sync": {"interface": "eth1", "id": 300}}, "sync: id must be 1 to 255"),
    ],
)
def test_a_directors_mistakes_are_told_too(told: dict[str, Any], says: str) -> None:
    good = {"drain": 0.0, "examine_every": 0.0, "links": ["10.2.0.0/24"], "sync": {"id": 255}}
    settings.validate(DirectorSettings, good, "director")
    with pytest.raises(Malformed) as error:
        settings.validate(DirectorSettings, told, "director")
    assert any(says in problem for problem in error.value.problems), error.value.problems

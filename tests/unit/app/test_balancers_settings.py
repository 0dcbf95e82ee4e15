"""What the settings may say of pairs, and every mistake by its place."""

from __future__ import annotations

from typing import Any

import pytest

from sekisho.app import settings
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

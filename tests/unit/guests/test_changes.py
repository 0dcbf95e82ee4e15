"""What PUT and DELETE of Neutron's API decide, asked of a real API over a fake keeper."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sekisho.client import Client
from sekisho.guests.neutron.changes import change, duration, end
from sekisho.model.access import Role
from sekisho.model.errors import Conflict, Malformed
from sekisho.model.policy import Direction, Drop, Protocol
from sekisho.model.restriction import Restriction, State
from sekisho.testing.contract_keeper import MAIL, WEB, evidence
from sekisho.testing.keeper import SECRETS, FakeKeeper
from support_api import keeper as make
from support_api import served

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)


@pytest.fixture
def keeper() -> FakeKeeper:
    return make()


@pytest.fixture
def client(keeper: FakeKeeper) -> Iterator[Client]:
    with served(keeper) as (_, url), Client(url, SECRETS[Role.ADMIN]) as made:
        yield made


@pytest.fixture
def bound(client: Client) -> Restriction:
    return client.impose(WEB, [SMTP], "why", 3600)


@pytest.fixture
def proposed(client: Client) -> Restriction:
    (verdict,) = client.evidence([evidence(MAIL, "propose-it")])
    return client.restriction(verdict.restriction)


def written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_its_end_is_moved_by_seconds_or_to_a_moment(
    client: Client, keeper: FakeKeeper, bound: Restriction
) -> None:
    longer = change(client, bound, {"duration": 7200})
    assert longer.until == keeper.now + 7200
    later = change(client, longer, {"expires_at": written(keeper.now + 9000), "reason": "again"})
    assert later.until == pytest.approx(keeper.now + 9000, abs=1)
    with pytest.raises(Conflict):
        change(client, bound, {"duration": 60})  # as it was seen, it is no more


def test_a_state_is_a_decision_with_a_reason(
    client: Client, bound: Restriction, proposed: Restriction
) -> None:
    assert change(client, bound, {"state": "lifted", "reason": "clean"}).state is State.LIFTED
    assert "clean" in {line.reason for line in client.journal(restriction=bound.id)}
    assert change(client, proposed, {"state": "active"}).state is State.ACTIVE


def test_an_end_lifts_what_binds_and_turns_down_what_is_proposed(
    client: Client, bound: Restriction, proposed: Restriction
) -> None:
    assert end(client, bound).state is State.LIFTED
    assert end(client, proposed).state is State.REJECTED
    with pytest.raises(Conflict):
        end(client, client.restriction(bound.id))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "no more"},
        {"duration": 60, "state": "lifted"},
        {"expires_at": "soon"},
        {"expires_at": "1999-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00Z"},
    ],
)
def test_what_says_nothing_or_two_things_changes_nothing(
    client: Client, bound: Restriction, body: dict[str, Any]
) -> None:
    with pytest.raises(Malformed):
        change(client, bound, body)
    assert client.restriction(bound.id) == bound


def test_a_new_one_lasts_a_day_unless_it_is_said(client: Client, keeper: FakeKeeper) -> None:
    assert duration(client, {}) == 86400
    assert duration(client, {"duration": 60}) == 60
    until = {"expires_at": datetime.fromtimestamp(keeper.now + 90, UTC).isoformat()}
    assert duration(client, until) == pytest.approx(90, abs=1)
    with pytest.raises(Malformed, match="not both"):
        duration(client, until | {"duration": 60})

"""What the agent in Octavia's driver agent tells, keeps telling, and takes away at the keeper."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sekisho.model.balancer import (
    Balancer,
    BalancerView,
    Kind,
    Listener,
    ObjectStatus,
    Operating,
    Protocol,
    Provisioning,
    Statistics,
    StatusPage,
    Vip,
)
from sekisho.model.errors import NotFound, Unavailable
from support_octavia_lib import DriverError, Thing, UpdateStatisticsError, UpdateStatusError, guest

ACTIVE, DELETED = Provisioning.ACTIVE, Provisioning.DELETED


def status(
    kind: Kind, name: str, provisioning: Provisioning = ACTIVE, *, only_operating: bool = False
) -> ObjectStatus:
    return ObjectStatus(kind, name, provisioning, Operating.ONLINE, only_operating)


class Library:
    """A driver agent that takes what is of objects it has, and nothing while it is away."""

    def __init__(self, *has: str) -> None:
        self.has = set(has)
        self.away = False
        self.stuck: set[str] = set()
        self.told: list[dict[str, Any]] = []
        self.totals: list[dict[str, Any]] = []
        self.refuses_totals = False

    def update_loadbalancer_status(self, message: dict[str, Any]) -> None:
        if self.away:
            raise UpdateStatusError(fault_string="no socket")
        for records in message.values():
            for record in records:
                if record["id"] not in self.has or record["id"] in self.stuck:
                    raise UpdateStatusError(fault_string="no", status_object_id=record["id"])
        self.told.append(message)

    def update_listener_statistics(self, message: dict[str, Any]) -> None:
        if self.refuses_totals:
            raise UpdateStatisticsError(fault_string="no")
        self.totals.append(message)

    def _get(self, name: str) -> Any:
        if self.away:
            raise DriverError(fault_string="no socket")
        return (
            Thing(loadbalancer_id=name, listeners=[{"listener_id": i} for i in self.has])
            if name in self.has
            else None
        )

    get_loadbalancer = get_listener = get_pool = get_member = get_healthmonitor = _get


class Keeper:
    """Gives pages until they are acknowledged."""

    def __init__(self, *pages: StatusPage) -> None:
        self.pages = list(pages)
        self.acknowledged: list[int] = []
        self.balancers: dict[str, Balancer] = {}
        self.gone: list[tuple[str, Kind | None]] = []

    def statuses(self, _revision: int | None, _wait: float) -> StatusPage | None:
        return self.pages[0] if self.pages else None

    def told(self, revision: int) -> None:
        self.acknowledged.append(revision)
        self.pages = [p for p in self.pages if p.revision > revision]

    def show(self, balancer: str) -> BalancerView:
        if balancer not in self.balancers:
            raise NotFound(balancer)
        return BalancerView(self.balancers[balancer], ACTIVE, Operating.ONLINE)

    def delete(self, balancer: str, *, cascade: bool) -> None:
        assert cascade
        self.gone.append((balancer, None))

    def delete_object(self, thing: str, kind: Kind) -> None:
        self.gone.append((thing, kind))


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def passed(self) -> float:
        return self.now


@pytest.fixture
def modules() -> Iterator[dict[str, Any]]:
    with guest() as found:
        yield found


def test_a_page_is_told_in_octavias_words_and_then_acknowledged(modules: dict[str, Any]) -> None:
    page = StatusPage(
        7,
        (
            status(Kind.BALANCER, "lb"),
            status(Kind.MEMBER, "m", DELETED),
            status(Kind.POOL, "p", only_operating=True),
        ),
        (Statistics("l", 1, 2, 3, 4, 5),),
    )
    library, keeper = Library("lb", "m", "p"), Keeper(page)
    modules["agent"].Teller(keeper, library, Time().passed).turn(0.0)
    assert library.told == [
        {
            "loadbalancers": [{"id": "lb", "provisioning_status": "ACTIVE", "operating_status": "ONLINE"}],
            "members": [{"id": "m", "provisioning_status": "DELETED"}],
            "pools": [{"id": "p", "operating_status": "ONLINE"}],
        }
    ]
    (totals,) = library.totals[0]["listeners"]
    assert totals == {
        "id": "l",
        "active_connections": 1,
        "total_connections": 2,
        "bytes_in": 3,
        "bytes_out": 4,
        "request_errors": 5,
    }
    assert keeper.acknowledged == [7]


def test_with_the_driver_agent_away_nothing_is_acknowledged(modules: dict[str, Any]) -> None:
    library, keeper = Library("lb"), Keeper(StatusPage(7, (status(Kind.BALANCER, "lb"),)))
    library.away = True
    teller = modules["agent"].Teller(keeper, library, Time().passed)
    with pytest.raises(Unavailable):
        teller.turn(0.0)
    assert keeper.acknowledged == []
    library.away = False
    teller.turn(0.0)
    assert keeper.acknowledged == [7]


def test_what_octavia_has_no_more_keeps_nothing_else_from_being_told(modules: dict[str, Any]) -> None:
    statuses = (status(Kind.BALANCER, "lb"), status(Kind.MEMBER, "gone"), status(Kind.POOL, "p"))
    library, keeper = Library("lb", "p"), Keeper(StatusPage(7, statuses))
    modules["agent"].Teller(keeper, library, Time().passed).turn(0.0)
    assert [list(m) for m in library.told] == [["pools"], ["loadbalancers"]]  # from the inside out
    assert keeper.acknowledged == [7]


def test_what_octavia_has_and_does_not_take_is_told_again(modules: dict[str, Any]) -> None:
    statuses = (status(Kind.BALANCER, "lb"), status(Kind.LISTENER, "l"))
    library, keeper = Library("lb", "l"), Keeper(StatusPage(7, statuses))
    library.stuck = {"l"}
    with pytest.raises(Unavailable):
        modules["agent"].Teller(keeper, library, Time().passed).turn(0.0)
    assert [list(m) for m in library.told] == [["loadbalancers"]]
    assert keeper.acknowledged == []


def test_totals_that_are_not_taken_hold_nothing_up(modules: dict[str, Any]) -> None:
    library, keeper = Library(), Keeper(StatusPage(7, (), (Statistics("l"),)))
    library.refuses_totals = True
    modules["agent"].Teller(keeper, library, Time().passed).turn(0.0)
    assert keeper.acknowledged == [7]


def test_it_ends_when_told_and_when_its_parent_is_gone(modules: dict[str, Any]) -> None:
    event, turns = threading.Event(), []

    class Teller:
        def turn(self, wait: float) -> None:
            turns.append(wait)
            if len(turns) == 2:
                event.set()
            if len(turns) == 1:
                raise Unavailable("away")

    modules["agent"].run(Teller(), event, lambda: True, 1.0)
    assert turns == [1.0, 1.0]
    modules["agent"].run(Teller(), threading.Event(), lambda: False, 1.0)
    assert len(turns) == 2


def _stray(modules: dict[str, Any], library: Library, keeper: Keeper) -> None:
    """Let a balancer change, and let the agent look at it as often as it wants."""
    time = Time()
    keeper.pages = [StatusPage(7, (status(Kind.BALANCER, "lb"),))]
    teller = modules["agent"].Teller(keeper, library, time.passed)
    for _ in range(4):
        teller.turn(0.0)
        time.now += modules["strays"].AGAIN + 1
    assert keeper.acknowledged == [7]


def test_what_octavia_never_kept_is_taken_away_at_the_keeper(modules: dict[str, Any]) -> None:
    library, keeper = Library("lb", "kept"), Keeper()
    listeners = tuple(Listener(n, Protocol.TCP, p) for n, p in (("kept", 80), ("stray", 81)))
    keeper.balancers["lb"] = Balancer("lb", "lvs", Vip("10.0.0.1"), listeners=listeners)
    _stray(modules, library, keeper)
    assert keeper.gone == [("stray", Kind.LISTENER)]

    library, keeper = Library("other"), Keeper()
    keeper.balancers["lb"] = Balancer("lb", "lvs", Vip("10.0.0.1"))
    _stray(modules, library, keeper)
    assert keeper.gone == [("lb", None)]


def test_what_octavia_keeps_late_is_left_alone(modules: dict[str, Any]) -> None:
    time, library, keeper = Time(), Library("other"), Keeper()
    keeper.balancers["lb"] = Balancer("lb", "lvs", Vip("10.0.0.1"))
    strays = modules["strays"].Strays(library, keeper, time.passed)
    strays.changed([status(Kind.BALANCER, "lb")])
    assert not strays.look()
    time.now += modules["strays"].FIRST
    assert strays.look()
    library.has.add("lb")
    time.now += modules["strays"].AGAIN
    assert strays.look()
    assert not strays.look()
    assert keeper.gone == []


def test_with_the_driver_agent_away_nothing_is_taken_away(modules: dict[str, Any]) -> None:
    time, library, keeper = Time(), Library(), Keeper()
    keeper.balancers["lb"] = Balancer("lb", "lvs", Vip("10.0.0.1"))
    strays = modules["strays"].Strays(library, keeper, time.passed)
    strays.changed([status(Kind.BALANCER, "lb")])
    library.away = True
    for _ in range(3):
        time.now += modules["strays"].AGAIN + 1
        with pytest.raises(Unavailable):
            strays.look()
    assert keeper.gone == []

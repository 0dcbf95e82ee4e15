"""What the agent in Octavia's driver agent tells, keeps telling, and takes away at the keeper."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sekisho.app import balancers_tree as tree
from sekisho.model.balancer import (
    Balancer,
    BalancerView,
    Check,
    Kind,
    Listener,
    Member,
    Monitor,
    ObjectStatus,
    Operating,
    Pool,
    Protocol,
    Provisioning,
    Statistics,
    StatusPage,
    Vip,
)
from sekisho.model.errors import NotFound, SekishoError, Unavailable, Unsupported
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
        self.trees: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
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
        self.asked.append(name)
        return Thing(**self.trees.get(name, {"loadbalancer_id": name})) if name in self.has else None

    get_loadbalancer = get_listener = get_pool = get_member = get_healthmonitor = _get


class Keeper:
    """Gives pages until they are acknowledged."""

    def __init__(self, *pages: StatusPage) -> None:
        self.pages = list(pages)
        self.acknowledged: list[int] = []
        self.balancers: dict[str, Balancer] = {}
        self.changed = 0.0
        self.leaving: list[tuple[Kind, str]] = []
        self.refuses: SekishoError | None = None
        self.tries = 0
        self.puts: list[Balancer] = []
        self.gone: list[tuple[str, Kind | None]] = []

    def statuses(self, _revision: int | None, _wait: float) -> StatusPage | None:
        return self.pages[0] if self.pages else None

    def told(self, revision: int) -> None:
        self.acknowledged.append(revision)
        self.pages = [p for p in self.pages if p.revision > revision]

    def show(self, balancer: str) -> BalancerView:
        if balancer not in self.balancers:
            raise NotFound(balancer)
        leaving = tuple(status(kind, name, Provisioning.PENDING) for kind, name in self.leaving)
        there = self.balancers[balancer]
        return BalancerView(there, ACTIVE, Operating.ONLINE, changed=self.changed, statuses=leaving)

    def list(self) -> tuple[BalancerView, ...]:
        return tuple(map(self.show, self.balancers))

    def put(self, balancer: Balancer, changed: float) -> None:
        self.tries += 1
        if self.refuses is not None:
            raise self.refuses
        assert changed == self.changed
        self.puts.append(balancer)
        self.balancers[balancer.id] = tree.merged(self.balancers[balancer.id], balancer)

    def delete(self, balancer: str, *, cascade: bool) -> None:
        assert cascade
        self.gone.append((balancer, None))
        del self.balancers[balancer]

    def delete_object(self, thing: str, kind: Kind) -> None:
        self.gone.append((thing, kind))
        for name, had in self.balancers.items():
            self.balancers[name] = tree.without(had, thing)


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def passed(self) -> float:
        return self.now


@pytest.fixture
def modules() -> Iterator[dict[str, Any]]:
    with guest() as found:
        yield found


def _turn(modules: dict[str, Any], keeper: Keeper, library: Library) -> None:
    audit = modules["audit"].Audit(library, keeper, Time().passed)
    modules["agent"].Teller(keeper, library, audit).turn(0.0)


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
    _turn(modules, keeper, library)
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
    with pytest.raises(Unavailable):
        _turn(modules, keeper, library)
    assert keeper.acknowledged == []
    library.away = False
    _turn(modules, keeper, library)
    assert keeper.acknowledged == [7]


def test_what_octavia_has_no_more_keeps_nothing_else_from_being_told(modules: dict[str, Any]) -> None:
    statuses = (status(Kind.BALANCER, "lb"), status(Kind.MEMBER, "gone"), status(Kind.POOL, "p"))
    library, keeper = Library("lb", "p"), Keeper(StatusPage(7, statuses))
    _turn(modules, keeper, library)
    assert [list(m) for m in library.told] == [["pools"], ["loadbalancers"]]  # from the inside out
    assert keeper.acknowledged == [7]


def test_what_octavia_has_and_does_not_take_is_told_again(modules: dict[str, Any]) -> None:
    statuses = (status(Kind.BALANCER, "lb"), status(Kind.LISTENER, "l"))
    library, keeper = Library("lb", "l"), Keeper(StatusPage(7, statuses))
    library.stuck = {"l"}
    with pytest.raises(Unavailable):
        _turn(modules, keeper, library)
    assert [list(m) for m in library.told] == [["loadbalancers"]]
    assert keeper.acknowledged == []


def test_totals_that_are_not_taken_hold_nothing_up(modules: dict[str, Any]) -> None:
    library, keeper = Library(), Keeper(StatusPage(7, (), (Statistics("l"),)))
    library.refuses_totals = True
    _turn(modules, keeper, library)
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


def _looked(modules: dict[str, Any], library: Library, keeper: Keeper, times: int = 5) -> Any:
    """Let an agent start, and look as often as it wants."""
    time = Time()
    audit = modules["audit"].Audit(library, keeper, time.passed, 10.0)
    for _ in range(times):
        while audit.look():
            pass
        time.now += 45.0
    return audit


def _kept(**more: Any) -> Balancer:
    """Give a balancer with a listener over a pool of a member, as `_theirs` has it."""
    pool = Pool("p", Protocol.TCP, members=(Member("m", "10.0.0.1", 80),), monitor=Monitor("h", Check.TCP))
    listener = Listener("l", Protocol.TCP, 80, "p")
    return Balancer("lb", "lvs", Vip("10.0.0.100"), listeners=(listener,), pools=(pool,), **more)


def _theirs(**more: Any) -> dict[str, Any]:
    """Give what the driver agent tells of it: an object outside, mappings inside, all with odds and ends."""
    member = {"member_id": "m", "address": "10.0.0.1", "protocol_port": 80, "weight": 1, "subnet_id": None}
    monitor = {"healthmonitor_id": "h", "type": "TCP", "delay": 5, "timeout": 5, "max_retries": 3}
    pool: dict[str, Any] = {"pool_id": "p", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}
    pool |= {"session_persistence": None, "members": [member], "healthmonitor": monitor}
    listener = {"listener_id": "l", "protocol": "TCP", "protocol_port": 80, "default_pool_id": "p"}
    whole = {"loadbalancer_id": "lb", "listeners": [listener | {"default_pool": pool}], "pools": [pool]}
    return whole | {"availability_zone": "a name, not a mapping", "flavor": None, "name": None} | more


def test_what_octavia_never_kept_is_taken_away_at_the_keeper(modules: dict[str, Any]) -> None:
    library, keeper = Library("lb"), Keeper()
    library.trees["lb"] = _theirs()
    kept = _kept()
    stray = Listener("stray", Protocol.TCP, 81)
    keeper.balancers["lb"] = replace(kept, listeners=(*kept.listeners, stray))
    _looked(modules, library, keeper)
    assert (keeper.gone, keeper.puts) == ([("stray", Kind.LISTENER)], [])

    library, keeper = Library("other"), Keeper()
    keeper.balancers["lb"] = _kept()
    _looked(modules, library, keeper)
    assert keeper.gone == [("lb", None)]


def test_what_is_as_octavia_has_it_is_left_alone(modules: dict[str, Any]) -> None:
    library, keeper = Library("lb"), Keeper()
    library.trees["lb"] = _theirs()
    keeper.balancers["lb"] = _kept(zone="north", flavor={"pair": "rack"})
    _looked(modules, library, keeper)
    assert (keeper.gone, keeper.puts) == ([], [])
    assert library.asked == ["lb"], "all are looked at once when it starts, and then those that change"


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "shop"},
        {"admin_state_up": False},
        {"listeners": [*_theirs()["listeners"], {**_theirs()["listeners"][0], "listener_id": "l2"}]},
        {"listeners": [{**_theirs()["listeners"][0], "admin_state_up": False}]},
        {"pools": [{**_theirs()["pools"][0], "lb_algorithm": "LEAST_CONNECTIONS"}]},
        {
            "pools": [
                {**_theirs()["pools"][0], "members": [{**_theirs()["pools"][0]["members"][0], "weight": 7}]}
            ]
        },
        {
            "pools": [
                {
                    **_theirs()["pools"][0],
                    "healthmonitor": {**_theirs()["pools"][0]["healthmonitor"], "delay": 9},
                }
            ]
        },
    ],
)
def test_what_octavia_has_otherwise_is_made_so_at_the_keeper(
    modules: dict[str, Any], changed: dict[str, Any]
) -> None:
    library, keeper = Library("lb"), Keeper()
    library.trees["lb"] = _theirs(**changed)
    keeper.balancers["lb"] = _kept()
    _looked(modules, library, keeper)
    assert len(keeper.puts) == 1
    assert keeper.gone == []
    assert not modules["agree"].difference(Thing(**_theirs(**changed)), keeper.balancers["lb"])


def test_what_changes_between_two_looks_is_looked_at_anew(modules: dict[str, Any]) -> None:
    library, keeper = Library("lb"), Keeper()
    library.trees["lb"] = _theirs(name="shop")
    keeper.balancers["lb"] = _kept()
    time = Time()
    audit = modules["audit"].Audit(library, keeper, time.passed, 10.0)
    for _ in range(3):
        keeper.changed += 1.0
        audit.look()
        time.now += 45.0
    assert keeper.puts == []
    audit.look()
    assert len(keeper.puts) == 1


def test_what_is_on_its_way_out_is_not_brought_back(modules: dict[str, Any]) -> None:
    library, keeper = Library("lb"), Keeper()
    library.trees["lb"] = _theirs()
    kept = _kept()
    keeper.balancers["lb"] = replace(kept, listeners=(replace(kept.listeners[0], pool=""),), pools=())
    keeper.leaving = [(Kind.POOL, "p"), (Kind.MEMBER, "m"), (Kind.MONITOR, "h")]
    _looked(modules, library, keeper)
    assert (keeper.gone, keeper.puts) == ([], [])


def test_what_cannot_be_made_as_octavia_has_it_is_tried_once(
    modules: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    library, keeper = Library("lb"), Keeper()
    library.trees["lb"] = _theirs(name="shop")
    keeper.balancers["lb"] = _kept()
    keeper.refuses = Unsupported("It cannot be carried.")
    audit = _looked(modules, library, keeper)
    assert "It cannot be carried." in caplog.text
    time_passes = 3
    for _ in range(time_passes):
        audit.changed([status(Kind.BALANCER, "lb")])
        _again(audit)
    assert keeper.tries == 1


def _again(audit: Any) -> None:
    for _ in range(2):
        audit._passed.__self__.now += 45.0
        audit.look()


def test_what_octavia_keeps_late_is_left_alone(modules: dict[str, Any]) -> None:
    time, library, keeper = Time(), Library("other"), Keeper()
    audit = modules["audit"].Audit(library, keeper, time.passed, 10.0)
    assert not audit.look()
    keeper.balancers["lb"] = _kept()
    audit.changed([status(Kind.BALANCER, "lb")])
    assert not audit.look()
    time.now += 10.0
    assert audit.waiting()
    assert audit.look()
    library.has.add("lb")
    library.trees["lb"] = _theirs()
    time.now += 40.0
    assert audit.look()
    assert not audit.look()
    assert (keeper.gone, keeper.puts) == ([], [])


def test_with_the_driver_agent_away_nothing_is_taken_away(modules: dict[str, Any]) -> None:
    time, library, keeper = Time(), Library(), Keeper()
    keeper.balancers["lb"] = _kept()
    audit = modules["audit"].Audit(library, keeper, time.passed, 10.0)
    library.away = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            audit.look()
        time.now += 45.0
    assert keeper.gone == []


def test_ten_thousand_statuses_are_told_in_messages_that_end_in_time(modules: dict[str, Any]) -> None:
    names = [f"m{n}" for n in range(10_000)]
    statuses = (status(Kind.BALANCER, "lb"), *(status(Kind.MEMBER, n) for n in names))
    library, keeper = Library("lb", *names), Keeper(StatusPage(7, statuses))
    _turn(modules, keeper, library)
    counts = [sum(map(len, message.values())) for message in library.told]
    assert max(counts) <= 100
    assert sum(counts) == 10_001
    assert "loadbalancers" in library.told[-1], "a balancer may change again when all in it is right"
    assert keeper.acknowledged == [7]

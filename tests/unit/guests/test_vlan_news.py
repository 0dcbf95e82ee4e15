"""What the keeper is told of hosts' VLANs: each host whole, as it is by then, and nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sekisho.guests.neutron.vlans import VlanNews
from sekisho.model.attachment import Attachment, HostVlan, HostVlans
from sekisho.model.errors import Forbidden, Unavailable

LONG = 10.0
NEVER = 1e6


class Keeper:
    """Takes what it is told; fails with what is in `failures` first."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.told: list[tuple[str, tuple[int, ...]]] = []
        self.hosts: dict[str, tuple[int, ...]] = {}
        self.compared = 0
        self.news = threading.Condition()
        self.before: Callable[[], None] = lambda: None

    def report_vlans(self, host: str, vlans: HostVlans) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.before()
        with self.news:
            ids = tuple(v.id for v in vlans.vlans)
            self.told.append((host, ids))
            self.hosts[host] = ids
            self.news.notify_all()

    def attachments(self) -> tuple[Attachment, ...]:
        with self.news:
            self.compared += 1
            self.news.notify_all()
        return tuple(Attachment(h, tuple(map(HostVlan, ids))) for h, ids in self.hosts.items() if ids)

    def until(self, true: Callable[[], bool]) -> None:
        with self.news:
            assert self.news.wait_for(true, LONG)


class Neutron(dict[str, tuple[int, ...]]):
    """Neutron's database: VLANs by host."""

    def __init__(self, **hosts: tuple[int, ...]) -> None:
        super().__init__(hosts)
        self.reads: list[str] = []

    def read(self, host: str) -> HostVlans:
        self.reads.append(host)
        return HostVlans(tuple(map(HostVlan, self.get(host, ()))))

    def hosts(self) -> Iterable[str]:
        return list(self)


def news(keeper: Keeper, neutron: Neutron, **more: Any) -> VlanNews:
    made: Any = lambda: keeper  # noqa: E731 - typed so that a fake passes for a client
    return VlanNews(made, neutron.read, neutron.hosts, **{"every": NEVER, "pause": 0.001, **more})


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


def test_a_host_is_told_whole_and_its_last_port_leaves_nothing(keeper: Keeper) -> None:
    neutron = Neutron(h1=(10, 11))
    mine = news(keeper, neutron)
    assert mine.tell("h1")
    neutron["h1"] = ()
    assert mine.tell("h1")
    assert keeper.told == [("h1", (10, 11)), ("h1", ())]


def test_many_ports_of_a_host_cost_one_word(keeper: Keeper) -> None:
    neutron = Neutron(h1=(10,), h2=(20,))
    first, go = threading.Event(), threading.Event()
    mine = news(keeper, neutron)
    mine._whole = False

    def hold() -> None:
        first.set()
        assert go.wait(LONG)

    keeper.before = hold
    mine.changed("h1", "")
    assert first.wait(LONG)
    keeper.before = lambda: None
    for _ in range(50):
        mine.changed("h2", "h1")
    go.set()
    keeper.until(lambda: {"h1", "h2"} <= {h for h, _ in keeper.told})
    assert len(keeper.told) <= 3


def test_the_later_of_two_words_is_what_the_database_has_by_then(keeper: Keeper) -> None:
    """Another process binds a port between our reading and our word."""
    neutron = Neutron(h1=(10,))
    mine = news(keeper, neutron)

    def another() -> None:
        keeper.before = lambda: None
        neutron["h1"] = (10, 11)

    keeper.before = another
    assert mine.tell("h1")
    assert keeper.told == [("h1", (10,)), ("h1", (10, 11))]


def test_a_keeper_that_is_away_hears_it_later(keeper: Keeper) -> None:
    keeper.failures = [Unavailable("away")] * 3
    mine = news(keeper, Neutron(h1=(10,), h2=(20,)))
    mine.changed("h1", "h2")
    keeper.until(lambda: keeper.hosts == {"h1": (10,), "h2": (20,)})


def test_a_database_that_is_away_is_asked_again(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    neutron = Neutron(h1=(10,))
    mine = news(keeper, neutron)
    monkeypatch.setattr(mine, "_read", lambda _: 1 / 0)
    assert not mine.tell("h1")
    monkeypatch.undo()
    assert mine.tell("h1")
    assert keeper.told == [("h1", (10,))]


def test_what_the_keeper_refuses_is_not_told_again_at_once(keeper: Keeper) -> None:
    keeper.failures = [Forbidden("not you")]
    assert news(keeper, Neutron(h1=(10,))).tell("h1")
    assert not keeper.told


def test_all_hosts_are_compared_at_first_and_then_again(keeper: Keeper) -> None:
    """Words that were lost, hosts that are gone, ports that were bound where nobody heard it."""
    keeper.hosts = {"same": (10,), "gone": (20,), "other": (30,)}
    mine = news(keeper, Neutron(same=(10,), other=(31,), new=(40,)), every=0.01)
    mine.changed("same")
    keeper.until(lambda: keeper.hosts == {"same": (10,), "gone": (), "other": (31,), "new": (40,)})
    before = keeper.compared
    keeper.until(lambda: keeper.compared > before + 1)
    assert [h for h, _ in keeper.told].count("same") == 1


def test_a_port_that_is_being_bound_is_looked_at_again_when_it_is_written(keeper: Keeper) -> None:
    neutron = Neutron(h1=())
    mine = news(keeper, neutron, bound=0.05)
    mine._whole = False
    mine.binding("h1")
    keeper.until(lambda: keeper.told == [("h1", ())])
    neutron["h1"] = (10,)
    keeper.until(lambda: keeper.hosts["h1"] == (10,))
    assert not mine._binding

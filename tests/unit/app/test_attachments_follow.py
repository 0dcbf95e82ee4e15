"""Switches are brought up to what the cloud wants; one that is dead delays nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sekisho.app.attachments import Attachments
from sekisho.app.attachments_follow import LONGEST, Following
from sekisho.devices.switch.document import Attach, Connection, Switch
from sekisho.devices.switch.driver import Neighbour
from sekisho.devices.switch.intent import Intent, Port
from sekisho.model.access import Principal, Role
from sekisho.model.attachment import HostVlan, HostVlans
from sekisho.model.errors import SekishoError, Unavailable
from sekisho.model.switch import ChangeState, ChangeView, RolloutView, Verb

NEUTRON = Principal("neutron", Role.CLOUD)
LONG = 10.0
OURS = "1000-1999"


class Memory(dict[str, str]):
    def remember(self, name: str, value: str) -> None:
        self[name] = value

    def recall(self, name: str) -> str:
        return self.get(name, "")


class Room:
    """Switches that take intents; those in `dead` answer with an error, those in `hang` not even that."""

    def __init__(self, *names: str, lldp: bool = False) -> None:
        self.dead: set[str] = set()
        self.refusing: dict[str, str] = {}
        self.hanging = threading.Event()
        self.hanging.set()
        self.hang: set[str] = set()
        self.carried: dict[str, Intent] = {}
        self.beside: tuple[Neighbour, ...] = ()
        self.strangers: set[str] = set()
        self.news = threading.Condition()
        self.asked: list[str] = []
        self.reasons: list[str] = []
        attach = {n: Attach(OURS, {} if lldp else {f"host-{n}": ("Ethernet1/1",)}, lldp) for n in names}
        self.switches = {n: Switch(n, Connection("m", n), Intent(n), attach=attach[n]) for n in names}

    def known(self) -> Mapping[str, Switch]:
        return self.switches

    @contextmanager
    def hold(self, switch: Switch, wait: float) -> Iterator[Any]:
        del wait
        with self.news:
            self.asked.append(switch.name)
            self.news.notify_all()
        if switch.name in self.hang:
            assert self.hanging.wait(LONG)
        if switch.name in self.dead:
            raise Unavailable("It does not answer.", f"{switch.name}: away")
        yield SimpleNamespace(driver=lambda: self._driver(switch.name))

    def check(self, switch: Switch, state: Any) -> None:
        del state
        if switch.name in self.strangers:
            raise Unavailable(
                "It answers as another switch.", f"{switch.name}: its serial number is another."
            )

    def _driver(self, name: str) -> Any:
        state = SimpleNamespace(parts=self.carried.get(name, Intent(name)).parts)
        return SimpleNamespace(read=lambda: state, neighbours=lambda: self.beside, abilities=lambda: None)

    def converge(
        self, author: str, reason: str, intents: Mapping[str, Intent], allow: Sequence[str]
    ) -> RolloutView:
        assert author == "cloud"
        assert list(allow) == ["vlan-with-ports"]
        ((name, intent),) = intents.items()
        with self.news:
            self.reasons.append(reason)
            problem = self.refusing.get(name, "")
            if not problem:
                self.carried[name] = intent
            self.news.notify_all()
        state = ChangeState.REFUSED if problem else ChangeState.APPLIED
        return RolloutView("r1", (ChangeView("c1", "r1", name, Verb.APPLY, state, author, error=problem),))

    def rollout(self, rollout: str) -> RolloutView:
        raise AssertionError(rollout)

    def allowed(self, name: str, port: str = "Ethernet1/1") -> str | None:
        part = self.carried.get(name, Intent(name)).parts.get(("port", port))
        return part.allowed if isinstance(part, Port) else None

    def until(self, true: Callable[[], bool]) -> None:
        with self.news:
            assert self.news.wait_for(true, LONG)


class Bed:
    """A room that is followed; the clock is the test's."""

    def __init__(self, room: Room, lanes: int = 8) -> None:
        self.room = room
        self.now = 0.0
        self.attachments = Attachments(Memory(), room.known)
        self.following = Following(
            self.attachments,
            room,
            lambda: self.now,
            threading.Event(),
            lambda intent, state, _: intent.parts != state.parts,
            lanes,
        )
        self.attachments.changed = self.following.changed
        self.attachments.fares = self.following.fares
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self.following.stop.is_set():
            self.following.look()

    def put(self, host: str, *ids: int) -> None:
        self.attachments.put(NEUTRON, host, HostVlans(tuple(HostVlan(i) for i in ids)))

    def advance(self, seconds: float) -> None:
        with self.following._some:
            self.now += seconds
            self.following._some.notify_all()

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that shows in how switches fare."""
        with self.following._some:
            assert self.following._some.wait_for(true, LONG)


@pytest.fixture
def bed() -> Iterator[Callable[..., Bed]]:
    made: list[Bed] = []

    def make(room: Room, lanes: int = 8) -> Bed:
        made.append(Bed(room, lanes))
        made[-1].thread.start()
        return made[-1]

    yield make
    for each in made:
        each.room.hanging.set()
        each.following.stop.set()
        each.advance(0)
        each.thread.join(LONG)


def test_a_hosts_vlans_come_and_go(bed: Callable[..., Bed]) -> None:
    room = Room("a")
    mine = bed(room)
    mine.put("host-a", 1001)
    room.until(lambda: room.allowed("a") == "1001")
    mine.put("host-a", 1001, 1005)
    room.until(lambda: room.allowed("a") == "1001,1005")
    mine.put("host-a")
    room.until(lambda: room.allowed("a") == "")
    mine.until(lambda: mine.following.fares("a") == (True, ""))
    assert room.reasons[0] == "The VLANs of host-a, as the cloud says."


def test_a_switch_that_already_carries_it_is_not_changed(bed: Callable[..., Bed]) -> None:
    room = Room("a")
    mine = bed(room)
    mine.until(lambda: mine.following.fares("a") == (True, ""))
    before = len(room.reasons)
    mine.following.changed(["a"])
    mine.until(lambda: mine.following.fares("a") == (True, ""))
    assert len(room.reasons) == before


def test_a_dead_switch_is_caught_up_when_it_answers_again(bed: Callable[..., Bed]) -> None:
    room = Room("a", "b")
    room.dead = {"b"}
    mine = bed(room)
    mine.put("host-b", 1001)
    mine.put("host-a", 1001)
    room.until(lambda: room.allowed("a") == "1001")
    mine.until(lambda: mine.following.fares("b") == (False, "It does not answer."))
    assert mine.following.notices() == ("switch b: the cloud's VLANs are not carried: It does not answer.",)
    mine.put("host-b", 1002)
    room.dead = set()
    mine.advance(LONGEST)
    # What was wanted while it was away and is wanted no more, it never hears of.
    room.until(lambda: room.allowed("b") == "1002")
    mine.until(lambda: mine.following.fares("b") == (True, ""))
    assert mine.following.notices() == ()


def test_switches_that_hang_hold_no_other_up(bed: Callable[..., Bed]) -> None:
    names = [f"d{i}" for i in range(6)]
    room = Room(*names, "a")
    room.dead = set(names)
    mine = bed(room, lanes=2)
    mine.until(lambda: all(mine.following.fares(n)[1] for n in names))
    mine.until(lambda: mine.following.fares("a") == (True, ""))
    # From here on they do not even answer with an error; they have two lanes to wait in, and "a" has others.
    room.hanging.clear()
    room.hang = set(names)
    room.asked.clear()
    mine.advance(LONGEST)
    room.until(lambda: len(room.asked) == 2)
    mine.put("host-a", 1001)
    room.until(lambda: room.allowed("a") == "1001")
    assert len([n for n in room.asked if n in names]) == 2


def test_what_is_refused_is_told_and_tried_again_later(bed: Callable[..., Bed]) -> None:
    room = Room("a")
    room.refusing["a"] = "It would cut off Ethernet1/1."
    mine = bed(room)
    mine.put("host-a", 1001)
    mine.until(lambda: mine.following.fares("a") == (False, "It would cut off Ethernet1/1."))
    room.refusing.clear()
    mine.advance(LONGEST)
    room.until(lambda: room.allowed("a") == "1001")


def test_news_in_the_middle_of_a_turn_is_another_turn(bed: Callable[..., Bed]) -> None:
    room = Room("a")
    mine = bed(room)
    mine.until(lambda: mine.following.fares("a") == (True, ""))
    room.hanging.clear()
    room.hang = {"a"}
    room.asked.clear()
    mine.put("host-a", 1001)
    room.until(lambda: room.asked == ["a"])
    mine.put("host-a", 1001, 1002)
    assert mine.following.fares("a") == (False, "")
    room.hanging.set()
    room.until(lambda: room.allowed("a") == "1001-1002")
    mine.until(lambda: mine.following.fares("a") == (True, ""))


def test_a_host_that_is_heard_later_is_found_by_itself(bed: Callable[..., Bed]) -> None:
    room = Room("a", lldp=True)
    mine = bed(room)
    mine.put("c1", 1001)
    mine.until(lambda: mine.following.fares("a") == (True, ""))
    assert mine.following.notices() == ("hosts c1: no switch is known to have them",)
    room.beside = (Neighbour("Ethernet1/7", "c1", "eth0"),)
    mine.advance(300.0)
    room.until(lambda: room.allowed("a", "Ethernet1/7") == "1001")


def test_nothing_is_learnt_from_a_switch_that_stands_in_another_s_place(
    bed: Callable[..., Bed], caplog: pytest.LogCaptureFixture
) -> None:
    room = Room("a", "b", lldp=True)
    room.strangers = {"a"}
    room.beside = (Neighbour("Ethernet1/7", "c1", "eth0"),)
    room.dead = {"b"}
    mine = bed(room)
    mine.put("c1", 1001)
    mine.until(lambda: mine.following.fares("a") == (False, "It answers as another switch."))
    assert "hosts c1: no switch is known to have them" in mine.following.notices()
    assert mine.attachments.lost() == ("c1",)
    assert "a: a:" not in caplog.text
    room.strangers = set()
    mine.advance(LONGEST)
    room.until(lambda: room.allowed("a", "Ethernet1/7") == "1001")


def test_a_file_that_says_where_a_host_is_is_heard_of_by_itself(bed: Callable[..., Bed]) -> None:
    room = Room("a", "b")
    mine = bed(room)
    mine.put("c1", 1001)
    for name in "ab":
        mine.until(lambda: mine.following.fares(name) == (True, ""))  # noqa: B023 - it is at once
    room.asked.clear()
    room.switches["a"] = replace(room.switches["a"], attach=Attach(OURS, {"c1": ("Ethernet1/3",)}))
    room.until(lambda: room.allowed("a", "Ethernet1/3") == "1001")
    room.switches["a"] = replace(room.switches["a"], attach=Attach(OURS, {"c1": ("Ethernet1/4",)}))
    room.until(lambda: room.allowed("a", "Ethernet1/4") == "1001" and not room.allowed("a", "Ethernet1/3"))
    assert "b" not in room.asked


def test_a_file_that_names_a_host_lets_others_forget_where_they_heard_it(bed: Callable[..., Bed]) -> None:
    room = Room("a", "b", lldp=True)
    mine = bed(room)
    mine.put("c1", 1001)
    room.beside = (Neighbour("Ethernet1/7", "c1", "eth0"),)
    mine.advance(300.0)
    room.until(
        lambda: room.allowed("a", "Ethernet1/7") == "1001" or room.allowed("b", "Ethernet1/7") == "1001"
    )
    liar, file = ("a", "b") if room.allowed("a", "Ethernet1/7") else ("b", "a")
    room.switches[file] = replace(room.switches[file], attach=Attach(OURS, {"c1": ("Ethernet1/1",)}))
    room.until(lambda: not room.allowed(liar, "Ethernet1/7") and room.allowed(file) == "1001")


def test_an_error_that_nobody_thought_of_does_not_end_it(
    bed: Callable[..., Bed], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room("a")
    mine = bed(room)
    mine.until(lambda: mine.following.fares("a") == (True, ""))
    errors: list[Exception] = [ValueError("odd"), SekishoError("known", "fixer")]
    real = room.converge

    def converge(*given: Any) -> RolloutView:
        if errors:
            raise errors.pop()
        return real(*given)

    monkeypatch.setattr(room, "converge", converge)
    mine.put("host-a", 1001)
    for sentence in ("known", "An unexpected error; the keeper's log has it."):
        mine.until(lambda: mine.following.fares("a") == (False, sentence))  # noqa: B023 - it is at once
        mine.advance(LONGEST)
    room.until(lambda: room.allowed("a") == "1001")

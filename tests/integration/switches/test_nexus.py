"""A pair of emulated Nexus switches is changed on both or on neither, whichever answer is lost."""

from __future__ import annotations

import difflib
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from sekisho.app.switches import Switches, SwitchesSettings
from sekisho.devices.switch.nexus.driver import connect
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.switch import Accord, ChangeState, ChangeView, RolloutView, Wanted
from sekisho.testing.nexus import Box, Door, serve

ADA = Principal("ada", Role.ADMIN)
NAMES = ("leaf-1", "leaf-2")
INTENT = """
[connect]
driver = "nexus"
address = "http://127.0.0.1"
port = {port}
username = "admin"
password_file = "{secret}"
timeout = 2.0
transport = "nxapi"
[pair]
peer = "{peer}"
domain = 10
keepalive = {{ destination = "192.0.2.{other}", source = "192.0.2.{number}", vrf = "management" }}
[vlan.10]
name = "web"
[port.port-channel1]
mode = "trunk"
allowed = "all"
lacp = "active"
members = ["Ethernet1/47", "Ethernet1/48"]
peer_link = true
[port.port-channel11]
mode = "trunk"
allowed = "10"
lacp = "active"
members = ["Ethernet1/1"]
vpc = 11
"""
MORE = """
[vlan.20]
name = "mail"
[acl.ipv4.web-in]
entries = ["10 permit tcp any 10.0.0.0/24 80-443"]
[port."Ethernet1/2"]
description = "somebody"
mode = "trunk"
allowed = "10,20"
"""


@dataclass
class Pair:
    """Two boxes with their doors, a folder of files, and a keeper's switches over them."""

    root: Path
    boxes: dict[str, Box] = field(default_factory=dict)
    doors: dict[str, Door] = field(default_factory=dict)
    requests: int = 0

    def open(self, stack: ExitStack) -> None:
        self.boxes = {n: Box(hostname=n, version="9.3(10)") for n in NAMES}
        one, two = self.boxes.values()
        one.peer, two.peer = two, one
        self.doors = {n: stack.enter_context(serve(b, ssh_port=0)) for n, b in self.boxes.items()}
        (self.root / "files").mkdir()
        (self.root / "secret").write_text("admin")

    def write(self, more: str = "") -> None:
        for number, (name, peer) in enumerate((NAMES, NAMES[::-1]), 1):
            text = INTENT.format(
                port=self.doors[name].port,
                secret=self.root / "secret",
                peer=peer,
                number=number,
                other=3 - number,
            )
            (self.root / "files" / f"{name}.toml").write_text(text + more)

    @contextmanager
    def keeper(self) -> Iterator[Switches]:
        settings = SwitchesSettings(folder=str(self.root / "files"), retry=0.05, settle=0.0, every=0.0)
        ledger = Ledger(self.root / "ledger.db")
        made = Switches(settings, ledger, Clock(), self.root / "state", lambda c: connect(c, "admin"))
        (self.root / "state").mkdir(exist_ok=True)
        self.news = threading.Condition()
        made.listen(self._hear)
        try:
            yield made
        finally:
            made.close(10.0)
            ledger.close()

    def _hear(self, _topic: str) -> None:
        with self.news:
            self.news.notify_all()

    def apply(self, keeper: Switches) -> tuple[ChangeView, ...]:
        return self.until(keeper, keeper.want(ADA, Wanted(NAMES, "as planned")))

    def back(self, keeper: Switches) -> tuple[ChangeView, ...]:
        return self.until(keeper, keeper.rollback(ADA, "leaf-1", "", "it was wrong"))

    def until(self, keeper: Switches, begun: RolloutView) -> tuple[ChangeView, ...]:
        with self.news:
            assert self.news.wait_for(lambda: keeper.rollout(begun.id).ended, 60.0), "it never ended"
        return keeper.rollout(begun.id).changes

    def texts(self) -> list[str]:
        return [bare(box.running_config()) for box in self.boxes.values()]

    def saved(self) -> bool:
        return all(bare(box.startup) == bare(box.running_config()) for box in self.boxes.values())


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        made = Pair(tmp_path)
        made.open(stack)
        yield made


def bare(text: str) -> str:
    """Leave out a line that a peer link brings with it, sooner or later."""
    return text.replace("  spanning-tree port type network\n", "")


def same_texts(now: list[str], before: list[str], where: str) -> None:
    for one, other in zip(before, now, strict=True):
        told = "\n".join(difflib.unified_diff(one.splitlines(), other.splitlines(), lineterm=""))
        assert not told, f"{where}\n{told}"


def states(changes: tuple[ChangeView, ...]) -> set[ChangeState]:
    return {c.state for c in changes}


def test_a_pair_becomes_what_its_files_say_and_goes_back_again(pair: Pair) -> None:
    pair.write()
    with pair.keeper() as keeper:
        assert states(pair.apply(keeper)) == {ChangeState.APPLIED}
        assert all(not p.steps for p in keeper.plan(()))
        first = pair.texts()
        pair.write(MORE)
        assert states(pair.apply(keeper)) == {ChangeState.APPLIED}
        assert all("vlan 20" in text for text in pair.texts())
        assert pair.saved()
        assert states(pair.back(keeper)) == {ChangeState.APPLIED}
        assert pair.texts() == first
        assert pair.saved()


@pytest.mark.parametrize("version", ["7.0(3)I7(10)", "10.2(5)", "10.6(3)"])
def test_every_version_is_changed_and_brought_back(pair: Pair, version: str) -> None:
    for box in pair.boxes.values():
        box.version = version
    pair.write(MORE)
    with pair.keeper() as keeper:
        assert states(pair.apply(keeper)) == {ChangeState.APPLIED}
        pair.write(MORE.replace("mail", "post"))
        before = pair.texts()
        pair.boxes["leaf-2"].faults.dme_object = 1
        assert states(pair.apply(keeper)) == {ChangeState.ROLLED_BACK}
        same_texts(pair.texts(), before, version)


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"dme_object": 2}, "internal error"),
        ({"save_fails": "no space left on device"}, "no space left"),
        ({"locked_by": "olga"}, "olga"),
    ],
    ids=lambda told: next(iter(told)) if isinstance(told, dict) else "",
)
def test_a_switch_that_says_no_leaves_the_pair_as_it_was(
    pair: Pair, faults: dict[str, str | int], said: str
) -> None:
    pair.write()
    with pair.keeper() as keeper:
        pair.apply(keeper)
        before = pair.texts()
        pair.write(MORE)
        for name, value in faults.items():
            setattr(pair.boxes["leaf-2"].faults, name, value)
        changes = pair.apply(keeper)
        pair.boxes["leaf-2"].faults.save_fails = pair.boxes["leaf-2"].faults.locked_by = ""
        assert states(changes) <= {ChangeState.ROLLED_BACK, ChangeState.REFUSED}
        assert any(said in c.error for c in changes), [c.error for c in changes]
        same_texts(pair.texts(), before, said)
        assert pair.saved()
        assert states(pair.apply(keeper)) == {ChangeState.APPLIED}


def test_a_vpc_that_would_differ_from_a_peer_that_nobody_manages_is_rolled_back(pair: Pair) -> None:
    pair.write()
    with pair.keeper() as keeper:
        pair.apply(keeper)
        before = pair.texts()
        (pair.root / "files" / "leaf-2.toml").unlink()
        file = pair.root / "files" / "leaf-1.toml"
        text = file.read_text().replace('peer = "leaf-2"\n', "")
        file.write_text(text.replace("vpc = 11\n", "vpc = 11\nnative = 10\n"))
        begun = keeper.want(ADA, Wanted(("leaf-1",), "as planned"))
        (change,) = pair.until(keeper, begun)
        assert change.state is ChangeState.ROLLED_BACK
        assert "vPC 11: Native Vlan" in change.error
        same_texts(pair.texts(), before, "vPC 11")
        begun = keeper.want(ADA, Wanted(("leaf-1",), "meant", allow=("pair",)))
        assert states(pair.until(keeper, begun)) == {ChangeState.APPLIED}


def test_a_switch_that_starts_anew_in_the_middle_leaves_all_or_nothing(pair: Pair) -> None:
    pair.write()
    with pair.keeper() as keeper:
        pair.apply(keeper)
        before = pair.texts()
        pair.write(MORE)
        box = pair.boxes["leaf-1"]
        box.faults.hold = threading.Event()
        begun = keeper.want(ADA, Wanted(NAMES, "as planned"))
        box.faults.unreachable = True
        box.reboot()
        box.faults.hold.set()
        box.faults.hold, box.faults.unreachable = None, False
        ended = states(pair.until(keeper, begun))
        # Which of the two depends on how far it was.
        if ended == {ChangeState.APPLIED}:
            assert not any(p.steps or p.problem for p in keeper.plan(()))
        else:
            assert ended <= {ChangeState.ROLLED_BACK, ChangeState.REFUSED}
            same_texts(pair.texts(), before, "started anew")


def test_a_wrong_password_changes_nothing_and_says_so(pair: Pair) -> None:
    pair.write()
    with pair.keeper() as keeper:
        keeper.reach._connect = lambda c: connect(c, "wrong")
        changes = pair.apply(keeper)
        assert states(changes) == {ChangeState.REFUSED}
        assert all("password" in c.error for c in changes)
        assert all("password" in p.problem for p in keeper.plan(()))


def typed(door: Door, who: tuple[str, str], *lines: str) -> None:
    """Let somebody configure a switch by hand, through its own door."""
    told = [
        {"jsonrpc": "2.0", "method": "cli", "params": {"cmd": line, "version": 1}, "id": i}
        for i, line in enumerate(lines, 1)
    ]
    headers = {"content-type": "application/json-rpc"}
    answer = httpx.post(
        f"{door.url}/ins", auth=who, headers=headers, content=json.dumps(told), trust_env=False
    )
    assert answer.status_code == 200, answer.text


def test_who_changed_a_switch_by_hand_is_told_by_its_own_record(pair: Pair) -> None:
    pair.write()
    door = pair.doors["leaf-1"]
    typed(door, ("admin", "admin"), "username olga password 0nly-Olga role network-admin")
    with pair.keeper() as keeper:
        pair.apply(keeper)
        assert {d.accord for d in keeper.drift((), fresh=True)} == {Accord.ACCORD}
        typed(door, ("olga", "0nly-Olga"), "vlan 10", "name hacked")
        one, two = keeper.drift((), fresh=True)
        assert (one.accord, two.accord) == (Accord.DRIFT, Accord.ACCORD)
        (difference,) = one.differences
        assert "VLAN 10" in difference.sentence
        assert {t.user for t in difference.by} == {"olga"}
        assert all("vlan 10" in t.command for t in difference.by)


def test_a_trunk_that_somebody_changes_while_a_change_is_prepared_is_left_to_him(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.write(MORE)
    with pair.keeper() as keeper:
        pair.apply(keeper)
        write = keeper._journal.begun

        def begun(*told: Any) -> None:
            write(*told)
            lines = ("vlan 77", "interface Ethernet1/2", "switchport trunk allowed vlan add 77")
            typed(pair.doors["leaf-2"], ("admin", "admin"), *lines)

        monkeypatch.setattr(keeper._journal, "begun", begun)
        pair.write(MORE.replace('allowed = "10,20"', 'allowed = "10"'))
        changes = pair.apply(keeper)
        assert states(changes) == {ChangeState.REFUSED}
        assert all("leaf-2 was changed by somebody else" in c.error for c in changes)
        assert "switchport trunk allowed vlan 10,20,77" in pair.texts()[1]
        assert "switchport trunk allowed vlan 10,20\n" in pair.texts()[0]
        monkeypatch.undo()
        assert states(pair.apply(keeper)) == {ChangeState.APPLIED}  # and whoever looks and means it gets it


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_pair_survives_the_loss_of_any_answer(pair: Pair) -> None:
    """Every request of a change once: not heard at all, or heard and its answer lost."""
    pair.write()
    ended: set[ChangeState] = set()
    with pair.keeper() as keeper:
        pair.apply(keeper)
        pair.write(MORE)
        pair.apply(keeper)
        pair.back(keeper)  # by now each has written its configuration as it always will
        first = pair.texts()
        for undone in (False, True):
            for number in range(1, 200):
                faults = [pair.boxes[n].faults for n in NAMES]
                faults[number % 2].drop_undone = undone
                faults[number % 2].drop_after = number
                changes = pair.apply(keeper)
                reached = not faults[number % 2].drop_after
                faults[number % 2].drop_after = 0
                where = f"request {number} of {NAMES[number % 2]}, undone {undone}: "
                where += ", ".join(f"{c.state} {c.error}" for c in changes)
                ended |= states(changes)
                if states(changes) == {ChangeState.APPLIED}:
                    pair.back(keeper)
                else:
                    assert states(changes) <= {ChangeState.REFUSED, ChangeState.ROLLED_BACK}, where
                same_texts(pair.texts(), first, where)
                assert pair.saved(), where
                if not reached:
                    break
            assert number < 199
    assert {ChangeState.APPLIED, ChangeState.ROLLED_BACK, ChangeState.REFUSED} <= ended

"""The driver over ovs-ofctl: what it says of errors, what it does between two looks, how it reads dumps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sekisho.devices.vswitch import words
from sekisho.devices.vswitch.book import MeterBook
from sekisho.devices.vswitch.ofctl import Ofctl, OfctlSettings
from sekisho.devices.vswitch.program import Bound, Meter
from sekisho.model.errors import Conflict, NotFound, Refused, Unavailable
from sekisho.model.policy import Direction, Drop, Police, Protocol
from sekisho.testing.vswitch import FakeSwitch
from support_vswitch import FakeRig

if TYPE_CHECKING:
    from pathlib import Path

EGRESS = Direction.EGRESS
MAIL, SLOW = Drop(Protocol.TCP, EGRESS, 25), Police(1_000_000, EGRESS)


def carry(rig: FakeRig, agent: Any, *actions: Any, until: float = 5000.0) -> Any:
    bounds = [Bound("r1", "port-1", actions, until)] if actions else []
    return agent.carry(rig.subjects, bounds, (), (), rig.now)


def tool(folder: Path, script: str) -> None:
    """Put an ovs-ofctl of our own making before any other."""
    path = folder / "ovs-ofctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "error", "word"),
    [
        ("echo 'connecting to x (No such file or directory)' >&2; exit 1", Unavailable, "No such file"),
        ("echo 'OFPT_ERROR: OFPFMFC_BAD_TIMEOUT' >&2; exit 1", Refused, "BAD_TIMEOUT"),
        ("exec sleep 5", Unavailable, "no answer"),
    ],
)
def test_what_the_tool_says_is_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, error: type[Refused], word: str
) -> None:
    tool(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(error) as caught:
        Ofctl("br0", OfctlSettings("/run", timeout=0.3))("dump-flows")
    assert word in caught.value.fixer


def test_without_the_tool_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable):
        Ofctl("br0", OfctlSettings())("dump-flows")


def test_a_switch_that_is_away_changes_nothing_and_is_made_right_later() -> None:
    rig = FakeRig()
    agent = rig.agent()
    rig.switch.away = True
    with pytest.raises(Unavailable):
        carry(rig, agent, MAIL)
    rig.switch.away = False
    assert carry(rig, agent, MAIL).receipts[0].in_force


def test_a_number_that_a_stranger_takes_between_two_looks_is_given_up() -> None:
    rig = FakeRig()
    taken: list[str] = []

    class Faster(FakeSwitch):
        """Somebody adds a meter under the very number, just before us."""

        def __call__(self, command: str, *arguments: str, stdin: str = "", bundle: bool = False) -> str:
            if command == "add-meter" and not taken:
                taken.append(arguments[0])
                super().__call__("add-meter", arguments[0].replace("rate=1000", "rate=55"))
            return super().__call__(command, *arguments, stdin=stdin, bundle=bundle)

    rig.switch = Faster()
    carried = carry(rig, rig.agent(), SLOW)
    assert carried.receipts[0].in_force
    assert rig.ofctl("dump-meters").count("rate=55 ") == 1
    assert rig.ofctl("dump-meters").count("rate=1000 ") == 1


def test_a_rule_the_switch_refuses_leaves_all_as_it_was() -> None:
    rig = FakeRig()
    agent = rig.agent()
    carry(rig, agent, MAIL)
    before = rig.switch.table_hash
    with pytest.raises(Refused):
        rig.switch("add-flows", "-", stdin="add priority=1,actions=drop\nadd actions=meter:9\n", bundle=True)
    assert rig.switch.table_hash == before


def test_what_we_laid_for_an_end_is_not_laid_again_because_a_command_was_slow() -> None:
    rig = FakeRig()
    agent = rig.agent()
    carry(rig, agent, MAIL, until=rig.now + 100)
    # The agent looked at its clock, then the switch took two seconds to answer.
    rig.advance(2.0)
    bounds = [Bound("r1", "port-1", (MAIL,), 1100.0)]
    assert agent.carry(rig.subjects, bounds, (), (), rig.now - 2.0).changes == 0


@pytest.mark.parametrize(
    ("moved", "changed"), [(0.0, False), (0.2, False), (0.5, True), (-1.0, False), (-5.0, True), (50.0, True)]
)
def test_an_end_that_is_another_and_not_just_told_again_is_laid_anew(moved: float, changed: bool) -> None:  # noqa: FBT001 - a table
    rig = FakeRig()
    agent = rig.agent()
    carry(rig, agent, MAIL, until=rig.now + 100)
    assert bool(carry(rig, agent, MAIL, until=rig.now + 100 + moved).changes) is changed


def test_a_new_agent_takes_the_switchs_word_within_two_seconds() -> None:
    rig = FakeRig()
    carry(rig, rig.agent(), MAIL, until=rig.now + 100)
    rig.advance(40.5)
    assert carry(rig, rig.agent(), MAIL, until=1100.0).changes == 0
    assert carry(rig, rig.agent(), MAIL, until=1105.0).changes
    assert carry(rig, rig.agent(), MAIL, until=1095.0).changes


def test_thirty_hours_are_carried_by_renewals() -> None:
    rig = FakeRig()
    agent, end, laid = rig.agent(), rig.now + 30 * 3600, 0
    while rig.now < end:
        assert not rig.sends(1, 3, protocol=6, dst_port=25) or not laid
        laid += bool(carry(rig, agent, MAIL, until=end).changes)
        rig.advance(1800)
    carry(rig, agent, until=end)
    assert rig.sends(1, 3, protocol=6, dst_port=25)
    assert 2 <= laid <= 4


def test_a_stranger_that_uses_our_meter_keeps_it() -> None:
    rig = FakeRig()
    agent = rig.agent()
    carry(rig, agent, SLOW)
    rig.ofctl("add-flow", "cookie=0x7,priority=3,in_port=2,actions=meter:20000,NORMAL")
    carry(rig, agent)
    assert "meter=20000" in rig.ofctl("dump-meters")
    assert rig.sends(2, 3)
    assert carry(rig, agent).changes == 0


def test_an_idle_timeout_is_none_of_ours() -> None:
    rig = FakeRig()
    agent = rig.agent()
    carry(rig, agent, MAIL)
    line = next(x for x in rig.ofctl("dump-flows").splitlines() if "64087,tcp," in x)
    place = line.partition("priority=")[2].replace(" actions", ",actions")
    cookie = line.partition("cookie=")[2].partition(",")[0]
    rig.ofctl("add-flow", f"cookie={cookie},idle_timeout=5,hard_timeout=4000,priority={place}")
    assert carry(rig, agent, MAIL).changes == 1


def test_drops_are_counted_on_when_a_counter_starts_anew() -> None:
    rig = FakeRig()
    agent = rig.agent()
    for n in (2, 3):
        carry(rig, agent, MAIL)
        for _ in range(n):
            rig.sends(1, 3, protocol=6, dst_port=25)
        counted = carry(rig, agent, MAIL).receipts[0].dropped_packets
        rig.restart()
    assert counted == 5


def test_what_a_limit_drops_is_in_the_receipt() -> None:
    rig = FakeRig()
    agent = rig.agent()
    carry(rig, agent, Police(1000, EGRESS, 2000))
    passed = [rig.sends(1, 3, size=100) for _ in range(4)]
    assert passed == [True, False, False, False]
    receipt = carry(rig, agent, Police(1000, EGRESS, 2000)).receipts[0]
    assert (receipt.dropped_packets, receipt.dropped_bytes) == (3, 3 * 142)


def test_what_cannot_be_carried_is_in_the_receipt() -> None:
    rig = FakeRig()
    receipt = carry(rig, rig.agent(), Drop(Protocol.ICMP, EGRESS, 8)).receipts[0]
    assert (receipt.in_force, receipt.problem) == (False, "ICMP has no ports")


def test_the_book_is_written_before_a_meter_is_made() -> None:
    class Blunt(FakeSwitch):
        def __call__(self, command: str, *arguments: str, stdin: str = "", bundle: bool = False) -> str:
            if command == "add-meter":
                raise Unavailable("gone")
            return super().__call__(command, *arguments, stdin=stdin, bundle=bundle)

    rig = FakeRig()
    rig.switch = Blunt()
    with pytest.raises(Unavailable):
        carry(rig, rig.agent(), SLOW)
    assert "port-1/egress/0" in rig.switch.external_ids["sekisho-meters"]


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"a": 1}', '{"a": ["x", 1, 2]}', '{"a": []}'])
def test_a_book_somebody_spoiled_is_an_empty_one(text: str) -> None:
    switch = FakeSwitch()
    switch.external_ids["sekisho-meters"] = text
    book = MeterBook(switch, "br0", 50)
    book.load()
    book.assign([Meter("k", 1, 2)], {50})
    assert book.numbers == {"k": 51}


def test_a_bridge_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        MeterBook(FakeSwitch(), "other", 50).load()


def test_dumps_of_other_versions_are_read() -> None:
    (flow,) = words.flows(
        " cookie=0x5e4b15e000000001, duration=1.5s, table=60, n_packets=7, n_bytes=70, hard_timeout=60,"
        " idle_age=1, hard_age=2, reset_counts priority=5,tcp,in_port=1 actions=meter:7,resubmit(,60)\n"
    )
    assert (flow.place, flow.age, flow.timeout) == ("table=60,priority=5,tcp,in_port=1", 1.5, 60)
    assert words.metered(flow.actions) == [7]
    (bare,) = words.flows(" cookie=0x1, duration=1s, table=0, n_packets=0, n_bytes=0, actions=drop")
    assert bare.place == "table=0"
    meters = words.meters(
        "meter=3 pktps bands=\ntype=drop rate=9\n\nmeter=4 kbps bands=\ntype=drop rate=5\n", ""
    )
    assert meters[3] is None
    assert meters[4] == words.MeterSeen(4, 5, 0)


def test_the_fake_refuses_what_open_vswitch_refuses() -> None:
    switch = FakeSwitch()
    for refused in (
        ("add-flow", "in_port=1,actions=meter:5"),
        ("add-flow", "in_port=1,tp_dst=5,actions=drop"),
        ("add-flow", "in_port=1,actions=resubit(,0)"),
        ("add-flow", "nosuch=1,actions=drop"),
        ("mod-meter", "meter=5,kbps,bands=type=drop,rate=1,burst_size=1"),
        ("no-such-command",),
    ):
        with pytest.raises(Refused):
            switch(*refused)
    switch("add-meter", "meter=5,kbps,bands=type=drop,rate=1,burst_size=1")
    with pytest.raises(Refused, match="refused"):
        switch("add-meter", "meter=5,kbps,bands=type=drop,rate=1,burst_size=1")
    switch("add-flow", "in_port=1,actions=meter:5,NORMAL")
    switch("del-meter", "meter=5")
    assert "in_port" not in switch("dump-flows")


def test_a_device_that_always_changes_is_a_conflict() -> None:
    class Restless(FakeSwitch):
        def __call__(self, command: str, *arguments: str, stdin: str = "", bundle: bool = False) -> str:
            if command == "add-meter":
                raise Refused("no", "OFPMMFC_METER_EXISTS")
            return super().__call__(command, *arguments, stdin=stdin, bundle=bundle)

    rig = FakeRig()
    rig.switch = Restless()
    with pytest.raises(Conflict):
        carry(rig, rig.agent(), SLOW)

"""How every switch that carries our rules behaves: packets go or do not go, whatever the rules look like.

A test module runs each of `CHECKS` with a fresh `Rig` around the switch it is about::

    @pytest.mark.parametrize("check", CHECKS, ids=name)
    def test_switch(check: Check) -> None:
        check(MyRig())
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from sekisho.devices.vswitch.openflow import Overtaken
from sekisho.devices.vswitch.program import Bound
from sekisho.model.errors import Conflict, Unavailable
from sekisho.model.policy import Action, Baseline, Direction, Drop, Police
from sekisho.model.policy import Protocol as Transport
from sekisho.testing.packets import ARP, FIRST, ICMP, ICMPV6, IPV4, IPV6, LATER, SCTP, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.devices.vswitch.bridge import Bridge, Carried
    from sekisho.model.inventory import Subject

EGRESS, INGRESS = Direction.EGRESS, Direction.INGRESS
HOUR = 3600.0


class Rig(Protocol):
    """A bridge with two subjects, 1 and 2, and the world behind port 3; time as the test lets it pass."""

    @property
    def subjects(self) -> Sequence[Subject]:
        """Subjects 1 and 2."""
        ...

    @property
    def now(self) -> float:
        """The agent's steady clock."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        ...

    def agent(self) -> Bridge:
        """Give an agent that has just started."""
        ...

    def sends(self, source: int, target: int, **fields: Any) -> bool:
        """Send a `packets.Packet` of these fields from one port to another; tell whether it arrives."""
        ...

    def ofctl(self, command: str, *arguments: str) -> str:
        """Do as a stranger with ovs-ofctl."""
        ...

    def restart(self) -> None:
        """Restart the switch: flows and meters are gone."""
        ...


Check: TypeAlias = Callable[[Rig], None]
CHECKS: list[Check] = []
_OURS: Final = "cookie=0x5e4b15e000000000/0xffffffff00000000"


def check(what: Check) -> Check:
    """Add a check to the list."""
    CHECKS.append(what)
    return what


def name(what: Check) -> str:
    """Name a check for a test's id."""
    return what.__name__


def carry(
    rig: Rig,
    agent: Bridge,
    *actions: Action,
    until: float = HOUR,
    subject: int = 1,
    baselines: Sequence[Baseline] = (),
) -> Carried:
    """Carry one restriction (or none, without actions) that lasts `until` seconds from now."""
    bounds = [Bound("r1", rig.subjects[subject - 1].id, actions, rig.now + until)] if actions else []
    return agent.carry(rig.subjects, bounds, baselines, (), rig.now)


def drop(transport: Transport, direction: Direction = EGRESS, first: int = 0, last: int = 0) -> Drop:
    """Make a Drop."""
    return Drop(transport, direction, first, last)


def flows(rig: Rig, which: str = _OURS) -> list[str]:
    """List flows without counters and ages."""
    lines = [line.strip() for line in rig.ofctl("dump-flows", which).splitlines() if "actions=" in line]
    return sorted(re.sub(r"(duration|n_packets|n_bytes|idle_age|hard_age)=[\d.]+s?, ", "", x) for x in lines)


def unended(lines: list[str]) -> list[str]:
    """Leave out how long flows last: what is laid later for the same end lasts less."""
    return [re.sub(r"hard_timeout=\d+, ", "", line) for line in lines]


def meters(rig: Rig) -> dict[int, int]:
    """Give the rate of each meter."""
    found = re.findall(r"meter=(\d+) [^=]*=\s*type=drop rate=(\d+)", rig.ofctl("dump-meters"))
    return {int(number): int(rate) for number, rate in found}


def blocked(rig: Rig, source: int, target: int, **fields: Any) -> bool:
    """Tell whether a packet is dropped in IPv4 and IPv6 alike; mixed answers fail."""
    answers = {rig.sends(source, target, eth_type=t, **fields) for t in (IPV4, IPV6)}
    assert len(answers) == 1, f"IPv4 and IPv6 differ: {fields}"
    return not answers.pop()


# --- drops ---------------------------------------------------------------------------------------


@check
def nothing_to_carry_is_nothing_to_do(rig: Rig) -> None:
    """Nothing to carry is nothing to do."""
    assert carry(rig, rig.agent()).changes == 0
    assert not blocked(rig, 1, 3, protocol=TCP, dst_port=25)


@check
def one_port_and_nothing_else(rig: Rig) -> None:
    """One port and nothing else."""
    carry(rig, rig.agent(), drop(Transport.TCP, EGRESS, 25))
    assert blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    for port in (24, 26, 2525, 443):
        assert not blocked(rig, 1, 3, protocol=TCP, dst_port=port)
    assert not blocked(rig, 1, 3, protocol=TCP, src_port=25, dst_port=40000)
    assert not blocked(rig, 1, 3, protocol=UDP, dst_port=25)
    assert not blocked(rig, 3, 1, protocol=TCP, dst_port=25)
    assert not blocked(rig, 2, 3, protocol=TCP, dst_port=25)
    assert rig.sends(1, 3, eth_type=ARP)


@check
def a_range_to_its_last_port(rig: Rig) -> None:
    """A range to its last port."""
    carry(rig, rig.agent(), drop(Transport.UDP, EGRESS, 1000, 1999))
    for port in (1000, 1007, 1023, 1024, 1998, 1999):
        assert blocked(rig, 1, 3, protocol=UDP, dst_port=port)
    for port in (999, 2000, 1):
        assert not blocked(rig, 1, 3, protocol=UDP, dst_port=port)


@check
def toward_the_vm(rig: Rig) -> None:
    """Toward the VM."""
    carry(rig, rig.agent(), drop(Transport.TCP, INGRESS, 22))
    assert blocked(rig, 3, 1, protocol=TCP, dst_port=22)
    assert blocked(rig, 2, 1, protocol=TCP, dst_port=22)
    assert not blocked(rig, 1, 3, protocol=TCP, dst_port=22)
    assert not blocked(rig, 3, 2, protocol=TCP, dst_port=22)


@check
def a_whole_protocol(rig: Rig) -> None:
    """A whole protocol."""
    carry(rig, rig.agent(), drop(Transport.SCTP))
    assert blocked(rig, 1, 3, protocol=SCTP, dst_port=5000)
    assert not blocked(rig, 1, 3, protocol=TCP, dst_port=5000)


@check
def everything_in_one_direction(rig: Rig) -> None:
    """Everything in one direction."""
    carry(rig, rig.agent(), drop(Transport.ANY))
    assert blocked(rig, 1, 3, protocol=UDP)
    assert not rig.sends(1, 3, eth_type=ARP)
    assert rig.sends(3, 1, eth_type=ARP)
    carry(rig, rig.agent(), drop(Transport.ANY, INGRESS))
    assert rig.sends(1, 3, eth_type=ARP)
    assert not rig.sends(3, 1, eth_type=ARP)


@check
def without_icmp_neighbours_are_still_found(rig: Rig) -> None:
    """Without ICMP neighbours are still found."""
    carry(rig, rig.agent(), drop(Transport.ICMP))
    assert not rig.sends(1, 3, protocol=ICMP, icmp_type=8)
    assert not rig.sends(1, 3, eth_type=IPV6, protocol=ICMPV6, icmp_type=128)
    assert rig.sends(1, 3, eth_type=IPV6, protocol=ICMPV6, icmp_type=135)
    assert rig.sends(1, 3, eth_type=IPV6, protocol=ICMPV6, icmp_type=136)


@check
def fragments_hide_no_port(rig: Rig) -> None:
    """Fragments hide no port."""
    carry(rig, rig.agent(), drop(Transport.TCP, EGRESS, 25))
    assert blocked(rig, 1, 3, protocol=TCP, dst_port=25, fragment=FIRST)
    assert blocked(rig, 1, 3, protocol=TCP, dst_port=25, fragment=FIRST, cut=8)
    assert not blocked(rig, 1, 3, protocol=UDP, dst_port=25, fragment=FIRST)
    assert not blocked(rig, 2, 3, protocol=TCP, dst_port=25, fragment=FIRST)


@check
def fragments_are_not_taken_for_port_0(rig: Rig) -> None:
    """A fragment shows no ports, which is not port 0."""
    carry(rig, rig.agent(), drop(Transport.UDP, EGRESS, 0, 1023))
    assert blocked(rig, 1, 3, protocol=UDP, dst_port=53)
    assert not blocked(rig, 1, 3, protocol=UDP, dst_port=5000, fragment=FIRST)
    assert not blocked(rig, 1, 3, protocol=UDP, fragment=LATER)


# --- time ----------------------------------------------------------------------------------------


@check
def a_second_look_finds_nothing_to_do(rig: Rig) -> None:
    """A second look finds nothing to do."""
    agent = rig.agent()
    actions = (drop(Transport.TCP, EGRESS, 25), drop(Transport.ICMP, INGRESS), Police(10_000_000, EGRESS))
    until = rig.now + HOUR
    assert carry(rig, agent, *actions, until=until - rig.now).changes
    assert carry(rig, agent, *actions, until=until - rig.now).changes == 0
    assert carry(rig, rig.agent(), *actions, until=until - rig.now).changes == 0


@check
def the_switch_itself_frees_in_time(rig: Rig) -> None:
    """The switch itself frees in time."""
    carry(rig, rig.agent(), drop(Transport.TCP, EGRESS, 25), until=1.0)
    assert blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    rig.advance(3.5)
    assert not blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    assert flows(rig) == []


@check
def a_baseline_never_ends(rig: Rig) -> None:
    """A baseline never ends."""
    baseline = Baseline("no-mail", (drop(Transport.TCP, EGRESS, 25),))
    agent = rig.agent()
    carry(rig, agent, drop(Transport.TCP, EGRESS, 25), until=1.0, baselines=[baseline])
    assert all("timeout" not in flow for flow in flows(rig))
    carry(rig, agent, baselines=[baseline])
    assert blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    assert blocked(rig, 2, 3, protocol=TCP, dst_port=25)


@check
def lifted_is_free_at_once(rig: Rig) -> None:
    """Lifted is free at once."""
    agent = rig.agent()
    carry(rig, agent, drop(Transport.TCP, EGRESS, 25), Police(1_000_000, INGRESS))
    carry(rig, agent)
    assert not blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    assert flows(rig) == []
    assert meters(rig) == {}


@check
def extended_keeps_its_counters(rig: Rig) -> None:
    """Extended keeps its counters."""
    agent, mail = rig.agent(), drop(Transport.TCP, EGRESS, 25)
    carry(rig, agent, mail, until=60)
    assert blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    rig.advance(1.2)
    first = carry(rig, agent, mail, until=120)
    assert first.changes
    assert all("hard_timeout=120" in flow for flow in flows(rig))
    later = carry(rig, agent, mail, until=240).receipts[0]
    assert later.dropped_packets >= first.receipts[0].dropped_packets >= 2
    assert later.in_force


@check
def a_long_restriction_is_renewed_before_it_dies(rig: Rig) -> None:
    """A long restriction is renewed before it dies."""
    agent, mail = rig.agent(), drop(Transport.TCP, EGRESS, 25)
    end = rig.now + 30 * HOUR
    bound = Bound("r1", rig.subjects[0].id, (mail,), end)
    for passed, change in ((0.0, True), (1.0, False), (5 * HOUR, False)):
        carried = agent.carry(rig.subjects, [bound], (), (), rig.now + passed)
        assert bool(carried.changes) is change
    assert all("hard_timeout=65535" in flow for flow in flows(rig))
    # The switch has seen none of that time: an agent that wakes 20 h later finds less than it needs.
    late = Bound("r1", rig.subjects[0].id, (mail,), rig.now + 10 * HOUR)
    assert agent.carry(rig.subjects, [late], (), (), rig.now).changes
    assert all("hard_timeout=36000" in flow for flow in flows(rig))


# --- others --------------------------------------------------------------------------------------


@check
def strangers_are_left_alone(rig: Rig) -> None:
    """Strangers are left alone."""
    rig.ofctl("add-meter", "meter=20000,kbps,burst,stats,bands=type=drop,rate=777,burst_size=77")
    rig.ofctl("add-meter", "meter=7,kbps,burst,stats,bands=type=drop,rate=70,burst_size=70")
    rig.ofctl("add-flow", "cookie=0x77,priority=300,in_port=2,actions=meter:7,NORMAL")
    rig.ofctl("add-flow", "cookie=0x5e4b15e1,priority=64087,tcp,in_port=1,tp_dst=25,actions=NORMAL")
    before, limits = flows(rig, "cookie=0x0/0xffffffff00000000"), meters(rig)
    agent = rig.agent()
    carry(rig, agent, drop(Transport.TCP, EGRESS, 25), Police(1_000_000, EGRESS))
    assert set(meters(rig)) > set(limits)
    carry(rig, agent)
    assert flows(rig, "cookie=0x0/0xffffffff00000000") == before
    assert meters(rig) == limits


@check
def what_others_break_is_put_right(rig: Rig) -> None:
    """What others break is put right."""
    agent = rig.agent()
    actions = drop(Transport.TCP, EGRESS, 25), Police(1_000_000, EGRESS)
    # One end for all: on a slow machine an hour from now would be another end each time.
    end = rig.now + HOUR

    def again() -> int:
        return carry(rig, agent, *actions, until=end - rig.now).changes

    again()
    before = flows(rig)
    rig.ofctl("mod-flows", "tcp,in_port=1,tp_dst=25,actions=NORMAL")
    assert rig.sends(1, 3, protocol=TCP, dst_port=25)
    assert again() == 1
    assert blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    rig.ofctl("del-flows", _OURS)
    assert again() == len(before)
    rig.ofctl("add-flow", "cookie=0x5e4b15e000000001,priority=9,in_port=2,actions=drop")
    assert again() == 1
    number = min(meters(rig))
    rig.ofctl("mod-meter", f"meter={number},kbps,burst,stats,bands=type=drop,rate=9,burst_size=9")
    assert again() == 1
    rig.ofctl("del-meter", f"meter={number}")
    assert again() == 2
    assert meters(rig) == {number: 1000}
    assert unended(flows(rig)) == unended(before)


@check
def a_restarted_switch_is_made_whole(rig: Rig) -> None:
    """A restarted switch is made whole."""
    agent = rig.agent()
    actions = drop(Transport.TCP, EGRESS, 25), Police(1_000_000, EGRESS)
    carry(rig, agent, *actions)
    laid = meters(rig)
    rig.restart()
    assert not blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    assert carry(rig, agent, *actions).receipts[0].in_force
    assert blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    assert meters(rig) == laid


@check
def a_strangers_meter_under_our_number_is_not_ours(rig: Rig) -> None:
    """A strangers meter under our number is not ours."""
    agent, slow = rig.agent(), Police(1_000_000, EGRESS)
    carry(rig, agent, slow)
    number = min(meters(rig))
    rig.restart()
    rig.ofctl("add-meter", f"meter={number},kbps,burst,stats,bands=type=drop,rate=555,burst_size=55")
    rig.ofctl("add-flow", f"cookie=0x77,priority=300,in_port=2,actions=meter:{number},NORMAL")
    assert carry(rig, agent, slow).receipts[0].in_force
    limits = meters(rig)
    assert limits.pop(number) == 555
    assert set(limits.values()) == {1000}


@check
def altering_a_limit_keeps_its_meter(rig: Rig) -> None:
    """Altering a limit keeps its meter."""
    agent = rig.agent()
    carry(rig, agent, Police(1_000_000, EGRESS), Police(5_000_000, INGRESS))
    first = meters(rig)
    carry(rig, agent, Police(2_000_000, EGRESS), Police(5_000_000, INGRESS))
    assert meters(rig).keys() == first.keys()
    assert sorted(meters(rig).values()) == [2000, 5000]


@check
def there_and_back_again(rig: Rig) -> None:
    """There and back again."""
    agent = rig.agent()
    actions = drop(Transport.UDP, EGRESS, 100, 4000), Police(3_000_000, EGRESS)
    until = rig.now + HOUR
    carry(rig, agent, *actions, until=until - rig.now)
    before = [re.sub(r"hard_timeout=\d+, ", "", f) for f in flows(rig)], meters(rig)
    carry(rig, agent, drop(Transport.TCP, EGRESS, 25), Police(1_000_000, EGRESS), until=until - rig.now)
    carry(rig, agent, *actions, until=until - rig.now)
    assert ([re.sub(r"hard_timeout=\d+, ", "", f) for f in flows(rig)], meters(rig)) == before


@check
def receipts_say_what_was_dropped(rig: Rig) -> None:
    """Receipts say what was dropped."""
    agent, mail = rig.agent(), drop(Transport.TCP, EGRESS, 25)
    carry(rig, agent, mail)
    for _ in range(3):
        rig.sends(1, 3, protocol=TCP, dst_port=25, size=100)
    rig.advance(1.2)
    receipt = carry(rig, agent, mail).receipts[0]
    assert (receipt.restriction, receipt.in_force, receipt.problem) == ("r1", True, "")
    assert receipt.dropped_packets >= 3
    assert receipt.dropped_bytes >= 3 * 154
    rig.ofctl("del-flows", _OURS)
    assert carry(rig, agent, mail).receipts[0].dropped_packets >= receipt.dropped_packets


# --- one port ahead of the others ----------------------------------------------------------------


def hasten(rig: Rig, agent: Bridge, *actions: Action, until: float, subject: int = 1) -> bool:
    """Bind one subject ahead, until `until` on the agent's clock."""
    who = rig.subjects[subject - 1]
    bounds = [Bound("r1", who.id, actions, until)]
    return agent.hasten(who, rig.subjects, bounds, (), (), rig.now)


def carry_on(rig: Rig, agent: Bridge, *actions: Action, until: float) -> Carried:
    """Carry what was hastened, as an agent does that was overtaken by it and looks again."""
    try:
        carry(rig, agent, *actions, until=until - rig.now)
    except Overtaken:
        return carry(rig, agent, *actions, until=until - rig.now)
    raise AssertionError("it was not told that a port was bound meanwhile")


@check
def one_port_is_bound_ahead_just_as_with_the_others(rig: Rig) -> None:
    """One port is bound ahead just as with the others."""
    agent, end = rig.agent(), rig.now + HOUR
    everything: tuple[Action, ...] = (
        *(drop(t, d, 25) for t in (Transport.TCP, Transport.UDP, Transport.ANY) for d in (EGRESS, INGRESS)),
        drop(Transport.UDP, EGRESS, 0, 1023),
        drop(Transport.SCTP, INGRESS, 1000, 1999),
        drop(Transport.ICMP),
        Police(10_000_000, EGRESS),
        Police(5_000_000, INGRESS),
    )
    carry(rig, agent)
    assert hasten(rig, agent, *everything, until=end)
    assert blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    assert not blocked(rig, 2, 3, protocol=TCP, dst_port=25)
    assert sorted(meters(rig).values()) == [5000, 10000]
    assert carry_on(rig, agent, *everything, until=end).changes == 0
    assert carry(rig, rig.agent(), *everything, until=end - rig.now).changes == 0


@check
def a_port_bound_ahead_leaves_strangers_and_neighbours_alone(rig: Rig) -> None:
    """A port bound ahead leaves strangers and neighbours alone."""
    rig.ofctl("add-meter", "meter=20000,kbps,burst,stats,bands=type=drop,rate=777,burst_size=77")
    agent = rig.agent()
    carry(rig, agent, drop(Transport.TCP, EGRESS, 26), Police(2_000_000, EGRESS), subject=2)
    before = set(flows(rig)), meters(rig)
    assert hasten(rig, agent, drop(Transport.TCP, EGRESS, 25), Police(1_000_000, EGRESS), until=rig.now + 9)
    assert before[0] < set(flows(rig))
    assert sorted(meters(rig).items() - before[1].items()) == [(20002, 1000)]
    assert before[1].items() < meters(rig).items()


@check
def a_port_bound_ahead_is_freed_in_time_if_nobody_looks_again(rig: Rig) -> None:
    """A port bound ahead is freed in time if nobody looks again."""
    agent = rig.agent()
    carry(rig, agent)
    hasten(rig, agent, drop(Transport.TCP, EGRESS, 25), until=rig.now + 1.0)
    assert blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    rig.advance(3.5)
    assert not blocked(rig, 1, 3, protocol=TCP, dst_port=25)


@check
def a_limit_bound_ahead_again_keeps_its_meter(rig: Rig) -> None:
    """A limit bound ahead again keeps its meter."""
    agent, end = rig.agent(), rig.now + HOUR
    carry(rig, agent)
    hasten(rig, agent, Police(1_000_000, EGRESS), until=end)
    first = meters(rig)
    hasten(rig, agent, Police(2_000_000, EGRESS), until=end)
    assert meters(rig) == dict.fromkeys(first, 2000)
    assert carry_on(rig, agent, Police(2_000_000, EGRESS), until=end).changes == 0


@check
def who_looked_before_a_port_was_bound_ahead_takes_nothing_away(rig: Rig) -> None:
    """Who looked before a port was bound ahead takes nothing away."""
    agent, mail = rig.agent(), drop(Transport.TCP, EGRESS, 25)
    carry(rig, agent)
    hasten(rig, agent, mail, until=rig.now + HOUR)
    try:
        carry(rig, agent)
    except Overtaken:
        assert blocked(rig, 1, 3, protocol=TCP, dst_port=25)
    else:
        raise AssertionError("it went on with what it knew")
    carry(rig, agent)
    assert not blocked(rig, 1, 3, protocol=TCP, dst_port=25)


@check
def ahead_of_the_first_look_nothing_is_laid(rig: Rig) -> None:
    """Ahead of the first look nothing is laid."""
    try:
        hasten(rig, rig.agent(), Police(1_000_000, EGRESS), until=rig.now + HOUR)
    except Unavailable:
        assert flows(rig) == []
        assert meters(rig) == {}
    else:
        raise AssertionError("it took numbers that may be a stranger's")


@check
def a_meter_that_is_not_as_thought_binds_nothing_halfway(rig: Rig) -> None:
    """A meter that is not as thought binds nothing halfway."""
    agent, end = rig.agent(), rig.now + HOUR
    actions = drop(Transport.TCP, EGRESS, 25), Police(1_000_000, EGRESS)
    carry(rig, agent)
    rig.ofctl("add-meter", "meter=20000,kbps,burst,stats,bands=type=drop,rate=777,burst_size=77")
    try:
        hasten(rig, agent, *actions, until=end)
    except Conflict:
        assert carry_on(rig, agent, *actions, until=end).receipts[0].in_force
    else:
        raise AssertionError("it took a stranger's meter for its own")
    assert meters(rig)[20000] == 777
    assert sorted(meters(rig).values()) == [777, 1000]

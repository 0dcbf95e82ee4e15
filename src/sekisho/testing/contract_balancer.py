"""What every driver of load balancers must do: one in memory, emulators and real devices pass these checks.

A rig has one device, on which nothing of ours matters, and hands out drivers of it. What devices can do
differs, so a rig brings balancers that its driver can carry.
"""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from sekisho.model.balancer import Balancer, Member, Operating, Pool
from sekisho.model.errors import SekishoError, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sekisho.devices.balancer.driver import BalancerDriver

# VIP, protocol and port; and the addresses of the members that get new connections there.
Service: TypeAlias = tuple[str, str, int]
Services: TypeAlias = "Mapping[Service, frozenset[str]]"

# No carrying of two balancers takes more calls than so many.
MANY: Final = 2000


class Rig(Protocol):
    """One device and what can befall it. What it cannot play it answers with False or None."""

    def driver(self) -> BalancerDriver:
        """Open a driver; the device knows nothing of it yet."""
        ...

    def balancers(self) -> tuple[Balancer, Balancer]:
        """Give two that can be carried together: each has a listener over a pool of two members or more.

        The pool of the first has a monitor, that of the second has none. All members answer.
        """
        ...

    def impossible(self) -> Balancer | None:
        """Give one that this device cannot carry, which its driver finds out when it carries."""
        ...

    def services(self) -> Services:
        """Look, past the driver, who gets new connections; of what is ours and of what is not."""
        ...

    def strange(self) -> bool:
        """Put a service of somebody else's on the device, which is not to be touched."""
        ...

    def meddle(self) -> bool:
        """Take something away by hand that was carried."""
        ...

    def fall(self, member: Member) -> bool:
        """Let a member answer nobody, until its monitor has found out."""
        ...

    def calls(self) -> int:
        """Count what was asked of the device so far that can change it."""
        ...

    def interrupt(self, number: int) -> bool:
        """Let the call after so many more fail and all that come after it, until `mend`: 0 is the next."""
        ...

    def interrupted(self) -> bool:
        """Tell whether it came to that."""
        ...

    def mend(self) -> None:
        """Let the device answer again."""
        ...


# --- what the checks share -------------------------------------------------------------------------


def expected(balancers: Sequence[Balancer]) -> dict[Service, frozenset[str]]:
    """Say who must get new connections."""
    found = {}
    for b in balancers:
        pools = {p.id: p for p in b.pools}
        for each in b.listeners:
            key = (b.vip.address, each.protocol.value, each.port)
            found[key] = frozenset(m.address for m in pools[each.pool].members if serves(m))
    return found


def serves(member: Member) -> bool:
    """Tell whether a member that answers gets new connections while others do too."""
    return member.enabled and bool(member.weight) and not member.backup


def with_members(balancer: Balancer, change: Callable[[tuple[Member, ...]], tuple[Member, ...]]) -> Balancer:
    """Change the members of a balancer's first pool."""
    pool = balancer.pools[0]
    return replace(balancer, pools=(replace(pool, members=change(pool.members)), *balancer.pools[1:]))


def carried(driver: BalancerDriver, balancers: Sequence[Balancer]) -> int:
    """Carry what can be carried; gives how many changes that took."""
    outcome = driver.carry(balancers)
    assert dict(outcome.problems) == {}
    return outcome.changes


def stands(rig: Rig, balancers: Sequence[Balancer], before: Services) -> None:
    """Assert that these are carried, and of others what stood before."""
    assert dict(rig.services()) == {**before, **expected(balancers)}


# --- the checks ------------------------------------------------------------------------------------


def carries_from_empty(rig: Rig) -> None:
    """What is wanted stands, and the driver says that it had something to do."""
    before = rig.services()
    with closing(rig.driver()) as driver:
        assert carried(driver, rig.balancers()) > 0
        stands(rig, rig.balancers(), before)


def does_nothing_twice(rig: Rig) -> None:
    """What stands already costs no change, whether this driver carried it or one before it."""
    before = rig.services()
    with closing(rig.driver()) as driver:
        carried(driver, rig.balancers())
        calls = rig.calls()
        assert carried(driver, rig.balancers()) == 0
        assert rig.calls() == calls
    with closing(rig.driver()) as driver:
        assert carried(driver, rig.balancers()) == 0
        stands(rig, rig.balancers(), before)


def changes_one_member_only(rig: Rig) -> None:
    """A member that is added, one that drains and one that leaves are each less work than carrying anew."""
    first, second = rig.balancers()
    before = rig.services()
    with closing(rig.driver()) as driver:
        calls = rig.calls()
        carried(driver, (first, second))
        whole = rig.calls() - calls
        for change in (
            lambda members: (*members[:-1], replace(members[-1], weight=0)),
            lambda members: members,
            lambda members: members[:-1],
            lambda members: members,
        ):
            now = with_members(second, change)
            calls = rig.calls()
            assert carried(driver, (first, now)) > 0
            assert rig.calls() - calls < whole, "as much work as carrying everything"
            stands(rig, (first, now), before)


def takes_away_what_is_not_wanted(rig: Rig) -> None:
    """A balancer that is wanted no more is away and the other stays; in the end nothing is left."""
    first, second = rig.balancers()
    before = rig.services()
    with closing(rig.driver()) as driver:
        carried(driver, (first, second))
        carried(driver, (second,))
        stands(rig, (second,), before)
    with closing(rig.driver()) as driver:
        assert carried(driver, ()) > 0
        stands(rig, (), before)
        assert carried(driver, ()) == 0


def takes_a_listener_away(rig: Rig) -> None:
    """A listener that leaves takes its service with it, and nothing else."""
    first, second = rig.balancers()
    before = rig.services()
    with closing(rig.driver()) as driver:
        carried(driver, (first, second))
        less = replace(first, listeners=first.listeners[1:])
        assert carried(driver, (less, second)) > 0
        stands(rig, (less, second), before)


def leaves_alone_what_is_not_ours(rig: Rig) -> None:
    """What others configured is there before, while and after ours is, and is no drift."""
    if not rig.strange():
        return
    before = rig.services()
    assert before
    with closing(rig.driver()) as driver:
        carried(driver, rig.balancers())
        stands(rig, rig.balancers(), before)
        assert driver.drift() == ()
        carried(driver, ())
        stands(rig, (), before)


def keeps_no_other_away(rig: Rig) -> None:
    """One that cannot be carried is told by its id, with a sentence; the others are carried all the same."""
    bad = rig.impossible()
    if bad is None:
        return
    first, second = rig.balancers()
    before = rig.services()
    with closing(rig.driver()) as driver:
        outcome = driver.carry((first, bad, second))
        assert list(outcome.problems) == [bad.id]
        assert outcome.problems[bad.id].endswith(".")
        stands(rig, (first, second), before)
        carried(driver, (first, second))


def tells_how_things_do(rig: Rig) -> None:
    """Balancers, listeners, pools and members are told of; a member without a monitor as that."""
    first, second = rig.balancers()
    with closing(rig.driver()) as driver:
        carried(driver, (first, second))
        found = driver.health().operating
        for balancer in (first, second):
            names = [balancer.id, *(e.id for e in balancer.listeners)]
            names += [i for p in balancer.pools for i in (p.id, *(m.id for m in p.members))]
            assert not set(names) - set(found)
        assert found[second.pools[0].members[0].id] is Operating.NO_MONITOR
        assert found[first.pools[0].members[0].id] is Operating.ONLINE
        told = {s.listener for s in driver.health().statistics}
        assert told <= {e.id for b in (first, second) for e in b.listeners}


def notices_a_member_that_falls(rig: Rig) -> None:
    """A member that answers nobody gets no more, and is told as ERROR; what it is in is not ONLINE."""
    first, second = rig.balancers()
    with closing(rig.driver()) as driver:
        carried(driver, (first, second))
        pool: Pool = first.pools[0]
        if not rig.fall(pool.members[0]):
            return
        found = driver.health().operating
        assert found[pool.members[0].id] is Operating.ERROR
        assert found[pool.members[1].id] is Operating.ONLINE
        assert found[pool.id] is not Operating.ONLINE
        assert found[second.id] is Operating.ONLINE


def notices_and_repairs_what_others_changed(rig: Rig) -> None:
    """What somebody changed under our names is said, and carried anew when we carry the same again."""
    before = rig.services()
    with closing(rig.driver()) as driver:
        carried(driver, rig.balancers())
        assert driver.drift() == ()
        if not rig.meddle():
            return
        found = driver.drift()
        assert found
        assert all(sentence.endswith(".") for sentence in found)
    with closing(rig.driver()) as driver:
        assert carried(driver, rig.balancers()) > 0
        stands(rig, rig.balancers(), before)


def comes_through_a_fault_at_every_call(rig: Rig) -> None:
    """Wherever a change breaks off, carrying it again brings what is wanted, and others lose nothing."""
    first, second = rig.balancers()
    rig.strange()
    before = rig.services()
    ways: tuple[tuple[tuple[Balancer, ...], tuple[Balancer, ...]], ...] = (
        ((), (first, second)),
        ((first, second), (with_members(first, lambda members: members[1:]),)),
        ((first, second), ()),
    )
    for old, new in ways:
        for number in range(MANY):
            with closing(rig.driver()) as driver:
                carried(driver, old)
                if not rig.interrupt(number):
                    return
                with suppress(SekishoError):
                    driver.carry(new)
                broken = rig.interrupted()
                rig.mend()
            left = {k: v for k, v in rig.services().items() if k in before}
            assert left == dict(before), "somebody else's"
            with closing(rig.driver()) as driver:
                carried(driver, new)
                stands(rig, new, before)
                assert carried(driver, new) == 0
                carried(driver, ())
            if not broken:
                break


def fails_over_or_says_that_it_cannot(rig: Rig) -> None:
    """What is carried stays carried after a failover."""
    before = rig.services()
    with closing(rig.driver()) as driver:
        carried(driver, rig.balancers())
        with suppress(Unsupported):
            driver.failover()
        stands(rig, rig.balancers(), before)


CHECKS: Final[tuple[Callable[[Rig], None], ...]] = (
    carries_from_empty,
    does_nothing_twice,
    changes_one_member_only,
    takes_away_what_is_not_wanted,
    takes_a_listener_away,
    leaves_alone_what_is_not_ours,
    keeps_no_other_away,
    tells_how_things_do,
    notices_a_member_that_falls,
    notices_and_repairs_what_others_changed,
    comes_through_a_fault_at_every_call,
    fails_over_or_says_that_it_cannot,
)

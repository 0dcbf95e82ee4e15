"""Random walks: whatever is asked for and whatever dies, nothing stays pending and nothing is lost."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from sekisho.model.balancer import Balancer, Kind, Listener, Member, Operating, Pool, Protocol, Provisioning
from support_balancers import OCTAVIA, Room, balancer

STEPS = 40


class Walk:
    """Does what Octavia would do: holds what it changes as pending, and changes nothing that is pending."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.room = Room(folder)
        self.chance = random.Random(seed)
        self.number = 0
        self.lb = balancer("lb1", monitor=False)
        self.room.keeper.put(OCTAVIA, self.lb)
        self.hold(Kind.MEMBER, "lb1-m1", "lb1-m2")
        self.above("lb1-p")

    def hold(self, kind: Kind, *things: str) -> None:
        for thing in things:
            held = (kind, Provisioning.PENDING, Operating.OFFLINE)
            self.room.octavia[thing] = held

    def held(self) -> set[str]:
        return {i for i, p in self.room.stands().items() if p == "PENDING"}

    def step(self) -> None:
        ways = [self.report, self.report, self.fail, self.wait, self.tell, self.tell, self.restart]
        if not self.held():
            ways = [self.listener, self.pool, self.member, self.member, self.member, self.away, self.fail]
        self.chance.choice(ways)()

    # --- what Octavia asks for --------------------------------------------------------------------

    def name(self, letter: str) -> str:
        self.number += 1
        return f"{letter}{self.number}"

    def listener(self) -> None:
        pool = self.chance.choice(["", *(p.id for p in self.lb.pools)])
        made = Listener(self.name("l"), Protocol.TCP, 1000 + self.number, pool)
        self.lb = replace(self.lb, listeners=(*self.lb.listeners, made))
        self.hold(Kind.LISTENER, made.id)
        self.hold(Kind.BALANCER, "lb1")
        self.room.keeper.put_object(OCTAVIA, "lb1", made)

    def pool(self) -> None:
        made = Pool(self.name("p"), Protocol.TCP)
        self.lb = replace(self.lb, pools=(*self.lb.pools, made))
        self.hold(Kind.POOL, made.id)
        self.hold(Kind.BALANCER, "lb1")
        self.room.keeper.put_object(OCTAVIA, "lb1", made)

    def member(self) -> None:
        if not self.lb.pools:
            return
        pool = self.chance.choice(self.lb.pools)
        made = Member(self.name("m"), f"10.1.0.{self.number}", 80)
        if pool.members and self.chance.random() < 0.5:
            made = replace(self.chance.choice(pool.members), weight=self.number)
        others = tuple(m for m in pool.members if m.id != made.id)
        self.change(replace(pool, members=(*others, made)))
        self.hold(Kind.MEMBER, made.id)
        self.above(pool.id)
        self.room.keeper.put_object(OCTAVIA, pool.id, made)

    def away(self) -> None:
        pools = [(Kind.POOL, p.id, "lb1") for p in self.lb.pools]
        members = [(Kind.MEMBER, m.id, p.id) for p in self.lb.pools for m in p.members]
        listeners = [(Kind.LISTENER, each.id, "lb1") for each in self.lb.listeners]
        found = [*pools, *members, *listeners]
        if not found:
            return
        kind, thing, parent = self.chance.choice(found)
        self.hold(kind, thing)
        if kind is Kind.LISTENER:
            self.hold(Kind.BALANCER, "lb1")
            self.lb = replace(self.lb, listeners=tuple(e for e in self.lb.listeners if e.id != thing))
        else:
            self.above(thing if kind is Kind.POOL else parent)
            self.forget(kind, thing, parent)
        self.room.keeper.delete_object(OCTAVIA, thing, kind, parent)

    def forget(self, kind: Kind, thing: str, parent: str) -> None:
        if kind is Kind.POOL:
            pools = tuple(p for p in self.lb.pools if p.id != thing)
            listeners = (replace(e, pool="" if e.pool == thing else e.pool) for e in self.lb.listeners)
            self.lb = replace(self.lb, pools=pools, listeners=tuple(listeners))
            return
        pool = next(p for p in self.lb.pools if p.id == parent)
        self.change(replace(pool, members=tuple(m for m in pool.members if m.id != thing)))

    def change(self, pool: Pool) -> None:
        pools = (pool if p.id == pool.id else p for p in self.lb.pools)
        self.lb = replace(self.lb, pools=tuple(pools))

    def above(self, pool: str) -> None:
        self.hold(Kind.POOL, pool)
        self.hold(Kind.LISTENER, *(e.id for e in self.lb.listeners if e.pool == pool))
        self.hold(Kind.BALANCER, "lb1")

    # --- what happens meanwhile -------------------------------------------------------------------

    def report(self) -> None:
        does = {m.id: self.chance.choice(list(Operating)) for p in self.lb.pools for m in p.members}
        self.room.report(operating=does)

    def fail(self) -> None:
        self.room.report(problems={"lb1": f"Something is wrong {self.chance.randrange(3)}."})

    def wait(self) -> None:
        self.room.time.pass_by(self.chance.choice([1, 20, 40]))
        self.room.keeper.tick()

    def tell(self) -> None:
        self.room.tell()

    def restart(self) -> None:
        if self.chance.random() < 0.5:  # told, and not acknowledged
            self.room.keeper.statuses(None)
        self.room.restart()


@pytest.mark.parametrize("seed", range(12))
def test_nothing_stays_pending_and_nothing_is_lost(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # listeners of any port over any pool: how things end is walked through, not what a device can carry
    monkeypatch.setattr("sekisho.app.balancers.pairs.need_able", lambda *_: None)
    walk = Walk(tmp_path, seed)
    for _ in range(STEPS):
        walk.step()
        wanted = walk.room.keeper.program("d1", None).balancers
        assert [_sorted(b) for b in wanted] == [_sorted(walk.lb)]
    # A minute without any device ends everything, in an error if need be.
    walk.room.time.pass_by(60)
    walk.room.keeper.tick()
    walk.room.tell()
    assert walk.held() == set()
    # And a device that is back carries everything.
    walk.room.report()
    walk.room.tell()
    there = {"lb1", *(e.id for e in walk.lb.listeners)}
    there |= {i for p in walk.lb.pools for i in (p.id, *(m.id for m in p.members))}
    ended = {i: "ACTIVE" if i in there else "DELETED" for i in walk.room.octavia}
    assert walk.room.stands() == ended
    walk.room.ledger.close()


def _sorted(lb: Balancer) -> Balancer:
    pools = (replace(p, members=tuple(sorted(p.members, key=lambda m: m.id))) for p in lb.pools)
    listeners = tuple(sorted(lb.listeners, key=lambda e: e.id))
    return replace(lb, listeners=listeners, pools=tuple(sorted(pools, key=lambda p: p.id)))

"""An IPVS table in memory that answers as the kernel does (net/netfilter/ipvs/ip_vs_ctl.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.roles import Target
from sekisho.devices.balancer.lvs_dsr.services import Counts, Dest, Key, Service, Stand, Step, Sync, Verb
from sekisho.model.balancer import Balancer, Listener, Member, Monitor, Pool, Protocol, Vip
from sekisho.model.errors import Unavailable

NO_SERVICE, NO_DEST, THERE = "there is no such service", "there is no such server", "it is there already"


@dataclass
class MemoryKernel:
    """Takes steps; `refuse` says what it does not take, `away` that nobody answers, `told` all it heard."""

    table: dict[Key, Stand] = field(default_factory=dict)
    told: list[Step] = field(default_factory=list)
    loads: dict[tuple[Key, str], Counts] = field(default_factory=dict)
    refuse: Callable[[Step], str] = lambda _: ""
    away: bool = False
    synced: Sync | None = None
    reads: int = 0

    def services(self) -> Mapping[Key, tuple[Service, Counts]]:
        self._there()
        return {key: (stand.service, stand.counts) for key, stand in self.table.items()}

    def stand(self, key: Key) -> Stand | None:
        self._there()
        self.reads += 1
        stand = self.table.get(key)
        if stand is None:
            return None
        loads = {address: self.loads.get((key, address), Counts()) for address in stand.dests}
        counts = Counts(
            sum(c.total for c in loads.values()),
            sum(c.bytes_in for c in loads.values()),
            sum(c.active for c in loads.values()),
            sum(c.inactive for c in loads.values()),
        )
        return replace(stand, loads=loads, counts=counts)

    def apply(self, steps: Sequence[Step]) -> Sequence[str]:
        self._there()
        return [self._one(step) for step in steps]

    def _one(self, step: Step) -> str:
        self.told.append(step)
        word = self.refuse(step)
        if word:
            return word
        key = step.service.key
        have = self.table.get(key)
        if step.verb is Verb.NEW_SERVICE:
            if have is not None:
                return THERE
            self.table[key] = Stand(step.service)
            return ""
        if have is None:
            return NO_SERVICE
        if step.dest is not None:
            return self._dest(key, have, step.verb, step.dest)
        if step.verb is Verb.DEL_SERVICE:
            del self.table[key]
        else:
            self.table[key] = replace(have, service=step.service)
        return ""

    def _dest(self, key: Key, have: Stand, verb: Verb, dest: Dest) -> str:
        there = dest.address in have.dests or dest in have.other
        if there == (verb is Verb.NEW_DEST):
            return THERE if there else NO_DEST
        rest = {a: d for a, d in have.dests.items() if a != dest.address}
        dests = rest if verb is Verb.DEL_DEST else {**have.dests, dest.address: dest}
        self.table[key] = replace(have, dests=dests, other=tuple(o for o in have.other if o != dest))
        return ""

    def sync(self, wanted: Sync | None) -> bool:
        changed, self.synced = self.synced != wanted, wanted
        return changed

    def close(self) -> None:
        pass

    def _there(self) -> None:
        if self.away:
            raise Unavailable("The kernel does not answer over netlink.")

    def dests(self, key: Key) -> dict[str, int]:
        """Give weights by address."""
        return {a: d.weight for a, d in self.table[key].dests.items()} if key in self.table else {}


@dataclass
class MemoryChecks:
    """Remembers who is to be asked."""

    targets: dict[str, tuple[Target, ...]] = field(default_factory=dict)

    def watch(self, balancer: str, targets: Sequence[Target]) -> None:
        self.targets[balancer] = tuple(targets)
        if not targets:
            del self.targets[balancer]

    def close(self) -> None:
        self.targets.clear()


class AnsweringChecks:
    """Every member answers but those that fell, as soon as it is asked."""

    def __init__(self, fallen: set[str]) -> None:
        self.fallen = fallen
        self.driver: LvsDriver | None = None

    def watch(self, balancer: str, targets: Sequence[Target]) -> None:
        del balancer
        for target in targets:
            assert self.driver
            self.driver.judge(target.member, alive=target.member not in self.fallen)

    def close(self) -> None:
        pass


@dataclass
class Time:
    """A clock that goes when told."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


def balancer(
    number: int = 1,
    members: int = 2,
    port: int = 80,
    vip: str = "",
    monitor: Monitor | None = None,
    **pool: object,
) -> Balancer:
    """Make a balancer of one TCP listener; member N is ``m<number>-<N>`` at 10.0.0.<N>."""
    made = tuple(Member(f"m{number}-{n}", f"10.0.0.{n}", port) for n in range(1, members + 1))
    return Balancer(
        f"b{number}",
        "lvs",
        Vip(vip or f"10.0.1.{number}", cidr="10.0.0.0/16"),
        listeners=(Listener(f"l{number}", Protocol.TCP, port, f"p{number}"),),
        pools=(Pool(f"p{number}", Protocol.TCP, members=made, monitor=monitor, **pool),),  # type: ignore[arg-type]
    )


def with_members(whole: Balancer, *members: Member) -> Balancer:
    """Give the balancer's pool these members."""
    return replace(whole, pools=(replace(whole.pools[0], members=members),))


def key(number: int = 1, port: int = 80) -> Key:
    """Name the service of `balancer(number)`."""
    return Key(6, f"10.0.1.{number}", port)

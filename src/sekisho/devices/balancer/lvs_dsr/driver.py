"""A director as a BalancerDriver: Balancers and members' answers in, the kernel's IPVS table right."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.driver import Health, Outcome
from sekisho.devices.balancer.intent import operating, plain, serving
from sekisho.devices.balancer.lvs_dsr import asked
from sekisho.devices.balancer.lvs_dsr.compile import compiled, key_of
from sekisho.devices.balancer.lvs_dsr.provider import LvsProvider
from sekisho.devices.balancer.lvs_dsr.roles import ForgetfulBook, NoChecks, NoGate, NoPlaces, NoVips
from sekisho.devices.balancer.lvs_dsr.table import Table, Wish
from sekisho.model.balancer import Operating
from sekisho.model.errors import SekishoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from sekisho.devices.balancer.lvs_dsr.roles import Book, Checks, Gate, Places, Target, Vips
    from sekisho.devices.balancer.lvs_dsr.services import Kernel, Key, Stand
    from sekisho.model.balancer import Balancer

DRAIN: Final = 300.0
READ_AT_ONCE: Final = 20


class LvsDriver:
    """Keeps one kernel's IPVS table; thread-safe, because members die while nobody carries anything.

    `clock` gives seconds that only grow. Addresses of VIPs are ours alone: whatever else stands at one is
    taken away. `links` are networks beside the VIP's own that members may be in.
    """

    def __init__(
        self,
        kernel: Kernel,
        clock: Callable[[], float],
        checks: Checks | None = None,
        vips: Vips | None = None,
        book: Book | None = None,
        drain: float = DRAIN,
        links: tuple[str, ...] = (),
    ) -> None:
        self._kernel = kernel
        self._clock = clock
        self.checks: Checks = checks or NoChecks()
        self._vips: Vips = vips or NoVips()
        self._book: Book = book or ForgetfulBook()
        self.places: Places = NoPlaces()
        self.gate: Gate = NoGate()
        self.ajar = ""  # why what the director itself listens with may be reached at a VIP
        self._guarded: dict[str, dict[Key, tuple[str, ...]]] = {}  # who may ask, by balancer
        self._provider = LvsProvider(links)
        self._table = Table(kernel, drain)
        self._lock = threading.RLock()
        self._seen: dict[str, Balancer] = {}
        self._carried: dict[str, Balancer] = {}  # as last seen without a mistake
        self._wishes: dict[str, dict[Key, Wish]] = {}
        self._owner: dict[Key, str] = {}
        self._asked: dict[str, frozenset[str]] = {}  # the members that are asked, by balancer
        self._home: dict[str, str] = {}  # and the other way round
        self._state: dict[str, Operating] = {}  # of members that have answered or failed
        self._dead: set[str] = set()
        self._far: dict[str, frozenset[str]] = {}  # members behind a router, by balancer
        self._refused: dict[str, str] = {}  # cannot be carried as they are
        self._unsound: dict[str, str] = {}  # by themselves, whatever stands beside them
        self._failed: dict[str, str] = {}  # the kernel said no, tried again at every turn
        self._learned = False
        self._ours: frozenset[str] = frozenset()
        self._vip: dict[str, str] = {}
        self._addresses: frozenset[str] = frozenset()

    # --- carrying ---------------------------------------------------------------------------------

    def carry(self, balancers: Sequence[Balancer]) -> Outcome:
        """Make the table carry these; balancers that are the same objects as before cost next to nothing."""
        with self._lock:
            gone = self._seen.keys() - {b.id for b in balancers}
            changed = [b for b in balancers if self._is_new(b)]
            vips = self._vips_after(changed, gone)
            self._learn(vips)
            touched = self._forget(gone)
            for balancer in changed:
                touched |= self._take(balancer)
            for balancer in changed:  # what clashed with a service that another one gave up after it
                touched |= self._take(balancer) if balancer.id in self._refused else set()
            touched |= self._guard()
            taken = self._write(touched | self._table.stray)
            # last, so that no VIP is there before what answers at it
            moved = self._vips.carry(vips)
            self._own(vips)
            return Outcome(taken + moved, self._troubles())

    def _guard(self) -> set[Key]:
        """Keep away who may not ask, before anything is served; what cannot be guarded is not served.

        Addresses that were VIPs until now are closed too: they are on the link for a moment more. Says which
        services that takes away.
        """
        owned = {n: {k: c for k, c in g.items() if self._owner.get(k) == n} for n, g in self._guarded.items()}
        try:
            allowed = {key: cidrs for guards in owned.values() for key, cidrs in guards.items()}
            self.gate.carry(allowed, self._ours)
            self.ajar = ""
        except SekishoError as error:
            self.ajar = error.fixer if self._ours else ""
            open_ = [n for n, g in owned.items() if any(self.gate.held.get(k) != c for k, c in g.items())]
            for name in open_:
                self._refused[name] = f"The director cannot keep away who may not ask: {error.fixer}"
            return set().union(*map(self._release, open_))
        return set()

    def _vips_after(self, changed: Sequence[Balancer], gone: Iterable[str]) -> frozenset[str]:
        """Give the VIPs' addresses; a balancer that is switched off has none."""
        before = dict(self._vip)
        for name in gone:
            self._vip.pop(name, None)
        claimed = self._ours | self._addresses | {asked.vip_of(b) for b in changed}
        for balancer in changed:
            # one that cannot be carried has no VIP, or the one it had
            self._unsound[balancer.id] = self._mistake(balancer, claimed)
            if not self._unsound[balancer.id]:
                self._vip[balancer.id] = asked.vip_of(balancer)
        if self._vip != before:
            self._addresses = frozenset(filter(None, self._vip.values()))
        return self._addresses

    def _is_new(self, balancer: Balancer) -> bool:
        had = self._seen.get(balancer.id)
        doubtful = balancer.id in self._refused or balancer.id in self._far
        return (had is not balancer and had != balancer) or doubtful

    def _learn(self, vips: frozenset[str]) -> None:
        """Know what stands at addresses that are ours or were; they are written down before they are used."""
        if not self._learned:
            self._ours = self._book.load()
            self._table.learn(self._ours | vips)
            self._table.stray |= self._table.there.keys()
            self._learned = True
        elif not vips <= self._ours:
            self._table.strangers(vips - self._ours)
        self._own(self._ours | vips)

    def _own(self, addresses: frozenset[str]) -> None:
        if addresses != self._ours:
            self._book.save(addresses)
            self._ours = addresses

    def _forget(self, gone: Iterable[str]) -> set[Key]:
        touched: set[Key] = set()
        for name in gone:
            self._guarded.pop(name, None)
            self.checks.watch(name, ())
            touched |= self._release(name)
            del self._seen[name]
            for known in (self._carried, self._refused, self._unsound, self._failed, self._far):
                known.pop(name, None)
            self._prune(name, frozenset())
        return touched

    def _release(self, name: str) -> set[Key]:
        keys = {key for key in self._wishes.pop(name, {}) if self._owner.get(key) == name}
        for key in keys:
            del self._owner[key]
        return keys

    def _take(self, balancer: Balancer) -> set[Key]:
        """Take a balancer on as it is now; says which services that may change."""
        self._seen[balancer.id] = balancer
        problem = self._problem(balancer)
        if problem:
            # what it carried before goes on: a mistake in one listener must not end the others
            self._refused[balancer.id] = problem
            return set()
        self._refused.pop(balancer.id, None)
        self._leave_out(balancer)
        self._carried[balancer.id] = balancer
        self._guarded.pop(balancer.id, None)
        if guards := asked.guards(balancer):
            self._guarded[balancer.id] = guards
        targets = tuple(asked.targets(balancer))
        self._prune(balancer.id, frozenset(t.member for t in targets))
        self._presume_dead(balancer, targets)
        self.checks.watch(balancer.id, targets)
        return self._wish(balancer)

    def _problem(self, balancer: Balancer) -> str:
        return self._unsound[balancer.id] or self._clash(balancer)

    def _mistake(self, balancer: Balancer, vips: frozenset[str]) -> str:
        """Say what is wrong with a balancer by itself."""
        try:
            return self._provider.unsupported(balancer) or self._served_here(balancer, vips)
        except ValueError as error:
            return f"It cannot be read: {error}."

    def _served_here(self, balancer: Balancer, vips: frozenset[str]) -> str:
        """Say which of its members would be the director; those that were carried before are known."""
        had = self._carried.get(balancer.id)
        news = asked.named(balancer) - (asked.named(had) if had is not None else set())
        own = (news & vips) | self.places.own(news)
        if not own:
            return ""
        return (
            f"The member {min(own)}, or what its monitor asks, is the director itself; give a server's own."
        )

    def _leave_out(self, balancer: Balancer) -> None:
        """Let members behind a router serve nobody, whatever their monitor says: frames do not reach them.

        A balancer is not refused for one: its other members would be lost at the next start.
        """
        had, far = self._carried.get(balancer.id), self._far.pop(balancer.id, frozenset())
        before = asked.members_of(had) if had is not None else []
        known = {plain(m.address) for m in before if m.id not in far}
        routed = self.places.routed({plain(m.address) for m in asked.members_of(balancer)} - known)
        found = frozenset(m.id for m in asked.members_of(balancer) if plain(m.address) in routed)
        if found:
            self._far[balancer.id] = found

    def _out(self, balancer: Balancer) -> AbstractSet[str]:
        """Name members that serve nobody now, of others too."""
        far = self._far.get(balancer.id)
        return self._dead | far if far else self._dead

    def _troubles(self) -> dict[str, str]:
        return {**self._failed, **self._refused}

    def _clash(self, balancer: Balancer) -> str:
        for listener, _ in serving(balancer):
            key = key_of(balancer, listener)
            owner = self._owner.get(key, balancer.id)
            if owner != balancer.id:
                return f"{key} is balancer {owner}'s already; give this one another VIP or port."
        return ""

    def _wish(self, balancer: Balancer) -> set[Key]:
        touched, out = self._release(balancer.id), self._out(balancer)
        wishes = {
            key: Wish(stand, asked.addresses(balancer, key, out))
            for key, stand in compiled(balancer, out).items()
        }
        self._wishes[balancer.id] = wishes
        self._owner |= dict.fromkeys(wishes, balancer.id)
        return touched | wishes.keys()

    def _write(self, keys: set[Key]) -> int:
        wishes = {key: self._wishes[self._owner[key]][key] if key in self._owner else None for key in keys}
        owners = {self._owner[key] for key in keys if key in self._owner}
        taken, failed = self._table.carry(wishes, self._clock())
        for name in owners:
            self._failed.pop(name, None)
        for key, answer in failed.items():
            if key in self._owner:
                self._failed[self._owner[key]] = f"The director's kernel refused {key}: {answer}."
        return taken

    # --- members ----------------------------------------------------------------------------------

    def judge(self, member: str, *, alive: bool) -> None:
        """Take down how a member answered; where that changes who serves, the kernel is told at once."""
        with self._lock:
            balancer = self._carried.get(self._home.get(member, ""))
            if balancer is None:
                return
            self._state[member] = Operating.ONLINE if alive else Operating.ERROR
            if alive != (member in self._dead):
                return
            (self._dead.discard if alive else self._dead.add)(member)
            if balancer.id in self._wishes:
                self._write(self._wish(balancer))

    def _prune(self, balancer: str, asked: frozenset[str]) -> None:
        """Forget what is known of members that are not asked any more."""
        for member in self._asked.pop(balancer, frozenset()) - asked:
            del self._home[member]
            self._state.pop(member, None)
            self._dead.discard(member)
        if asked:
            self._asked[balancer] = asked
            self._home |= dict.fromkeys(asked, balancer)

    def _presume_dead(self, balancer: Balancer, targets: Sequence[Target]) -> None:
        """After a restart: who was out of a service that stands is out until it answers."""
        if balancer.id in self._wishes:
            return
        asked = {t.member for t in targets} - self._state.keys()
        for listener, pool in serving(balancer):
            stand = self._table.there.get(key_of(balancer, listener))
            if stand is None:
                continue
            for member in pool.members:
                if member.id in asked and not member.backup and plain(member.address) not in stand.dests:
                    self._dead.add(member.id)

    def tend(self) -> int:
        """End what has drained; to be called every second or so. Gives the number of steps."""
        with self._lock:
            keys = self._table.drained(self._clock())
            return self._write(set(keys)) if keys else 0

    # --- telling ----------------------------------------------------------------------------------

    def health(self) -> Health:
        """Tell how what is carried does, and its totals."""
        found, _ = self._read()
        with self._lock:
            statistics = [s for b in self._carried.values() for s in asked.statistics(b, found)]
            return Health(self.operating(), tuple(statistics))

    def operating(self) -> dict[str, Operating]:
        """Tell how what is carried does; the kernel is not asked."""
        with self._lock:
            told: dict[str, Operating] = {}
            for balancer in self._carried.values():
                far = dict.fromkeys(self._far.get(balancer.id, ()), Operating.ERROR)
                told |= operating(balancer, {**self._state, **far} if far else self._state)
            return told

    def drift(self) -> tuple[str, ...]:
        """Read the whole table, and say what is not as we left it; the next `carry` puts that right."""
        _, said = self._read()
        if self.gate.missing():
            said += ("The nftables table that keeps away who may not ask was gone.",)
        with self._lock:
            added = self._table.strangers(self._ours)
            return said + tuple(f"{key} is not ours." for key in added)

    def _read(self) -> tuple[dict[Key, Stand], tuple[str, ...]]:
        """Read every service of ours, a few at once: a change must not wait for all of them."""
        found: dict[Key, Stand] = {}
        said: tuple[str, ...] = ()
        with self._lock:
            keys = tuple(self._owner)
        for start in range(0, len(keys), READ_AT_ONCE):
            with self._lock:
                some, differs = self._table.read(
                    k for k in keys[start : start + READ_AT_ONCE] if k in self._owner
                )
            found |= some
            said += differs
        return found, said

    @property
    def problems(self) -> Mapping[str, str]:
        """Say what is wrong, a sentence by balancer id."""
        with self._lock:
            return self._troubles()

    @property
    def far(self) -> Mapping[str, str]:
        """Say which members are behind a router and serve nobody, a sentence by balancer id."""
        with self._lock:
            return {name: asked.far(self._carried[name], members) for name, members in self._far.items()}

    @property
    def active(self) -> bool:
        """Tell whether the VIPs are here."""
        return self._vips.active()

    def failover(self) -> None:
        """Let the other director of the pair have the VIPs."""
        self._vips.failover()

    def close(self) -> None:
        """Let the kernel go; what is carried stays."""
        self.checks.close()
        with self._lock:
            self._kernel.close()

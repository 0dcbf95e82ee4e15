"""The keeper's side of load balancers: what Octavia wants goes in, programs and statuses come out."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sekisho.app import balancers_settings as pairs
from sekisho.app import balancers_tree as tree
from sekisho.app import figures
from sekisho.app.balancers_book import Book, Wish, status, worst
from sekisho.app.balancers_devices import Devices
from sekisho.app.balancers_heard import of_its_own
from sekisho.app.balancers_judge import Judge
from sekisho.app.balancers_settings import BalancersSettings
from sekisho.app.balancers_totals import Totals
from sekisho.ledger.balancers import Balancers as Ledger
from sekisho.ledger.balancers import Kept
from sekisho.model.balancer import (
    Ailment,
    Balancer,
    BalancerProgram,
    BalancerView,
    DirectorReport,
    Kind,
    Member,
    Object,
    PairView,
    Provisioning,
    StatusPage,
)
from sekisho.model.errors import Conflict, NotFound, Unsupported

if TYPE_CHECKING:
    from sekisho.host.clock import Clock
    from sekisho.ledger.ledger import Ledger as WholeLedger
    from sekisho.model.access import Principal

log = logging.getLogger("sekisho.balancers")

STATUSES: Final = "balancer-statuses"
# So many objects are told at once, if not more changed together.
PAGE: Final = 500
# Seconds between two writings of what listeners have carried.
WRITE: Final = 30.0
# Seconds without a look after which the keeper itself was stopped, and reports may be waiting for it.
LATE: Final = 5.0


class Balancers:
    """Implements `api.balancer_keeper.Balancers`; thread-safe."""

    def __init__(self, settings: BalancersSettings, ledger: WholeLedger, clock: Clock) -> None:
        self.settings = settings
        self._whole = ledger
        self._ledger = Ledger(ledger.store)
        self._clock = clock
        self._lock = threading.RLock()
        self._listeners: list[Callable[[str], None]] = []
        found = self._ledger.load()
        self._book = Book(self._ledger, found)
        self._totals = Totals(found.totals)
        self._devices = Devices(settings, clock.passed)
        self._judge = Judge(self._book, self._devices, clock, settings.patience, lambda: self._tell(STATUSES))
        self.turns: dict[str, Callable[[str], None]] = {}  # how a driven pair is told to fail over
        self._due = clock.passed()
        self._written = clock.passed()
        self._ticked = clock.passed()

    def listen(self, callback: Callable[[str], None]) -> None:
        """Call back, from any thread, with ``director:NAME``, ``pair:NAME`` or ``balancer-statuses``."""
        self._listeners.append(callback)

    def _tell(self, *topics: str) -> None:
        for topic in topics:
            for callback in self._listeners:
                callback(topic)

    # --- what is wanted ---------------------------------------------------------------------------

    def put(self, who: Principal, balancer: Balancer, changed: float | None = None) -> BalancerView:
        """Make or change a balancer and what it names; what it does not name stays."""
        with self._lock:
            there = self._book.kept.get(balancer.id)
            if changed is not None and (there is None or there.gone or there.changed != changed):
                raise Conflict(f"{balancer.id} has changed since it was looked at; look again.")
            if there is not None and there.balancer.provider != balancer.provider:
                raise Conflict(f"{balancer.id} is of the provider {there.balancer.provider} already.")
            old = there.balancer if there is not None and not there.gone else None
            new = tree.merged(old, balancer)
            stays = there is not None and there.pair in self.settings.pairs
            pair = there.pair if there is not None and stays else pairs.place(self.settings, new)
            self._need_able(pair, new, old)
            kept = replace(there or Kept(new, pair), balancer=new, pair=pair, gone=False)
            wish = Wish("balancer-put", who.name, balancer, own=tree.all_kinds(balancer))
            return self._want(kept, wish)

    def delete(self, who: Principal, balancer: str, *, cascade: bool) -> None:
        """Take a balancer away, with `cascade` all in it too; one that nobody knows is told as away."""
        with self._lock:
            kept = self._book.kept.get(balancer)
            if kept is None:
                self._away(who, Kind.BALANCER, balancer)
                return
            if not cascade and not kept.gone and (kept.balancer.listeners or kept.balancer.pools):
                raise Conflict(f"{balancer} has listeners or pools: take them away before, or cascade.")
            wish = Wish("balancer-delete", who.name, gone=tree.all_kinds(kept.balancer))
            self._want(replace(kept, gone=True), wish)

    def put_object(self, who: Principal, parent: str, thing: Object) -> BalancerView:
        """Make or change one object in its balancer or pool."""
        with self._lock:
            kept = self._having(parent)
            new = tree.put(kept.balancer, parent, thing)
            self._need_able(kept.pair, new, kept.balancer)
            own = tree.kinds((thing, *tree.inside(thing)))
            detail = {"parent": parent, "object": thing}
            wish = Wish("balancer-put", who.name, detail, own, tree.line(new, thing.id))
            return self._want(replace(kept, balancer=new), wish)

    def put_members(self, who: Principal, pool: str, members: tuple[Member, ...]) -> BalancerView:
        """Make these the members of a pool, and no others."""
        with self._lock:
            kept = self._having(pool)
            new = tree.put_members(kept.balancer, pool, members)
            self._need_able(kept.pair, new, kept.balancer)
            before = tree.find(kept.balancer, pool)
            left = tree.kinds(tree.inside(before) if before is not None else ())
            gone = {i: k for i, k in left.items() if k is Kind.MEMBER and i not in tree.kinds(members)}
            wish = Wish(
                "balancer-put",
                who.name,
                {"pool": pool, "members": members},
                tree.kinds(members),
                tree.line(new, pool),
                gone,
            )
            return self._want(replace(kept, balancer=new), wish)

    def delete_object(self, who: Principal, thing: str, kind: Kind | None, parent: str) -> None:
        """Take one object away and what is in it; one that nobody knows needs its kind."""
        with self._lock:
            kept = self._book.kept.get(self._book.home.get(thing) or self._book.home.get(parent, ""))
            found = tree.find(kept.balancer, thing) if kept is not None else None
            standing = self._book.standings.get(thing)
            kind = Kind(found.kind) if found is not None else standing.kind if standing is not None else kind
            if kind is None or thing == (kept.balancer.id if kept is not None else ""):
                raise NotFound(f"There is no object {thing!r} in a load balancer.")
            if kept is None or kept.gone:
                self._away(who, kind, thing)
                return
            gone = {thing: kind} | (tree.kinds(tree.inside(found)) if found is not None else {})
            line = tree.line(kept.balancer, thing if found is not None else parent)
            if found is None and not parent:
                line = {i: k for i, k in tree.all_kinds(kept.balancer).items() if k in _ABOVE}
            wish = Wish("balancer-delete", who.name, {kind.value: thing}, line=line, gone=gone)
            self._want(replace(kept, balancer=tree.without(kept.balancer, thing)), wish)

    def failover(self, who: Principal, balancer: str) -> None:
        """Let the other device of a pair take over; raises Unsupported where there is none."""
        with self._lock:
            kept = self._find(balancer)
            turn = self.turns.get(kept.pair)
            target = "" if turn is not None else self._other(kept.pair)
            self._judge.turn(balancer, target)
            own = {balancer: Kind.BALANCER}
            self._want(kept, Wish("balancer-failover", who.name, {"to": target}, own))
            if turn is not None:
                turn(balancer)
                return
            self._whole.remember(_preferred(kept.pair), target)
            self._book.touch(kept.pair, self._clock.now())
            self._tell(*(f"director:{d}" for d in self._devices.names(kept.pair)))

    def _other(self, pair: str) -> str:
        found = self._devices.other(pair)
        if not found:
            raise Unsupported(
                "This load balancer is on one device only: there is none to take over.",
                f"The pair {pair} of keeper.balancers.pairs has no second director; name two.",
            )
        return found

    def _want(self, kept: Kept, wish: Wish) -> BalancerView:
        balancer = kept.balancer.id
        if self._book.want(kept, wish, self._clock.now()):
            devices = self._devices.names(kept.pair)
            self._tell(f"pair:{kept.pair}", *(f"director:{d}" for d in devices))
        self._judge.begin(balancer)
        self._judge.look((balancer,))  # nothing to do is done
        return self._view(self._book.kept.get(balancer, kept))

    def _away(self, who: Principal, kind: Kind, thing: str) -> None:
        self._book.away(kind, thing, who.name, self._clock.now())
        self._tell(STATUSES)

    def _need_able(self, pair: str, balancer: Balancer, before: Balancer | None) -> None:
        """Raise Malformed, Conflict or Unsupported for what is not to be carried."""
        tree.need_plain(balancer)
        self._need_own(balancer)
        pairs.need_able(self.settings.pairs.get(pair), balancer, before)

    def _need_own(self, balancer: Balancer) -> None:
        """Raise Conflict for an object that another balancer has."""
        for thing in tree.all_kinds(balancer):
            home = self._book.home.get(thing, balancer.id)
            if home != balancer.id and home in self._book.kept:
                raise Conflict(f"{thing} belongs to the load balancer {home} already.")

    def _having(self, thing: str) -> Kept:
        kept = self._book.kept.get(self._book.home.get(thing, ""))
        if kept is None or kept.gone:
            raise NotFound(f"There is no load balancer, listener or pool {thing!r}.")
        return kept

    def _find(self, balancer: str) -> Kept:
        kept = self._book.kept.get(balancer)
        if kept is None:
            raise NotFound(f"There is no load balancer {balancer!r}.")
        return kept

    # --- looking ----------------------------------------------------------------------------------

    def balancers(self, provider: str, project: str) -> tuple[BalancerView, ...]:
        """List balancers and how they stand, by id."""
        with self._lock:
            found = (k for _, k in sorted(self._book.kept.items()))
            return tuple(
                self._view(k)
                for k in found
                if (not provider or k.balancer.provider == provider)
                and (not project or k.balancer.project == project)
            )

    def balancer(self, balancer: str) -> BalancerView:
        """Tell of one balancer, by its id or that of an object in it; raises NotFound."""
        with self._lock:
            return self._view(self._find(self._book.home.get(balancer, balancer)))

    def _view(self, kept: Kept) -> BalancerView:
        rows = self._book.rows(kept.balancer.id)
        own = self._book.standings[kept.balancer.id]
        counted = (self._totals.of(each.id) for each in kept.balancer.listeners)
        return BalancerView(
            kept.balancer,
            worst(rows) if not kept.gone else own.provisioning,
            own.operating,
            self._devices.names(kept.pair),
            self._devices.active(kept.pair),
            kept.problem or self._devices.silence(kept.pair),
            kept.changed,
            kept.in_force,
            tuple(map(status, rows)),
            tuple(s for s in counted if s is not None),
        )

    def pairs(self) -> tuple[PairView, ...]:
        """List the pairs of devices, as the settings have them."""
        with self._lock:
            has = Counter(k.pair for k in self._book.kept.values() if not k.gone)
            return tuple(
                PairView(
                    name,
                    pair.provider,
                    self._devices.names(name),
                    pair.zones,
                    self._devices.active(name),
                    has[name],
                    self._devices.silence(name),
                )
                for name, pair in self.settings.pairs.items()
            )

    def ailments(self, balancer: str) -> tuple[Ailment, ...]:
        """Say what is wrong with a balancer and its devices, or with all."""
        with self._lock:
            kept = [self._find(balancer)] if balancer else list(self._book.kept.values())
            names = {k.pair for k in kept} if balancer else {*self.settings.pairs, *(k.pair for k in kept)}
            ours = {("", pair) for pair in names} | {(k.balancer.id, k.pair) for k in kept}
            found = [
                a
                for pair in sorted(names)
                for a in self._devices.ailments(pair, self._book.revision(pair))
                if (a.balancer, pair) in ours  # no device has a say of another pair's
            ]
            found += [Ailment(k.pair, k.balancer.id, k.problem) for k in kept if k.problem]
            return tuple(found)

    # --- for Octavia ------------------------------------------------------------------------------

    def statuses(self, revision: int | None) -> StatusPage | None:
        """Give what has not been told, oldest first; None if nothing of it is newer than a revision."""
        with self._lock:
            last, found = self._book.page(PAGE)
            due = self._totals.waiting() and self._clock.passed() >= self._due
            if not due and (not found or (revision is not None and last <= revision)):
                return None
            if due:
                self._due = self._clock.passed() + self.settings.statistics
            return StatusPage(last, found, self._totals.page() if due else ())

    def told(self, revision: int) -> None:
        """Forget that statuses up to a revision were to be told."""
        with self._lock:
            away = self._book.acknowledge(revision)
            self._totals.acknowledge()
            if away:
                self._totals.forget(away)
                self._ledger.count({}, away)

    # --- for directors ----------------------------------------------------------------------------

    def program_revision(self, director: str) -> int:
        """Tell the revision of a director's program, at no cost; raises NotFound."""
        return self._book.revision(pairs.pair_of(self.settings, director))

    def program(self, director: str, since: int | None) -> BalancerProgram:
        """Say what a director must carry: all, or what is otherwise since a revision."""
        with self._lock:
            pair = pairs.pair_of(self.settings, director)
            revision, prefer = self._book.revision(pair), self._whole.recall(_preferred(pair))
            news = self._book.since(pair, since) if since else None
            if news is None or since is None:
                return BalancerProgram(director, revision, self._book.carried(pair), prefer)
            return BalancerProgram(director, revision, news[0], prefer, since, news[1])

    def report(self, who: Principal, report: DirectorReport) -> None:
        """Take what a director tells."""
        pair = pairs.pair_of(self.settings, report.director)
        log.debug("%s tells what %s carries at %d", who.name, report.director, report.revision)
        self.take(pair, report)

    def take(self, pair: str, report: DirectorReport) -> None:
        """Take what a device tells, however it was heard."""
        with self._lock:
            report, others = of_its_own(report, pair, self._book.revision(pair), self._book.pair_of)
            if others and self._devices.aside(report.director, others):
                log.warning("%s tells of %d objects that another pair carries", report.director, others)
            news = self._devices.take(pair, report)
            self._totals.take(report.director, report.statistics)
            speaks = report.director in self._devices.speaking(pair)
            if self._book.operate(news, self._clock.now()):
                self._tell(STATUSES)
            self._judge.look([b for b in self._book.open if self._book.kept[b].pair == pair])
            if speaks:
                self._judge.troubles(pair, report)

    # --- for driven pairs -------------------------------------------------------------------------

    def unreached(self, pair: str, problem: str) -> None:
        """Take down that the device of a driven pair cannot be reached."""
        with self._lock:
            self._devices.unreached(pair, problem)

    def drifted(self, pair: str, sentences: tuple[str, ...]) -> None:
        """Take down what others changed on a device."""
        with self._lock:
            if self._devices.drifted(pair, sentences):
                lines = [(pair, s, None) for s in sentences]
                self._whole.write_journals(self._clock.now(), "keeper", "balancer-drift", lines)

    def turned(self, balancer: str, problem: str) -> None:
        """Take down that a driven pair has failed over, or why it has not."""
        with self._lock:
            self._judge.turned(balancer, problem)

    def wanted(self, pair: str) -> tuple[int, tuple[Balancer, ...]]:
        """Say what a pair must carry, and its revision."""
        with self._lock:
            return self._book.revision(pair), self._book.carried(pair)

    # --- how it went ------------------------------------------------------------------------------

    def tick(self) -> None:
        """Look at what is overdue; to be called twice a second or so."""
        with self._lock:
            passed = self._clock.passed()
            late, self._ticked = passed - self._ticked > LATE, passed
            if late:
                self._devices.excuse()
            self._judge.look(tuple(self._book.open))
            for pair in self.settings.pairs:
                if self._devices.doubtful(pair):
                    self._doubt(pair)
            if self._totals.waiting() and passed >= self._due:
                self._tell(STATUSES)
            if passed - self._written >= WRITE:
                self._written = passed
                self.write()

    def _doubt(self, pair: str) -> None:
        """Believe no more how what a pair carries does; the next word that counts mends it."""
        carried = self._book.carried(pair)
        known = {s.id: s.operating for b in carried for s in self._book.rows(b.id)}
        if self._book.operate(tree.doubted(carried, known), self._clock.now()):
            log.warning("nobody knows how what %s carries does: %s", pair, self._devices.silence(pair))
            self._tell(STATUSES)

    def write(self) -> None:
        """Write what listeners have carried; raises Unavailable."""
        with self._lock:
            counted = self._totals.unwritten()
            if counted:
                self._ledger.count(counted)

    def notices(self) -> tuple[str, ...]:
        """Say what needs a person, a sentence each."""
        return tuple(f"load balancer {a.balancer or a.device}: {a.sentence}" for a in self.ailments(""))

    def metrics(self) -> dict[str, float]:
        """Give gauges, named as Prometheus wants them."""
        with self._lock:
            stands = [s.provisioning for s in self._book.standings.values() if s.kind is Kind.BALANCER]
            told = {
                figures.metric("balancers", provisioning=p.value.lower()): float(stands.count(p))
                for p in Provisioning
            }
            told["sekisho_balancer_statuses_waiting"] = float(len(self._book.news))
            for pair in self.settings.pairs:
                live = self._devices.live(pair)
                for device in self._devices.names(pair):
                    told[figures.metric("balancer_device_up", device=device)] = float(device in live)
                    aside = float(self._devices.told_aside(device))
                    told[figures.metric("balancer_told_aside_total", device=device)] = aside
            return told


_ABOVE: Final = frozenset({Kind.BALANCER, Kind.LISTENER, Kind.POOL})


def _preferred(pair: str) -> str:
    return f"balancers.prefer.{pair}"

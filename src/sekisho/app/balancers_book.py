"""What the keeper knows of load balancers, in memory and in the ledger, which is always written first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sekisho.app.balancers_tree import Kinds, kinds, parts, usual
from sekisho.ledger.balancers import Balancers as Ledger
from sekisho.ledger.balancers import Deed, Found, Kept, Standing
from sekisho.model.balancer import Balancer, Kind, ObjectStatus, Operating, Provisioning
from sekisho.model.errors import Conflict

KEEPER: Final = "keeper"
# Children before what holds them, as Octavia takes them.
_ORDER: Final = tuple(Kind(k) for k in ("members", "healthmonitors", "pools", "listeners", "loadbalancers"))
# More balancers that are gone are not remembered: who was away for so long is told everything.
_GONE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Wish:
    """A change of a balancer. `own` objects change, `line` is what is above them, `gone` shall be away."""

    verb: str
    author: str
    detail: Any = None
    own: Kinds = field(default_factory=dict)
    line: Kinds = field(default_factory=dict)
    gone: Kinds = field(default_factory=dict)


class Book:
    """Not thread-safe: whoever has it holds a lock. Raises Unavailable when the ledger cannot be written."""

    def __init__(self, ledger: Ledger, found: Found) -> None:
        self._ledger = ledger
        self.told = found.told
        self.floor = found.revision
        self.kept: dict[str, Kept] = {}
        self.standings: dict[str, Standing] = {}
        self.home: dict[str, str] = {}  # the balancer that has, or had, an object
        self.news: dict[str, Standing] = {}
        self.open: set[str] = set()  # balancers of which something is not carried
        self.ailing: set[str] = set()  # balancers that have a problem
        self._newest = 0  # of what was ever to be told
        self._of: defaultdict[str, set[str]] = defaultdict(set)
        self._changed: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._revisions: dict[str, int] = {}
        self._take(Deed(found.kept, (), found.standings))

    # --- reading ----------------------------------------------------------------------------------

    def rows(self, balancer: str) -> tuple[Standing, ...]:
        """Give how a balancer and all of its objects stand, children first."""
        found = (self.standings[i] for i in self._of.get(balancer, ()))
        return tuple(sorted(found, key=lambda s: (_ORDER.index(s.kind), s.id)))

    def revision(self, pair: str) -> int:
        """Tell the revision of what a pair must carry."""
        return max(self.floor, self._revisions.get(pair, 0))

    def carried(self, pair: str) -> tuple[Balancer, ...]:
        """Give all that a pair must carry."""
        return tuple(k.balancer for k in self.kept.values() if k.pair == pair and not k.gone)

    def pair_of(self, thing: str) -> str | None:
        """Name the pair that carries an object, None for one of nobody's."""
        kept = self.kept.get(self.home.get(thing, ""))
        return kept.pair if kept is not None else None

    def since(self, pair: str, revision: int) -> tuple[tuple[Balancer, ...], tuple[str, ...]] | None:
        """Give what a pair must carry otherwise since a revision, and what no more; None if nobody knows."""
        if not self.floor <= revision <= self.revision(pair):
            return None
        names = [b for b, r in self._changed[pair].items() if r > revision]
        there = [self.kept[n].balancer for n in names if n in self.kept and not self.kept[n].gone]
        return tuple(there), tuple(set(names) - {b.id for b in there})

    def page(self, limit: int) -> tuple[int, tuple[ObjectStatus, ...]]:
        """Give the oldest of what has not been told; those of one revision are never parted."""
        found = sorted(self.news.values(), key=lambda s: (s.revision, _ORDER.index(s.kind)))
        if len(found) > limit:
            last = found[limit - 1].revision
            found = [s for s in found if s.revision <= last]
        told = tuple(status(s, only=s.settled <= self.told) for s in found)
        return (found[-1].revision if found else self.told), told

    # --- what is wanted ---------------------------------------------------------------------------

    def want(self, kept: Kept, wish: Wish, now: float) -> bool:
        """Write a change before anybody is told of it; tell whether devices have anything to do for it."""
        before = self.kept.get(kept.balancer.id)
        same = kept == before

        def make(revision: int) -> Deed:
            new = kept if same else replace(kept, revision=revision, changed=now)
            rows = self._pending(kept.balancer.id, wish)
            line = (wish.verb, wish.author, kept.balancer.id, "", wish.detail)
            return Deed((new,), (), rows, (line,))

        self._take(self._ledger.write(make, now))
        return not same

    def touch(self, pair: str, now: float) -> None:
        """Let what a pair must carry have a new revision though no balancer has changed."""

        def make(revision: int) -> Deed:
            self._revisions[pair] = revision
            return Deed()

        self._ledger.write(make, now)

    def away(self, kind: Kind, thing: str, author: str, now: float) -> None:
        """Write that something nobody knows is away, to be told."""

        def make(revision: int) -> Deed:
            gone = Standing(kind, thing, "", Provisioning.DELETED, gone=True)
            line = ("balancer-delete", author, "", "Nobody knew it.", {kind.value: thing})
            return Deed((), (), (replace(gone, revision=revision, settled=revision),), (line,))

        self._take(self._ledger.write(make, now))

    def _pending(self, balancer: str, wish: Wish) -> tuple[Standing, ...]:
        found = []
        for thing, kind in {**wish.line, **wish.own, **wish.gone}.items():
            row = self.standings.get(thing) or Standing(kind, thing, balancer, Provisioning.PENDING)
            mine = thing in wish.own or thing in wish.gone
            gone = thing in wish.gone
            own = row.own or mine
            row = replace(row, balancer=balancer, provisioning=Provisioning.PENDING, own=own, gone=gone)
            found.append(row)
        return tuple(found)

    # --- how it went ------------------------------------------------------------------------------

    def settle(self, done: Mapping[str, Any], operating: Mapping[str, Operating], now: float) -> None:
        """Write that balancers are carried as they are wanted; `done` has what the journal says of each."""
        kept = [self.kept[balancer] for balancer in done]

        def make(revision: int) -> Deed:
            ended = (s for k in kept for s in self._settled(k, operating, revision))
            carried = (replace(k, in_force=now, problem="") for k in kept if not k.gone)
            lines = (("balancer-carry", KEEPER, b, "", detail) for b, detail in done.items())
            return Deed(
                tuple(carried), tuple(k.balancer.id for k in kept if k.gone), tuple(ended), tuple(lines)
            )

        self._take(self._ledger.write(make, now))

    def _settled(self, kept: Kept, operating: Mapping[str, Operating], revision: int) -> Iterator[Standing]:
        does = usual(kept.balancer)
        for s in self.rows(kept.balancer.id):
            if s.own or s.provisioning is Provisioning.PENDING:
                how = operating.get(s.id) or does.get(s.id, s.operating)
                yield _ended(s, how, revision)

    def fail(self, problems: Mapping[str, str], now: float) -> None:
        """Write that what is wanted cannot be carried yet: what changed has failed, what is above it not."""
        pending = {b: [s for s in self.rows(b) if s.provisioning is Provisioning.PENDING] for b in problems}

        def make(revision: int) -> Deed:
            ended = (_failed(s, revision) for rows in pending.values() for s in rows)
            lines = (
                ("balancer-fail", KEEPER, b, p, {"objects": [s.id for s in pending[b] if s.own]})
                for b, p in problems.items()
            )
            kept = (replace(self.kept[b], problem=p) for b, p in problems.items())
            return Deed(tuple(kept), (), tuple(ended), tuple(lines))

        self._take(self._ledger.write(make, now))

    def trouble(self, problems: Mapping[str, str], now: float) -> None:
        """Write what a device says of balancers that it carries; "" for one that is well again."""
        kept = tuple(replace(self.kept[b], problem=p) for b, p in problems.items())
        said = {b: p or "It is well again." for b, p in problems.items()}
        lines = tuple(("balancer-trouble", KEEPER, b, sentence, None) for b, sentence in said.items())
        self._take(self._ledger.write(lambda _: Deed(kept, lines=lines), now, durable=False))

    def operate(self, operating: Mapping[str, Operating], now: float) -> bool:
        """Write how objects do where that has changed; tell whether there is anything to be told."""
        rows = [
            replace(s, operating=how)
            for i, how in operating.items()
            if (s := self.standings.get(i)) and not s.gone and s.operating is not how
        ]
        # Of what is not carried, or failed, it is told when that ends.
        rows = [s for s in rows if not s.own]
        if not rows:
            return False

        def make(revision: int) -> Deed:
            return Deed(standings=tuple(_does(s, revision) for s in rows))

        self._take(self._ledger.write(make, now, durable=False))
        return True

    def acknowledge(self, revision: int) -> tuple[str, ...]:
        """Write that all up to a revision has been told; names objects that are known no more."""
        if revision <= self.told:
            return ()
        if revision > self._newest:
            raise Conflict(
                f"Nothing of revision {revision} was given out to be told.",
                f"Revision {revision} is acknowledged, and the newest to be told is older: is it another "
                "keeper's, or a later ledger's than this one?",
            )
        told = [i for i, s in self.news.items() if s.revision <= revision]
        away = [i for i in told if self.standings[i].provisioning is Provisioning.DELETED]
        self._ledger.told(revision, away)
        self.told = revision
        for thing in told:
            del self.news[thing]
        for thing in away:
            self._forget(thing)
        return tuple(away)

    # --- inside -----------------------------------------------------------------------------------

    def _take(self, deed: Deed) -> None:
        for kept in deed.kept:
            self._keep(kept)
        for standing in deed.standings:
            self._stand(standing)
        for balancer in deed.removed:
            self.kept.pop(balancer, None)
            self.ailing.discard(balancer)
        for balancer in {s.balancer for s in deed.standings} | {k.balancer.id for k in deed.kept}:
            self._look(balancer)

    def _keep(self, kept: Kept) -> None:
        name = kept.balancer.id
        before = self.kept.get(name)
        self.kept[name] = kept
        (self.ailing.add if kept.problem else self.ailing.discard)(name)
        if before is None or before.balancer is not kept.balancer:
            self.home[name] = name
            self.home |= dict.fromkeys(kinds(parts(kept.balancer)), name)
        if kept.revision > self.floor:
            changed = self._changed[kept.pair]
            changed[name] = kept.revision
            self._revisions[kept.pair] = max(self._revisions.get(kept.pair, 0), kept.revision)
            if len(changed) > _GONE + len(self.kept):
                self._clear(changed)

    def _clear(self, changed: dict[str, int]) -> None:
        """Forget the oldest changes: whoever was before them is told everything."""
        for name in sorted(changed, key=changed.__getitem__)[: _GONE // 2]:
            self.floor = max(self.floor, changed.pop(name))

    def _stand(self, standing: Standing) -> None:
        before = self.standings.get(standing.id)
        if before is not None and before.balancer != standing.balancer:
            self._of[before.balancer].discard(standing.id)
        self.standings[standing.id] = standing
        self._newest = max(self._newest, standing.revision)
        self._of[standing.balancer].add(standing.id)
        if standing.balancer:
            self.home.setdefault(standing.id, standing.balancer)
        if standing.revision > self.told and standing.provisioning is not Provisioning.PENDING:
            self.news[standing.id] = standing
        else:
            self.news.pop(standing.id, None)

    def _look(self, balancer: str) -> None:
        rows = (self.standings[i] for i in self._of.get(balancer, ()))
        waits = any(s.own or s.provisioning is Provisioning.PENDING for s in rows)
        (self.open.add if waits and balancer in self.kept else self.open.discard)(balancer)

    def _forget(self, thing: str) -> None:
        standing = self.standings.pop(thing)
        self.home.pop(thing, None)
        of = self._of[standing.balancer]
        of.discard(thing)
        if not of:
            del self._of[standing.balancer]


def status(standing: Standing, *, only: bool = False) -> ObjectStatus:
    """Say how an object stands as Octavia is told it."""
    return ObjectStatus(standing.kind, standing.id, standing.provisioning, standing.operating, only)


def worst(rows: Iterable[Standing]) -> Provisioning:
    """Sum up how a balancer stands: whatever is under way or wrong with any part of it."""
    found: Collection[Provisioning] = {s.provisioning for s in rows}
    for each in (Provisioning.PENDING, Provisioning.ERROR, Provisioning.ACTIVE):
        if each in found:
            return each
    return Provisioning.DELETED


def _ended(standing: Standing, operating: Operating, revision: int) -> Standing:
    to = Provisioning.DELETED if standing.gone else Provisioning.ACTIVE
    does = Operating.OFFLINE if standing.gone else operating
    row = replace(standing, provisioning=to, operating=does, own=False)
    return replace(row, revision=revision, settled=revision)


def _failed(standing: Standing, revision: int) -> Standing:
    row = replace(standing, revision=revision, settled=revision)
    if standing.own:
        return replace(row, provisioning=Provisioning.ERROR, operating=Operating.ERROR)
    return replace(row, provisioning=Provisioning.ACTIVE)


def _does(standing: Standing, revision: int) -> Standing:
    waits = standing.provisioning is Provisioning.PENDING
    return standing if waits else replace(standing, revision=revision)

"""One method per operation of the API about load balancers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from sekisho.client.bounds import pages
from sekisho.client.problems import checked, fitting
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
    StatusPage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sekisho.client.switches import Sends, Writes

T = TypeVar("T")

_PAGE: Final = 200


class Balancers:
    """The load balancers of a keeper; every method raises as `Client`'s do.

    What is put or deleted is in the ledger when the method returns, and nowhere else yet: how it ended is in
    `statuses`. To put or delete the same again is no mistake, and is told again.
    """

    def __init__(self, send: Sends, write: Writes) -> None:
        self._send = send
        self._write = write
        self._programs: dict[str, BalancerProgram] = {}

    # --- what is wanted ---------------------------------------------------------------------------

    def put(self, balancer: Balancer, changed: float | None = None) -> BalancerView:
        """Make or change a balancer and what it names of listeners, pools, members and monitors.

        What of it the keeper has and this does not name stays: that goes by `delete_object`. With `changed`,
        a view's, it is a Conflict if the balancer has changed since that view.
        """
        query = {"changed": changed}
        return fitting(BalancerView, self._json("PUT", _balancer(balancer.id), query, balancer))

    def delete(self, balancer: str, *, cascade: bool = False) -> None:
        """Take a balancer away; with `cascade` all that is in it too, else that is a Conflict.

        One that nobody knows is told as DELETED.
        """
        self._json("DELETE", _balancer(balancer), {"cascade": "true" if cascade else "false"})

    def put_object(self, parent: str, thing: Object) -> BalancerView:
        """Make or change one object; `parent` is its balancer's id, or its pool's (members, monitors).

        A pool whose parent is a listener's id becomes that listener's default pool.
        Of a pool that is there already members and monitor stay; those it names are put too.
        """
        body = {"parent": parent, "object": thing}
        return fitting(BalancerView, self._json("PUT", _object(thing.id), body=body))

    def put_members(self, pool: str, members: Sequence[Member]) -> BalancerView:
        """Make these the members of a pool, and no others; what leaves is told as DELETED."""
        path = f"{_object(pool)}/members"
        return fitting(BalancerView, self._json("PUT", path, body=tuple(members)))

    def delete_object(self, thing: str, kind: Kind | None = None, parent: str = "") -> None:
        """Take one object away, and what is in it; one that nobody knows is NotFound.

        With its `kind` it is told as DELETED even then, and its `parent` (balancer or pool, if that is known)
        as it stands: so a deletion that is repeated comes to an end too.
        """
        query = {"kind": kind.value if kind else "", "parent": parent}
        self._json("DELETE", _object(thing), query)

    def failover(self, balancer: str) -> None:
        """Let the other device of a pair take over; raises Unsupported where there is none."""
        self._json("POST", f"{_balancer(balancer)}/failover")

    # --- looking ----------------------------------------------------------------------------------

    def list(self, provider: str = "", project: str = "") -> tuple[BalancerView, ...]:
        """List balancers and how they stand."""
        return tuple(self._pages("balancers", {"provider": provider, "project": project}))

    def show(self, balancer: str) -> BalancerView:
        """Tell of one balancer, by its id or that of an object in it; raises NotFound."""
        return fitting(BalancerView, self._json("GET", _balancer(balancer)))

    def pairs(self) -> tuple[PairView, ...]:
        """List the pairs of devices that carry load balancers, with their zones."""
        answer = self._json("GET", "balancer-pairs")
        return fitting(tuple[PairView, ...], answer.get("items") if isinstance(answer, dict) else None)

    def ailments(self, balancer: str = "") -> tuple[Ailment, ...]:
        """Say what is wrong with a balancer and the devices that carry it, or with all."""
        answer = self._json("GET", "balancer-ailments", {"balancer": balancer})
        return fitting(tuple[Ailment, ...], answer.get("items") if isinstance(answer, dict) else None)

    # --- for Octavia ------------------------------------------------------------------------------

    def statuses(self, revision: int | None = None, wait: float = 0.0) -> StatusPage | None:
        """Give all that Octavia has not been told, oldest first; None without news for `wait` seconds.

        News is what is newer than `revision`, which is that of the page before (None: anything). Until a page
        is acknowledged by `told`, what it held is on the next one again.
        """
        return self._follow(StatusPage, "balancer-statuses", {"revision": revision, "wait": wait})

    def told(self, revision: int) -> None:
        """Acknowledge a page by its revision: all of it has been told."""
        self._json("POST", "balancer-statuses/told", body={"revision": revision})

    # --- for directors ----------------------------------------------------------------------------

    def program(
        self, director: str, revision: int | None = None, wait: float = 0.0
    ) -> BalancerProgram | None:
        """Say all that a director must carry; None when that still is `revision` after `wait` seconds.

        Only what changed since the last one is fetched: balancers that did not change are the same objects.
        """
        had = self._programs.get(director)
        if had is not None and had.revision != revision:
            had = None
        query = {"revision": revision, "wait": wait, "since": had.revision if had else None}
        found = self._follow(BalancerProgram, f"directors/{quote(director, safe='')}/program", query)
        if found is None:
            return None
        self._programs[director] = whole = _laid_over(had, found)
        return whole

    def report(self, report: DirectorReport) -> None:
        """Tell what a director carries, how that does, and what went wrong."""
        self._json("POST", f"directors/{quote(report.director, safe='')}/report", body=report)

    # --- inside -----------------------------------------------------------------------------------

    def _json(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: object = None
    ) -> Any:
        raw = None if body is None else self._write(body)
        answer = checked(self._send(method, f"/v1/{path}", query, raw))
        return answer.json() if answer.body else None

    def _follow(self, kind: type[T], path: str, query: Mapping[str, Any]) -> T | None:
        answer = self._send("GET", f"/v1/{path}", query, wait=query["wait"])
        return None if answer.status == 304 else fitting(kind, checked(answer).json())

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[BalancerView]:
        def ask(marker: str) -> Any:
            return self._json("GET", path, {**query, "limit": _PAGE, "marker": marker})

        for items in pages(ask):
            yield from fitting(tuple[BalancerView, ...], items)


def _laid_over(had: BalancerProgram | None, news: BalancerProgram) -> BalancerProgram:
    """Make a program whole; what is news stands at the end."""
    if had is None or not news.since:
        return news
    changed = {b.id for b in news.balancers} | set(news.gone)
    kept = (b for b in had.balancers if b.id not in changed)
    return replace(news, balancers=(*kept, *news.balancers), since=0, gone=())


def _balancer(balancer: str) -> str:
    return f"balancers/{quote(balancer, safe='')}"


def _object(thing: str) -> str:
    return f"balancer-objects/{quote(thing, safe='')}"

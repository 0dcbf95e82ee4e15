"""What this door needs of whoever keeps the load balancers; `app/balancers.py` is the one that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.model.access import Principal
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


class Balancers(Protocol):
    """Every method may block on the ledger and raises only `SekishoError`s."""

    def listen(self, callback: Callable[[str], None]) -> None:
        """Call back, from any thread, with ``director:NAME`` and ``balancer-statuses`` when that has news."""
        ...

    def put(self, who: Principal, balancer: Balancer, changed: float | None = None) -> BalancerView:
        """Make or change a balancer and what it names; what it does not name stays.

        With `changed` only if it last changed at that moment, else it raises Conflict.
        """
        ...

    def delete(self, who: Principal, balancer: str, *, cascade: bool) -> None:
        """Take a balancer away, with `cascade` all in it too; one that nobody knows is told as away."""
        ...

    def put_object(self, who: Principal, parent: str, thing: Object) -> BalancerView:
        """Make or change one object in its balancer or pool; raises NotFound, Conflict."""
        ...

    def put_members(self, who: Principal, pool: str, members: tuple[Member, ...]) -> BalancerView:
        """Make these the members of a pool, and no others."""
        ...

    def delete_object(self, who: Principal, thing: str, kind: Kind | None, parent: str) -> None:
        """Take one object away and what is in it; one that nobody knows needs its kind."""
        ...

    def failover(self, who: Principal, balancer: str) -> None:
        """Let the other device of a pair take over; raises Unsupported where there is none."""
        ...

    def balancers(self, provider: str, project: str) -> tuple[BalancerView, ...]:
        """List balancers and how they stand, by id."""
        ...

    def balancer(self, balancer: str) -> BalancerView:
        """Tell of one balancer; raises NotFound."""
        ...

    def pairs(self) -> tuple[PairView, ...]:
        """List the pairs of devices, as the settings have them."""
        ...

    def ailments(self, balancer: str) -> tuple[Ailment, ...]:
        """Say what is wrong with a balancer and its devices, or with all."""
        ...

    def statuses(self, revision: int | None) -> StatusPage | None:
        """Give what has not been told, oldest first; None if nothing of it is newer than a revision."""
        ...

    def told(self, revision: int) -> None:
        """Forget that statuses up to a revision were to be told."""
        ...

    def program_revision(self, director: str) -> int:
        """Tell the revision of a director's program, at no cost; raises NotFound."""
        ...

    def program(self, director: str, since: int | None) -> BalancerProgram:
        """Say what a director must carry: all, or what is otherwise since a revision."""
        ...

    def report(self, who: Principal, report: DirectorReport) -> None:
        """Take what a director tells."""
        ...

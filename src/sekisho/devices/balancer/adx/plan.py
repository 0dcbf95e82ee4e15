"""Which balancers can stand beside each other on a box: Balancers in, those that can and problems out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from sekisho.devices.balancer.adx import names
from sekisho.devices.balancer.adx.pieces import pieces, virtual
from sekisho.devices.balancer.adx.provider import Adx

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sekisho.devices.balancer.adx.pieces import Key, Piece
    from sekisho.model.balancer import Balancer

# who has an address, among virtual and among real servers
Addresses: TypeAlias = "tuple[Mapping[str, str], Mapping[str, str]]"
_SHARED: Final = ("real", "real port", "profile")
_PROVIDER: Final = Adx()


@dataclass(slots=True)
class Plan:
    """What should stand. `wanted` are the balancers that can, in the order in which they are carried."""

    wanted: dict[str, Balancer] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    _claims: dict[Key, tuple[Piece, str]] = field(default_factory=dict)
    _vips: dict[str, str] = field(default_factory=dict)

    def take(self, balancer: Balancer, others: Sequence[Addresses]) -> None:
        """Take a balancer in, or note why it cannot stand. `others` are each box's virtuals and reals."""
        sentence = _PROVIDER.unsupported(balancer) or self._taken(balancer, others) or self._clash(balancer)
        if sentence:
            self.problems[balancer.id] = sentence
            return
        self.wanted[balancer.id] = balancer
        self._vips[balancer.vip.address] = balancer.id
        for piece in pieces(balancer).values():
            if piece.key[0] in _SHARED:
                self._claims.setdefault(piece.key, (piece, balancer.id))

    def _taken(self, balancer: Balancer, others: Sequence[Addresses]) -> str:
        mine, address = virtual(balancer).name, balancer.vip.address
        for virtuals, reals in others:
            if (other := virtuals.get(address, mine)) != mine and not names.ours(other):
                return f"The VIP {address} is the virtual server {other} of somebody else on the ADX."
            for key, piece in pieces(balancer).items():
                where = piece.server.address if key[0] == "real" and hasattr(piece, "server") else ""
                owner = reals.get(where, "")
                if owner and not names.ours(owner):
                    return f"The member {where} is the real server {owner} of somebody else on the ADX."
        return ""

    def _clash(self, balancer: Balancer) -> str:
        if other := self._vips.get(balancer.vip.address):
            return f"The VIP {balancer.vip.address} is the load balancer {other}'s on this ADX already."
        for key, piece in pieces(balancer).items():
            claim, other = self._claims.get(key, (piece, ""))
            if claim != piece:
                what = " ".join(key).removeprefix("real ").replace(names.PREFIX, "")
                return (
                    f"An ADX has {what} once, and the load balancer {other} wants it with other settings; "
                    "give both the same weight, state and health monitor."
                )
        return ""


def planned(
    balancers: Iterable[Balancer],
    others: Sequence[Addresses],
    standing: Iterable[str],
) -> Plan:
    """Plan for all; those named in `standing` stand already, and keep what they share with new ones."""
    first = frozenset(standing)
    plan = Plan()
    for balancer in sorted(balancers, key=lambda b: virtual(b).name not in first):
        plan.take(balancer, others)
    return plan

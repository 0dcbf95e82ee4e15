"""Which balancers can stand beside each other on a box: Balancers in, those that can and why not out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from sekisho.devices.balancer.adx import names
from sekisho.devices.balancer.adx.pieces import RealServer, pieces, virtual
from sekisho.devices.balancer.adx.provider import Adx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sekisho.devices.balancer.adx.pieces import Key, Piece
    from sekisho.model.balancer import Balancer

# who has an address, among virtual and among real servers
Addresses: TypeAlias = "tuple[Mapping[str, str], Mapping[str, str]]"
_SHARED: Final = ("real", "real port", "profile")
_PROVIDER: Final = Adx()


class Known(NamedTuple):
    """What was made of a balancer: why it cannot be carried, or its pieces."""

    balancer: Balancer
    unsupported: str
    pieces: Mapping[Key, Piece]


@dataclass(slots=True)
class Plan:
    """What should stand. `wanted` are the balancers that can, in the order in which they are carried."""

    wanted: dict[str, Balancer] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    _claims: dict[Key, tuple[Piece, str]] = field(default_factory=dict)
    _vips: dict[str, str] = field(default_factory=dict)

    def pieces(self, balancer: Balancer) -> Mapping[Key, Piece]:
        """Give a balancer's pieces, as on a single box."""
        return self.known[balancer.id].pieces

    def take(self, known: Known, others: Sequence[Addresses]) -> None:
        """Take a balancer in, or note why it cannot stand. `others` are each box's virtuals and reals."""
        balancer = known.balancer
        self.known[balancer.id] = known
        sentence = known.unsupported or next(self._problems(known, others), "")
        if sentence:
            self.problems[balancer.id] = sentence
            return
        self.wanted[balancer.id] = balancer
        self._vips[balancer.vip.address] = balancer.id
        for key, piece in known.pieces.items():
            if key[0] in _SHARED:
                self._claims.setdefault(key, (piece, balancer.id))

    def _problems(self, known: Known, others: Sequence[Addresses]) -> Iterator[str]:
        yield from _taken(known, others)
        vip = known.balancer.vip.address
        if other := self._vips.get(vip):
            yield f"The VIP {vip} is the load balancer {other}'s on this ADX already."
        for key, piece in known.pieces.items():
            claim, other = self._claims.get(key, (piece, ""))
            if claim != piece:
                what = " ".join(key).removeprefix("real ").replace(names.PREFIX, "")
                yield (
                    f"An ADX has {what} once, and the load balancer {other} wants it with other settings; "
                    "give both the same weight, state and health monitor."
                )


def _taken(known: Known, others: Sequence[Addresses]) -> Iterator[str]:
    vip = known.balancer.vip.address
    reals = [piece.server.address for piece in known.pieces.values() if isinstance(piece, RealServer)]
    for virtuals_of, reals_of in others:
        owner = virtuals_of.get(vip, names.PREFIX)
        if not names.ours(owner):
            yield f"The VIP {vip} is the virtual server {owner} of somebody else on the ADX."
        for address in reals:
            owner = reals_of.get(address, names.PREFIX)
            if not names.ours(owner):
                yield f"The member {address} is the real server {owner} of somebody else on the ADX."


def _known(balancer: Balancer, before: Plan) -> Known:
    last = before.known.get(balancer.id)
    if last is not None and last.balancer == balancer:
        return last
    unsupported = _PROVIDER.unsupported(balancer)
    return Known(balancer, unsupported, {} if unsupported else pieces(balancer))


def planned(
    balancers: Iterable[Balancer],
    others: Sequence[Addresses],
    standing: Mapping[Key, Piece],
    before: Plan,
) -> Plan:
    """Plan for all; where two want the same thing otherwise, it goes to the one for which it stands already.

    What did not change since the plan before is not made anew.
    """
    plan = Plan()
    for known in sorted((_known(b, before) for b in balancers), key=lambda known: _rank(known, standing)):
        plan.take(known, others)
    return plan


def _rank(known: Known, standing: Mapping[Key, Piece]) -> int:
    """Tell who comes first: who changes nothing that is shared, then who stands, then who is new."""
    if ("virtual", virtual(known.balancer).name) not in standing:
        return 2
    shared = (piece for key, piece in known.pieces.items() if key[0] in _SHARED)
    return 0 if all(standing.get(piece.key) == piece for piece in shared) else 1

"""The driver of an ADX, single or a pair: Balancers in, what was changed and what could not be out.

In a pair each box is configured by itself and has a priority of its own for every VIP (symmetric SLB): the
one with the higher answers for it. Which one that is stands on the boxes only, so a failover outlives us.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.balancer.adx import calls, names
from sekisho.devices.balancer.adx.box import Box, Undo, take_back
from sekisho.devices.balancer.adx.connection import read
from sekisho.devices.balancer.adx.health import Counters, health
from sekisho.devices.balancer.adx.pieces import Virtual, virtual
from sekisho.devices.balancer.adx.plan import Plan, planned
from sekisho.devices.balancer.adx.soap import Soap
from sekisho.devices.balancer.driver import Outcome
from sekisho.model.errors import SekishoError, Unavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import httpx

    from sekisho.devices.balancer.adx.pieces import Key, Piece
    from sekisho.devices.balancer.driver import Health
    from sekisho.model.balancer import Balancer

LEADS: Final = 200
FOLLOWS: Final = 100
STEPS_DOWN: Final = 50  # while the other one takes over
TAKES_OVER: Final = 220  # from one that is away, which comes back with what it had
_AGAIN: Final = 5.0


class AdxDriver:
    """Implements `BalancerDriver`."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self._boxes = tuple(boxes)
        self._plan = Plan()
        self._planned = False
        self._away = False
        self._counters = Counters()

    def carry(self, balancers: Sequence[Balancer]) -> Outcome:
        """Make all boxes that answer carry these; see `BalancerDriver.carry`.

        That one of a pair does not answer is told under "", as no balancer's problem: carried again, it
        catches up.
        """
        boxes = self._read()
        for box in boxes:
            box.begin()
        others = [(box.virtuals, box.reals) for box in boxes]
        self._plan, self._planned = planned(balancers, others, boxes[0].pieces, self._plan), True
        leader = self._leader(boxes)
        changed = 0
        for balancer in tuple(self._plan.wanted.values()):
            changed += self._one(boxes, leader, balancer)
        swept, stuck = self._sweep(boxes, leader, balancers)
        if changed:
            self._verify(boxes, leader)
        for box in boxes:
            box.save()
        if stuck:
            raise Unavailable(stuck, stuck, _AGAIN)
        return Outcome(changed + swept, self._plan.problems | self._alone(boxes))

    def health(self) -> Health:
        """Tell how what is carried does, as the box that leads sees it, or the other one if it is away."""
        found = tuple(self._plan.wanted.values())
        order = sorted(self._boxes, key=lambda box: -(box.priority() or 0))
        for box in order[:-1]:
            with suppress(Unavailable):
                return health(box.soap, found, self._counters)
        return health(order[-1].soap, found, self._counters)

    def drift(self) -> tuple[str, ...]:
        """Say what stands otherwise than carried, and which box of a pair does not answer.

        Nothing is known of what should stand until something was carried.
        """
        if not self._planned:
            return ()
        answering = self._read(afresh=True)
        leader = self._leader(answering)
        found = list(self._alone(answering).values())
        for box in answering:
            keep = self._kept(box, self._plan.problems)
            different = _differences(box.pieces, self._all(box, leader), keep)
            found += [f"{box.soap.address}: {sentence}" for sentence in different]
        return tuple(found)

    def failover(self) -> None:
        """Let the other box of the pair answer for all VIPs."""
        if len(self._boxes) < 2:
            raise Unsupported("This ADX is a single one; there is no other to take over.")
        boxes = self._read()
        old = self._leader(boxes)
        new = next(box for box in self._boxes if box is not old)
        if new not in boxes:
            raise Unavailable(f"The ADX {new.soap.address} does not answer and cannot take over.", "", _AGAIN)
        # Never both alike: then the boxes choose by their addresses.
        if old in boxes:
            _prefer(old, STEPS_DOWN)
            _prefer(new, LEADS)
            _prefer(old, FOLLOWS)
        else:
            _prefer(new, TAKES_OVER)
        for box in boxes:
            box.save()

    def close(self) -> None:
        """Let the connections go."""
        with ExitStack() as stack:
            for box in self._boxes:
                stack.callback(box.soap.close)

    def _read(self, *, afresh: bool = False) -> list[Box]:
        """Read all boxes and give those that answer. Raises what the last one raised if none does."""
        answering: list[Box] = []
        failed: SekishoError | None = None
        for box in self._boxes:
            try:
                box.read(afresh=afresh)
            except Unavailable as away:
                failed = away
            else:
                answering.append(box)
        if not answering and failed is not None:
            raise failed
        self._away = failed is not None
        return answering

    def _alone(self, answering: Sequence[Box]) -> dict[str, str]:
        away = [box.soap.address for box in self._boxes if box not in answering]
        sentence = "The ADX {} does not answer; the other one of its pair carries alone."
        return {"": sentence.format(away[0])} if away else {}

    def _leader(self, answering: Sequence[Box]) -> Box:
        """Tell which box answers for the VIPs: the first one, until the second was preferred to it."""
        if len(self._boxes) < 2:
            return self._boxes[0]
        first, second = (box.priority() if box in answering else None for box in self._boxes)
        if first is None:
            return self._boxes[1 if (second or 0) >= LEADS else 0]
        return self._boxes[1 if (second or 0) > first else 0]

    def _wanted(self, box: Box, leader: Box, balancer: Balancer) -> Mapping[Key, Piece]:
        found = self._plan.pieces(balancer)
        if len(self._boxes) < 2:
            return found
        priority = self._priority(box) if box is leader else FOLLOWS
        return {k: replace(p, priority=priority) if isinstance(p, Virtual) else p for k, p in found.items()}

    def _priority(self, leader: Box) -> int:
        """Give the priority of the box that leads: it keeps its higher one until the other is back."""
        return TAKES_OVER if self._away and leader.priority() == TAKES_OVER else LEADS

    def _one(self, boxes: Sequence[Box], leader: Box, balancer: Balancer) -> int:
        """Carry one balancer on all boxes, or on none: what is refused on one is taken back on both."""
        undo: list[Undo] = []
        changed = 0
        try:
            for box in boxes:
                changes = box.changes(virtual(balancer).name, self._wanted(box, leader, balancer))
                changed += box.carry(changes, undo)
        except Unavailable:
            take_back(undo)
            raise
        except SekishoError as refused:
            take_back(undo)
            self._plan.problems[balancer.id] = refused.asker
            del self._plan.wanted[balancer.id]
            for box in boxes:
                box.read()
            return 0
        return changed

    def _sweep(self, boxes: Sequence[Box], leader: Box, balancers: Sequence[Balancer]) -> tuple[int, str]:
        failed = [balancer.id for balancer in balancers if balancer.id in self._plan.problems]
        wanted = [{**self._kept(box, failed), **self._all(box, leader)} for box in boxes]
        # All are busy with unbinding at the same time.
        swept = sum(box.release(keep) for box, keep in zip(boxes, wanted, strict=True))
        told = [box.sweep(keep) for box, keep in zip(boxes, wanted, strict=True)]
        stuck = next((sentence for _, sentence in told if sentence), "")
        return swept + sum(count for count, _ in told), stuck

    def _all(self, box: Box, leader: Box) -> dict[Key, Piece]:
        """Give all that should stand on a box of what can be carried."""
        found: dict[Key, Piece] = {}
        for balancer in self._plan.wanted.values():
            found |= self._wanted(box, leader, balancer)
        return found

    def _kept(self, box: Box, failed: Iterable[str]) -> dict[Key, Piece]:
        """Give what stands of balancers that cannot be carried as asked: it serves on as it did."""
        found: dict[Key, Piece] = {}
        for identity in failed:
            found |= box.of_virtual(names.of(identity))
        return found

    def _verify(self, boxes: Sequence[Box], leader: Box) -> None:
        """Look whether the boxes show what they took: one may say yes and do nothing."""
        for box in boxes:
            box.read()
            for balancer in tuple(self._plan.wanted.values()):
                wanted = self._wanted(box, leader, balancer)
                changes = box.changes(virtual(balancer).name, wanted)
                odd = (*changes.add, *(desired for desired, _ in changes.alter))
                if odd:
                    what = " ".join(odd[0].key)
                    self._plan.problems[balancer.id] = f"The ADX took {what} and does not show it as told."


def _prefer(box: Box, priority: int) -> None:
    ours = [piece.server.name for piece in box.pieces.values() if isinstance(piece, Virtual)]
    lines = [line for name in ours for line in (f"server virtual {name}", f"sym-priority {priority}")]
    if lines:
        calls.configure(box.soap, *lines)
        box.unsaved = True


def _differences(
    standing: Mapping[Key, Piece], wanted: Mapping[Key, Piece], keep: Mapping[Key, Piece]
) -> Iterator[str]:
    for key, piece in wanted.items():
        if key not in standing:
            yield f"{' '.join(key)} is gone."
        elif standing[key] != piece:
            yield f"{' '.join(key)} is not as it was carried."
    for key in standing:
        if key not in wanted and key not in keep and key[0] != "profile":
            yield f"{' '.join(key)} was not carried by us and has our name."


def connect(
    options: Mapping[str, Any],
    secret: str,
    wait: Callable[[float], None] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> AdxDriver:
    """Make the driver; nothing is asked yet. `wait` sleeps for seconds. Raises Malformed for odd options."""
    connection = read(options)
    return AdxDriver(
        [
            Box(Soap(address, connection, secret, transport), wait, connection.save)
            for address in connection.addresses
        ]
    )

"""One ADX: what should stand for each balancer in, what was changed and what could not be out."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.adx import calls, read, steps
from sekisho.devices.balancer.adx.pieces import ORDER, Binding, Policy, RealPort, Virtual
from sekisho.devices.converge import Changes, diff
from sekisho.model.errors import Refused, SekishoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sekisho.devices.balancer.adx.pieces import Key, Piece
    from sekisho.devices.balancer.adx.read import Standing
    from sekisho.devices.balancer.adx.soap import Soap
    from sekisho.devices.balancer.adx.steps import Act, Step

_OF_VIRTUAL: Final = ("virtual", "virtual port", "binding")
_EACH: Final = 0.5  # seconds between two looks whether the box is done with unbinding
_PATIENCE: Final = 24  # looks in one carrying: the box needs about five seconds


@dataclass(frozen=True, slots=True)
class Undo:
    """What takes a step on a box back; `patient` asks again while the box says no."""

    box: Box
    act: Act
    patient: bool = True


@dataclass(slots=True)
class Box:
    """Speaks to one box. `wait` sleeps, in seconds. What is read is kept up to date while it is changed."""

    soap: Soap
    wait: Callable[[float], None]
    saves: bool = True
    virtuals: Mapping[str, str] = field(default_factory=dict)
    reals: Mapping[str, str] = field(default_factory=dict)
    pieces: dict[Key, Piece] = field(default_factory=dict)
    # What was carried before we came may not be saved.
    unsaved: bool = True
    _policies: dict[str, Policy] = field(default_factory=dict)
    _by_virtual: defaultdict[str, set[Key]] = field(default_factory=lambda: defaultdict(set))
    _unbinding: list[tuple[Binding, int]] = field(default_factory=list)
    _stuck: set[Key] = field(default_factory=set)  # what was waited for in vain once
    _looks: int = 0
    busy: bool = False  # whether the box may still be unbinding something

    def read(self, *, afresh: bool = False) -> None:
        """Read what stands; policies that are known are asked for again only if `afresh`."""
        found = read.standing(calls.running(self.soap))
        if afresh:
            self._policies.clear()
        for name in found.policies:
            if name not in self._policies:
                self._policies[name] = calls.read_policy(self.soap, name)
        self._policies = {name: self._policies[name] for name in found.policies}
        self._take(found)

    def begin(self) -> None:
        """Begin a carrying, with all its patience."""
        self._looks, self.busy = _PATIENCE, False
        self._unbinding.clear()

    def _take(self, found: Standing) -> None:
        self.virtuals, self.reals = found.virtuals, found.reals
        self.pieces = {**found.pieces, **{p.key: p for p in self._policies.values()}}
        self._by_virtual = defaultdict(set)
        for key in self.pieces:
            if key[0] in _OF_VIRTUAL:
                self._by_virtual[key[1]].add(key)

    def of_virtual(self, name: str) -> dict[Key, Piece]:
        """Give what stands for one virtual server, with what it uses of real servers and policies."""
        found = {key: self.pieces[key] for key in self._by_virtual[name]}
        for binding in [p for p in found.values() if isinstance(p, Binding)]:
            port = self.pieces.get(("real port", binding.real.name, str(binding.real_port)))
            policy = ("policy", port.policy) if isinstance(port, RealPort) else ()
            for piece in (self.pieces.get(("real", binding.real.name)), port, self.pieces.get(policy)):
                if piece is not None:
                    found[piece.key] = piece
        return found

    def priority(self) -> int | None:
        """Tell the box's own place in its pair, None while no virtual server of ours has one."""
        found = (p.priority for p in self.pieces.values() if isinstance(p, Virtual) and p.priority)
        return next(found, None)

    def changes(self, virtual: str, wanted: Mapping[Key, Piece]) -> Changes[Piece, Piece]:
        """Compare what should stand for a virtual server with what does of it."""
        mine = {key: self.pieces[key] for key in self._by_virtual[virtual]}
        mine |= {key: self.pieces[key] for key in wanted if key in self.pieces}
        return diff(wanted, mine, _same)

    def carry(self, changes: Changes[Piece, Piece], undo: list[Undo]) -> int:
        """Add, alter and unbind. What takes each step back is put into `undo`; see `take_back`.

        Deleting is left to `sweep`: the box must be done with unbinding first, and it cannot be taken back.
        """
        for piece in changes.add:
            self._run(steps.adding(piece), undo)
            self._put(piece)
        for piece, standing in changes.alter:
            self._run(steps.altering(piece, standing), undo)
            self._put(piece)
        gone = [piece for piece in changes.remove if isinstance(piece, Binding)]
        for piece in gone:
            undo.append(Undo(self, partial(_bind_again, piece)))
            self._unbind(piece)
        return len(changes.add) + len(changes.alter) + len(gone)

    def release(self, wanted: Mapping[Key, Piece]) -> int:
        """Unbind all of ours but what is wanted; gives how much that was."""
        return sum(self._let_go(piece) for piece in self._gone(wanted) if isinstance(piece, Binding))

    def _gone(self, wanted: Mapping[Key, Piece]) -> list[Piece]:
        found = (p for k, p in self.pieces.items() if k not in wanted and k[0] != "profile")
        return sorted(found, key=lambda piece: ORDER.index(piece.key[0]), reverse=True)

    def sweep(self, wanted: Mapping[Key, Piece]) -> tuple[int, str]:
        """Take away all of ours but what is wanted; gives how much that was, and what the box did not let go.

        It was released before. A real server that still has connections goes by a later sweep: that is no
        trouble of anybody's.
        """
        self._settle()
        gone = self._gone(wanted)
        left = [piece for piece in gone if isinstance(piece, Binding) or not self._delete(piece)]
        stuck = next((p for p in left if p.key[0] in _OF_VIRTUAL), None)
        sentence = f"The ADX {self.soap.address} does not let {' '.join(stuck.key)} go." if stuck else ""
        return len(gone) - len(left), sentence

    def save(self) -> None:
        """Keep what stands over a restart, if it is not."""
        if self.unsaved and self.saves:
            calls.save(self.soap)
        self.unsaved = False

    def _run(self, found: Iterator[Step], undo: list[Undo]) -> None:
        self.unsaved = True
        for step in found:
            try:
                step.do(self.soap)
            except SekishoError:
                if step.undo:  # whatever was said, it may have been done
                    undo.append(Undo(self, step.undo, patient=False))
                raise
            if step.undo:
                undo.append(Undo(self, step.undo))

    def _unbind(self, piece: Binding) -> None:
        self.unsaved = self.busy = True
        before = calls.count_bindings(self.soap, piece.real, piece.real_port)
        calls.unbind(self.soap, piece)
        self._unbinding.append((piece, before))
        self._drop(piece)

    def _let_go(self, piece: Binding) -> bool:
        try:
            self._unbind(piece)
        except Refused:
            return False
        return True

    def _settle(self) -> None:
        """Wait until the box is done with unbinding, or for as long as we wait in one carrying."""
        for piece, before in self._unbinding:
            with suppress(Refused):  # another has deleted the port meanwhile
                while calls.count_bindings(self.soap, piece.real, piece.real_port) >= before:
                    if not self._look():
                        break
        self._unbinding.clear()

    def _delete(self, piece: Piece) -> bool:
        self.unsaved = True
        if piece.key not in self._stuck:
            self.busy = True  # an earlier carrying may have unbound what hangs on it a moment ago
        while True:
            try:
                steps.leaving(piece).do(self.soap)
            except Refused:
                if not self._look():
                    self._stuck.add(piece.key)
                    return False
            else:
                self._stuck.discard(piece.key)
                self._drop(piece)
                return True

    def _look(self) -> bool:
        if not self.busy or self._looks <= 0:
            return False
        self._looks -= 1
        self.wait(_EACH)
        return True

    def _put(self, piece: Piece) -> None:
        self.pieces[piece.key] = piece
        if isinstance(piece, Policy):
            self._policies[piece.name] = piece
        if piece.key[0] in _OF_VIRTUAL:
            self._by_virtual[piece.key[1]].add(piece.key)

    def _drop(self, piece: Piece) -> None:
        self.pieces.pop(piece.key, None)
        self._by_virtual[piece.key[1]].discard(piece.key)

    def back(self, undo: Undo) -> None:
        """Take one step back; the box may still be busy unbinding what hangs on it."""
        while True:
            try:
                undo.act(self.soap)
            except Refused:
                if not undo.patient or not self._look():
                    return
            else:
                return

    def forget(self) -> None:
        """Know nothing for sure any more of the policies: a change of one may have been taken back."""
        self._policies.clear()


def _bind_again(piece: Binding, soap: Soap) -> None:
    if piece.key not in read.standing(calls.running(soap)).pieces:
        calls.bind(soap, piece)


def _same(desired: Piece, actual: Piece) -> bool:
    return desired == actual


def take_back(undo: Sequence[Undo]) -> None:
    """Take steps back, the last one first, and give up with a box that does not answer."""
    silent: set[str] = set()
    for one in reversed(undo):
        one.box.busy = True
        one.box.forget()
        if one.box.soap.address in silent:
            continue
        try:
            one.box.back(one)
        except SekishoError:
            silent.add(one.box.soap.address)

"""How a piece comes onto a box, changes there and goes: pieces in, steps with their way back out.

The box has no transaction: what was done is undone, step by step, when a later step is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from sekisho.devices.balancer.adx import calls
from sekisho.devices.balancer.adx.pieces import (
    Binding,
    Policy,
    Profile,
    RealPort,
    RealServer,
    Virtual,
    VirtualPort,
)
from sekisho.model.errors import Conflict, Refused

if TYPE_CHECKING:
    from sekisho.devices.balancer.adx.pieces import Piece
    from sekisho.devices.balancer.adx.soap import Soap

Act: TypeAlias = Callable[["Soap"], None]

_DEFAULT_PORT = 1  # how many ports a real server has that nobody made


@dataclass(frozen=True, slots=True)
class Step:
    """One call and the one that takes it back, None where there is nothing to take back."""

    do: Act
    undo: Act | None = None


def adding(piece: Piece) -> Iterator[Step]:
    """Give what makes a piece: first the thing itself, then what no call can make it with."""
    create, *rest = _creating(piece)
    # A profile stays: others may use the port by now, and it says nothing of who made it.
    undo = None if isinstance(piece, Profile) else partial(_remove, piece)
    yield Step(partial(create, piece), undo)
    for act in rest:
        yield Step(partial(act, piece))


def _creating(piece: Piece) -> list[Callable[..., None]]:
    match piece:
        case Profile():
            return [lambda new, soap: calls.create_profile(soap, new)]
        case Policy():
            return [lambda new, soap: calls.write_policy(soap, "create", new)]
        case RealServer():
            return [lambda new, soap: calls.create_real(soap, new)]
        case RealPort():
            return [lambda new, soap: calls.create_real_port(soap, new)]
        case Binding():
            return [lambda new, soap: calls.bind(soap, new)]
        case Virtual():
            return _creating_virtual(piece)
        case VirtualPort():
            dsr = [lambda new, soap: calls.set_dsr(soap, new)] if piece.dsr else []
            return [lambda new, soap: calls.create_virtual_port(soap, new), *dsr]


def _creating_virtual(piece: Virtual) -> list[Callable[..., None]]:
    found: list[Callable[..., None]] = [lambda new, soap: calls.create_virtual(soap, new)]
    if piece.priority:
        found.append(lambda new, soap: calls.set_priority(soap, new.server.name, new.priority))
    found.append(lambda new, soap: calls.set_predictor(soap, new))
    if piece.enabled:
        found.append(lambda new, soap: calls.set_virtual(soap, new))
    return found


def altering(piece: Piece, standing: Piece) -> Iterator[Step]:
    """Give what makes the standing piece another one, in place. Raises Conflict where it cannot be."""
    if getattr(piece, "server", None) != getattr(standing, "server", None):
        raise Conflict(f"On the ADX {standing.key[1]} has another address; take it away there and try again.")
    for change in _changes(piece, standing):
        yield Step(partial(change, piece, standing), partial(change, standing, piece))


def leaving(piece: Piece) -> Step:
    """Give what takes a piece away."""
    return Step(partial(_remove, piece))


def _changes(piece: Piece, standing: Piece) -> Iterator[Callable[..., None]]:
    match piece, standing:
        case Profile(), Profile():
            raise Conflict(
                f"The ADX takes port {piece.port} for {standing.protocol}, not {piece.protocol}; "
                "use another port, or change its profile there."
            )
        case Policy(), Policy():
            yield lambda new, _old, soap: calls.write_policy(soap, "update", new)
        case RealServer(), RealServer():
            yield lambda new, _old, soap: calls.set_real(soap, new)
        case RealPort(), RealPort():
            yield lambda new, old, soap: calls.set_real_port(soap, new, old)
        case Virtual(), Virtual():
            yield from _virtual(piece, standing)
        case VirtualPort(), VirtualPort():
            yield from _virtual_port(piece, standing)
        case _:
            raise Refused(f"The ADX cannot change {' '.join(piece.key)} in place.")


def _virtual(piece: Virtual, standing: Virtual) -> Iterator[Callable[..., None]]:
    if piece.priority != standing.priority:
        yield lambda new, _old, soap: calls.set_priority(soap, new.server.name, new.priority)
    if piece.predictor != standing.predictor:
        yield lambda new, _old, soap: calls.set_predictor(soap, new)
    if replace(piece, priority=0, predictor="") != replace(standing, priority=0, predictor=""):
        yield lambda new, _old, soap: calls.set_virtual(soap, new)


def _virtual_port(piece: VirtualPort, standing: VirtualPort) -> Iterator[Callable[..., None]]:
    if piece.dsr != standing.dsr:
        yield lambda new, _old, soap: calls.set_dsr(soap, new)
    if piece.sticky != standing.sticky:
        yield lambda new, _old, soap: calls.stick_virtual_port(soap, new)
    if piece.enabled != standing.enabled:
        yield lambda new, _old, soap: calls.enable_virtual_port(soap, new)


def _remove(piece: Piece, soap: Soap) -> None:
    match piece:
        case Profile():
            return
        case Policy():
            calls.delete_policy(soap, piece.name)
        case RealServer():
            if calls.count_real_ports(soap, piece.server) > _DEFAULT_PORT:
                raise Refused(f"The real server {piece.server.name} still has ports on the ADX.")
            calls.delete_real(soap, piece.server)
        case RealPort():
            calls.delete_real_port(soap, piece.server, piece.port)
        case Virtual():
            calls.delete_virtual(soap, piece.server)
        case VirtualPort():
            calls.delete_virtual_port(soap, piece.server, piece.port)
        case Binding():
            calls.unbind(soap, piece)

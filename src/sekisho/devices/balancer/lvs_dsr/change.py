"""Pure: what should stand and what stands in, the steps between them out: add, then alter, then remove."""

from __future__ import annotations

from dataclasses import replace
from operator import eq
from typing import TYPE_CHECKING

from sekisho.devices.balancer.lvs_dsr.services import Dest, Stand, Step, Verb
from sekisho.devices.converge import diff

if TYPE_CHECKING:
    from collections.abc import Container


def steps(want: Stand | None, have: Stand | None) -> list[Step]:
    """Say what makes one service right. A service that goes takes its servers along."""
    if want is None:
        return [Step(Verb.DEL_SERVICE, have.service)] if have else []
    found: list[Step] = []
    if have is None:
        found.append(Step(Verb.NEW_SERVICE, want.service))
    elif have.service != want.service:
        found.append(Step(Verb.SET_SERVICE, want.service))
    changes = diff(want.dests, have.dests if have else {}, eq)
    found += [Step(Verb.NEW_DEST, want.service, dest) for dest in changes.add]
    found += [Step(Verb.SET_DEST, want.service, dest) for dest, _ in changes.alter]
    found += [Step(Verb.DEL_DEST, want.service, dest) for dest in changes.remove]
    return found + [Step(Verb.DEL_DEST, want.service, dest) for dest in (have.other if have else ())]


def leaving(want: Stand | None, have: Stand | None, dead: Container[str]) -> tuple[Dest, ...]:
    """Give the servers that stand, are wanted no more and are not dead: they may end what they began."""
    if want is None or have is None:
        return ()
    return tuple(d for a, d in have.dests.items() if a not in want.dests and a not in dead)


def with_leaving(want: Stand, dests: tuple[Dest, ...]) -> Stand:
    """Let servers that leave stand beside those wanted, with weight 0: nothing new goes to them."""
    return replace(want, dests={**{d.address: replace(d, weight=0) for d in dests}, **want.dests})


def differences(key: object, known: Stand, found: Stand | None) -> tuple[str, ...]:
    """Say in sentences what somebody else changed on a service."""
    if found is None:
        return (f"{key} is gone.",)
    said = [] if found.service == known.service else [f"{key} was altered."]
    said += [f"{key}: server {d.address}:{d.port} is not ours." for d in found.other]
    changes = diff(known.dests, found.dests, eq)
    said += [f"{key}: server {d.address} is gone." for d in changes.add]
    said += [f"{key}: server {d.address} has weight {f.weight}, not {d.weight}." for d, f in changes.alter]
    return tuple(said + [f"{key}: server {d.address} was added." for d in changes.remove])

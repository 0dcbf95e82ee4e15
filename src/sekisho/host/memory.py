"""What an agent keeps on disk: the bindings of its host and when they end, for when the keeper is away."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.model.errors import Malformed
from sekisho.model.plain import from_plain, to_plain
from sekisho.model.policy import Baseline
from sekisho.model.restriction import Binding

if TYPE_CHECKING:
    from sekisho.model.report import HostProgram


@dataclass(frozen=True, slots=True)
class Held:
    """A binding and the moment it ends, in seconds since this boot (CLOCK_BOOTTIME)."""

    binding: Binding
    deadline: float


@dataclass(frozen=True, slots=True)
class Memory:
    """All that a host must carry, as last heard from the keeper.

    Deadlines count in time since `boot`, which no clock step moves. After a reboot of the host they
    are worth what was left of them when `saved`: held no shorter, and the switch's rules are gone anyway.
    """

    boot: str
    saved: float
    revision: int = 0
    held: tuple[Held, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    exact_ports: tuple[int, ...] = ()
    templates: float = 0.0


def learn(program: HostProgram, boot: str, passed: float) -> Memory:
    """Turn the keeper's answer, received at `passed` seconds since boot, into what to hold until when."""
    held = tuple(Held(b, passed + b.remaining) for b in program.bindings)
    rest = (program.baselines, program.exact_ports, program.templates)
    return Memory(boot, passed, program.revision, held, *rest)


def save(path: Path, memory: Memory) -> None:
    """Write it whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False) as file:
        try:
            json.dump(to_plain(memory), file)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            # A full disk is tried again and again: what is left over must not fill it up further.
            Path(file.name).unlink(missing_ok=True)
            raise
    Path(file.name).replace(path)


def load(path: Path, boot: str, passed: float) -> Memory | None:
    """Read it back; None when there is none or it cannot be read (the keeper is then asked first)."""
    try:
        memory = from_plain(Memory, json.loads(path.read_text()), strict=False)
    except (OSError, ValueError, RecursionError, Malformed):
        return None
    if memory.boot == boot:
        return memory
    held = tuple(Held(h.binding, passed + h.deadline - memory.saved) for h in memory.held)
    return replace(memory, boot=boot, saved=passed, held=held, revision=0)

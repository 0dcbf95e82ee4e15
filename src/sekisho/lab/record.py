"""What traffic programs did, one JSON object a line, each with its wall and monotonic moment."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Log:
    """Writes what happens, whole lines at once, so that it can be read while it grows."""

    def __init__(self, path: Path, role: str) -> None:
        self._role = role
        self._file = path.open("a", buffering=1, encoding="utf-8")

    def write(self, event: str, **facts: Any) -> None:
        """Write one event with its facts."""
        moment = {"wall": time.time(), "mono": time.monotonic()}
        self._file.write(json.dumps({**moment, "role": self._role, "event": event, **facts}) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to reach a service, as the VM that tried saw it. `began` and `ended` are monotonic."""

    began: float
    ended: float
    wall: float
    address: str
    port: int
    ok: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """Octets and packets of about a second, sent or received, up to the monotonic moment `ended`."""

    ended: float
    wall: float
    seconds: float
    octets: int
    packets: int
    peer: str = ""
    port: int = 0


def events(path: Path) -> Iterator[dict[str, Any]]:
    """Read a log from its start; a last line that is still being written is left out."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def attempts(path: Path, port: int = 0) -> list[Attempt]:
    """Read what was tried, to one port or (0) any, in the order it ended."""
    return [
        Attempt(e["began"], e["mono"], e["wall"], e["address"], e["port"], e["ok"], e["problem"])
        for e in events(path)
        if e["event"] == "attempt" and port in (0, e["port"])
    ]


def volumes(path: Path, peer: str = "", port: int = 0) -> list[Volume]:
    """Read how much went, of one peer or any and of one port or any."""
    return [
        Volume(e["mono"], e["wall"], e["seconds"], e["octets"], e["packets"], e["peer"], e["port"])
        for e in events(path)
        if e["event"] == "volume" and peer in ("", e["peer"]) and port in (0, e["port"])
    ]

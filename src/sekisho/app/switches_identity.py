"""Which box each switch is: readings in, a refusal of what answers in its place out; kept in the ledger."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from typing import TYPE_CHECKING, Any, Protocol

from sekisho.devices.switch.said import clean
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.devices.switch.document import Switch
    from sekisho.devices.switch.intent import State


class Memory(Protocol):
    """Small values that survive a restart; the ledger is one."""

    def remember(self, name: str, value: str) -> None:
        """Keep a value."""
        ...

    def recall(self, name: str) -> str:
        """Read it, empty if there is none."""
        ...


class Identities:
    """Knows the serial number of every switch that was read, under its file as it was then; thread-safe.

    `secret` is the key under which files are marked: they hold secrets.
    """

    def __init__(self, memory: Memory, secret: bytes) -> None:
        self._memory = memory
        self._secret = secret
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, str]] = {}
        self._marks: dict[str, tuple[Switch, str]] = {}

    def check(self, switch: Switch, state: State) -> None:
        """Refuse what reads as another switch than before, unless its file was changed since.

        A serial number that the file names counts instead. Raises Unavailable.
        """
        serial, named = clean(state.facts.serial), switch.connection.serial
        if named:
            if serial != named:
                raise _another(switch.name, serial, named)
            return
        mark = self._mark(switch)
        with self._lock:
            before = self._before(switch.name)
            if before == (mark, serial):
                return
            if before[0] == mark:
                raise _another(switch.name, serial, before[1])
            self._memory.remember(f"met:{switch.name}", json.dumps({"file": mark, "serial": serial}))
            self._known[switch.name] = mark, serial

    def _before(self, name: str) -> tuple[str, str]:
        if name not in self._known:
            try:
                kept: Mapping[str, Any] = json.loads(self._memory.recall(f"met:{name}") or "{}")
            except ValueError:
                kept = {}
            self._known[name] = str(kept.get("file", "")), str(kept.get("serial", ""))
        return self._known[name]

    def _mark(self, switch: Switch) -> str:
        """Name a file; it is the same switch until the file changes, so that this is seldom worked out."""
        kept = self._marks.get(switch.name)
        if kept is None or kept[0] is not switch:
            kept = self._marks[switch.name] = switch, self._worked_out(switch)
        return kept[1]

    def _worked_out(self, switch: Switch) -> str:
        """Name a file by all that it says, the same in every process."""
        intent, attach = switch.intent, switch.attach
        said = (
            *(sorted(map(repr, intent.parts.values())), sorted(intent.absent), sorted(intent.exclusive)),
            *(intent.owned, sorted(intent.uplinks), sorted(intent.management)),
            *(switch.connection, switch.peer, attach.vlans, sorted(attach.hosts.items()), attach.lldp),
        )
        return hmac.new(self._secret, repr(said).encode(), hashlib.sha256).hexdigest()[:32]


def _another(name: str, serial: str, known: str) -> Unavailable:
    return Unavailable(
        f"{name} answers as another switch: it is not believed. If it was replaced, write its serial number "
        "under [connect] in its file.",
        f"{name}: its serial number is {serial!r}, and {known!r} is expected: by its file, or from before.",
    )

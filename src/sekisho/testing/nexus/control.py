"""The emulator's own door, which no switch has: look at a box, order faults, restart it."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sekisho.testing.nexus.faults import Faults

if TYPE_CHECKING:
    from sekisho.testing.nexus.box import Box

_ORDERS = {field.name for field in fields(Faults)} - {"hold", "_never"}


def answer(box: Box, method: str, path: str, body: bytes) -> bytes:
    """Answer ``/emulator/...``; with POST the body is an order."""
    what = path.removeprefix("/emulator").strip("/")
    given: dict[str, Any] = json.loads(body) if method == "POST" and body.strip() else {}
    match what:
        case "faults":
            for name in given.keys() & _ORDERS:
                setattr(box.faults, name, given[name])
        case "reboot":
            box.reboot()
        case "expire":
            box.tokens.clear()
        case "erase":
            box.startup = ""
        case "neighbours":
            from sekisho.testing.nexus.box import Heard

            box.neighbours = {port: Heard(**heard) for port, heard in given.items()}
        case _:
            pass
    return json.dumps(_state(box)).encode()


def _state(box: Box) -> dict[str, Any]:
    return {
        "hostname": box.hostname,
        "version": box.version,
        "boots": box.boots,
        "saves": box.saves,
        "saved": box.startup == box.running_config(),
        "checkpoints": list(box.checkpoints),
        "faults": {name: getattr(box.faults, name) for name in sorted(_ORDERS)},
    }

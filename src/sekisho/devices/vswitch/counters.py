"""Byte counters of a host's interfaces, read when asked: nothing wakes up because a packet passes."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import Unavailable
from sekisho.model.report import PortCounter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.model.inventory import Subject

_SELECT: Final = json.dumps(
    [
        "Open_vSwitch",
        {"op": "select", "table": "Interface", "where": [], "columns": ["_uuid", "name", "statistics"]},
    ]
)


def read_counters(
    database: str, subjects: Sequence[Subject], timeout: float = 5.0
) -> tuple[PortCounter, ...]:
    """Read the counters of these subjects' interfaces in one transaction; those without any are left out.

    `database` is the path of its socket, or a remote such as ``tcp:127.0.0.1:6640`` (ovsdb(7)).
    """
    remote = database if database.startswith(("unix:", "tcp:", "ssl:")) else f"unix:{database}"
    command = ["ovsdb-client", "transact", remote, _SELECT]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, check=True)  # noqa: S603 - our words
        rows = json.loads(done.stdout)[0]["rows"]
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError) as error:
        raise Unavailable(
            "The switch does not tell its counters.", f"ovsdb-client {remote}: {error}"
        ) from error
    there = {row["name"]: row for row in rows}
    found = []
    for subject in subjects:
        row = there.get(subject.interface)
        counted = dict(row["statistics"][1]) if row else {}
        if row and {"rx_bytes", "tx_bytes"} <= counted.keys():
            # What the switch receives is what the VM sends.
            egress, ingress = counted["rx_bytes"], counted["tx_bytes"]
            found.append(PortCounter(subject.id, row["_uuid"][1], egress, ingress))
    return tuple(found)

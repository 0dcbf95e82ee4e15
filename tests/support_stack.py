"""What tests of the OpenStack bed look for on the machine."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def processes_in(folder: Path) -> list[str]:
    """List the commands of processes that name a folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = each.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if str(folder) in command:
                found.append(command)
    return found

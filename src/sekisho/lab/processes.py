"""Processes remembered in files: found and ended by id, and never by an id that was given to another."""

from __future__ import annotations

import os
import select
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable

# Debian keeps ip, ethtool and the daemons in sbin, which is not in everybody's PATH.
SEARCH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PATIENCE: Final = 3.0


def tool(name: str) -> str:
    """Find a system command; raises Unsupported when it is not installed."""
    found = shutil.which(name, path=SEARCH)
    if found is None:
        raise Unsupported(f"{name} is not installed.", f"{name}: not found in {SEARCH}.")
    return found


def remember(file: Path, pid: int) -> None:
    """Write a process's id and start time to a file."""
    file.write_text(f"{pid} {_started(pid)}\n")


def alive(file: Path) -> bool:
    """Tell whether the process the file remembers still runs."""
    return _recall(file) is not None


def end(file: Path, patience: float = _PATIENCE) -> None:
    """End the process the file remembers, if it still runs, and forget it."""
    pid = _recall(file)
    if pid is not None:
        end_all([pid], patience)
    file.unlink(missing_ok=True)


def end_all(pids: Iterable[int], patience: float = _PATIENCE) -> None:
    """Ask processes to end, wait for them, and kill those that do not within `patience` seconds."""
    for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 1.0)):
        handles = [handle for pid in pids if (handle := _handle(pid)) is not None]
        for handle in handles:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
        _await(handles, wait)


def _handle(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.pidfd_open(pid)
    return None


def _await(handles: list[int], patience: float) -> None:
    """Wait until every process behind the handles has ended, then close the handles."""
    for handle in handles:
        # A handle is readable once its process has ended (pidfd_open(2)).
        select.select([handle], [], [], patience)
        os.close(handle)


def _recall(file: Path) -> int | None:
    with suppress(OSError, ValueError):
        pid, started = (int(word) for word in file.read_text().split())
        if started and _started(pid) == started:
            return pid
    return None


def _started(pid: int) -> int:
    """Read when a process started, in clock ticks since boot (proc(5), field 22); 0 once it has ended."""
    # The command's name, in parentheses, may itself hold spaces and parentheses.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    # A zombie has ended, whether or not its parent has looked.
    return int(fields[19]) if fields[0] != "Z" else 0

"""Runs vtysh: commands in, what it printed out, or the error that it stands for.

Facts by FRRouting 8.4: ``-c`` stops at the first command that is refused and gives 1; each run of vtysh
connects to the daemons anew, by the sockets of one folder.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from sekisho.model.errors import Refused, Unavailable

Shell: TypeAlias = Callable[[Sequence[str]], str]
"""Runs some commands in one vtysh and gives what they printed; raises Refused or Unavailable."""

USUAL: Final = "/run/frr"
# What vtysh says when it is not the command that is wrong.
_ABSENT: Final = ("failed to connect to any daemons", " is not running")
_RETRY: Final = 5.0


def local(folder: str, timeout: float) -> Shell:
    """Make a shell of this machine's FRRouting, whose sockets are in `folder`; `timeout` is in seconds."""
    # Away from the usual place nothing of the system's own FRRouting is read or written.
    place = [] if folder in ("", USUAL) else ["--vty_socket", folder, "--config_dir", folder]

    def run(commands: Sequence[str]) -> str:
        words = [word for command in commands for word in ("-c", command)]
        try:
            done = subprocess.run(  # noqa: S603 - the words are ours, and no shell reads them
                ["vtysh", *place, *words],  # noqa: S607 - where it is differs between distributions
                capture_output=True,
                timeout=timeout,
                check=False,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            fixer = f"vtysh in {folder or USUAL}: {type(error).__name__}"
            raise Unavailable("The router does not answer.", fixer, _RETRY) from error
        return _printed(done.stdout, done.stderr, done.returncode, folder)

    return run


def _printed(out: str, errors: str, code: int, folder: str) -> str:
    said = " ".join(f"{out}\n{errors}".split())
    if any(words in said for words in _ABSENT):
        raise Unavailable("The router does not answer.", f"vtysh in {folder or USUAL}: {said[-300:]}", _RETRY)
    if code:
        raise Refused(f"The router refuses: {said[-300:]}")
    return out

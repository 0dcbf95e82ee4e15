"""Commands run to their end, and network namespaces that are found by their prefix."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from sekisho.lab import processes
from sekisho.lab.processes import tool
from sekisho.model.errors import Refused, SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def call(*argv: str, stdin: str = "", timeout: float = 60.0, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and give what it said; raises Refused when it said no."""
    words = [argv[0] if "/" in argv[0] else tool(argv[0]), *argv[1:]]
    try:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            words, input=stdin, capture_output=True, text=True, timeout=timeout, check=False, env=env
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{argv[0]} did not end in {timeout:g} s.", " ".join(words)) from error
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise Refused(f"{argv[0]} said no.", f"{' '.join(words)}: {told}")
    return done.stdout


def enter(namespace: str) -> list[str]:
    """Give the words that run a command inside a network namespace."""
    # Not `ip netns exec`: it would hide the other namespaces from what it runs.
    return [tool("nsenter"), f"--net=/run/netns/{namespace}", "--"]


def links(namespace: str, *lines: str) -> None:
    """Do several things to the links of a namespace at once."""
    call("ip", "-n", namespace, "-batch", "-", stdin="\n".join(lines))


def namespaces(prefix: str) -> list[str]:
    """List the network namespaces whose names begin so."""
    names = [line.split()[0] for line in call("ip", "netns", "list").splitlines() if line]
    return [name for name in names if name.startswith(f"{prefix}-")]


def remove_namespace(name: str) -> None:
    """End what runs in a namespace, without a word, and remove it."""
    pids = [int(pid) for pid in call("ip", "netns", "pids", name).split()]
    processes.end_all([pid for pid in pids if pid != os.getpid()], patience=0.0)
    call("ip", "netns", "delete", name)


def wait(done: Callable[[], bool], what: str, timeout: float = 60.0, pause: float = 0.1) -> float:
    """Wait until `done`; gives the seconds it took. Raises Unavailable when it takes too long."""
    began, last = time.monotonic(), ""
    while (passed := time.monotonic() - began) < timeout:
        try:
            if done():
                return passed
        except SekishoError as error:
            last = error.fixer
        time.sleep(pause)
    raise Unavailable(f"Waited {timeout:g} s for {what} in vain.", f"{what}: {last or 'nothing was said'}")

"""One long-running process of the stack, that can be started, stopped, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sekisho.lab import processes
from sekisho.lab.openstack.shell import enter, wait
from sekisho.model.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(slots=True)
class Service:
    """A process in a namespace and in a session of its own, with all it says in one log.

    `ready` tells whether it works. With `patience` 0 it is killed at once when it is stopped: for those
    that do not listen.
    """

    name: str
    namespace: str
    argv: Sequence[str]
    log: Path
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    patience: float = 5.0
    timeout: float = 180.0
    fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when it works; raises Conflict when it runs, Unavailable when it ends."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start it without waiting."""
        if self.alive:
            raise Conflict(f"{self.name} runs already.")
        path = f"{self.environment.get('PATH', '')}:{processes.SEARCH}"
        env = {**os.environ, **self.environment, "PATH": path.removeprefix(":")}
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(  # noqa: S603 - the stack's own words, no shell
                [*enter(self.namespace), *self.argv],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                pass_fds=self.fds,
            )

    def await_ready(self) -> None:
        """Return when it works; raises Unavailable."""
        wait(
            lambda: not self.alive or self.ready(),
            f"{self.name} to work (its log is {self.log})",
            self.timeout,
        )
        if not self.alive:
            code = self.process.returncode if self.process else None
            raise Unavailable(
                f"{self.name} has ended.", f"{self.name} ended with {code}; its log is {self.log}"
            )

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id, 0 when it does not run."""
        return self.process.pid if self.process is not None and self.alive else 0

    def stop(self) -> None:
        """Ask it to end, and kill what is left of it."""
        if self.process is None:
            return
        if self.patience and self.alive:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(self.patience)
        self.kill()

    def kill(self) -> None:
        """Kill it with all its children, as the kernel would: without a word."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        # A child that dies later than its parent still has the address which the next one needs.
        with suppress(Unavailable):
            wait(self._has_no_children, f"the children of {self.name} to end", 10.0, 0.02)

    def _has_no_children(self) -> bool:
        try:
            if self.process is not None:
                os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return self.process is None

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

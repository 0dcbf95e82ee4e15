"""Keeper, collector and agent of one machine, started together and kept running."""

from __future__ import annotations

import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Role
from sekisho.model.errors import Malformed, SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sekisho.host.clock import Clock

log = logging.getLogger("sekisho.up")

# Who needs a token of its own, and what it may do with it.
TOKENS = {"admin": Role.ADMIN, "collector": Role.AGENT, "agent": Role.AGENT}
# A process that dies is started again after so many seconds, doubled with each death up to the second.
RESTART = (0.5, 10.0)
# Who has run for so many seconds was in good health: its next death is a first one again.
HEALTHY = 60.0
# How long a process has to end by itself before it is killed.
GRACE = 5.0
# How the names of what stands in a state folder begin.
OURS = (
    "ledger.db",
    "archive",
    "backups",
    "plans.key",
    "spool",
    "tokens",
    "client.toml",
    "agent.json",
    "lost+found",
)
# The mode bits of everybody but the owner.
OTHERS = 0o077


def ledger_url(state: Path) -> str:
    """Say where the ledger of a state folder is."""
    return f"sqlite:///{state / 'ledger.db'}"


def open_ledger(state: Path) -> Ledger:
    """Open the ledger of a state folder; folder and file are made where missing, and are their owner's alone.

    What SQLite writes beside its file (WAL) takes the file's own mode.
    """
    try:
        _prepare_state(state)
    except OSError as error:
        fixer = f"keeper.state: {state} cannot be made or written: {error}."
        raise Unavailable("The keeper's state folder cannot be used.", fixer) from error
    return Ledger(ledger_url(state))


def _prepare_state(state: Path) -> None:
    _need_own_folder(state)
    close_to_others(state)
    file = state / "ledger.db"
    # Never opened here once it is there: closing it again would drop this process's own locks on it.
    if not file.exists():
        file.touch(0o600)
    for each in (file, state / "ledger.db-wal", state / "ledger.db-shm"):
        if each.exists() and each.stat().st_mode & OTHERS:
            each.chmod(0o600)


def _need_own_folder(state: Path) -> None:
    """Refuse a folder that others use too: to close it would shut them out of /var/lib or /tmp."""
    if not state.is_dir() or not state.stat().st_mode & OTHERS:
        return
    foreign = sorted(p.name for p in state.iterdir() if not p.name.startswith(OURS))
    if foreign:
        raise Malformed(
            f"keeper.state: {state} holds things of others ({', '.join(foreign[:3])}); "
            "name a folder of Sekisho's own, or close this one to others yourself (chmod 700)."
        )


def close_to_others(folder: Path) -> None:
    """Make a folder if it is missing, and let nobody but its owner look in."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & OTHERS:
        folder.chmod(0o700)


def prepare(state: Path, url: str, clock: Clock) -> dict[str, Path]:
    """Make the state folder and the token of each process; give the token files by name.

    Also writes ``client.toml`` for the command line (SEKISHO_CLIENT). All are readable by the owner alone.
    """
    ledger = open_ledger(state)
    try:
        return _write_tokens(ledger, state, TOKENS, url, clock.now())
    finally:
        ledger.close()


def prepare_archive(state: Path, *, elsewhere: bool) -> bool:
    """Make the secret that the keeper shows at the archive's door; tell whether one is to run here.

    It is not where the keeper is told of another one, or where chdb is not installed, which is said once.
    """
    file = state / "tokens" / "archive"
    if elsewhere:
        return False
    if find_spec("chdb") is None:
        log.warning("chdb is not installed: flows are not kept (pip install 'sekisho[archive]')")
        file.unlink(missing_ok=True)
        return False
    if not file.exists() or not file.read_text().strip():
        _write_secret(file, secrets.token_urlsafe(32))
    return True


def first_token(ledger: Ledger, state: Path, url: str, now: float) -> Path | None:
    """Write an administrator's token where the ledger knows of no token at all: else nobody could make one.

    Gives its file, or None where there are tokens. ``client.toml`` is written beside it.
    """
    if ledger.tokens():
        return None
    return _write_tokens(ledger, state, {"admin": Role.ADMIN}, url, now)["admin"]


def _write_tokens(
    ledger: Ledger, state: Path, tokens: Mapping[str, Role], url: str, now: float
) -> dict[str, Path]:
    folder = state / "tokens"
    close_to_others(folder)
    files = {name: folder / name for name in tokens}
    for name, role in tokens.items():
        if not _works(ledger, files[name], now):
            _, secret = ledger.create_token(name, role, "up", now)
            _write_secret(files[name], secret)
    _write_secret(
        state / "client.toml",
        f"url = {json.dumps(url)}\ntoken_file = {json.dumps(str(files['admin'].resolve()))}\n",
    )
    return files


def _works(ledger: Ledger, file: Path, now: float) -> bool:
    try:
        ledger.authenticate(file.read_text().strip(), now)
    except (OSError, SekishoError):
        return False
    return True


def _write_secret(file: Path, text: str) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as out:
        out.write(text)


@dataclass(slots=True)
class Child:
    """One process to keep running: what to start, which file descriptors it inherits, its environment."""

    name: str
    argv: Sequence[str]
    fds: Sequence[int] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    output: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    began: float = 0.0
    deaths: int = 0  # without good health in between
    due: float = 0.0

    def start(self) -> None:
        """Start it, with its output appended to its file if it has one."""
        env = {**os.environ, **self.env}
        self.starts += 1
        if self.output is None:
            self.process = subprocess.Popen(self.argv, pass_fds=self.fds, env=env)  # noqa: S603 - our own command
            return
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                self.argv, pass_fds=self.fds, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )


def command(*words: str) -> list[str]:
    """Give the command line of one of our own processes."""
    return [sys.executable, "-m", "sekisho.app.main", *words]


class Supervisor:
    """Starts children in order, starts again what dies, ends all in the reverse order."""

    def __init__(self, children: Sequence[Child], clock: Callable[[], float] = time.monotonic) -> None:
        self.children = children
        self._clock = clock

    def start(self) -> None:
        """Start all."""
        for child in self.children:
            child.start()
            child.began = self._clock()

    def watch(self) -> None:
        """Look once; start again what has died and waited long enough."""
        now = self._clock()
        for child in self.children:
            if child.process is None or child.process.poll() is None:
                continue
            if not child.due:
                child.deaths = 1 if now - child.began >= HEALTHY else child.deaths + 1
                wait = min(RESTART[1], RESTART[0] * 2 ** min(child.deaths - 1, 8))
                child.due = now + wait
                log.error("%s ended with %d; again in %.1f s", child.name, child.process.returncode, wait)
            elif now >= child.due:
                self._again(child, now)

    def _again(self, child: Child, now: float) -> None:
        """Start one again; where the machine has no room for it just now, the others go on without."""
        try:
            child.start()
        except OSError as error:
            child.due = now + RESTART[1]
            log.error("%s cannot be started: %s; again in %.1f s", child.name, error, RESTART[1])  # noqa: TRY400
        else:
            child.began, child.due = now, 0.0

    def run(self, stop: threading.Event) -> None:
        """Keep all running until `stop`."""
        try:
            self.start()
            while not stop.wait(0.2):
                self.watch()
        finally:
            self.end()

    def end(self) -> None:
        """End all: ask, then kill whoever has not listened."""
        for child in reversed(self.children):
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        for child in reversed(self.children):
            if child.process is None:
                continue
            try:
                child.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()

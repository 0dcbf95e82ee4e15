"""The driver of FRRouting, a router without VLANs: small, to show that the room is not one vendor's.

It speaks to the FRRouting of its own machine: `Connection.address` is the folder of its sockets, "" or
``local`` for ``/run/frr``. FRRouting has neither checkpoints nor a way back, so checkpoints are files
beside the sockets, readable by their owner only, and going back is sending what differs.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch.driver import Abilities, Account, Neighbour, Pair, Sent, Step
from sekisho.devices.switch.frr import text, words
from sekisho.devices.switch.frr.shell import USUAL, local
from sekisho.devices.switch.intent import Facts, State, parts
from sekisho.model.errors import Malformed, NotFound, Refused, Unavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.devices.switch.document import Connection
    from sekisho.devices.switch.frr.shell import Shell

ABILITIES: Final = Abilities(frozenset({"route", "acl", "port"}))
# Without them their part of the configuration is not shown, and looks as if it had gone.
_DAEMONS: Final = frozenset({"zebra", "staticd"})
_CONFIGURE: Final = "configure terminal"
_TOLD: Final = ("hostname", "frr version")
_INTERFACE: Final = "interface "
# Commands in one vtysh: staticd takes some 30 ms for a route, and `timeout` is for one answer.
_BATCH: Final = 100
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class Frr:
    """Implements `SwitchDriver` over a shell."""

    def __init__(self, shell: Shell, checkpoints: Path) -> None:
        self._shell = shell
        self._checkpoints = checkpoints

    def abilities(self) -> Abilities:
        """Tell what FRRouting can."""
        return ABILITIES

    def read(self) -> State:
        """Tell everything that it has; raises Unavailable while one of its daemons is away."""
        config = self.running()
        told = {name: (re.search(rf"^{name} (\S+)$", config, re.MULTILINE) or ("", ""))[1] for name in _TOLD}
        facts = Facts(told["hostname"], "FRRouting", "", told["frr version"])
        return State(facts, parts(*text.parts(config, self._interfaces())))

    def _interfaces(self) -> tuple[str, ...]:
        found: dict[str, dict[str, Any]] = json.loads(self._shell(["show interface json"]))
        # One that was configured and is not there has no index.
        return tuple(n for n, i in found.items() if i.get("index") and "LOOPBACK" not in i.get("flags", ""))

    def render(self, steps: Sequence[Step]) -> tuple[Sent, ...]:
        """Say what `apply` would send; raises Unsupported."""
        sent = (line for group in _groups(steps) for line in group)
        joined = "\n".join(sent)
        return (Sent("vtysh", joined, joined),) if joined else ()

    def apply(self, steps: Sequence[Step]) -> None:
        """Carry out one stage, command after command, up to the first that is refused."""
        self._send(_groups(steps))

    def _send(self, groups: Sequence[Sequence[str]]) -> None:
        waiting: list[str] = []
        for group in groups:
            waiting += group
            if len(waiting) >= _BATCH:
                self._shell([_CONFIGURE, *waiting])
                waiting = []
        if waiting:
            self._shell([_CONFIGURE, *waiting])

    def running(self) -> str:
        """Give the running configuration; raises Unavailable while one of the daemons is away."""
        daemons, _, config = self._shell(["show daemons", "show running-config"]).partition("\n")
        missing = _DAEMONS - set(daemons.split())
        if missing:
            away = ", ".join(sorted(missing))
            raise Unavailable("The router does not answer.", f"FRRouting: {away} is not running.", 5.0)
        return config

    def restore(self, text: str) -> None:
        """Make a text of `running` the running configuration."""
        self._become(text)

    def _become(self, wanted: str) -> None:
        """Send what differs, known parts first, then the rest; raises Refused if something is left."""
        interfaces = self._interfaces()
        here, there = (parts(*text.parts(t, interfaces)) for t in (self.running(), wanted))
        steps = [Step(here.get(k), there.get(k)) for k in {**here, **there} if here.get(k) != there.get(k)]
        self.apply(steps)
        self._send(_rest(self.running(), wanted))
        if set(text.body(self.running())) != set(text.body(wanted)):
            raise Refused("The router did not go back to what it was.")

    # --- checkpoints -------------------------------------------------------------------------------

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise Malformed(f"{name!r} is no name for a checkpoint.")
        return self._checkpoints / f"{name}.conf"

    def checkpoint(self, name: str) -> None:
        """Keep the running configuration, whole or not at all."""
        path, config = self._file(name), self.running()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = path.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_text(config, encoding="utf-8")
            fresh.replace(path)
        except OSError as error:
            raise Refused("The router keeps no checkpoint.", f"{path}: {error}") from error

    def checkpoints(self) -> tuple[str, ...]:
        """List the checkpoints, by name."""
        return tuple(sorted(p.stem for p in self._checkpoints.glob("*.conf")))

    def rollback(self, name: str) -> None:
        """Make a checkpoint the running configuration again."""
        try:
            config = self._file(name).read_text(encoding="utf-8")
        except OSError as error:
            raise NotFound(f"The router has no checkpoint {name!r}.") from error
        self._become(config)

    def forget(self, name: str) -> None:
        """Remove a checkpoint."""
        with suppress(FileNotFoundError):
            self._file(name).unlink()

    # --- the rest ----------------------------------------------------------------------------------

    def arm(self, seconds: float) -> None:
        """Refuse: FRRouting has no timer."""
        raise Unsupported(f"FRRouting does not go back by itself, in {seconds:.0f} s or ever.")

    def disarm(self) -> None:
        """Refuse: FRRouting has no timer."""
        raise Unsupported("FRRouting does not go back by itself.")

    def save(self) -> None:
        """Keep the running configuration over a restart."""
        self._shell(["write memory"])

    def accounts(self, since: float) -> tuple[Account, ...]:
        """Tell nothing: FRRouting keeps no record of who changed what."""
        del since
        return ()

    def pair(self) -> Pair | None:
        """Tell that it is in no pair."""
        return None

    def neighbours(self) -> tuple[Neighbour, ...]:
        """Tell nothing: FRRouting speaks no LLDP."""
        return ()

    def close(self) -> None:
        """Let nothing go: each command has a connection of its own."""


def _groups(steps: Sequence[Step]) -> list[tuple[str, ...]]:
    return [words.lines(step) for step in steps]


def _rest(here: str, there: str) -> list[tuple[str, ...]]:
    """Write what takes away the lines that are too many and adds those that are missing, as they stand."""
    now, then = list(text.body(here)), list(text.body(there))
    stays = {(*path, line) for path, line in then}
    gone = [(p, line) for p, line in reversed(now) if (p, line) not in then and _goes_alone(p, line, stays)]
    come = [(p, line) for p, line in then if (p, line) not in now]
    return [_within(p, _undone(line)) for p, line in gone] + [_within(p, line) for p, line in come]


def _goes_alone(path: tuple[str, ...], line: str, stays: set[tuple[str, ...]]) -> bool:
    """Tell whether a line must be taken away by itself: an interface stays, other contexts go as a whole."""
    if not path:
        return not line.startswith(_INTERFACE)
    return path[0].startswith(_INTERFACE) or path in stays


def _within(path: tuple[str, ...], line: str) -> tuple[str, ...]:
    return (*path, line, *("exit" for _ in path))


def _undone(line: str) -> str:
    return line.removeprefix("no ") if line.startswith("no ") else f"no {line}"


def connect(connection: Connection, secret: str) -> Frr:
    """Make the driver; nothing is asked yet. FRRouting asks for no password."""
    del secret
    folder = "" if connection.address in ("", "local", "localhost") else connection.address
    return Frr(local(folder, connection.timeout), Path(folder or USUAL) / "sekisho")

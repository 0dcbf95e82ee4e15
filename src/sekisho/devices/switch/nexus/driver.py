"""A Nexus behind a SwitchDriver: by NX-API where it has one, else by SSH."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch.driver import Abilities, Account, Neighbour, Pair, Sent, Step
from sekisho.devices.switch.intent import KINDS, Facts, State, key
from sekisho.devices.switch.nexus import answers, cli, config_text, dme, names, read, restore
from sekisho.devices.switch.nexus.door import whole
from sekisho.devices.switch.nexus.nxapi import NxApi
from sekisho.devices.switch.nexus.ssh import PORT, Ssh
from sekisho.devices.switch.said import masked
from sekisho.model.errors import NotFound, Refused, Unavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.devices.switch.document import Connection
    from sekisho.devices.switch.intent import Key, Part

_MOST_CHECKPOINTS: Final = 10
# So many of them are free for people and other programs, as long as ours can make room.
_LEFT_TO_OTHERS: Final = 2
_TIMED: Final = (9, 3, 1)  # from here on `configure replace` is known to take commit-timeout
_WHEN: Final = re.compile(r"^!(?:Time|Running configuration last done at):.*\n", re.MULTILINE)
_UNRESOLVED: Final = re.compile(r"unresolved class for (\w+)")
_ARMED: Final = f"bootflash:{names.OURS}armed.cfg"


def connect(connection: Connection, secret: str) -> Nexus:
    """Make a driver for a switch; nobody is asked before its first use."""
    return Nexus(connection, secret)


class Nexus:
    """Speaks to one Nexus; see `SwitchDriver`. Which door it takes is decided once, at the first use."""

    def __init__(self, connection: Connection, secret: str) -> None:
        self._connection = connection
        self._secret = secret
        self._door: NxApi | Ssh | None = None
        self._facts: Facts | None = None
        self._classes = read.CONFIGURED

    def abilities(self) -> Abilities:
        """Tell what this switch can; asks it for its version."""
        timer = answers.version(self._known_facts().version) >= _TIMED
        return Abilities(frozenset(KINDS), timer=timer)

    def read(self) -> State:
        """Tell everything that the switch has of the kinds that we know."""
        door = self._opened()
        try:
            found = self._read_tree(door) if isinstance(door, NxApi) else self._read_text(door)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as odd:
            raise Unavailable(
                f"The switch {self._connection.address} describes itself in a way that cannot be read.",
                f"{self._connection.address}: {type(odd).__name__}: {odd!s:.200}.",
                retry_after=5,
            ) from odd
        facts = self._known_facts()
        hostname = config_text.hostname(found) or facts.hostname
        return State(Facts(hostname, facts.model, facts.serial, facts.version), found)

    def render(self, steps: Sequence[Step]) -> tuple[Sent, ...]:
        """Say what `apply` would send; asks nobody, and takes NX-API for the door while none is chosen."""
        by_ssh = isinstance(self._door, Ssh) or self._connection.transport == "ssh"
        return cli.render(steps) if by_ssh else dme.render(steps)

    def apply(self, steps: Sequence[Step]) -> None:
        """Carry out one stage: over NX-API as one tree, else as commands."""
        self._not_ourselves(steps)
        door = self._opened()
        if isinstance(door, Ssh):
            if blocks := cli.blocks(steps):
                door.configure(blocks)
            return
        for stage in dme.stages(steps):
            if stage.first:
                door.configure(stage.first)
            if stage.body:
                door.post(stage.body)
            if stage.last:
                door.configure(stage.last)

    def running(self) -> str:
        """Give the running configuration as text, without the lines that tell when it was asked for."""
        return _WHEN.sub("", self._configuration(self._opened()))

    def restore(self, text: str) -> None:
        """Make a text of `running` the running configuration; see `restore` for how."""
        restore.restore(self, self._opened(), text, self._connection.address)

    def checkpoint(self, name: str) -> None:
        """Keep the running configuration under a name; our oldest make room, and leave some for others."""
        door, ours = self._opened(), _on_switch(name)
        there = self._all_checkpoints()
        if ours in there:
            door.run([f"no checkpoint {ours}"])
            there = tuple(n for n in there if n != ours)
        surplus = max(0, len(there) + 1 - _MOST_CHECKPOINTS + _LEFT_TO_OTHERS)
        oldest = [n for n in there if n.startswith(names.OURS)][:surplus]
        if len(there) - len(oldest) >= _MOST_CHECKPOINTS:
            raise self._full(there)
        if oldest:
            door.run([f"no checkpoint {n}" for n in oldest])
        door.run([f"checkpoint {ours}"])

    def checkpoints(self) -> tuple[str, ...]:
        """List the names of our checkpoints."""
        return tuple(n.removeprefix(names.OURS) for n in self._all_checkpoints() if n.startswith(names.OURS))

    def rollback(self, name: str) -> None:
        """Make a checkpoint the running configuration again: all of it, or the switch says what failed."""
        address = self._connection.address
        if _on_switch(name) not in self._all_checkpoints():
            raise NotFound(
                f"The switch {address} has no checkpoint {name} any more.",
                f"{address} may have restarted; go back by a backup: sekisho switch restore.",
            )
        text = self._opened().run([f"rollback running-config checkpoint {_on_switch(name)}"])[0]
        if text.strip() and "success" not in text.lower() and "empty" not in text.lower():
            said = masked(text.strip())
            raise Refused(f"The switch {address} did not go back to {name}.", f"{address} said: {said!r}.")

    def forget(self, name: str) -> None:
        """Remove a checkpoint; one that is not there is no error."""
        if _on_switch(name) in self._all_checkpoints():
            self._opened().run([f"no checkpoint {_on_switch(name)}"])

    def arm(self, seconds: float) -> None:
        """Let the switch go back by itself unless `disarm` comes in time.

        The running configuration is replaced by itself with a commit timer: 30 to 3600 seconds. Raises
        Unsupported before NX-OS 9.3(1).
        """
        if not self.abilities().timer:
            raise Unsupported(f"The switch {self._connection.address} cannot go back by itself.")
        limit = min(max(round(seconds), 30), 3600)
        file, replace = f"copy running-config {_ARMED}", f"configure replace {_ARMED} commit-timeout {limit}"
        try:
            self._opened().run(["terminal dont-ask", file, replace])
        except Refused as refused:
            raise Unsupported(refused.asker, refused.fixer) from refused

    def disarm(self) -> None:
        """Keep what was changed since `arm`."""
        self._opened().run(["configure replace commit"])
        with contextlib.suppress(Refused):  # it is only in the way
            self._opened().run(["terminal dont-ask", f"delete {_ARMED} no-prompt"])

    def save(self) -> None:
        """Keep the running configuration over a restart."""
        self._opened().run(["copy running-config startup-config"])

    def accounts(self, since: float) -> tuple[Account, ...]:
        """Tell who changed what since a time; the switch's clock is read as UTC."""
        text = self._opened().run(["show accounting log"])[0]
        return tuple(answers.accounts(text, since))

    def pair(self) -> Pair | None:
        """Tell how the pair is; None without vPC."""
        door = self._opened()
        try:
            brief = door.data("show vpc brief")
        except Refused:  # the feature is off, and with it the command
            return None
        if not brief:
            return None
        numbers = answers.vpcs(brief)
        asked = ["global", *(f"vpc {n}" for n in numbers)]
        told = door.tables([f"show vpc consistency-parameters {of}" for of in asked])
        return answers.pair(brief, told[0], dict(zip(numbers, told[1:], strict=True)))

    def neighbours(self) -> tuple[Neighbour, ...]:
        """List who is at the other end of the interfaces; nobody while LLDP is off."""
        try:
            return tuple(answers.neighbours(self._opened().data("show lldp neighbors detail")))
        except Refused:
            return ()

    def close(self) -> None:
        """Let the connection go."""
        if self._door is not None:
            self._door.close()
            self._door = None

    def _opened(self) -> NxApi | Ssh:
        if self._door is None:
            self._door = _enter(self._connection, self._secret)
        return self._door

    def _known_facts(self) -> Facts:
        if self._facts is None:
            door = self._opened()
            self._facts = self._certain(
                _facts_of_tree(door) if isinstance(door, NxApi) else answers.facts(door.data("show version"))
            )
        return self._facts

    def _read_tree(self, door: NxApi) -> dict[Key, Part]:
        wanted = self._known_classes(door)
        lists = door.objects("sys/acl", rsp_subtree="full", rsp_prop_include="config-only")
        found = read.objects((*wanted, *lists))
        if not any(it.get("name") for it in found.get("topSystem", ())):
            self._certain(Facts("", "", "", ""))
        # the tree never gives password hashes away, the configuration does
        users = self._configuration(door, " security") if found.get("aaaUser") else ""
        return read.parts(found, config_text.hashes(users))

    def _certain(self, facts: Facts) -> Facts:
        """Give what a switch says of itself; one that says nothing gave no answer."""
        if facts.hostname and facts.serial:
            return facts
        raise Unavailable(
            f"The switch {self._connection.address} does not say which one it is.",
            f"{self._connection.address}: its answer lacks its name or its serial number; ask again.",
            retry_after=5,
        )

    def _known_classes(self, door: NxApi) -> list[Mapping[str, Any]]:
        """Get all objects of our classes; one that this version does not have is left out from then on."""
        while True:
            try:
                return door.objects(
                    "sys",
                    query_target="subtree",
                    target_subtree_class=",".join(self._classes),
                    rsp_prop_include="config-only",
                )
            except Refused as refused:
                unknown = _UNRESOLVED.search(refused.asker)
                if unknown is None or unknown[1] not in self._classes:
                    raise
                self._classes = tuple(name for name in self._classes if name != unknown[1])

    def _read_text(self, door: Ssh) -> dict[Key, Part]:
        return config_text.parts(self._configuration(door))

    def _configuration(self, door: NxApi | Ssh, section: str = "") -> str:
        text = door.run([f"show running-config{section}"])[0]
        return whole(self._connection.address, text)

    def _all_checkpoints(self) -> tuple[str, ...]:
        return answers.checkpoints(self._opened().run(["show checkpoint summary"])[0])

    def _full(self, there: tuple[str, ...]) -> Refused:
        return Refused(
            f"The switch {self._connection.address} keeps ten checkpoints already, none of them ours.",
            f"{self._connection.address} has {', '.join(there)}: remove one with no checkpoint NAME.",
        )

    def _not_ourselves(self, steps: Sequence[Step]) -> None:
        """Refuse to remove the user as whom we came."""
        me = ("user", self._connection.username)
        if any(step.before and not step.after and key(step.before) == me for step in steps):
            raise Refused(
                f"The user {me[1]} is the one with which Sekisho signs in to {self._connection.address}."
            )


def _on_switch(name: str) -> str:
    return names.OURS + names.word(name, "Checkpoint: name", 70)


def _enter(connection: Connection, secret: str) -> NxApi | Ssh:
    if connection.transport == "ssh":
        return _by_ssh(connection, secret, connection.port or PORT)
    door = NxApi(connection, secret)
    try:
        door.sign_in()
    except Unavailable:
        door.close()
        if connection.transport == "nxapi":
            raise
        try:
            return _by_ssh(connection, secret, PORT)
        except Unavailable as neither:
            raise Unavailable(
                f"The switch {connection.address} answers neither over NX-API nor over SSH.",
                f"{connection.address}: {neither.fixer} Is it up, and is feature nxapi on?",
                retry_after=5,
            ) from neither
    except BaseException:
        door.close()
        raise
    return door


def _by_ssh(connection: Connection, secret: str, port: int) -> Ssh:
    door = Ssh(connection, secret, port)
    door.sign_in()
    return door


def _facts_of_tree(door: NxApi) -> Facts:
    found = read.objects((*door.objects("sys"), *door.objects("sys/ch")))
    facts = read.facts(found)
    try:
        version = read.facts(read.objects(door.objects("sys/showversion"))).version
    except Refused:  # older ones have no such object
        version = ""
    return Facts(
        facts.hostname,
        facts.model,
        facts.serial,
        version or answers.facts(door.data("show version")).version,
    )

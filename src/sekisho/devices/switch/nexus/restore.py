"""A running configuration as text in, the switch made so: what we understand as steps, the rest line by line.

NX-API takes no files, so a text from outside cannot be handed to ``configure replace``. What is a part of
ours goes the way of every change; other lines are added and taken away as they stand. Then the switch is read
again: a text that did not come out is told, never passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sekisho.devices.switch.nexus import cli, config_text
from sekisho.devices.switch.order import stages
from sekisho.devices.switch.said import masked
from sekisho.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.devices.switch.driver import Step
    from sekisho.devices.switch.intent import State
    from sekisho.devices.switch.nexus.door import Door

_KEPT: Final = ("interface Ethernet", "interface mgmt", "vlan ", "username ", "vrf context management")
_ROUNDS: Final = 3
_NOT_CONFIGURATION: Final = ("version ", "boot ", "Building configuration", "Command:", "Time:", "Running ")


class Switch(Protocol):
    """What is asked of the driver here."""

    def read(self) -> State:
        """Tell what the switch has."""
        ...

    def apply(self, steps: Sequence[Step]) -> None:
        """Carry out one stage."""
        ...

    def running(self) -> str:
        """Give the running configuration."""
        ...


def restore(switch: Switch, door: Door, text: str, address: str) -> None:
    """Make a text the running configuration, or raise Refused with the lines that are still otherwise."""
    wanted = config_text.parts(text)
    for _ in range(_ROUNDS):
        for stage in stages(config_text.parts(switch.running()), wanted):
            switch.apply(stage)
        if plain(switch.running()) == plain(text):
            return
        rest = line_by_line(text, switch.running())
        if not rest:
            break
        door.configure(rest)
    left = differing(text, switch.running())
    if left:
        raise Refused(
            f"The switch {address} was not restored whole: {len(left)} lines are otherwise.",
            f"{address} still differs in: {'; '.join(masked(line) for line in left[:20])}.",
        )


def plain(text: str) -> dict[str, list[str]]:
    """Give a configuration's blocks without what changes by itself: times, comments, versions."""
    found: dict[str, list[str]] = {}
    for head, below in config_text.blocks(text):
        if not head.startswith(_NOT_CONFIGURATION):
            found.setdefault(head, []).extend(below)
    return found


def differing(wanted: str, actual: str) -> list[str]:
    """List the lines that one text has and the other has not, each with its block."""
    old, new = plain(actual), plain(wanted)
    gone = [_shown("-", head, line) for head in old for line in ["", *old[head]] if not _has(new, head, line)]
    return gone + [
        _shown("+", head, line) for head in new for line in ["", *new[head]] if not _has(old, head, line)
    ]


def _has(text: Mapping[str, list[str]], head: str, line: str) -> bool:
    return head in text and (not line or line in text[head])


def _shown(sign: str, head: str, line: str) -> str:
    return f"{sign}{head}" + (f" / {line}" if line else "")


def line_by_line(wanted: str, actual: str) -> list[cli.Block]:
    """Write what still differs as commands, the lines taken from the text itself.

    Lines of allowed VLANs are never among them: those that still differ after our own steps are told.
    """
    old, new = plain(actual), plain(wanted)
    found: list[cli.Block] = []
    for head, below in old.items():
        gone = [line for line in below if head in new and line not in new[head] and not _guarded(line)]
        if head not in new and not head.startswith(_KEPT):
            found.append((_not(head),))
        elif gone:
            found.append((head, *(_not(line) for line in reversed(gone))))
    for head, below in new.items():
        more = [line for line in below if line not in old.get(head, ()) and not _guarded(line)]
        if head not in old or more:
            found.append((head, *more))
    return found


def _guarded(line: str) -> bool:
    return "allowed vlan" in line


def _not(line: str) -> str:
    return line.removeprefix("no ") if line.startswith("no ") else f"no {line}"

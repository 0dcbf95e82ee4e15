"""All commands by mode: imports what registers them, and finds the one that a line means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.testing.nexus import (
    commands_acl,
    commands_candidate,
    commands_exec,
    commands_l2,
    commands_l3,
    commands_look,
    commands_services,
    commands_show,
    commands_vpc,
)
from sekisho.testing.nexus.grammar import INVALID
from sekisho.testing.nexus.modes import EXEC, GRAMMARS, At
from sekisho.testing.nexus.output import Output
from sekisho.testing.nexus.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REGISTERED = (
    commands_acl,
    commands_candidate,
    commands_exec,
    commands_l2,
    commands_l3,
    commands_look,
    commands_services,
    commands_show,
    commands_vpc,
)


def find(mode: str, line: str) -> Callable[[At], str] | None:
    """Give what carries a configuration line out in a mode; None if the mode does not know it."""
    found = GRAMMARS[mode].find(line)
    if found is None:
        return None
    command, args = found
    no = line.split(None, 1)[0].lower() == "no"
    return lambda at: str(command.run(at, args, no=no))


def run_exec(at: At, line: str) -> Output:
    """Carry an exec command out; raises Refusal."""
    plain, _, filters = line.partition("|")
    found = EXEC.find(plain)
    if found is None:
        raise Refusal(INVALID)
    command, args = found
    said = command.run(at, args)
    whole = said if isinstance(said, Output) else Output(said)
    return commands_exec.filtered(whole, filters)


def known_exec(line: str) -> bool:
    """Tell whether a line is an exec command: those work in configuration mode too."""
    return EXEC.find(line.partition("|")[0]) is not None


def is_terminal(words: Sequence[str]) -> bool:
    """Tell whether ``configure ...`` means the terminal."""
    return len(words) == 1 or "terminal".startswith(words[1].lower())

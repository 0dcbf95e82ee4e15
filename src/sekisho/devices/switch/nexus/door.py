"""A way into a switch: by NX-API or by SSH, the same few verbs for both, and what refusals mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Protocol

from sekisho.devices.switch.nexus import cli
from sekisho.devices.switch.said import clean, masked
from sekisho.model.errors import Conflict, Refused, SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Door(Protocol):
    """Speaks to one switch. Raises the errors that a SwitchDriver may raise."""

    def run(self, commands: Sequence[str]) -> list[str]:
        """Carry out commands that show or act, one after another in one session, and give their texts."""
        ...

    def data(self, command: str) -> Mapping[str, Any]:
        """Ask for a ``show`` command's structured output; empty where there is nothing to show.

        Raises Unavailable for an answer without structure.
        """
        ...

    def tables(self, commands: Sequence[str]) -> list[Mapping[str, Any]]:
        """Ask for the structured outputs of several ``show`` commands, in as few requests as is good."""
        ...

    def configure(self, blocks: Sequence[cli.Block]) -> None:
        """Send blocks of configuration commands, stopping at the first that is refused."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


LONGEST: Final = 64 * 1024 * 1024  # bytes or characters of one answer, unpacked
_LONGEST: Final = 1_000  # characters of a refusal that are read
_LOCKED: Final = re.compile(
    r"lock(?:ed)?\b.{0,1000}(?:session|user|by)|(?:session|user)\b.{0,1000}\block"
    r"|another (?:user|session)|in progress by",
    re.IGNORECASE,
)
_WHO: Final = re.compile(
    r"(?:held by|locked by|session of|owner|by|user)[: ]+(?:user )?['\"]?([A-Za-z][\w.@-]*)", re.IGNORECASE
)
_NOT_NAMES: Final = ("is", "session", "has", "holds", "another", "user", "the")
_NO_ACT: Final = re.compile(
    r"\s*(% ?\S.*|ERROR\b.*|Error:.*|Invalid\b.*|.* at '\^' marker.*"
    r"|.*\b(?:[Ff]ailed|denied|[Ii]nvalid command|[Cc]ommand rejected)\b.*|[Ff]eature \S+ is not enabled.*)"
)
_NO_SHOW: Final = re.compile(r"\s*(?:\^\s*\n\s*)?(%.*|ERROR\b.*)")  # what is shown may hold any word


def refusal(address: str, words: str, command: str = "") -> SekishoError:
    """Say what a switch's no means: somebody else holds its configuration, or it does not want this."""
    plain = masked(" ".join(words[:_LONGEST].split()))
    sent = f" It was sent: {masked(command.strip())!r}." if command else ""
    if _LOCKED.search(plain):
        who = next((m for m in _WHO.findall(plain) if m.lower() not in _NOT_NAMES), "somebody else")
        return Conflict(
            f"{who} holds the configuration of {address}; try again when they are done.",
            f'{address} says: "{plain}".{sent} See show users and show configuration session there.',
        )
    return Refused(f'The switch {address} said no: "{plain}".', f'{address} said: "{plain}".{sent}')


def checked(address: str, text: str, command: str) -> str:
    """Give a command's text; raise what it means if it is a refusal: NX-OS answers 200 to those too."""
    if command.startswith("show "):
        found = _NO_SHOW.match(text[:_LONGEST])
    else:
        lines = (_NO_ACT.match(line[:_LONGEST]) for line in text.splitlines() if line.strip())
        found = next((no for no in lines if no is not None), None)
    if found is not None:
        raise refusal(address, found[1], command)
    return str(clean(text))


def whole(address: str, text: str) -> str:
    """Give a configuration's text if it begins as every one does. Raises Unavailable."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("!"))
    if not next(lines, "").startswith("version "):
        raise Unavailable(
            f"The switch {address} did not give its whole configuration.",
            f"{address}: a configuration begins with its version, and this one does not; ask again.",
            retry_after=5,
        )
    return text


def batches(blocks: Sequence[cli.Block], most: int) -> list[list[str]]:
    """Put blocks together into batches of about `most` commands; a block is never cut in two."""
    found: list[list[str]] = [[]]
    for block in blocks:
        if found[-1] and len(found[-1]) + len(block) > most:
            found.append([])
        found[-1] += cli.closed(block)
    return [batch for batch in found if batch]

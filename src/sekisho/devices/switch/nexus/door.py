"""A way into a switch: by NX-API or by SSH, the same few verbs for both, and what refusals mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Protocol

from sekisho.devices.switch.nexus import cli
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

    def configure(self, blocks: Sequence[cli.Block]) -> None:
        """Send blocks of configuration commands, stopping at the first that is refused."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


_ODD: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
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
    r"\s*(% ?\S.*|ERROR\b.*|Error:.*|.*\b(?:[Ff]ailed|denied|[Ii]nvalid command)\b.*)"
)
_NO_SHOW: Final = re.compile(r"\s*(?:\^\s*\n\s*)?(%.*|ERROR\b.*)")  # what is shown may hold any word


def clean(found: Any) -> Any:
    """Give what a switch said with a question mark for each character that no text may hold.

    Those are control characters but for tab and line ends, and halves of surrogates.
    """
    if isinstance(found, str):
        return _ODD.sub("?", found)
    if isinstance(found, list):
        return [clean(item) for item in found]
    if isinstance(found, dict):
        return {clean(name): clean(item) for name, item in found.items()}
    return found


def refusal(address: str, words: str, command: str = "") -> SekishoError:
    """Say what a switch's no means: somebody else holds its configuration, or it does not want this."""
    plain = cli.masked(" ".join(words[:_LONGEST].split()))
    sent = f" It was sent: {cli.masked(command.strip())!r}." if command else ""
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

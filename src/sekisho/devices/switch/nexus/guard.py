"""The last look at commands before they leave for a switch: what must never be sent is refused here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALLOWED: Final = re.compile(r"\s*sw\w*\s+t\w*\s+al\w*\s+v\w*\s+(\S*)", re.IGNORECASE)
_HARMLESS: Final = ("add", "remove", "none", "except", "all")
_BREAKS: Final = re.compile(r"[\r\n\0]|\s;")


def check(lines: Iterable[str]) -> None:
    """Raise Unsupported for a line that would do more than it says.

    ``switchport trunk allowed vlan 10`` replaces the whole list and cuts every other VLAN: only ``add``,
    ``remove``, ``none``, ``except`` and ``all`` may follow. A line break or `` ;`` begins another command.
    """
    for line in lines:
        if _BREAKS.search(line):
            raise Unsupported(f"A command must be one line: {line!r} is not sent.")
        found = _ALLOWED.match(line)
        if found and found[1].lower() not in _HARMLESS:
            raise Unsupported(
                "A list of allowed VLANs without add or remove replaces the whole list; it is not sent.",
                f"Not sent: {line.strip()!r}. This is a mistake in Sekisho.",
            )

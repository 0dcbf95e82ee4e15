"""What switches say and are told, made fit to be shown: nothing secret, and nothing that no text may hold."""

from __future__ import annotations

import re
from typing import Any, Final

_ODD: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# All that stands behind such words, to the end of the line: a secret may hold blanks, and quotes around them.
_SECRET: Final = re.compile(
    r"(\b(?:snmp-server host \S+(?: (?:traps|informs))?(?: version (?:1|2c|3(?: \w+)?))?"
    r"|username \S+(?: password \d+)?"
    r"|key-string|authentication-key|message-digest-key|md5|authentication text"
    r"|password|passphrase|secret|community|key|auth|priv|version (?:1|2c|3(?: \w+)?)))"
    r"[ \t]++(?!strength-check|use-vrf |role )[^\r\n]+?"
    r"(?= \((?:SUCCESS|FAILURE)\)[ \t]*(?:[\r\n]|$)|[\r\n]|$)",
    re.IGNORECASE,
)
# A community is a name in the tree of a Nexus.
_NAMED: Final = re.compile(r"(\b(?:community|commName)-)(?:\[[^\]\r\n]*\]?|[^\s/\]]+)", re.IGNORECASE)


def masked(text: str) -> str:
    """Give commands, or what a switch says of them, without anything that may be a secret."""
    return _NAMED.sub(r"\1***", _SECRET.sub(r"\1 ***", text))


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

"""How things are called on an ADX: our names, and the names that the box gives to port numbers.

Standard ports need no profile; the names are those of the ServerIron ADX Server Load Balancing Guide, "Port
profiles and attributes".
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Final

PREFIX: Final = "sk-"  # whatever begins otherwise is another's
_LENGTH: Final = 28  # of an id within a name; with the prefix it stays below 32 characters

# number: (the box's name for it or "", the protocols that it takes the port for)
STANDARD: Final[dict[int, tuple[str, tuple[str, ...]]]] = {
    21: ("ftp", ("TCP",)),
    22: ("ssh", ("TCP",)),
    23: ("telnet", ("TCP",)),
    25: ("smtp", ("TCP",)),
    53: ("dns", ("TCP", "UDP")),
    69: ("tftp", ("UDP",)),
    80: ("http", ("TCP",)),
    109: ("pop2", ("TCP",)),
    110: ("pop3", ("TCP",)),
    119: ("nntp", ("TCP",)),
    123: ("ntp", ("UDP",)),
    143: ("imap4", ("TCP",)),
    161: ("snmp", ("UDP",)),
    389: ("ldap", ("TCP",)),
    443: ("ssl", ("TCP",)),
    554: ("rtsp", ("TCP",)),
    636: ("ldaps", ("TCP",)),
    993: ("imap4s", ("TCP",)),
    995: ("pop3s", ("TCP",)),
    1645: ("radius-old", ("UDP",)),
    1755: ("mms", ("TCP", "UDP")),
    1812: ("radius", ("UDP",)),
    3389: ("", ("TCP",)),
    5060: ("sip", ("TCP", "UDP")),
    5061: ("", ("TCP",)),
    7070: ("pnm", ("TCP",)),
}
_NUMBERS: Final = {name: number for number, (name, _) in STANDARD.items() if name}


def of(identity: str) -> str:
    """Name what carries an id: most of a UUID's digits, so that people recognise it, else of a hash."""
    try:
        digits = uuid.UUID(identity).hex
    except ValueError:
        digits = hashlib.sha256(identity.encode()).hexdigest()
    return PREFIX + digits[:_LENGTH]


def of_server(address: str) -> str:
    """Name a real server: an ADX has one for an address, whoever's pools it is in."""
    return PREFIX + address


def ours(name: str) -> bool:
    """Tell whether a name is one of those that we give."""
    return name.startswith(PREFIX)


def number(text: str) -> int:
    """Read a port as the box writes it, ``http`` or ``8080``; 0 for ``default`` and what is none."""
    return _NUMBERS.get(text) or (int(text) if text.isdecimal() else 0)


def word(port: int) -> str:
    """Write a port as the box does."""
    return STANDARD.get(port, ("",))[0] or str(port)

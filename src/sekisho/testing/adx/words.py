"""The box's names for ports, and what it calls its predictors, written without looking at the driver."""

from __future__ import annotations

from typing import Final

PORTS: Final = {
    21: "ftp",
    22: "ssh",
    23: "telnet",
    25: "smtp",
    53: "dns",
    69: "tftp",
    80: "http",
    109: "pop2",
    110: "pop3",
    119: "nntp",
    123: "ntp",
    143: "imap4",
    161: "snmp",
    389: "ldap",
    443: "ssl",
    554: "rtsp",
    636: "ldaps",
    993: "imap4s",
    995: "pop3s",
    1645: "radius-old",
    1755: "mms",
    1812: "radius",
    3389: "3389",
    5060: "sip",
    5061: "5061",
    7070: "pnm",
}
NUMBERS: Final = {name: number for number, name in PORTS.items()}
PREDICTORS: Final = (
    *("round-robin", "least-conn", "weighted", "enhanced-weighted"),
    *("weighted-round-robin", "weighted-round-robin-static", "response-time"),
)


def word(port: int) -> str:
    """Write a port."""
    return PORTS.get(port, str(port))


def number(text: str) -> int:
    """Read a port, 0 for none."""
    return NUMBERS.get(text) or (int(text) if text.isdecimal() else 0)


def enum(predictor: str) -> str:
    """Write a predictor as the API does."""
    return predictor.upper().replace("-", "_")


def predictor(enumerated: str) -> str:
    """Read a predictor of the API."""
    return enumerated.lower().replace("_", "-")

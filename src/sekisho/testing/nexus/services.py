"""Protocols and ports by the names that NX-OS shows (command reference, `permit` of an access list)."""

from __future__ import annotations

from typing import Final

from sekisho.testing.nexus.refusal import Refusal

_PROTOCOLS: Final = {
    "1": "icmp",
    "2": "igmp",
    "6": "tcp",
    "17": "udp",
    "47": "gre",
    "50": "esp",
    "51": "ahp",
    "88": "eigrp",
    "89": "ospf",
    "94": "nos",
    "103": "pim",
    "108": "pcp",
    "132": "sctp",
}
_TCP: Final = {
    "7": "echo",
    "9": "discard",
    "13": "daytime",
    "19": "chargen",
    "20": "ftp-data",
    "21": "ftp",
    "23": "telnet",
    "25": "smtp",
    "37": "time",
    "43": "whois",
    "49": "tacacs",
    "53": "domain",
    "70": "gopher",
    "79": "finger",
    "80": "www",
    "101": "hostname",
    "109": "pop2",
    "110": "pop3",
    "111": "sunrpc",
    "113": "ident",
    "119": "nntp",
    "179": "bgp",
    "194": "irc",
    "496": "pim-auto-rp",
    "512": "exec",
    "513": "login",
    "514": "cmd",
    "515": "lpd",
    "517": "talk",
    "540": "uucp",
    "543": "klogin",
    "544": "kshell",
}
_UDP: Final = {
    "7": "echo",
    "9": "discard",
    "37": "time",
    "42": "nameserver",
    "49": "tacacs",
    "53": "domain",
    "67": "bootps",
    "68": "bootpc",
    "69": "tftp",
    "111": "sunrpc",
    "123": "ntp",
    "137": "netbios-ns",
    "138": "netbios-dgm",
    "139": "netbios-ss",
    "161": "snmp",
    "162": "snmptrap",
    "177": "xdmcp",
    "195": "dnsix",
    "434": "mobile-ip",
    "496": "pim-auto-rp",
    "500": "isakmp",
    "512": "biff",
    "513": "who",
    "514": "syslog",
    "517": "talk",
    "520": "rip",
    "4500": "non500-isakmp",
}


def protocol_name(text: str, family: str) -> str:
    """Give a protocol as the box shows it; raises Refusal."""
    plain = text.lower()
    if plain in ("ip", "ipv4", "ipv6", "0") and (plain != "0" or family):
        return "ip" if family == "ipv4" else "ipv6"
    if family == "ipv6" and plain in ("icmp", "icmpv6", "58"):
        return "icmp"
    if plain in _PROTOCOLS.values():
        return plain
    if plain.isdigit() and int(plain) <= 255:
        return _PROTOCOLS.get(plain, plain)
    raise Refusal(f"% Invalid protocol {text}")


def port_name(text: str, protocol: str) -> str:
    """Give a port as the box shows it: by its name where it has one; raises Refusal."""
    table = _TCP if protocol == "tcp" else _UDP
    if text.isdigit() and int(text) <= 65535:
        return table.get(text, text) if text != "0" else text
    if text in table.values():
        return text
    raise Refusal(f"% Invalid port {text}")

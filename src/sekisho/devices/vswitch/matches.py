"""Which packets an action is about: subjects, protocols and ports as OpenFlow matches. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sekisho.devices.vswitch.pipeline import PLACED
from sekisho.devices.vswitch.program import MARK, Term, term
from sekisho.model.policy import Direction, Drop, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sekisho.devices.vswitch.program import Match
    from sekisho.model.inventory import Subject

_IPV4: Final = term("eth_type", 0x0800)
_IPV6: Final = term("eth_type", 0x86DD)
_PORTS: Final = 1 << 16
_MAC: Final = re.compile(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")
# ICMP has a number of its own in each IP version.
_NUMBERS: Final[Mapping[Protocol, tuple[int, int]]] = {
    Protocol.TCP: (6, 6),
    Protocol.UDP: (17, 17),
    Protocol.SCTP: (132, 132),
    Protocol.ICMP: (1, 58),
}
WITH_PORTS: Final = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
# These find their own packet size: who fragments them means to hide something.
_NEVER_FRAGMENTED: Final = (Protocol.TCP, Protocol.SCTP)
_WHOLE: Final = term("nw_frag", 0)
_FIRST: Final = term("nw_frag", 1)
# Router and neighbour solicitation and advertisement, redirect (RFC 4861): without them no IPv6 at all.
NEIGHBOUR_DISCOVERY: Final = (133, 134, 135, 136, 137)
_SYN, _SYN_ACK = 0x002, 0x012


class Places:
    """Where packets from and to each subject of one bridge are seen.

    Egress is told by the port. Ingress is told by the MAC, and where subjects of different VLANs share
    one, by the VLAN too: the packet's own tag, or where it came untagged from an access port, that
    port's tag, which the place stage has written into our register.
    """

    def __init__(self, subjects: Iterable[Subject]) -> None:
        self._vlans: dict[str, set[int]] = {}
        for subject in subjects:
            if subject.mac:
                self._vlans.setdefault(subject.mac.lower(), set()).add(subject.vlan)

    def ambiguous(self, subject: Subject) -> bool:
        """Tell whether the MAC alone does not name the subject."""
        return len(self._vlans.get(subject.mac.lower(), ())) > 1

    def seen(self, subject: Subject, direction: Direction, unset: int) -> Iterator[Match]:
        """Give the matches that together are all its packets on which the register bits are `unset`."""
        if direction is Direction.EGRESS:
            if subject.ofport > 0:
                yield frozenset({term("in_port", subject.ofport), term(MARK, 0, unset)})
            return
        if not _MAC.fullmatch(subject.mac):
            return  # none, or something somebody wrote that is none: it costs this port its ingress rules
        mac = term("dl_dst", int(subject.mac.replace(":", ""), 16))
        if not self.ambiguous(subject):
            yield frozenset({mac, term(MARK, 0, unset)})
            return
        tag = subject.vlan | 0x1000 if subject.vlan else 0
        tagged, placed = term("vlan_tci", tag, 0x1FFF), term(MARK, tag << 16, unset | PLACED)
        if tag:
            yield frozenset({mac, tagged, term(MARK, 0, unset)})
            yield frozenset({mac, placed})
        else:
            yield frozenset({mac, tagged, placed})


def prefixes(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Cover the ports first..last with the fewest (value, mask) of 16 bits."""
    while first <= last:
        size = first & -first or _PORTS
        while size > last - first + 1:
            size >>= 1
        yield first, _PORTS - size
        first += size


def problem(action: Drop) -> str:
    """Say why a drop cannot be carried, or nothing."""
    first, last = action.first_port, action.last_port
    if (first or last) and action.protocol is Protocol.ICMP:
        return "ICMP has no ports"
    if not 0 <= first < _PORTS or not 0 <= last < _PORTS or (last and last < first):
        return f"{first}-{last} is no range of ports"
    return ""


def dropped(action: Drop) -> Iterator[tuple[int, Match]]:
    """Give each match of a drop and how much it says (0 to 31): what says more is looked at first.

    A bridge shows every fragment with ports 0 (its default; the first one too), so no fragment is
    taken for port 0, and for TCP and SCTP first fragments are dropped: they would pass every rule
    about ports. Fragmented UDP is common and is left alone.
    """
    first, last = action.first_port, action.last_port or action.first_port
    if action.protocol is Protocol.ANY and not last:
        yield 0, frozenset()
        return
    for protocol in WITH_PORTS if action.protocol is Protocol.ANY else (action.protocol,):
        for transport in transports(protocol):
            if not last:
                yield 1, transport
                continue
            for value, mask in prefixes(first, last):
                ports = transport | {term("tp_dst", value, mask)} if mask else transport
                yield 2 + mask.bit_count(), ports if value else ports | {_WHOLE}
            if protocol in _NEVER_FRAGMENTED:
                yield 31, transport | {term("tp_src", 0), term("tp_dst", 0), _FIRST}


def transports(protocol: Protocol) -> tuple[Match, Match]:
    """Match a transport protocol in IPv4 and in IPv6."""
    four, six = _NUMBERS[protocol]
    return frozenset({_IPV4, term("nw_proto", four)}), frozenset({_IPV6, term("nw_proto", six)})


def neighbour_discovery() -> Iterator[Match]:
    """Match what a port that may speak IPv6 but not ICMP must still be able to say."""
    _, six = transports(Protocol.ICMP)
    for kind in NEIGHBOUR_DISCOVERY:
        yield six | {term("icmp_type", kind)}


def attempts(port: int) -> Iterator[Match]:
    """Match a TCP connection's first packet to a port: SYN without ACK."""
    for transport in transports(Protocol.TCP):
        yield transport | {term("tp_dst", port), _flags(_SYN)}


def replies(port: int) -> Iterator[Match]:
    """Match the answer that accepts it: SYN and ACK from the port."""
    for transport in transports(Protocol.TCP):
        yield transport | {term("tp_src", port), _flags(_SYN_ACK)}


def _flags(value: int) -> Term:
    return term("tcp_flags", value, _SYN_ACK)

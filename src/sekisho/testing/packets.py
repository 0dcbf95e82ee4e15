"""A packet as a test thinks of it: the fields a switch matches, and the frame a network card sends."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

IPV4: Final = 0x0800
IPV6: Final = 0x86DD
ARP: Final = 0x0806
ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
SYN, ACK, SYN_ACK = 0x02, 0x10, 0x12
FIRST, LATER = 1, 3
_FRAGMENT_HEADER: Final = 44


@dataclass(frozen=True, slots=True)
class Packet:
    """One Ethernet frame. `vlan` is the id in its tag, 0 for none; `size` the transport's payload.

    `fragment` is 0, FIRST or LATER; `cut` bytes of the transport header are all that a fragment holds.
    """

    src: str
    dst: str
    eth_type: int = IPV4
    protocol: int = UDP
    src_port: int = 40000
    dst_port: int = 9
    flags: int = ACK
    icmp_type: int = 0
    vlan: int = 0
    fragment: int = 0
    cut: int = 0
    size: int = 64

    def fields(self) -> dict[str, int]:
        """Give what Open vSwitch reads of it (ovs-fields(7)); what it cannot read is 0.

        Of fragments, the first included, a bridge shows no ports while it handles them as it does by
        default (``frags=normal``, ovs-ofctl(8)).
        """
        found = {
            "dl_dst": int(self.dst.replace(":", ""), 16),
            "dl_src": int(self.src.replace(":", ""), 16),
            "vlan_tci": self.vlan | 0x1000 if self.vlan else 0,
            "eth_type": self.eth_type,
        }
        if self.eth_type not in (IPV4, IPV6):
            return found
        found |= {"nw_proto": self.protocol, "nw_frag": self.fragment}
        if self.fragment:
            return found
        if self.protocol in (ICMP, ICMPV6):
            return found | {"icmp_type": self.icmp_type}
        ports = {"tp_src": self.src_port, "tp_dst": self.dst_port}
        return found | ports | ({"tcp_flags": self.flags} if self.protocol == TCP else {})

    def frame(self) -> bytes:
        """Build the frame, checksums included."""
        tag = struct.pack("!HH", 0x8100, self.vlan) if self.vlan else b""
        head = _mac(self.dst) + _mac(self.src) + tag + struct.pack("!H", self.eth_type)
        match self.eth_type:
            case 0x0800:
                return head + self._ipv4()
            case 0x86DD:
                return head + self._ipv6()
            case _:
                return head + bytes(46)

    @property
    def length(self) -> int:
        """Bytes of the frame."""
        return len(self.frame())

    def _ipv4(self) -> bytes:
        payload = self._payload(_V4_PSEUDO)
        part = {0: 0, FIRST: 0x2000, LATER: 0x0002}[self.fragment]
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, part, 64, self.protocol, 0)
        header += _V4_PSEUDO
        return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + payload

    def _ipv6(self) -> bytes:
        payload, following = self._payload(_V6_PSEUDO), self.protocol
        if self.fragment:
            part = 1 if self.fragment == FIRST else 2 << 3
            payload = struct.pack("!BBHI", self.protocol, 0, part, 7) + payload
            following = _FRAGMENT_HEADER
        return struct.pack("!IHBB", 6 << 28, len(payload), following, 255) + _V6_PSEUDO + payload

    def _payload(self, addresses: bytes) -> bytes:
        if self.fragment == LATER:
            return bytes(self.size)
        data = b"sekisho " * (self.size // 8 + 1)
        whole = self._transport(addresses, data[: self.size])
        return whole[: self.cut] if self.cut else whole

    def _transport(self, addresses: bytes, data: bytes) -> bytes:
        ports = struct.pack("!HH", self.src_port, self.dst_port)
        match self.protocol:
            case 6:
                words = ports + struct.pack("!IIBBHHH", 1, 1, 0x50, self.flags, 8192, 0, 0) + data
                return _summed(words, 16, addresses, self.protocol)
            case 17:
                words = ports + struct.pack("!HH", 8 + len(data), 0) + data
                return _summed(words, 6, addresses, self.protocol)
            case 132:
                return ports + bytes(8) + data
            case 58:
                words = struct.pack("!BBHI", self.icmp_type, 0, 0, 0) + data
                return _summed(words, 2, addresses, self.protocol)
            case _:
                return _summed(struct.pack("!BBHI", self.icmp_type, 0, 0, 0) + data, 2, b"", 0)


_V4_PSEUDO: Final = ipaddress.IPv4Address("198.51.100.7").packed + ipaddress.IPv4Address("192.0.2.9").packed
_V6_PSEUDO: Final = ipaddress.IPv6Address("2001:db8::7").packed + ipaddress.IPv6Address("2001:db8::9").packed


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _summed(words: bytes, at: int, addresses: bytes, protocol: int) -> bytes:
    pseudo = addresses + struct.pack("!II", len(words), protocol) if addresses else b""
    return words[:at] + struct.pack("!H", _checksum(pseudo + words) or 0xFFFF) + words[at + 2 :]


def _checksum(words: bytes) -> int:
    """RFC 1071."""
    words += b"\0" * (len(words) % 2)
    total: int = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

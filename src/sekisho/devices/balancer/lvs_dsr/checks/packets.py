"""Packets that no socket of the kernel's would send: pure, fields in and bytes out, and back.

IPv4 RFC 791, IPv6 RFC 8200, TCP RFC 9293, ICMP RFC 792, ICMPv6 RFC 4443, SCTP RFC 9260, checksum RFC 1071.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

SYN, RST, ACK = 0x02, 0x04, 0x10
ECHO, REPLY, ECHO6, REPLY6 = 8, 0, 128, 129
INIT, INIT_ACK, ABORT = 1, 2, 6
SOLICIT, ADVERTISE = 135, 136
ICMP6: Final = socket.IPPROTO_ICMPV6
HOPS: Final = 64


@dataclass(frozen=True, slots=True)
class Heard:
    """What came in a frame: between whom, by which protocol, and the packet's own part."""

    source: str
    target: str
    protocol: int
    payload: bytes


def checksum(data: bytes) -> int:
    """Sum up as the Internet does."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(source: str, target: str, protocol: int, payload: bytes, hops: int = HOPS) -> bytes:
    """Wrap a payload into an IP packet of the addresses' family."""
    here, there = ip_address(source).packed, ip_address(target).packed
    if len(there) == 16:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + here + there + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, hops, protocol, 0) + here + there
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp(source: str, target: str, ports: tuple[int, int], number: int, flags: int) -> bytes:
    """Write a TCP segment without data; `number` is its sequence number."""
    size = struct.pack("!HHIIBBHHH", *ports, number, 0, 5 << 4, flags, 1024, 0, 0)
    return _summed(source, target, socket.IPPROTO_TCP, size, 16)


def echo(source: str, target: str, mark: int, number: int, size: int = 8) -> bytes:
    """Write an echo request of the addresses' family, with `size` bytes to give back."""
    six = ":" in target
    body = struct.pack("!BBHHH", ECHO6 if six else ECHO, 0, 0, mark, number) + b"sekisho!".ljust(size, b".")
    if six:
        return _summed(source, target, ICMP6, body, 2)
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def who_has(address: str, mac: bytes) -> bytes:
    """Ask by ARP who has an IPv4 address, without a word of one's own (a probe, RFC 5227)."""
    target = ip_address(address).packed
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + bytes(4) + bytes(6) + target


def solicit(source: str, address: str, mac: bytes) -> tuple[bytes, bytes]:
    """Ask by neighbour discovery (RFC 4861) who has an IPv6 address: the packet, and the MAC it goes to."""
    wanted = ip_address(address).packed
    group = str(ip_address(bytes.fromhex("ff0200000000000000000001ff") + wanted[-3:]))
    body = struct.pack("!BBHI", SOLICIT, 0, 0, 0) + wanted + b"\x01\x01" + mac
    message = _summed(source, group, ICMP6, body, 2)
    return ip(source, group, ICMP6, message, 255), b"\x33\x33\xff" + wanted[-3:]


def init(ports: tuple[int, int], tag: int) -> bytes:
    """Write an SCTP INIT."""
    chunk = struct.pack("!BBHIIHHI", INIT, 0, 20, tag, 65_535, 1, 1, tag)
    head = struct.pack("!HHII", *ports, 0, 0)
    return head[:8] + struct.pack("<I", crc32c(head + chunk)) + chunk


def crc32c(data: bytes) -> int:
    """Sum up as SCTP does (Castagnoli)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def heard(packet: bytes) -> Heard | None:
    """Read an IP packet; None for what is cut, broken or not IP, or in pieces."""
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        source, target = (str(ip_address(packet[at : at + 16])) for at in (8, 24))
        return Heard(source, target, packet[6], packet[40:])
    size = (packet[0] & 15) * 4 if packet else 0
    if size < 20 or len(packet) < size or packet[0] >> 4 != 4:
        return None
    source, target = (str(ip_address(packet[at : at + 4])) for at in (12, 16))
    return Heard(source, target, packet[9], packet[size:])


def _summed(source: str, target: str, protocol: int, body: bytes, at: int) -> bytes:
    """Fill in the checksum over the pseudo-header, which stands at `at`."""
    here, there = ip_address(source).packed, ip_address(target).packed
    layout = "!II" if len(there) == 16 else "!HH"
    pair = (len(body), protocol) if len(there) == 16 else (protocol, len(body))
    total = checksum(here + there + struct.pack(layout, *pair) + body)
    return body[:at] + struct.pack("!H", total) + body[at + 2 :]


def _row(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE: Final = tuple(_row(byte) for byte in range(256))

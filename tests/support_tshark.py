"""Wireshark's decoders as independent witnesses: datagrams in, their dissections as XML out."""

from __future__ import annotations

import shutil
import struct
import subprocess
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def present() -> bool:
    return shutil.which("tshark") is not None


def dissect(datagrams: Sequence[bytes], port: int, folder: Path) -> list[ET.Element]:
    """One <packet> per datagram sent to a UDP port (tshark -T pdml)."""
    capture = folder / "datagrams.pcap"
    capture.write_bytes(_pcap(datagrams, port))
    told = subprocess.run(["tshark", "-r", capture, "-T", "pdml"], capture_output=True, check=True)
    packets = ET.fromstring(told.stdout).findall("packet")  # noqa: S314 - of our own tshark
    assert len(packets) == len(datagrams)
    return packets


def values(element: ET.Element, name: str) -> list[str]:
    """What every field of that name shows, in order."""
    return [field.get("show", "") for field in element.iter("field") if field.get("name") == name]


def first(element: ET.Element, *names: str) -> str | None:
    """What the first field of the first name that is there shows."""
    for name in names:
        if found := values(element, name):
            return found[0]
    return None


def titled(element: ET.Element, beginning: str) -> Iterator[ET.Element]:
    """Subtrees whose heading begins so."""
    for field in element.iter("field"):
        if (field.get("showname") or field.get("show") or "").startswith(beginning):
            yield field


def malformed(packet: ET.Element) -> bool:
    return any(proto.get("name") == "_ws.malformed" for proto in packet.iter("proto"))


def _pcap(datagrams: Sequence[bytes], port: int) -> bytes:
    made = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)  # 101: raw IP
    for payload in datagrams:
        udp = struct.pack(">HHHH", 40000, port, 8 + len(payload), 0) + payload
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
        packet = head + bytes([192, 0, 2, 1, 192, 0, 2, 2]) + udp
        made += struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet
    return made

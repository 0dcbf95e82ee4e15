"""tshark and our decoders read the same NetFlow v9 and IPFIX: the same fields, record by record."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from sekisho.flows.wire.ipfix import Ipfix
from sekisho.flows.wire.netflow9 import Netflow9
from sekisho.tables import address_text
from support_templates import CAPTURES, VAR, Ear, a_set, captured, ipfix, template, v9, variable

if TYPE_CHECKING:
    from pathlib import Path

    from sekisho.tables import FlowBatch

pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark")

# What tshark calls a column, in order of preference as ours.
NAMES = {
    "in_if": ("inputint",),
    "out_if": ("outputint",),
    "point": ("observation_point_id",),
    "protocol": ("protocol",),
    "src_port": ("srcport",),
    "packets": ("packets",),
    "bytes": ("octets", "layer2_octet_delta_count"),
}


def flows(capture: Path) -> list[dict[str, Any]]:
    """Every data record that tshark finds, its fields without their prefix."""
    asked = ["tshark", "-n", "-r", str(capture), "-T", "json", "--no-duplicate-keys"]
    written = subprocess.run(asked, capture_output=True, check=True, text=True).stdout
    found: list[dict[str, Any]] = []
    for packet in json.loads(written):
        _collect(packet["_source"]["layers"].get("cflow", {}), found)
    return found


def _collect(node: Any, found: list[dict[str, Any]]) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            if name.startswith("Flow "):
                found += [
                    {k.removeprefix("cflow."): v for k, v in record.items()}
                    for record in (value if isinstance(value, list) else [value])
                ]
            else:
                _collect(value, found)


def as_tshark_says(record: dict[str, Any]) -> dict[str, Any]:
    """One record of tshark's in our columns."""
    row: dict[str, Any] = {
        column: next((int(_first(record[n])) for n in names if n in record), 0)
        for column, names in NAMES.items()
    }
    for end in ("src", "dst"):
        written = _first(record.get(f"{end}addr", record.get(f"{end}addrv6", "::")))
        row[end] = str(ip_address(written))  # tshark writes some IPv6 addresses as ::a.b.c.d
    kinds = ((record.get(f"icmp_{v}_type"), record.get(f"icmp_{v}_code")) for v in ("ipv4", "ipv6"))
    icmp = next(((int(k) << 8 | int(c)) for k, c in kinds if k is not None and c is not None), 0)
    row["dst_port"] = int(_first(record.get("dstport", icmp)))
    row["src_mac"], row["dst_mac"] = (
        int(_first(record.get(n, "0")).replace(":", ""), 16) for n in ("srcmac", "dstmac")
    )
    return row


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def as_we_say(batch: FlowBatch) -> list[dict[str, Any]]:
    columns = (*NAMES, "dst_port", "src_mac", "dst_mac")
    return [
        {name: int(getattr(batch, name)[i]) for name in columns}
        | {"src": address_text(int(batch.src_hi[i]), int(batch.src_lo[i]))}
        | {"dst": address_text(int(batch.dst_hi[i]), int(batch.dst_lo[i]))}
        for i in range(len(batch))
    ]


def in_any_order(rows: list[dict[str, Any]]) -> list[list[tuple[str, Any]]]:
    return sorted(sorted((k, str(v)) for k, v in row.items()) for row in rows)


def write(path: Path, datagrams: list[bytes], port: int) -> Path:
    """A raw-IP capture of UDP datagrams."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for datagram in datagrams:
            udp = struct.pack(">HHHH", 40000, port, 8 + len(datagram), 0) + datagram
            ends = b"\x7f\0\0\1" * 2
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ends
            file.write(struct.pack("<IIII", 1, 0, len(ip + udp), len(ip + udp)) + ip + udp)
    return path


def test_the_capture_of_open_vswitch() -> None:
    told = [as_tshark_says(r) for r in flows(CAPTURES / "ovs31-ipfix.pcap") if "flow_exporter" not in r]
    assert len(told) == 9
    assert in_any_order(as_we_say(Ear(Ipfix).hear(*captured("ovs31-ipfix.pcap")))) == in_any_order(told)


# Fields that both know, as (element, length, how a value of it is written).
COMMON = ((7, 2), (11, 2), (4, 1), (10, 4), (14, 4), (2, 8), (1, 8), (56, 6), (80, 6))
V4 = ((8, 4), (12, 4))
V6 = ((27, 16), (28, 16))


def made(rng: random.Random, *, names: bool) -> tuple[list[bytes], list[bytes]]:
    """Template records and the data sets that use them, in random orders of fields and numbers of records."""
    templates, sets = [], []
    for ident in range(256, 276):
        fields = [*COMMON, *(V6 if ident % 2 else V4)]
        if names:
            fields += [(82, VAR), (83, VAR)]
        rng.shuffle(fields)
        templates.append(template(ident, fields))
        for _ in range(3):
            records = b"".join(
                b"".join(_value(rng, length) for _, length in fields) for _ in range(rng.randrange(1, 5))
            )
            sets.append(a_set(ident, records + bytes(rng.randrange(4))))
    rng.shuffle(sets)
    return templates, sets


def _value(rng: random.Random, length: int) -> bytes:
    if length == VAR:
        # Printable: tshark writes what it shows as text.
        return variable(b"n" * rng.randrange(1, 300), long=rng.random() < 0.3)
    return rng.randbytes(length) if length != 8 else bytes(length - 5) + rng.randbytes(5)


@pytest.mark.parametrize("seed", range(3))
def test_made_ipfix_with_variable_length_names(tmp_path: Path, seed: int) -> None:
    templates, sets = made(random.Random(seed), names=True)
    messages = [ipfix(a_set(2, b"".join(templates[i : i + 5]))) for i in range(0, 20, 5)]
    messages += [ipfix(s) for s in sets if len(s) < 2000]
    told = [as_tshark_says(r) for r in flows(write(tmp_path / "c.pcap", messages, 4739))]
    assert len(told) > 100
    assert in_any_order(as_we_say(Ear(Ipfix).hear(*messages))) == in_any_order(told)


@pytest.mark.parametrize("seed", range(3))
def test_made_netflow9(tmp_path: Path, seed: int) -> None:
    templates, sets = made(random.Random(seed), names=False)
    messages = [v9(a_set(0, b"".join(templates)))] + [v9(*sets[i : i + 3]) for i in range(0, len(sets), 3)]
    told = [as_tshark_says(r) for r in flows(write(tmp_path / "c.pcap", messages, 2055))]
    assert len(told) > 100
    assert in_any_order(as_we_say(Ear(Netflow9).hear(*messages))) == in_any_order(told)

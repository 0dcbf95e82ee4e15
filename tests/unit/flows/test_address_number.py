"""Addresses as people write them are the numbers that Python's own parser makes of them."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from sekisho.flows.index import address_number
from sekisho.tables import V4_MAPPED

ODD = [
    *(
        "",
        "/",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "0x1.2.3.4",
        " 1.2.3.4",
        "1.2.3.4 ",
        "a.b.c.d",
    ),
    *("1.2.3.4%eth0", ":", "::", "::1", ":::", "1::2::3", "12345::", "g::", "::ffff:10.0.0.1", "::10.0.0.1"),
    *(
        "fe80::1%eth0",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7",
        "\x001.2.3.4",
        "\uff11.2.3.4",
        "é::1",
    ),
]


def told(text: str) -> int | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return int(address) if address.version == 6 else V4_MAPPED | int(address)


@pytest.mark.parametrize("text", ODD)
def test_what_is_odd_is_read_as_python_reads_it(text: str) -> None:
    assert address_number(text) == (None if text == "/" else told(text))


def test_every_address_is_its_number_with_or_without_a_prefix() -> None:
    rng = random.Random(2)
    for _ in range(500):
        six, four = IPv6Address(rng.getrandbits(128)), IPv4Address(rng.getrandbits(32))
        sparse = IPv6Address(rng.getrandbits(128) & rng.getrandbits(128) & rng.getrandbits(128))
        for address in (six, four, sparse):
            assert address_number(str(address)) == address_number(f"{address}/24") == told(str(address))
        assert address_number(six.exploded) == int(six)

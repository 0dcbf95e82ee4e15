from __future__ import annotations

import numpy as np

from sekisho.flows.wire.gather import Octets, field16, field32, field48, field64

SLAB = np.arange(64, dtype=np.uint8).reshape(4, 16)


def test_fields_at_any_offset_are_big_endian() -> None:
    octets = Octets(SLAB)
    at = np.array([0, 1, 17, 40])
    assert octets.u8(at).tolist() == [0, 1, 17, 40]
    assert octets.u16(at).tolist() == [0x0001, 0x0102, 0x1112, 0x2829]
    assert octets.u32(at).tolist() == [0x00010203, 0x01020304, 0x11121314, 0x28292A2B]
    assert octets.u64(at)[1] == 0x0102030405060708
    assert octets.words(at, 2)[2].tolist() == [0x11121314, 0x15161718]


def test_behind_the_end_of_the_slab_there_are_zeros() -> None:
    octets = Octets(SLAB)
    at = np.array([0, 60, 62, 64, 1000])
    assert octets.u32(at).tolist() == [0x00010203, 0x3C3D3E3F, 0x3E3F0000, 0, 0]
    assert octets.take(at, 40)[1].tolist() == [60, 61, 62, 63] + [0] * 36
    assert octets.take(np.array([3]), 200)[0].tolist() == [*range(3, 64)] + [0] * 139


def test_nothing_asked_nothing_read() -> None:
    none = np.zeros(0, np.int64)
    assert Octets(SLAB).take(none, 8).shape == (0, 8)
    assert Octets(SLAB).u32(none).tolist() == []


def test_fields_of_taken_structures() -> None:
    taken = Octets(SLAB).take(np.array([0, 16]), 16)
    assert field16(taken, 1).tolist() == [0x0102, 0x1112]
    assert field32(taken, 1).tolist() == [0x01020304, 0x11121314]
    assert field48(taken, 1).tolist() == [0x010203040506, 0x111213141516]
    assert field64(taken, 1)[0] == 0x0102030405060708

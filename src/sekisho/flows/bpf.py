"""Programs for the kernel's own machine (eBPF), instruction by instruction, and what they write to.

Only what `flows/ring.py` needs: no compiler and no library stands between. Source: Linux
Documentation/bpf/standardization/instruction-set.rst and <linux/bpf.h>.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from enum import IntEnum
from typing import Final

from sekisho import native

_MAP_CREATE, _PROG_LOAD, _MAP_GET_FD_BY_ID = 0, 5, 14  # commands of bpf(2)
_ATTRIBUTES: Final = 128  # octets that are given: fields behind those we know are zero
_SOCKET_FILTER: Final = 1  # BPF_PROG_TYPE_SOCKET_FILTER
_LOG: Final = 1 << 16
LICENSE: Final = b"Apache-2.0"


class Map(IntEnum):
    """Kinds of memory that programs and processes share."""

    ARRAY = 2
    RINGBUF = 27


MMAPABLE: Final = 1 << 10  # BPF_F_MMAPABLE: for an array that is mapped into memory


class Call(IntEnum):
    """Functions of the kernel that a program may call: result in R0, arguments in R1 to R5."""

    SKB_LOAD_BYTES = 26
    SKB_LOAD_BYTES_RELATIVE = 68
    RINGBUF_RESERVE = 131
    RINGBUF_SUBMIT = 132


R0, R1, R2, R3, R4, R5, R6, R7, R8, R9 = range(10)
BYTE, WORD = 0x10, 0x00  # widths


class Program:
    """Instructions in order; a jump names a label that stands further down."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, int, int, int, int]] = []
        self._jumps: list[tuple[int, str]] = []
        self._labels: dict[str, int] = {}

    def _add(self, code: int, to: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> None:
        self._steps.append((code, to, source, offset, value))

    def set(self, to: int, value: int) -> None:
        """Set a register to a number of 32 bits."""
        self._add(0xB7, to, value=value)

    def copy(self, to: int, source: int) -> None:
        """Set a register to another one."""
        self._add(0xBF, to, source)

    def add(self, to: int, value: int) -> None:
        """Add a number to a register."""
        self._add(0x07, to, value=value)

    def load(self, width: int, to: int, source: int, offset: int) -> None:
        """Read from where a register points."""
        self._add(0x61 | width, to, source, offset)

    def store(self, width: int, to: int, offset: int, source: int) -> None:
        """Write a register to where another one points."""
        self._add(0x63 | width, to, source, offset)

    def put(self, width: int, to: int, offset: int, value: int) -> None:
        """Write a number to where a register points."""
        self._add(0x62 | width, to, offset=offset, value=value)

    def count(self, to: int, source: int) -> None:
        """Add a register to the 64 bits another one points to, as one step."""
        self._add(0xDB, to, source)

    def map(self, to: int, descriptor: int) -> None:
        """Set a register to a map."""
        self._add(0x18, to, 1, value=descriptor)
        self._add(0)

    def value(self, to: int, descriptor: int) -> None:
        """Set a register to where the first value of an array lies."""
        self._add(0x18, to, 2, value=descriptor)
        self._add(0)

    def call(self, function: Call) -> None:
        """Call the kernel."""
        self._add(0x85, value=function)

    def jump(self, label: str) -> None:
        """Go on at a label."""
        self._jumps.append((len(self._steps), label))
        self._add(0x05)

    def jump_if_equal(self, register: int, value: int, label: str) -> None:
        """Go on at a label where a register is this number."""
        self._jumps.append((len(self._steps), label))
        self._add(0x15, register, value=value)

    def jump_if_at_most(self, register: int, value: int, label: str) -> None:
        """Go on at a label where a register, without sign, is no more than a number."""
        self._jumps.append((len(self._steps), label))
        self._add(0xB5, register, value=value)

    def label(self, name: str) -> None:
        """Name the place of the next instruction."""
        self._labels[name] = len(self._steps)

    def end(self) -> None:
        """Give R0 back."""
        self._add(0x95)

    def octets(self) -> bytes:
        """Assemble it."""
        steps = list(self._steps)
        for at, label in self._jumps:
            code, to, source, _, value = steps[at]
            steps[at] = code, to, source, self._labels[label] - at - 1, value
        little = sys.byteorder == "little"
        registers = [(to | source << 4) if little else (to << 4 | source) for _, to, source, _, _ in steps]
        return b"".join(
            struct.pack("=BBhi", code, both, offset, value)
            for (code, _, _, offset, value), both in zip(steps, registers, strict=True)
        )


def create(kind: Map, *, key: int = 0, value: int = 0, entries: int, flags: int = 0) -> int:
    """Make a map, and give its descriptor. Raises OSError."""
    return _call(_MAP_CREATE, struct.pack("=IIIII", kind, key, value, entries, flags))


def open_map(number: int) -> int:
    """Give a descriptor of a map by its number in the kernel. Raises OSError."""
    return _call(_MAP_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))


def load(program: Program) -> int:
    """Have the kernel check and take a program for sockets, and give its descriptor. Raises OSError.

    What the kernel has against it stands in the error: it is ours, and nobody's setting mends it.
    """
    octets = program.octets()
    steps = ctypes.create_string_buffer(octets, len(octets))
    name = ctypes.create_string_buffer(LICENSE)
    log = ctypes.create_string_buffer(_LOG)
    where = ctypes.addressof(steps), ctypes.addressof(name), ctypes.addressof(log)
    given = struct.pack("=IIQQIIQ", _SOCKET_FILTER, len(octets) // 8, where[0], where[1], 1, _LOG, where[2])
    try:
        return _call(_PROG_LOAD, given)
    except OSError as error:
        said = log.value.decode(errors="replace").strip().splitlines()
        raise OSError(
            error.errno, f"{os.strerror(error.errno or 0)}: {said[-1] if said else 'no reason'}"
        ) from error


def _call(command: int, given: bytes) -> int:
    if native.LIBRARY is None:
        raise OSError(38, "the compiled core is not there")
    attributes = ctypes.create_string_buffer(given, _ATTRIBUTES)
    told = int(native.LIBRARY.sk_bpf(command, ctypes.addressof(attributes), _ATTRIBUTES))
    if told < 0:
        raise OSError(-told, os.strerror(-told))
    return told

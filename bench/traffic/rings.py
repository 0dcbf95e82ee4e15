"""Rings that a receiver shares with the kernel (flows/ring.py), looked at from another process."""

from __future__ import annotations

import mmap
from contextlib import suppress
from pathlib import Path

import numpy as np

from sekisho.flows import bpf


class Watched:
    """A ring by the number that the kernel gave it. Raises OSError where it is not there, or not for us."""

    def __init__(self, number: int) -> None:
        descriptor = bpf.open_map(number)
        positions = [
            mmap.mmap(descriptor, mmap.PAGESIZE, prot=mmap.PROT_READ, offset=page * mmap.PAGESIZE)
            for page in range(2)
        ]
        self._consumed, self._produced = (np.frombuffer(page, np.uint64, 1) for page in positions)

    @property
    def waiting(self) -> int:
        """Octets that nobody has taken yet."""
        return int(self._produced[0]) - int(self._consumed[0])


def rings(pid: int) -> list[int]:
    """Name the rings that a process has."""
    found = []
    for file in Path(f"/proc/{pid}/fdinfo").glob("*"):
        with suppress(OSError):  # closed between two looks
            lines = dict(line.split(":\t", 1) for line in file.read_text().splitlines() if ":\t" in line)
            if lines.get("map_type") == str(int(bpf.Map.RINGBUF)):
                found.append(int(lines["map_id"]))
    return sorted(set(found))

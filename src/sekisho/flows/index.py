"""Subjects by what a flow record says of them: tables made once per inventory, asked in columns."""

from __future__ import annotations

import secrets
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.model.inventory import Inventory, Subject
    from sekisho.tables import I32, I64, U32, U64, Bool

NONE: Final = -1
AMBIGUOUS: Final = -2
_V4_MAPPED: Final = 0xFFFF_0000_0000
_WORD: Final = 0xFFFF_FFFF_FFFF_FFFF
# Of all hash tables: who sends what keys are made of must not be able to choose them.
_SALT: Final = secrets.randbits(63)
# Interfaces are numbered in 32 bits; what a host reports beyond them is no interface, and no reason to fall.
_NUMBERS: Final = 0xFFFF_FFFF
_UPPER: Final = np.uint64(32)
# Places that numbers between those in use may take beside them: some, and so many for each in use.
_SPARE, _SPARSE = 64, 16


class Table:
    """A map from 64-bit keys to rows; a key that two rows claim is AMBIGUOUS."""

    def __init__(self, keys: U64, rows: I32) -> None:
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], rows[order]
        first = np.flatnonzero(np.concatenate([np.ones(min(len(keys), 1), np.bool_), keys[1:] != keys[:-1]]))
        self._keys = keys[first]
        if len(first):
            least, most = np.minimum.reduceat(rows, first), np.maximum.reduceat(rows, first)
            self._rows = np.where(least == most, least, np.int32(AMBIGUOUS))
        else:
            self._rows = rows

    def structure(self) -> native.Structure:
        """Give a hash table of the same for the compiled core, never more than half full."""
        return hashed(self._keys, self._rows)

    def spans(self) -> native.Structure:
        """Give the same where the key is an upper number of few values and a lower one: numbered rows.

        All lower numbers between the least and the greatest of an upper one have a place, which is read
        without searching; where these are far more than there are keys, the hash table is asked.
        """
        upper, first, count = np.unique(self._keys >> _UPPER, return_index=True, return_counts=True)
        lower = (self._keys & np.uint64(_NUMBERS)).astype(np.int64)
        span = lower[first + count - 1] - lower[first] + 1
        span[span > _SPARE + _SPARSE * count] = 0
        begins, length, at = (np.zeros(int(upper.max(initial=0)) + 1, np.int64) for _ in range(3))
        length[upper], begins[upper] = np.where(span > 0, span, -1), lower[first]
        at[upper] = np.cumsum(span) - span
        rows = np.full(int(span.sum()), NONE, np.int32)
        numbered = np.repeat(span > 0, count)
        place = np.repeat(at[upper] - lower[first], count) + lower
        rows[place[numbered]] = self._rows[numbered]
        return native.Structure(begins, length, at, rows, len(length), self.structure())

    def find(self, keys: U64) -> I32:
        """Row of each key, NONE or AMBIGUOUS."""
        if not len(self._keys):
            return np.full(len(keys), NONE, np.int32)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[at] == keys, self._rows[at], np.int32(NONE))


def hashed(keys: U64, rows: I32) -> native.Structure:
    """Make a hash table of distinct keys, as native/resolve.c reads it; it is empty without the core."""
    places = 1 << max(2 * len(keys), 1).bit_length()
    found = native.Structure(np.zeros(places, np.uint64), np.full(places, NONE, np.int32), places - 1, _SALT)
    if native.LIBRARY is not None and len(keys):
        native.LIBRARY.sk_table_fill(found.address, keys.ctypes.data, rows.ctypes.data, len(keys))
    return found


class SubjectIndex:
    """Finds rows of Inventory.subjects. `host` arguments are rows of Inventory.hosts."""

    def __init__(self, inventory: Inventory) -> None:
        hosts = {host.name: row for row, host in enumerate(inventory.hosts)}
        self.bridges: Mapping[tuple[int, str], int] = _bridges(inventory, hosts)
        # A column for each thing that is asked by; this is done anew with each port that comes or goes.
        subjects = inventory.subjects
        host = np.array([hosts.get(s.host, -1) for s in subjects], np.int64)
        bridge = np.array(
            [self.bridges.get((h, s.bridge), -1) for h, s in zip(host.tolist(), subjects, strict=True)],
            np.int64,
        )
        ifindex, ofport = (
            np.array([min(max(n, 0), _NUMBERS + 1) for n in numbers], np.int64)
            for numbers in ([s.ifindex for s in subjects], [s.ofport for s in subjects])
        )
        self.mac = np.array([mac_number(s.mac) for s in subjects], np.uint64)
        self._by_ifindex = _table(host, 32, ifindex, (host >= 0) & (ifindex > 0) & (ifindex <= _NUMBERS))
        self._by_ofport = _table(bridge, 32, ofport, (bridge >= 0) & (ofport > 0) & (ofport <= _NUMBERS))
        self._by_mac = _table(host, 48, self.mac, (host >= 0) & (self.mac != 0))
        addresses = [(row, a) for row, s in enumerate(subjects) for a in _addresses(s)]
        row = np.array([row for row, _ in addresses], np.int32)
        self._ids = _AddressIds(
            np.array([a >> 64 for _, a in addresses], np.uint64),
            np.array([a & _WORD for _, a in addresses], np.uint64),
        )
        self._by_host_address = _table(host[row], 32, self._ids.given, host[row] >= 0, row)
        self._by_address = Table(self._ids.given.astype(np.uint64), row)

    def structure(self) -> native.Structure:
        """Give all of it to the compiled core."""
        tables = self._by_mac, self._by_host_address, self._by_address
        found = [table.structure() for table in tables]
        numbered = self._by_ifindex.spans(), self._by_ofport.spans()
        return native.Structure(*numbered, *found, *self._ids.structure(), self.mac, len(self.mac))

    def by_ifindex(self, host: I64, ifindex: U32) -> I32:
        """Find by the host's interface number; a host has each once."""
        return self._by_ifindex.find(_joined(host, ifindex))

    def by_ofport(self, bridge: I64, ofport: U32) -> I32:
        """Find by OpenFlow port; `bridge` are values of `bridges`, or -1."""
        found = self._by_ofport.find(_joined(np.maximum(bridge, 0), ofport))
        return np.where(bridge >= 0, found, np.int32(NONE))

    def by_mac(self, host: I64, mac: U64) -> I32:
        """Find by MAC address on one host."""
        found = self._by_mac.find(host.astype(np.uint64) << np.uint64(48) | mac)
        return np.where(mac != 0, found, np.int32(NONE))

    def by_host_address(self, host: I64, hi: U64, lo: U64) -> I32:
        """Find by IP address on one host; two networks may both have it: AMBIGUOUS."""
        ident = self._ids.find(hi, lo)
        found = self._by_host_address.find(_joined(host, np.maximum(ident, 0)))
        return np.where(ident >= 0, found, np.int32(NONE))

    def by_address(self, hi: U64, lo: U64) -> I32:
        """Find by IP address in the whole cloud."""
        ident = self._ids.find(hi, lo)
        found = self._by_address.find(np.maximum(ident, 0).astype(np.uint64))
        return np.where(ident >= 0, found, np.int32(NONE))


class _AddressIds:
    """Numbers for the addresses that subjects have, so that a (host, address) fits one key."""

    def __init__(self, hi: U64, lo: U64) -> None:
        order = np.lexsort((lo, hi))
        hi, lo = hi[order], lo[order]
        fresh = np.ones(len(hi), np.bool_)
        fresh[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
        self.given: I64 = np.zeros(len(hi), np.int64)  # the number of each that was told
        self.given[order] = np.cumsum(fresh) - 1
        self._hi, self._lo = hi[fresh], lo[fresh]
        # Upper halves are few: within one, addresses stand in order of their lower half.
        self._halves, self._first = np.unique(self._hi, return_index=True)
        self._behind = np.append(self._first[1:], len(self._hi))

    def structure(self) -> tuple[native.Structure, U64, U64]:
        """Give a hash table of the numbers by a mix of both halves, and the halves of each number."""
        key = _mixed(self._hi) ^ self._lo
        return hashed(key, np.arange(len(key), dtype=np.int32)), self._hi, self._lo

    def find(self, hi: U64, lo: U64) -> I64:
        """Give each address its number, -1 for one that nobody has."""
        found = np.full(len(hi), -1, np.int64)
        if not len(self._hi):
            return found
        half = np.minimum(np.searchsorted(self._halves, hi), len(self._halves) - 1)
        rows = np.nonzero(self._halves[half] == hi)[0]
        half = half[rows]
        at = self._search(self._first[half], self._behind[half], lo[rows])
        there = at < self._behind[half]
        there[there] = self._lo[at[there]] == lo[rows[there]]
        found[rows[there]] = at[there]
        return found

    def _search(self, first: I64, behind: I64, lo: U64) -> I64:
        """Find the first place in [first, behind) of each row that is not below lo, all rows in lockstep."""
        while (open_ := first < behind).any():
            middle = (first + behind) // 2
            below = open_ & (self._lo[np.minimum(middle, len(self._lo) - 1)] < lo)
            first = np.where(below, middle + 1, first)
            behind = np.where(open_ & ~below, middle, behind)
        return first


def _mixed(x: U64) -> U64:
    """splitmix64's finaliser, as the compiled core has it."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return x ^ (x >> np.uint64(31))


def mac_number(text: str) -> int:
    """48 bits of a MAC address as written with colons, 0 for anything else."""
    try:
        number = int(text.replace(":", ""), 16)
    except ValueError:
        return 0
    return number if 0 < number < 1 << 48 else 0


def address_number(text: str) -> int | None:
    """128 bits of an address, IPv4 mapped; a prefix length or a zone behind it is passed over."""
    alone = text.partition("/")[0]
    try:
        if ":" not in alone:
            return _V4_MAPPED | int.from_bytes(inet_pton(AF_INET, alone))
        return int.from_bytes(inet_pton(AF_INET6, alone.partition("%")[0]))
    except (OSError, ValueError):
        return None


def _addresses(subject: Subject) -> list[int]:
    return [number for text in subject.addresses if (number := address_number(text)) is not None]


def _bridges(inventory: Inventory, hosts: Mapping[str, int]) -> dict[tuple[int, str], int]:
    of_telemetry = {(row, t.bridge) for row, host in enumerate(inventory.hosts) for t in host.telemetry}
    of_subjects = {(hosts[s.host], s.bridge) for s in inventory.subjects if s.host in hosts}
    return {bridge: number for number, bridge in enumerate(sorted(of_telemetry | of_subjects))}


def _table(upper: I64, bits: int, lower: I64 | U64, there: Bool, rows: I32 | None = None) -> Table:
    """Make a table of two numbers each, where they are there; `rows` are all in order unless told."""
    keys = upper[there].astype(np.uint64) << np.uint64(bits) | lower[there].astype(np.uint64)
    return Table(keys, (np.arange(len(upper), dtype=np.int32) if rows is None else rows)[there])


def _joined(upper: I64, lower: U32 | I64) -> U64:
    return upper.astype(np.uint64) << np.uint64(32) | lower.astype(np.uint64)

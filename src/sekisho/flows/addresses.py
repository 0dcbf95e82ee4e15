"""Which addresses count as the internet: columns of addresses against lists of prefixes."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.model.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.tables import U64, Bool

# Private and special use (RFC 6890). The documentation and benchmark networks count as internet.
PRIVATE: Final = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
    *("::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8"),
)
_V4: Final = np.uint64(0xFFFF)
_WHOLLY, _LOOK = 1, 2  # inside all of it, or part of it
_LOW: Final = np.uint64(0xFFFF_FFFF)


class Inside:
    """Prefixes that are not the internet."""

    def __init__(self, prefixes: Sequence[str]) -> None:
        networks = [_network(prefix) for prefix in prefixes]
        self._first, self._last = _ranges([n for n in networks if isinstance(n, IPv4Network)])
        self._v6 = [_masked(n) for n in networks if isinstance(n, IPv6Network)]

    def structure(self) -> native.Structure:
        """Give the prefixes to the compiled core, and what the upper half of an IPv4 address tells alone."""
        starts = np.arange(1 << 16, dtype=np.uint64) << np.uint64(16)
        ends = starts | np.uint64(0xFFFF)
        upper = np.full(1 << 16, 0, np.uint8)
        for first, last in zip(self._first, self._last, strict=True):
            upper[(starts <= last) & (ends >= first)] = _LOOK
            upper[(starts >= first) & (ends <= last)] = _WHOLLY
        v6 = np.array(self._v6, np.uint64).reshape(-1, 4).T.copy()
        return native.Structure(self._first, self._last, len(self._first), *v6, v6.shape[1], upper)

    def internet(self, hi: U64, lo: U64) -> Bool:
        """Tell which addresses (IPv4 mapped) are in none of the prefixes."""
        is_v4 = (hi == 0) & (lo >> np.uint64(32) == _V4)
        outside = np.ones(len(hi), np.bool_)
        outside[is_v4] = self._outside_v4(lo[is_v4] & _LOW)
        if not is_v4.all():
            outside[~is_v4] = self._outside_v6(hi[~is_v4], lo[~is_v4])
        return outside

    def _outside_v4(self, address: U64) -> Bool:
        if not len(self._first):
            return np.ones(len(address), np.bool_)
        at = np.searchsorted(self._first, address, "right") - 1
        outside: Bool = (at < 0) | (address > self._last[at])
        return outside

    def _outside_v6(self, hi: U64, lo: U64) -> Bool:
        inside = np.zeros(len(hi), np.bool_)
        for prefix_hi, prefix_lo, mask_hi, mask_lo in self._v6:
            inside |= (hi & mask_hi == prefix_hi) & (lo & mask_lo == prefix_lo)
        return ~inside


def _network(prefix: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(prefix, strict=False)
    except ValueError as error:
        raise Malformed(
            f"{prefix!r} is no address prefix; write it as 192.0.2.0/24 or 2001:db8::/32."
        ) from error


def _ranges(networks: list[IPv4Network]) -> tuple[U64, U64]:
    """First and last addresses of disjoint ranges, in order."""
    ranges: list[tuple[int, int]] = []
    for first, last in sorted((int(n.network_address), int(n.broadcast_address)) for n in networks):
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], max(last, ranges[-1][1])
        else:
            ranges.append((first, last))
    return np.array([r[0] for r in ranges], np.uint64), np.array([r[1] for r in ranges], np.uint64)


def _masked(network: IPv6Network) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    words = [*_split(int(network.network_address)), *_split(int(network.netmask))]
    return words[0], words[1], words[2], words[3]


def _split(address: int) -> tuple[np.uint64, np.uint64]:
    return np.uint64(address >> 64), np.uint64(address & 0xFFFF_FFFF_FFFF_FFFF)

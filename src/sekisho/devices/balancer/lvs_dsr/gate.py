"""Who may ask a VIP's port: networks by service in, one nftables table of ours in the kernel out (nft(8)).

The table is replaced whole, in one transaction, and only when it changes; no other one is touched.
Both its chains are at "input", as IPVS is (at 98 and 99, net/netfilter/ipvs/ip_vs_core.c). The first stands
before it and keeps away who may not ask. The second stands after it, where nothing comes that IPVS has taken:
what is left over for a VIP would reach the director's own services.
"""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.lvs_dsr.services import PROTOCOLS
from sekisho.model.errors import Refused, SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sekisho.devices.balancer.lvs_dsr.services import Key

AFTER: Final = 110
TABLE: Final = "inet sekisho_director"
SECONDS: Final = 10.0
_NAMES: Final = {number: name.lower() for name, number in PROTOCOLS.items()}


class Nft:
    """Implements `roles.Gate`."""

    def __init__(
        self,
        run: Callable[[str], None] | None = None,
        *,
        there: bool | None = None,
        spared: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._run = run or _run
        self._spared = spared  # addresses that are the machine's own beside being VIPs
        self._there = bool(shutil.which("nft")) if there is None else there
        self._known = False  # an earlier run may have left a table
        self._stands: bool | None = None  # whether what was written last makes a table
        self.held: Mapping[Key, tuple[str, ...]] = {}
        self._closed: frozenset[str] = frozenset()
        self._left: frozenset[str] = frozenset()  # those where what is left over is refused

    def carry(self, allowed: Mapping[Key, tuple[str, ...]], vips: frozenset[str] = frozenset()) -> bool:
        """Let only these networks ask these services, and nobody else's; see `roles.Gate`."""
        if self._known and allowed == self.held and vips == self._closed:
            return False
        if not self._there and (allowed or vips):
            raise Unavailable("The director has no nft.", "nft is not installed: apt-get install nftables.")
        try:
            if self._there:
                self._write(allowed, vips - self._spared() if vips else vips)
        except SekishoError:
            if vips and (allowed != self.held or self._stands is None):
                self._write(allowed, self._left & vips)  # a kernel may have no reject, and have all else
                self._known = False
            if allowed or vips or self._known:
                raise
            # where there is no nftables in the kernel, no table of ours was left either
            self.held = dict(allowed)
        self._closed, self._known = vips, True
        return True

    def _write(self, allowed: Mapping[Key, tuple[str, ...]], left: frozenset[str]) -> None:
        text = ruleset(allowed, left)
        self._run(text)
        self.held, self._left, self._stands = dict(allowed), left, "chain" in text

    def missing(self) -> bool:
        """Tell whether somebody took our table away, as "flush ruleset" does; `carry` writes it again."""
        if not self._stands:
            return False
        try:
            self._run(f"list table {TABLE}\n")
        except Refused:
            self.held, self._left, self._known, self._stands = {}, frozenset(), False, None
            return True
        except SekishoError:
            return False  # nobody knows; it is asked again
        return False


def ruleset(allowed: Mapping[Key, tuple[str, ...]], vips: Collection[str] = ()) -> str:
    """Write what replaces our table; with nobody to keep away that is none."""
    lines = [f"table {TABLE}", f"delete table {TABLE}"]
    rules = [rule for key, cidrs in allowed.items() for rule in _rule(key, cidrs)]
    left = [rule for family in ("ip", "ip6") for rule in _left(family, vips)]
    if rules or left:
        lines += [f"table {TABLE} {{", *_chain("in", -10, rules), *_chain("left", AFTER, left), "}"]
    return "".join(f"{line}\n" for line in lines)


def _chain(name: str, priority: int, rules: Sequence[str]) -> tuple[str, ...]:
    head = f"  type filter hook input priority {priority}; policy accept;"
    return (f" chain {name} {{", head, *rules, " }") if rules else ()


def _left(family: str, vips: Collection[str]) -> Iterator[str]:
    """Refuse, as a closed port does, what IPVS left over: of ICMP nothing, which answers pings."""
    own = sorted(vip for vip in vips if (":" in vip) == (family == "ip6"))
    if own:
        icmp = "icmp" if family == "ip" else "ipv6-icmp"
        to = f"  {family} daddr {{ {', '.join(own)} }} meta l4proto"
        yield f"{to} tcp counter reject with tcp reset"
        yield f"{to} != {{ tcp, {icmp} }} counter reject"


def _rule(key: Key, cidrs: tuple[str, ...]) -> Iterator[str]:
    networks = [ip_network(each, strict=False) for each in cidrs]
    own = IPv6Network if ":" in key.address else IPv4Network
    found = sorted(collapse_addresses(n for n in networks if isinstance(n, own)))  # type: ignore[type-var] # alike
    if any(n.prefixlen == 0 for n in found):
        return  # everybody
    family = "ip6" if own is IPv6Network else "ip"
    service = f"  {family} daddr {key.address} {_NAMES[key.protocol]} dport {key.port}"
    others = f" {family} saddr != {{ {', '.join(map(str, found))} }}" if found else ""
    yield f"{service}{others} counter drop"


def _run(text: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            (shutil.which("nft") or "nft", "-f", "-"),
            input=text,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable("The director cannot say who may ask.", f"nft: {error}") from error
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise Refused("The director cannot say who may ask.", f"nft said {done.returncode}: {said}")

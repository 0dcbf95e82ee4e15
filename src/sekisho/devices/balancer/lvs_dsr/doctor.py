"""The classic faults of direct return, looked for on a director: balancers in, sentences out.

It asks what the health checks ask and what they cannot see: who else answers ARP for a VIP, whether members
take packets as large as ours, whether this kernel drops what clients send. Nothing is changed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from sekisho.devices.balancer.intent import plain, serving
from sekisho.devices.balancer.lvs_dsr.checks.claims import claims
from sekisho.devices.balancer.lvs_dsr.checks.neighbours import Neighbours
from sekisho.devices.balancer.lvs_dsr.checks.post import Post, source_for
from sekisho.devices.balancer.lvs_dsr.checks.ways import mtu, way
from sekisho.devices.balancer.lvs_dsr.kernel import WANTED
from sekisho.devices.balancer.lvs_dsr.provider import LvsProvider
from sekisho.model.balancer import Ailment, Protocol
from sekisho.model.errors import SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Sequence

    from sekisho.devices.balancer.lvs_dsr.checks.neighbours import Neighbour
    from sekisho.model.balancer import Balancer

PROC: Final = Path("/proc/sys")
AT_ONCE: Final = 64
# A packet may be lost, and a MAC may not be known yet.
TRIES: Final = 2
STRICT: Final = "1"
# Where clients may be: networks that nobody has (RFC 5737, RFC 3849) take the way of everybody else's.
CLIENTS: Final = "198.51.100.1"
HEADERS: Final = {4: 28, 6: 48}  # of IP and ICMP


@dataclass(frozen=True, slots=True)
class Site:
    """A director: its name, the link its VIPs are on ("" where somebody else holds them), who it is with.

    `partners` are addresses of the other directors, `links` networks (CIDRs) beside the VIPs' own that
    members may be in. `wait` is how long an answer may take, in seconds.
    """

    name: str
    link: str = ""
    partners: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    proc: Path = PROC
    wait: float = 1.0


class Served(NamedTuple):
    """A member as one VIP's port needs it."""

    balancer: str
    server: str
    vip: str
    port: int
    takes: Protocol


def examine(site: Site, balancers: Sequence[Balancer], *, active: bool) -> tuple[Ailment, ...]:
    """Look for every fault; `active` says that this director holds the VIPs.

    Takes about as many milliseconds as there are members, and twice `wait` for each 64 that do not answer.
    Raises Unavailable without CAP_NET_RAW.
    """
    provider = LvsProvider(site.links)
    problems = {b.id: provider.unsupported(b) for b in balancers}
    found = [Ailment(site.name, "", sentence) for sentence in _kernel(site)]
    found += [Ailment(site.name, b, sentence) for b, sentence in problems.items() if sentence]
    good = [b for b in balancers if b.enabled and not problems[b.id]]
    served = tuple(dict.fromkeys(s for b in good for s in _served(b)))
    found += asyncio.run(_Round(site).members(served))
    found += _vips(site, good, {s.server for s in served}, active=active)
    return tuple(dict.fromkeys(found))


def _served(balancer: Balancer) -> Iterator[Served]:
    for listener, pool in serving(balancer):
        for member in pool.members:
            if member.enabled:
                vip = plain(balancer.vip.address)
                yield Served(balancer.id, plain(member.address), vip, listener.port, listener.protocol)


# --- this kernel -----------------------------------------------------------------------------------


def _kernel(site: Site) -> Iterator[str]:
    for name, value in WANTED:
        if _read(site, name) != value:
            there = _read(site, name) or "not there"
            yield f"{name.replace('/', '.')} is {there}; the director needs {value}."
    back = way(CLIENTS)
    # what counts is the larger number of both (ip-sysctl.rst)
    filters = (_read(site, f"net/ipv4/conf/{name}/rp_filter") for name in ("all", site.link))
    if site.link and max(filters) == STRICT and (back is None or back.link != site.link):
        leads = f"by {back.link}" if back else "nowhere"
        yield (
            f"rp_filter is strict on {site.link} and the way back to clients leads {leads}: "
            f"their packets are dropped. Set net.ipv4.conf.{site.link}.rp_filter to 2."
        )


def _read(site: Site, name: str) -> str:
    try:
        return (site.proc / name).read_text().strip()
    except OSError:
        return ""


# --- who answers for the VIPs ----------------------------------------------------------------------


def _vips(
    site: Site, balancers: Sequence[Balancer], servers: Iterable[str], *, active: bool
) -> Iterator[Ailment]:
    """Say who answers for VIPs that should not, and for which nobody does."""
    if not site.link or not balancers:
        return
    owners = {plain(b.vip.address): b.id for b in balancers}
    for partner in site.partners:
        _nudge(partner)
    heard = claims(site.link, owners, site.wait)
    known = Neighbours(lambda: 0.0, every=-1.0)
    names = {n.mac: server for server in servers if (n := known.find(server))}
    partners = {n.mac for partner in site.partners if (n := known.find(partner))}
    for vip, macs in heard.items():
        for mac in macs:
            sentence = _claim(vip, mac, names, partners, active=active)
            if sentence:
                yield Ailment(site.name, owners[vip], sentence)
        holders = len(macs - names.keys())
        if not active and holders != 1:
            who = "More than one answers" if holders else "Nobody answers"
            yield Ailment(
                site.name, owners[vip], f"{who} for the VIP {vip}, which this director does not hold."
            )


def _nudge(address: str) -> str:
    """Let the kernel look for an address's MAC; gives the address it asks from, "" where it cannot ask."""
    try:
        return source_for(address)
    except OSError:
        return ""


def _claim(vip: str, mac: bytes, names: dict[bytes, str], partners: set[bytes], *, active: bool) -> str:
    asked = "neighbour discovery" if ":" in vip else "ARP"
    if mac in names:
        mend = (
            "take the VIP off its other interfaces"
            if ":" in vip
            else "set arp_ignore = 1 and arp_announce = 2 there"
        )
        return (
            f"Member {names[mac]} answers {asked} for the VIP {vip} and takes it from the director: {mend}."
        )
    if not active:
        return ""
    if mac in partners:
        return f"Another director holds the VIP {vip} too: they do not hear each other's VRRP."
    return f"{mac.hex(':')} answers {asked} for the VIP {vip}, and is no director of this pair."


# --- members ---------------------------------------------------------------------------------------


class _Round:
    """One look at all members; made and used on one asyncio loop."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def members(self, served: Sequence[Served]) -> list[Ailment]:
        """Ask each server what it is asked once, and for each VIP and port; raises Unavailable."""
        try:
            self._post = Post()
        except OSError as error:
            said = f"packet sockets: {error.strerror}; run it with CAP_NET_RAW."
            raise Unavailable("This director cannot ask its members.", said) from error
        self._neighbours = Neighbours(asyncio.get_running_loop().time)
        try:
            vips = {s.vip for s in served}
            servers = list(dict.fromkeys(s.server for s in served))
            answers = await asyncio.gather(*(self._server(server, vips) for server in servers))
            wrong = dict(zip(servers, answers, strict=True))
            deaf = await asyncio.gather(*(self._one(s) for s in served if not wrong[s.server][1]))
        finally:
            self._post.close()
        found = [
            Ailment(self._site.name, s.balancer, wrong[s.server][0]) for s in served if wrong[s.server][0]
        ]
        return found + [a for a in deaf if a is not None]

    async def _server(self, server: str, vips: Container[str]) -> tuple[str, bool]:
        """Say what is wrong with a server's link, and whether nothing more can be asked of it."""
        async with self._gate:
            there = way(server)
            if there is None or there.routed:
                return f"Member {server} is behind a router, but must be on the director's own link.", True
            neighbour = await self._find(server)
            if neighbour is None:
                return f"Member {server} does not answer on {there.link}: it is down, or elsewhere.", True
            if _nudge(server) in vips:
                return (
                    f"This director speaks to member {server} as a VIP: deprecate that (preferred_lft 0).",
                    True,
                )
            return await self._size(server, neighbour, there.link), False

    async def _find(self, server: str) -> Neighbour | None:
        for _ in range(TRIES * 10):
            _nudge(server)
            if neighbour := self._neighbours.find(server):
                return neighbour
            await asyncio.sleep(self._site.wait / 10)
        return None

    async def _size(self, server: str, neighbour: Neighbour, link: str) -> str:
        most = mtu(link)
        size = most - HEADERS[6 if ":" in server else 4]
        source = source_for(server)
        if await self._ask(lambda: self._post.echoes(neighbour, source, server)) is None:
            return ""  # who answers no echo may take any size
        if await self._ask(lambda: self._post.echoes(neighbour, source, server, size)) is None:
            return (
                f"Member {server} takes no packet of {most} bytes, which {link} here sends: "
                "give it and what is between the same MTU."
            )
        return ""

    async def _one(self, served: Served) -> Ailment | None:
        """Say whether a member hears a VIP and listens there."""
        async with self._gate:
            neighbour = self._neighbours.find(served.server)
            if neighbour is None:
                return None
            port = served.port if served.takes is Protocol.TCP else 0
            source = source_for(served.server)
            said = await self._ask(lambda: self._post.hears(neighbour, source, served.vip, port))
        if said == "":
            return None
        sentence = (
            f"Member {served.server} does not hear the VIP {served.vip}: put it on its loopback."
            if said is None
            else f"On member {served.server} {said}: is its service on another port, or on one address only?"
        )
        return Ailment(self._site.name, served.balancer, sentence)

    async def _ask(self, question: Callable[[], Awaitable[str]]) -> str | None:
        """Ask up to twice; None when nobody answers."""
        for _ in range(TRIES):
            try:
                async with asyncio.timeout(self._site.wait):
                    return await question()
            except TimeoutError:
                continue
            except (OSError, SekishoError) as error:
                return str(error)
        return None

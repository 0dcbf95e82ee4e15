"""Which devices carry load balancers, and on which of them each goes."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from math import inf
from typing import Any, Final, Literal

from sekisho.devices.balancer.adx.provider import Adx
from sekisho.devices.balancer.driver import Provider
from sekisho.devices.balancer.lvs_dsr.provider import LvsProvider
from sekisho.model.balancer import Balancer
from sekisho.model.errors import Malformed, NotFound, Unsupported

# Octavia's users wait for the end of every change, and can do nothing to a load balancer meanwhile.
LONGEST: Final = 60.0


@dataclass(frozen=True, slots=True)
class PairSettings:
    """Devices that carry the same balancers, one in the place of the other.

    For `lvs` the `directors` are the hosts of their tokens. For `adx` the `driver` is made with `options` and
    the password in `password_file`. `zones` are availability zones that are served; none named is no zone.
    `links` are networks (CIDRs) beside the VIPs' own for members of `lvs`, as in `director.links`.
    """

    provider: Literal["lvs", "adx"] = "lvs"
    directors: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    driver: str = "adx"
    options: Mapping[str, Any] = field(default_factory=dict)
    password_file: str = ""
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BalancersSettings:
    """Load balancers; times in seconds.

    After `patience`, 60 at most, what no device has carried is told as an error; after `silent` a director
    that reports nothing counts no more. `statistics` is between two tellings of totals, `look` (less than
    `silent`) between two looks at a device's health and two tries after it failed, `drift` between two looks
    for what others changed on it (0 never looks); `repair` carries anew what they changed.
    """

    patience: float = 30.0
    silent: float = 30.0
    statistics: float = 10.0
    look: float = 10.0
    drift: float = 300.0
    repair: bool = False
    pairs: Mapping[str, PairSettings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = tuple(_problems(self))
        if problems:
            raise Malformed("The settings of load balancers are not right.", problems=problems)


def _problems(settings: BalancersSettings) -> Iterator[str]:
    times = {n: getattr(settings, n) for n in ("patience", "silent", "statistics", "look", "drift")}
    yield from (f"balancers.{said}" for said in odd_times(times, or_never=("drift",)))
    if LONGEST < settings.patience < inf:
        yield f"balancers.patience: {settings.patience} is too long; write {LONGEST:.0f} at most."
    if settings.look >= settings.silent and any(p.provider != "lvs" for p in settings.pairs.values()):
        yield f"balancers.look: {settings.look} is too long; write less than `silent`, {settings.silent}."
    owners: dict[str, str] = {}
    for name, pair in settings.pairs.items():
        yield from _odd_links(name, pair)
        if pair.provider == "lvs" and not pair.directors:
            yield f"balancers.pairs.{name}.directors: name the directors, a pair of them or one."
        for director in pair.directors:
            if director in owners:
                yield f"balancers.pairs.{name}.directors: {director} is in {owners[director]} already."
            owners[director] = name


def odd_times(times: Mapping[str, float], or_never: Container[str] = ()) -> Iterator[str]:
    """Say which are no numbers of seconds; 0 is one for what is done `or_never`."""
    for name, seconds in times.items():
        if not (0 < seconds < inf or (seconds == 0 and name in or_never)):
            least = "0 or more" if name in or_never else "more than 0"
            yield f"{name}: {seconds} is no number of seconds; write {least}."


def _odd_links(name: str, pair: PairSettings) -> Iterator[str]:
    for link in pair.links:
        if not is_network(link):
            yield f"balancers.pairs.{name}.links: {link!r} is no network; write it like 10.2.0.0/24."


def is_network(text: str) -> bool:
    """Tell whether it is a network as settings write one (CIDR)."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def need_able(pair: PairSettings | None, balancer: Balancer, before: Balancer | None) -> None:
    """Raise Unsupported for what a kind of device cannot carry; what it had before may be changed on."""
    room: Provider = Adx() if balancer.provider == "adx" else LvsProvider(pair.links if pair else ())
    sentence = room.unsupported(balancer)
    if sentence and (before is None or room.unsupported(before) != sentence):
        raise Unsupported(sentence)


def devices(settings: BalancersSettings, pair: str) -> tuple[str, ...]:
    """Name the devices of a pair; one that is driven as a whole goes by the pair's name."""
    found = settings.pairs.get(pair)
    if found is None:
        return ()
    return found.directors if found.provider == "lvs" else (pair,)


def pair_of(settings: BalancersSettings, director: str) -> str:
    """Find the pair that a director is in; raises NotFound."""
    for name, pair in settings.pairs.items():
        if director in pair.directors and pair.provider == "lvs":
            return name
    raise NotFound(
        f"There is no director {director!r}.",
        f"The director {director!r} is in no pair of keeper.balancers.pairs: name it there.",
    )


def place(settings: BalancersSettings, balancer: Balancer) -> str:
    """Choose the pair for a new balancer: its flavor's, else its zone's, else the first without a zone."""
    own = {n: p for n, p in settings.pairs.items() if p.provider == balancer.provider}
    wanted = balancer.flavor.get("pair", "")
    if wanted:
        return _named(own, wanted, balancer)
    if balancer.zone:
        found = [n for n, p in own.items() if balancer.zone in p.zones]
        where = f"in the zone {balancer.zone}"
    else:
        found = [n for n, p in own.items() if not p.zones] or list(own)
        where = "here"
    if not found:
        raise Unsupported(
            f"The provider {balancer.provider} has no devices {where}: choose another zone or provider.",
            f"No pair of keeper.balancers.pairs is of {balancer.provider} and in the zone {balancer.zone!r}.",
        )
    return found[0]


def _named(own: Mapping[str, PairSettings], wanted: str, balancer: Balancer) -> str:
    if wanted not in own:
        raise Unsupported(
            f"The flavor asks for {wanted!r}, which {balancer.provider} does not have: choose another.",
            f"keeper.balancers.pairs has no {wanted!r} of provider {balancer.provider}; a flavor names it.",
        )
    if balancer.zone and balancer.zone not in own[wanted].zones:
        raise Unsupported(
            f"The flavor's pair {wanted!r} is not in the zone {balancer.zone!r}: choose another of the two.",
            f"keeper.balancers.pairs.{wanted}.zones does not have {balancer.zone!r}.",
        )
    return wanted

"""Which VLANs the cloud wants on which hosts, and where those hosts are on switches; kept in the ledger.

What a host wants is told whole, so that a word that was lost is mended by the next one.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from sekisho.devices.switch.attach import Demand, Places, channels, outside, overlay, places
from sekisho.devices.switch.belief import Beside, Vpcs, believed, given, vpcs
from sekisho.model.attachment import Attachment, HostVlan, HostVlans, Place
from sekisho.model.errors import Malformed
from sekisho.model.plain import from_plain, to_plain

if TYPE_CHECKING:
    from sekisho.devices.switch.document import Switch
    from sekisho.devices.switch.driver import Neighbour, SwitchDriver
    from sekisho.devices.switch.intent import Intent, Part
    from sekisho.model.access import Principal

log = logging.getLogger("sekisho.attachments")

_INDEX: Final = "vlans"


class Memory(Protocol):
    """Small values that survive a restart; the ledger is one."""

    def remember(self, name: str, value: str) -> None:
        """Keep a value."""
        ...

    def recall(self, name: str) -> str:
        """Read it, empty if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """Where hosts were last seen on a switch, its ports that may still carry what left, and its vPCs."""

    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    former: tuple[str, ...] = ()
    vpcs: Mapping[str, int] = field(default_factory=dict)


class Attachments:
    """Implements `api.attachments.Attachments`; thread-safe.

    `changed` hears which switches have news; `fares` tells whether a switch carries what is wanted, and what
    is wrong with it.
    """

    def __init__(
        self,
        memory: Memory,
        switches: Callable[[], Mapping[str, Switch]],
    ) -> None:
        self._memory = memory
        self._switches = switches
        self._lock = threading.RLock()
        self._known: dict[str, Known] = {}
        self._contested: dict[str, tuple[str, ...]] = {}
        self.changed: Callable[[Iterable[str]], None] = lambda _: None
        self.fares: Callable[[str], tuple[bool, str]] = lambda _: (False, "")
        hosts = json.loads(memory.recall(_INDEX) or "[]")
        self._wanted = {h: _read(memory.recall(_of(h))) for h in hosts}

    # --- what the cloud says ----------------------------------------------------------------------

    def put(self, who: Principal, host: str, wanted: HostVlans) -> None:
        """Take all that a host wants; what it does not name, it does not want. Raises Malformed."""
        problems = tuple(_problems(wanted))
        if problems:
            raise Malformed("The request is not what was asked for.", problems=problems)
        found = tuple(sorted(wanted.vlans, key=lambda v: v.id))
        with self._lock:
            if found == self._wanted.get(host, ()):
                return
            self._keep(host, found)
            concerned = self._concerned(host)
        log.info("%s wants %d VLANs on host %s", who.name, len(found), host)
        self.changed(concerned)

    def _keep(self, host: str, wanted: tuple[HostVlan, ...]) -> None:
        # First what it wants, then that there is one: a host without VLANs is none that anybody asks for.
        self._memory.remember(_of(host), json.dumps(to_plain(wanted)) if wanted else "")
        after = {h: v for h, v in {**self._wanted, host: wanted}.items() if v}
        if after.keys() != self._wanted.keys():
            self._memory.remember(_INDEX, json.dumps(sorted(after)))
        self._wanted = after

    def _concerned(self, host: str) -> list[str]:
        """Name the switches that have a host, or may have it, and the others of their pairs."""
        there = self._switches()
        may = {n for n, s in there.items() if s.attach.lldp or host in self._places(s)}
        may |= {there[n].peer for n in may if there[n].peer in there}
        return sorted(n for n in may if there[n].attach.vlans)

    def attachments(self) -> tuple[Attachment, ...]:
        """List the hosts that want VLANs, and how they fare."""
        with self._lock:
            return tuple(self._attachment(host) for host in sorted(self._wanted))

    def attachment(self, host: str) -> Attachment:
        """Tell of one host; one that nobody spoke of wants nothing."""
        with self._lock:
            return self._attachment(host)

    def _attachment(self, host: str) -> Attachment:
        wanted = self._wanted.get(host, ())
        found = []
        for name, switch in sorted(self._switches().items()):
            demand = self.demand(switch)
            if host in demand.places or host in demand.beside:
                left = outside(switch.attach, wanted)
                carried, problem = self.fares(name)
                if left and not problem:
                    problem = f"VLANs {left} are not the cloud's on {name}: attach.vlans in its file."
                found.append(Place(name, demand.places.get(host, ()), carried and not left, problem))
        return Attachment(host, wanted, tuple(found))

    # --- what it means for a switch ---------------------------------------------------------------

    def demand(self, switch: Switch) -> Demand:
        """Say what the cloud wants of a switch."""
        with self._lock:
            if not switch.attach.vlans:
                return Demand()
            here = self._here(switch)
            other = self._switches().get(switch.peer) if switch.peer else None
            beside = self._here(other).keys() - here.keys() if other is not None else ()
            former = set(self._of(switch.name).former) - {p for ports in here.values() for p in ports}
            return Demand(dict(self._wanted), here, frozenset(beside), frozenset(former))

    def overlay(self, switch: Switch, intent: Intent, driver: SwitchDriver) -> Intent:
        """Lay what the cloud wants over what a switch's file says."""
        del driver
        return overlay(intent, switch.attach, self.demand(switch))

    def _here(self, switch: Switch) -> Places:
        """Give the places of hosts that want something, or that the file names."""
        return {
            h: p for h, p in self._places(switch).items() if h in self._wanted or h in switch.attach.hosts
        }

    def _places(self, switch: Switch) -> Places:
        known = self._of(switch.name).places if switch.attach.lldp else {}
        named = self._named() if known else frozenset()
        return {**{h: p for h, p in known.items() if h not in named}, **switch.attach.hosts}

    def _of(self, switch: str) -> Known:
        if switch not in self._known:
            kept = self._memory.recall(f"places:{switch}")
            self._known[switch] = from_plain(Known, json.loads(kept)) if kept else Known()
        return self._known[switch]

    # --- what switches say ------------------------------------------------------------------------

    def learn(self, switch: Switch, neighbours: Iterable[Neighbour], parts: Iterable[Part]) -> None:
        """Take down whom a switch hears; who is silent for a while is still where it was heard last."""
        with self._lock:
            parts = tuple(parts)
            known, own = self._of(switch.name), vpcs(parts)
            beside = self._beside(switch, own)
            found, contested = believed(places(switch.attach, neighbours, channels(parts)), beside)
            self._contested[switch.name] = tuple(sorted(contested & self._wanted.keys()))
            heard = {**found, **switch.attach.hosts}
            # Whom files name is where they say, whatever was heard before they did.
            now = {h: p for h, p in {**known.places, **found}.items() if h not in beside.named}
            taken = {p for ports in heard.values() for p in ports} | set(beside.given)
            # Somebody else at its port: whoever was there has moved, though nobody heard where to.
            now = {h: p for h, p in now.items() if h in heard or not taken & set(p)}
            used = {
                p for h, ports in {**now, **switch.attach.hosts}.items() if h in self._wanted for p in ports
            }
            self._know(switch.name, Known(now, tuple(sorted({*known.former, *used})), own))

    def _beside(self, switch: Switch, own: Vpcs) -> Beside:
        """Tell what is known beyond what a switch hears."""
        there = self._switches()
        pair = there.get(switch.peer) if switch.peer else None
        pairs = {**vpcs(pair.intent.parts.values()), **self._of(pair.name).vpcs} if pair is not None else {}
        theirs = {p for ports in (pair.attach.hosts.values() if pair is not None else ()) for p in ports}
        others = [s for n, s in there.items() if n not in (switch.name, switch.peer) and s.attach.lldp]
        paired = self._of(pair.name).places if pair is not None and pair.attach.lldp else {}
        return Beside(
            self._of(switch.name).places,
            self._named(),
            {*(p for ports in switch.attach.hosts.values() for p in ports), *given(own, pairs, theirs)},
            self._wanted.keys(),
            frozenset(h for s in others for h in self._of(s.name).places),
            {h: frozenset(pairs[p] for p in ports if p in pairs) for h, ports in paired.items()},
            own,
        )

    def _named(self) -> frozenset[str]:
        return frozenset(h for s in self._switches().values() for h in s.attach.hosts)

    def contested(self) -> Mapping[str, tuple[str, ...]]:
        """Name by switch the hosts that are heard where they cannot be, too."""
        with self._lock:
            return {n: hosts for n, hosts in self._contested.items() if hosts}

    def cleared(self, switch: Switch, demand: Demand) -> None:
        """Take down that a switch carries a demand, so that ports without hosts are forgotten."""
        with self._lock:
            known = self._of(switch.name)
            used = {p for ports in demand.places.values() for p in ports}
            left = (set(known.former) - demand.former) | used
            self._know(switch.name, replace(known, former=tuple(sorted(left))))

    def _know(self, switch: str, known: Known) -> None:
        if known != self._of(switch):
            self._memory.remember(f"places:{switch}", json.dumps(to_plain(known)))
            self._known[switch] = known

    def lost(self) -> tuple[str, ...]:
        """Name the hosts that want VLANs and are on no switch, if there are switches for the cloud."""
        with self._lock:
            there = [s for s in self._switches().values() if s.attach.vlans]
            found = {h for s in there for h in self._places(s)}
            return tuple(sorted(self._wanted.keys() - found)) if there else ()


def _of(host: str) -> str:
    return f"vlans:{host}"


def _read(kept: str) -> tuple[HostVlan, ...]:
    return from_plain(tuple[HostVlan, ...], json.loads(kept or "[]"))


def _problems(wanted: HostVlans) -> Iterator[str]:
    seen: set[int] = set()
    for i, vlan in enumerate(wanted.vlans):
        if not 1 <= vlan.id <= 4094:
            yield f"vlans[{i}].id: VLAN ids are 1 to 4094."
        if vlan.id in seen:
            yield f"vlans[{i}].id: {vlan.id} is named twice."
        seen.add(vlan.id)

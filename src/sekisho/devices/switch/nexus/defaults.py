"""What a part is on a Nexus where nobody has said anything: the start of reading and the end of removing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import Acl, Lacp, Port, PortMode, Route, Storm, Svi, Syslog, Vlan, Vpc
from sekisho.devices.switch.nexus import names
from sekisho.devices.switch.overlay import MIRRORED

if TYPE_CHECKING:
    from sekisho.devices.switch.driver import Step

OPEN: Final = 10000  # hundredths of a per cent: storm control is off
ROLE_PRIORITY: Final = 32667
MTU: Final = 1500
LISTS: Final = ("acl4_in", "acl4_out", "acl6_in", "acl6_out")
STORM: Final = Storm(OPEN, OPEN, OPEN)


def port(name: str) -> Port:
    """Give an interface as it is after ``default interface``; a port-channel as it is when just made."""
    channel = names.is_channel(name)
    return Port(
        name,
        description="",
        enabled=True,
        mtu=MTU,
        speed=0,
        mode=PortMode.ACCESS,
        access=1,
        native=1,
        allowed=vlans.ALL,
        edge=False,
        bpdu_guard=False,
        storm=STORM,
        acl4_in="",
        acl4_out="",
        acl6_in="",
        acl6_out="",
        members=() if channel else None,
        lacp=Lacp.ON if channel else None,
        vpc=0 if channel else None,
        peer_link=False if channel else None,
        channel=None if channel else "",
    )


def svi(vlan: int) -> Svi:
    """Give a VLAN's interface as it is when just made."""
    return Svi(vlan, "", enabled=False, mtu=MTU, vrf=names.DEFAULT_VRF, addresses=(), **_no_lists())


def _no_lists() -> dict[str, Any]:
    return dict.fromkeys(LISTS, "")


def vlan(number: int) -> Vlan:
    """Give a VLAN as it is when just made."""
    return Vlan(number, names.default_vlan_name(number), 0)


def vpc(domain: int) -> Vpc:
    """Give a vPC domain as it is when just made."""
    return Vpc(domain, "", "", "management", ROLE_PRIORITY, peer_gateway=False)


def syslog(address: str) -> Syslog:
    """Give a syslog server as it is when just named."""
    return Syslog(address, names.DEFAULT_VRF, 5, 514)


def _filled(given: Port | Svi, blank: Port | Svi) -> dict[str, Any]:
    return {
        f.name: getattr(blank if getattr(given, f.name) is None else given, f.name)
        for f in dataclasses.fields(given)
    }


def bare(given: Port) -> Port:
    """Take from a routed port what only switched ports have; NX-OS drops it with ``no switchport``."""
    return dataclasses.replace(
        given, access=1, native=1, allowed=vlans.ALL, edge=False, bpdu_guard=False, storm=STORM
    )


def port_step(step: Step) -> tuple[Port, Port]:
    """Give a port's way with both ends: what has to be sent is where they differ.

    A field that is None in the first is not known and is said whatever it should be; a physical interface
    that goes is one that is default again. A member of a port-channel says only what is its own.
    """
    before, after = step.before, step.after
    some = after or before
    if not isinstance(some, Port):  # pragma: no cover - a caller's mistake
        raise TypeError(some)
    blank = port(some.name)
    old = before if isinstance(before, Port) else blank
    lists: dict[str, Any] = {name: getattr(old, name) or "" for name in LISTS}
    old = dataclasses.replace(old, **lists)
    new = Port(**_filled(after, old)) if isinstance(after, Port) else blank
    new = bare(new) if new.mode is PortMode.ROUTED else new
    return old, _own(old, new) if new.channel else new


def _own(old: Port, new: Port) -> Port:
    kept: dict[str, Any] = {"description": new.description, "enabled": new.enabled, "channel": new.channel}
    gone: dict[str, Any] = {} if old.channel else dict.fromkeys(LISTS, "")  # a member has the channel's lists
    return dataclasses.replace(old, **kept, **gone)


def layered(before: Port, after: Port) -> bool:
    """Tell whether a port must be told that it is switched, or routed."""
    return before.mode is not after.mode and (PortMode.ROUTED in (before.mode, after.mode) or not before.mode)


def unknown(given: Port) -> Port:
    """Forget what a port is as a switched one: nobody says what a switch keeps of that while it is routed."""
    return dataclasses.replace(
        given, mode=None, access=None, native=None, allowed=None, edge=None, bpdu_guard=None, storm=None
    )


def mirrored(member: Port, channel: Port) -> Port:
    """Give a member with what it has from its port-channel."""
    return dataclasses.replace(member, **{name: getattr(channel, name) for name in MIRRORED})


def svi_step(step: Step) -> tuple[Svi, Svi]:
    """Give the way of a VLAN's interface with both ends whole."""
    before, after = step.before, step.after
    some = after or before
    if not isinstance(some, Svi):  # pragma: no cover - a caller's mistake
        raise TypeError(some)
    blank = svi(some.vlan)
    old = Svi(**_filled(before, blank)) if isinstance(before, Svi) else blank
    return old, Svi(**_filled(after, old)) if isinstance(after, Svi) else blank


def entries(acl: Acl | None) -> dict[int, object]:
    """List an access list's lines by their numbers."""
    return {ace.sequence: ace for ace in (acl.entries or ())} if acl else {}


def hops(route: Route | None) -> tuple[tuple[str, int], ...]:
    """List a route's next hops with their preference."""
    return tuple((hop, route.preference or 1) for hop in (route.via or ())) if route else ()

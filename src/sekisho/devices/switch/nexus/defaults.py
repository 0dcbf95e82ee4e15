"""What a part is on a Nexus where nobody has said anything: the start of reading and the end of removing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import Acl, Lacp, Port, PortMode, Route, Storm, Svi, Syslog, Vlan, Vpc
from sekisho.devices.switch.nexus import names

if TYPE_CHECKING:
    from sekisho.devices.switch.driver import Step

OPEN: Final = 10000  # hundredths of a per cent: storm control is off
ROLE_PRIORITY: Final = 32667
MTU: Final = 1500
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
    return dict.fromkeys(("acl4_in", "acl4_out", "acl6_in", "acl6_out"), "")


def vlan(number: int) -> Vlan:
    """Give a VLAN as it is when just made."""
    return Vlan(number, names.default_vlan_name(number), 0)


def vpc(domain: int) -> Vpc:
    """Give a vPC domain as it is when just made."""
    return Vpc(domain, "", "", "management", ROLE_PRIORITY, peer_gateway=False)


def syslog(address: str) -> Syslog:
    """Give a syslog server as it is when just named."""
    return Syslog(address, names.DEFAULT_VRF, 5, 514)


def whole(name: str, given: Port | None) -> Port:
    """Fill what a port leaves open with what the switch would have there."""
    blank = port(name)
    if given is None:
        return blank
    fields = {
        f.name: getattr(blank, f.name) if getattr(given, f.name) is None else getattr(given, f.name)
        for f in dataclasses.fields(Port)
    }
    return bare(Port(**fields)) if fields["mode"] is PortMode.ROUTED else Port(**fields)


def bare(given: Port) -> Port:
    """Take from a routed port what only switched ports have; NX-OS drops it with ``no switchport``."""
    return dataclasses.replace(
        given, access=1, native=1, allowed=vlans.ALL, edge=False, bpdu_guard=False, storm=STORM
    )


def whole_svi(number: int, given: Svi | None) -> Svi:
    """Fill what a VLAN's interface leaves open with what the switch would have there."""
    blank = svi(number)
    if given is None:
        return blank
    return Svi(
        **{
            f.name: getattr(blank, f.name) if getattr(given, f.name) is None else getattr(given, f.name)
            for f in dataclasses.fields(Svi)
        }
    )


def port_step(step: Step) -> tuple[Port, Port]:
    """Give a port's way with both ends whole; a physical interface that goes is one that is default again."""
    before, after = step.before, step.after
    some = after or before
    if not isinstance(some, Port):  # pragma: no cover - a caller's mistake
        raise TypeError(some)
    return (
        whole(some.name, before if isinstance(before, Port) else None),
        whole(some.name, after if isinstance(after, Port) else None),
    )


def entries(acl: Acl | None) -> dict[int, object]:
    """List an access list's lines by their numbers."""
    return {ace.sequence: ace for ace in (acl.entries or ())} if acl else {}


def hops(route: Route | None) -> tuple[tuple[str, int], ...]:
    """List a route's next hops with their preference."""
    return tuple((hop, route.preference or 1) for hop in (route.via or ())) if route else ()

"""What is lost on the way from one whole part to another, in words: nothing is lost by what only adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import Acl, Feature, Lacp, Port, PortMode, Route, Svi, User, Vlan, Vpc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.devices.switch.intent import Part


def severed(old: Part | None, new: Part | None) -> tuple[str, ...]:
    """List why whatever passed through this part before passes no more."""
    match old, new:
        case None, _:
            return ()
        case _, None:
            return ("is removed",)
        case Port(), Port():
            return tuple(_port_severed(old, new))
        case Svi(), Svi():
            return tuple(_svi_severed(old, new))
        case Route(), Route() if old.via and not set(old.via) & set(new.via or ()):
            return ("loses all its next hops",)
        case Feature(), Feature() if old.enabled and not new.enabled:
            return ("is turned off",)
        case Vpc(), Vpc() if old.domain != new.domain:
            return (f"changes its domain {old.domain} -> {new.domain}",)
        case _:
            return ()


def losses(old: Part | None, new: Part | None) -> tuple[str, ...]:
    """List what of a part is lost or interrupted, `severed` among it."""
    found = list(severed(old, new))
    if old is not None and new is not None and not found:
        match old, new:
            case Port(), Port():
                found += _port_loses(old, new)
            case Svi(), Svi():
                found += _filters(old, new)
            case Route(), Route() if set(old.via or ()) - set(new.via or ()):
                found.append("loses a next hop")
            case Acl(), Acl() if old.entries != new.entries:
                found.append("changes its lines")
            case Vlan(), Vlan() if old.vni and old.vni != new.vni:
                found.append("changes its segment")
            case User(), User() if (old.role, old.password) != (new.role, new.password):
                found.append("changes its role or password")
            case _:
                pass
    return tuple(found)


def interruptions(old: Part | None, new: Part | None) -> tuple[str, ...]:
    """List what makes a link go down and up again."""
    if not isinstance(old, Port) or not isinstance(new, Port):
        return ()
    found = []
    if old.mode is not None and new.mode is not None and old.mode is not new.mode:
        found.append(f"changes from {old.mode.value} to {new.mode.value}")
    if old.mtu is not None and old.mtu != new.mtu:
        found.append(f"changes its MTU {old.mtu} -> {new.mtu}")
    if old.speed is not None and old.speed != new.speed:
        found.append("changes its speed")
    if old.members and old.lacp is not new.lacp and Lacp.ON in (old.lacp, new.lacp):
        found.append("begins or ceases to speak LACP, for which all its members leave it for a moment")
    return tuple(found)


def lost_vlans(old: Port, new: Port) -> str:
    """Give the set of VLANs that a trunk carried and carries no more."""
    if old.mode is not PortMode.TRUNK or new.mode is not PortMode.TRUNK:
        return vlans.NONE
    return vlans.without(old.allowed or "", new.allowed or "")


def _port_severed(old: Port, new: Port) -> Iterator[str]:
    if new.enabled is False and old.enabled is not False:
        yield "is shut down"
    if old.mode is not None and old.mode is not new.mode:
        yield f"changes from {old.mode.value} to {new.mode.value if new.mode else 'nothing'}"
    if old.members and not set(old.members) & set(new.members or ()):
        yield "loses all its members"
    if old.mode is PortMode.ACCESS and old.access != new.access:
        yield f"leaves VLAN {old.access}"
    if old.peer_link and not new.peer_link:
        yield "is the peer link no more"


def _port_loses(old: Port, new: Port) -> Iterator[str]:
    lost = lost_vlans(old, new)
    if lost:
        yield f"loses VLAN {lost}"
    if old.mode is PortMode.TRUNK and old.native != new.native:
        yield f"changes its native VLAN {old.native} -> {new.native}"
    if set(old.members or ()) - set(new.members or ()):
        yield "loses a member"
    if old.vpc and old.vpc != new.vpc:
        yield f"leaves vPC {old.vpc}"
    if (old.channel or "") != (new.channel or ""):
        yield f"leaves {old.channel}" if old.channel else f"joins {new.channel}"
    yield from interruptions(old, new)
    yield from _filters(old, new)


def _svi_severed(old: Svi, new: Svi) -> Iterator[str]:
    if new.enabled is False and old.enabled is not False:
        yield "is shut down"
    if old.vrf != new.vrf:
        yield f"changes its VRF {old.vrf} -> {new.vrf}"
    lost = set(old.addresses or ()) - set(new.addresses or ())
    if lost:
        yield f"loses {', '.join(sorted(lost))}"


def _filters(old: Port | Svi, new: Port | Svi) -> Iterator[str]:
    for field in ("acl4_in", "acl4_out", "acl6_in", "acl6_out"):
        now = getattr(new, field)
        if now and now != getattr(old, field):
            yield f"is filtered by {now}"

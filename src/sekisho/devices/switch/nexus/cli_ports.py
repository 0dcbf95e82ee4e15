"""Interfaces as commands: physical ones, port-channels and VLANs' own."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import Lacp, Port, PortMode, Storm, Svi
from sekisho.devices.switch.nexus import defaults, names
from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from sekisho.devices.switch.driver import Step

_STORMS: Final = (("broadcast", "broadcast"), ("multicast", "multicast"), ("unicast", "unicast"))
_DIRECTIONS: Final = ((4, "in"), (4, "out"), (6, "in"), (6, "out"))


def port(step: Step) -> list[tuple[str, ...]]:
    """Write an interface's step as blocks: its own, and one for each member that joins or leaves."""
    before, after = defaults.port_step(step)
    if step.after is None and names.is_channel(after.name):
        return [*_members(before, after), (f"no interface {after.name}",)]
    lines = _lines(before, after)
    own = [(f"interface {after.name}", *lines)] if lines or _is_new(step) else []
    return [*own, *_members(before, after)]


def _is_new(step: Step) -> bool:
    return step.before is None and isinstance(step.after, Port) and names.is_channel(step.after.name)


def _lines(before: Port, after: Port) -> list[str]:
    lines = _description(before.description, after.description, after.name)
    was = before
    if defaults.layered(before, after):
        lines += _unbind(before)
        lines.append("no switchport" if after.mode is PortMode.ROUTED else "switchport")
        was = _without_lists(defaults.unknown(before))
    if after.mode not in (None, PortMode.ROUTED):
        lines += _switched(was, after)
    lines += _bindings(was, after)
    lines += [f"mtu {after.mtu}"] if after.mtu != was.mtu else []
    if after.speed != was.speed:
        lines.append(f"speed {after.speed}" if after.speed else "speed auto")
    lines += _vpc(was, after)
    # a change of layer may turn an interface on or off by itself: say it again
    if after.enabled != was.enabled or was is not before:
        lines.append("no shutdown" if after.enabled else "shutdown")
    return lines


def _description(before: str | None, after: str | None, where: str) -> list[str]:
    if (before or "") == (after or ""):
        return []
    return [f"description {names.line(after, f'{where}: description')}"] if after else ["no description"]


def _without_lists(part: Port) -> Port:
    return dataclasses.replace(part, acl4_in="", acl4_out="", acl6_in="", acl6_out="")


def _switched(was: Port, after: Port) -> list[str]:
    lines = []
    if after.access != was.access:
        lines.append(f"switchport access vlan {after.access}")
    if after.native != was.native:
        lines.append(f"switchport trunk native vlan {after.native}")
    # before the mode, so that a port that becomes a trunk never carries what it must not
    lines += _allowed(was.allowed, after.allowed or "")
    if after.mode is not was.mode and (after.mode is PortMode.TRUNK or was.mode is not PortMode.ROUTED):
        lines.append(f"switchport mode {after.mode}")
    lines += _edge(was, after)
    if after.bpdu_guard != was.bpdu_guard:
        lines.append(f"{'' if after.bpdu_guard else 'no '}spanning-tree bpduguard enable")
    return lines + _storm(was.storm or Storm(), after.storm or Storm())


def _allowed(was: str | None, after: str) -> list[str]:
    if after == vlans.NONE or was is None:
        lines = ["switchport trunk allowed vlan none"] if was != vlans.NONE else []
        return lines + [f"switchport trunk allowed vlan add {piece}" for piece in names.spans(after)]
    more, less = vlans.without(after, was), vlans.without(was, after)
    return [
        *(f"switchport trunk allowed vlan add {piece}" for piece in names.spans(more)),
        *(f"switchport trunk allowed vlan remove {piece}" for piece in names.spans(less)),
    ]


def _edge(was: Port, after: Port) -> list[str]:
    def kind(part: Port) -> str:
        return "" if not part.edge else "edge trunk" if part.mode is PortMode.TRUNK else "edge"

    if kind(was) == kind(after) and was.edge is not None:
        return []
    return [f"spanning-tree port type {kind(after)}" if kind(after) else "no spanning-tree port type"]


def _storm(was: Storm, after: Storm) -> list[str]:
    lines = []
    for field, said in _STORMS:
        old, new = getattr(was, field), getattr(after, field)
        if new is None or new == old:
            continue
        off = new >= defaults.OPEN
        lines.append(
            f"{'no ' if off else ''}storm-control {said} level" + ("" if off else f" {new / 100:.2f}")
        )
    return lines


def binding(part: Port | Svi, family: int, direction: str) -> str:
    """Give the name of the list that an interface has for traffic of a family in a direction, "" for none."""
    return getattr(part, f"acl{family}_{direction}") or ""


def binding_line(part: Port | Svi, family: int, direction: str, name: str) -> str:
    """Write how a list is bound; a switched port takes lists for traffic in only. Raises Unsupported."""
    switched = isinstance(part, Port) and part.mode is not PortMode.ROUTED
    if switched and direction == "out":
        raise Unsupported(
            f"{getattr(part, 'name', '')}: a switched port of a Nexus takes access lists for traffic in only."
        )
    words = ["ip" if family == 4 else "ipv6", *(["port"] if switched else [])]
    words.append("access-group" if family == 4 else "traffic-filter")
    return " ".join([*words, name, direction])


def _bindings(was: Port | Svi, after: Port | Svi) -> list[str]:
    lines = []
    for family, direction in _DIRECTIONS:
        old, new = binding(was, family, direction), binding(after, family, direction)
        if new and new != old:
            lines.append(binding_line(after, family, direction, names.word(new, "Access list: name")))
        elif old and not new:
            lines.append("no " + binding_line(after, family, direction, old))
    return lines


def _unbind(before: Port) -> list[str]:
    return [
        "no " + binding_line(before, family, direction, binding(before, family, direction))
        for family, direction in _DIRECTIONS
        if binding(before, family, direction)
    ]


def _vpc(was: Port, after: Port) -> list[str]:
    if not names.is_channel(after.name):
        return []
    lines = []
    if was.peer_link and not after.peer_link:
        lines.append("no vpc peer-link")
    if after.vpc != was.vpc:
        lines += ["no vpc"] if was.vpc else []
        lines += [f"vpc {after.vpc}"] if after.vpc else []
    if after.peer_link and not was.peer_link:
        lines.append("vpc peer-link")
    return lines


def _members(before: Port, after: Port) -> list[tuple[str, ...]]:
    """Let members leave and join; a channel changes its LACP mode only with all members out."""
    if not names.is_channel(after.name):
        return []
    old, new = before.members or (), after.members or ()
    again = before.lacp is not after.lacp and bool(old)
    number = names.channel_number(after.name)
    mode = "" if after.lacp in (None, Lacp.ON) else f" mode {after.lacp}"
    leave = [m for m in old if again or m not in new]
    join = [m for m in new if again or m not in old]
    return [
        *((f"interface {member}", "no channel-group") for member in leave),
        *((f"interface {member}", f"channel-group {number} force{mode}") for member in join),
    ]


def svi(step: Step) -> list[tuple[str, ...]]:
    """Write the step of a VLAN's own interface."""
    some = step.after or step.before
    if not isinstance(some, Svi):
        return []
    if step.after is None:
        return [(f"no interface Vlan{some.vlan}",)]
    before, after = defaults.svi_step(step)
    lines = _svi_lines(before, after)
    return [(f"interface Vlan{some.vlan}", *lines)] if lines or step.before is None else []


def _svi_lines(before: Svi, after: Svi) -> list[str]:
    lines = _description(before.description, after.description, f"Vlan{after.vlan}")
    lines += [f"mtu {after.mtu}"] if after.mtu != before.mtu else []
    addresses = before.addresses or ()
    if after.vrf != before.vrf:  # takes the addresses away
        plain = after.vrf == names.DEFAULT_VRF
        lines.append("no vrf member" if plain else f"vrf member {names.vrf(after.vrf)}")
        addresses = ()
    lines += _addresses(addresses, after.addresses or ())
    lines += _bindings(before, after)
    if after.enabled != before.enabled:
        lines.append("no shutdown" if after.enabled else "shutdown")
    return lines


def _addresses(before: tuple[str, ...], after: tuple[str, ...]) -> list[str]:
    lines = []
    for verb, colon in (("ip address", False), ("ipv6 address", True)):
        old = [a for a in before if (":" in a) is colon]
        new = [a for a in after if (":" in a) is colon]
        lines += _family(verb, old, new, secondary=not colon)
    return lines


def _family(verb: str, old: list[str], new: list[str], *, secondary: bool) -> list[str]:
    """Change addresses with no moment without one: the first is replaced, others come before others go."""

    def said(address: str, addresses: list[str]) -> str:
        return f"{verb} {names.address(address, 'addresses')}" + (
            " secondary" if secondary and address != addresses[0] else ""
        )

    if not secondary or not old or not new or old[0] == new[0]:
        lines = [said(a, new) for a in new if a not in old]
        gone = [a for a in old if a not in new]
        return lines + [f"no {said(a, old)}" for a in reversed(gone)]
    # the first one changes: what is secondary leaves, the new first one takes its place, the rest comes back
    lines = [f"no {said(a, old)}" for a in old[1:]]
    return lines + [said(a, new) for a in new]

"""Interfaces as managed objects: physical ones, port-channels and VLANs' own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.devices.switch.intent import Lacp, Port, PortMode, Storm, Svi
from sekisho.devices.switch.nexus import cli_ports, defaults, names, tree
from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from sekisho.devices.switch.driver import Step

_STORMS = (
    ("broadcast", "stormCtrlBCastLevel"),
    ("multicast", "stormCtrlMCastLevel"),
    ("unicast", "stormCtrlUCastLevel"),
)
_DIRECTIONS = {"in": "aclIngress", "out": "aclEgress"}


def port(top: tree.Branch, step: Step) -> None:
    """Put an interface's step into the tree, without the access lists of a switched port."""
    before, after = defaults.port_step(step)
    channel = names.is_channel(after.name)
    branch = top.at("interfaceEntity").at("pcAggrIf" if channel else "l1PhysIf", id=names.short(after.name))
    if channel and step.after is None:
        _vpc(top, before, after)
        branch.gone()
        return
    branch.set(**_changed(before, after))
    was = defaults.unknown(before) if defaults.layered(before, after) else before
    if after.mode is not PortMode.ROUTED:
        _storm(branch, was.storm or Storm(), after.storm or Storm(), channel=channel)
        _spanning_tree(top, was, after)
    if channel:
        _channel(branch, before, after)
        _vpc(top, before, after)
    for family, direction in ((4, "in"), (4, "out"), (6, "in"), (6, "out")):
        _list(top, before, after, family, direction)


def _changed(before: Port, after: Port) -> dict[str, str]:
    layered = defaults.layered(before, after)
    was = defaults.unknown(before) if layered else before
    found = {}
    if was.description != after.description:
        found["descr"] = names.line(after.description or "", f"{after.name}: description")
    if layered:
        found["layer"] = "Layer3" if after.mode is PortMode.ROUTED else "Layer2"
    if after.mode not in (None, PortMode.ROUTED):
        found |= _switched(was, after)
    if was.mtu != after.mtu:
        found["mtu"] = str(after.mtu)
    if was.speed != after.speed:
        found["speed"] = _speed(after)
    if was.enabled != after.enabled or layered:
        found["adminSt"] = "up" if after.enabled else "down"
    if {"adminSt", "layer", "mtu"} & found.keys():
        found["userCfgdFlags"] = _said_by_hand(after)
    return found


def _switched(was: Port, after: Port) -> dict[str, str]:
    found = {}
    if was.mode is not after.mode:
        found["mode"] = str(after.mode)
    if was.access != after.access:
        found["accessVlan"] = f"vlan-{after.access}"
    if was.native != after.native:
        found["nativeVlan"] = f"vlan-{after.native}"
    if was.allowed != after.allowed:
        found["trunkVlans"] = after.allowed or ""
    return found


def _speed(part: Port) -> str:
    known = names.SPEEDS.get(part.speed or 0)
    if known is None:
        raise Unsupported(f"{part.name}: no Nexus has interfaces of {part.speed} Mbit/s.")
    return known


def _said_by_hand(part: Port) -> str:
    """Name the properties that the switch is to keep as set, not as its own default (userCfgdFlags)."""
    flags = ["admin_layer"] if part.mode is PortMode.ROUTED else []
    flags += ["admin_mtu"] if part.mtu != defaults.MTU else []
    return ",".join([*flags, "admin_state"])


def _storm(branch: tree.Branch, was: Storm, after: Storm, *, channel: bool) -> None:
    found = {
        said: f"{new / 100:.6f}"
        for field, said in _STORMS
        if (new := getattr(after, field)) is not None and new != getattr(was, field)
    }
    if found:
        branch.at("pcAggrIfExtended" if channel else "l1PhysIfExtended").set(**found)


def _spanning_tree(top: tree.Branch, before: Port, after: Port) -> None:
    def kind(part: Port) -> str:
        return "default" if not part.edge else "trunk" if part.mode is PortMode.TRUNK else "edge"

    unknown = before.edge is None and after.edge is not None
    found = {"mode": kind(after)} if kind(before) != kind(after) or unknown else {}
    if before.bpdu_guard != after.bpdu_guard:
        found["bpduguard"] = "enable" if after.bpdu_guard else "default"
    if found:
        top.at("stpEntity").at("stpInst").at("stpIf", id=names.short(after.name)).set(**found)


def _channel(branch: tree.Branch, before: Port, after: Port) -> None:
    if after.lacp is not before.lacp:
        branch.set(pcMode=str(after.lacp or Lacp.ON))
    old, new = before.members or (), after.members or ()
    for member in sorted({*old, *new}):
        if (member in old) == (member in new):
            continue
        link = branch.at("pcRsMbrIfs", tDn=f"sys/intf/phys-[{names.short(member)}]")
        if member in new:
            link.set(isMbrForce="yes")
        else:
            link.gone()


def _vpc(top: tree.Branch, before: Port, after: Port) -> None:
    domain = top.at("vpcEntity").at("vpcInst").at("vpcDom") if before.vpc != after.vpc else None
    me = f"sys/intf/aggr-[{names.short(after.name)}]"
    if domain is not None and before.vpc:
        domain.at("vpcIf", id=str(before.vpc)).gone()
    if domain is not None and after.vpc:
        domain.at("vpcIf", id=str(after.vpc)).at("vpcRsVpcConf").set(tDn=me)
    if before.peer_link != after.peer_link:
        alive = top.at("vpcEntity").at("vpcInst").at("vpcDom").at("vpcKeepalive")
        if after.peer_link:
            alive.at("vpcPeerLink").set(id=names.short(after.name))
        else:
            alive.at("vpcPeerLink").gone()


def _list(top: tree.Branch, before: Port | Svi, after: Port | Svi, family: int, direction: str) -> None:
    """Bind a list to a routed interface; what a switched one had was taken away by command."""
    old = "" if _by_command(before) else cli_ports.binding(before, family, direction)
    new = "" if _by_command(after) else cli_ports.binding(after, family, direction)
    if old == new:
        return
    name = after.name if isinstance(after, Port) else f"Vlan{after.vlan}"
    policy = top.at("aclEntity").at(f"ipv{family}aclAF").at("aclPolicy")
    bound = policy.at(_DIRECTIONS[direction]).at("aclIf", name=names.short(name)).at("aclInst")
    if new:
        bound.set(name=names.word(new, "Access list: name"))
    else:
        bound.gone()


def _by_command(part: Port | Svi) -> bool:
    return isinstance(part, Port) and part.mode is not PortMode.ROUTED


def lists_by_command(step: Step) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Write switched ports' access lists as commands: what goes before the tree, what comes after it."""
    before, after = defaults.port_step(step)
    first, last = [], []
    for family, direction in ((4, "in"), (4, "out"), (6, "in"), (6, "out")):
        old = cli_ports.binding(before, family, direction) if _by_command(before) else ""
        new = cli_ports.binding(after, family, direction) if _by_command(after) else ""
        if old and not new and not (step.after is None and names.is_channel(after.name)):
            first.append("no " + cli_ports.binding_line(before, family, direction, old))
        if new and new != old:
            last.append(cli_ports.binding_line(after, family, direction, new))
    head = f"interface {after.name}"
    return [(head, *first)] if first else [], [(head, *last)] if last else []


def svi(top: tree.Branch, step: Step, part: Svi) -> None:
    """Put the step of a VLAN's own interface into the tree."""
    name = f"vlan{part.vlan}"
    branch = top.at("interfaceEntity").at("sviIf", id=name)
    before, after = defaults.svi_step(step)
    for family, direction in ((4, "in"), (4, "out"), (6, "in"), (6, "out")):
        _list(top, before, after, family, direction)
    if step.after is None:
        branch.gone()
        return
    if before.description != after.description:
        branch.set(descr=names.line(after.description or "", f"Vlan{part.vlan}: description"))
    if before.mtu != after.mtu:
        branch.set(mtu=str(after.mtu))
    if before.enabled != after.enabled:
        branch.set(adminSt="up" if after.enabled else "down")
    if before.vrf != after.vrf:
        branch.at("nwRtVrfMbr").set(tDn=f"sys/inst-{names.vrf(after.vrf)}")
    _addresses(top, name, before, after)


def _addresses(top: tree.Branch, name: str, before: Svi, after: Svi) -> None:
    for family in (4, 6):
        moved = before.vrf != after.vrf  # the switch takes the addresses away
        old = () if moved else _of(before, family)
        new = _of(after, family)
        if old == new:
            continue
        vrf = names.vrf(after.vrf)
        domain = top.at(f"ipv{family}Entity").at(f"ipv{family}Inst").at(f"ipv{family}Dom", name=vrf)
        branch = domain.at(f"ipv{family}If", id=name)
        for address in old:
            if address not in new:
                branch.at(f"ipv{family}Addr", addr=address).gone()
        for address in new:
            names.address(address, f"{name}: addresses")
            kind = "secondary" if family == 4 and address != new[0] else "primary"
            if address not in old or (family == 4 and (address == new[0]) != (address == old[0])):
                branch.at(f"ipv{family}Addr", addr=address).set(type=kind)


def _of(part: Svi, family: int) -> tuple[str, ...]:
    return tuple(a for a in part.addresses or () if (":" in a) == (family == 6))

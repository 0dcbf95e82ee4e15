"""The tree as `show running-config` writes it: in the box's own order, without defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.testing.nexus import names, running_acl, running_services
from sekisho.testing.nexus.checks import vrf_of
from sekisho.testing.nexus.rules import channel_of
from sekisho.testing.nexus.schema import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.testing.nexus.tree import Node, Tree

_SILENT = ("ssh",)  # on from the factory and not shown


def text(tree: Tree, version: str) -> str:
    """Write the whole running configuration, without the lines about time that `show` puts above."""
    return "\n".join(_whole(tree, version)) + "\n"


def _whole(tree: Tree, version: str) -> Iterator[str]:
    yield f"version {version} Bios:version 07.69"
    yield f"hostname {tree.root.get('name')}"
    yield ""
    yield from features(tree)
    yield ""
    yield from running_services.users(tree)
    yield from running_services.early(tree)
    yield from running_acl.lists(tree)
    yield from running_services.late(tree)
    yield ""
    yield from routes(tree, "default", "")
    yield from vlans(tree)
    yield ""
    yield from vrfs(tree)
    yield from vpc(tree)
    yield ""
    for brief in interfaces(tree):
        yield f"interface {names.full(brief)}"
        yield from (f"  {line}" for line in interface(tree, brief))
        yield ""


def features(tree: Tree) -> Iterator[str]:
    """Write what is switched on."""
    for cli, (_cls, rn) in FEATURES.items():
        on = tree.at(f"sys/fm/{rn}").get("adminSt") == "enabled"
        if cli in _SILENT:
            if not on:
                yield f"no feature {cli}"
        elif on:
            yield f"feature {cli}"


def vlans(tree: Tree) -> Iterator[str]:
    """Write the VLANs: all ids in one line, then those that have something to say."""
    found = sorted(tree.at("sys/bd").only("l2BD"), key=vlan_id)
    yield f"vlan {names.vlan_text({vlan_id(vlan) for vlan in found})}"
    for vlan in found:
        lines = list(_vlan(vlan))
        if lines:
            yield f"vlan {vlan_id(vlan)}"
            yield from (f"  {line}" for line in lines)


def vlan_id(vlan: Node) -> int:
    """Give a VLAN's id."""
    return int(vlan.attrs["fabEncap"].removeprefix("vlan-"))


def _vlan(vlan: Node) -> Iterator[str]:
    if vlan.get("name") and vlan_id(vlan) != 1:
        yield f"name {vlan.get('name')}"
    if vlan.get("accEncap") != "unknown":
        yield f"vn-segment {vlan.get('accEncap').removeprefix('vxlan-')}"
    if vlan.get("BdState") == "suspend":
        yield "state suspend"
    if vlan.get("adminSt") == "suspend":
        yield "shutdown"


def vrfs(tree: Tree) -> Iterator[str]:
    """Write the VRFs with their routes; the default one has none of its own."""
    for vrf in sorted(tree.root.only("l3Inst"), key=lambda node: node.attrs["name"]):
        name = vrf.attrs["name"]
        if name == "default":
            continue
        yield f"vrf context {name}"
        if vrf.get("descr"):
            yield f"  description {vrf.get('descr')}"
        yield from running_services.resolver(tree, name)
        yield from routes(tree, name, "  ")


def routes(tree: Tree, vrf: str, indent: str) -> Iterator[str]:
    """Write a VRF's static routes."""
    for family, word in (("ipv4", "ip"), ("ipv6", "ipv6")):
        dom = tree.find(f"sys/{family}/inst/dom-{vrf}")
        for route in sorted(dom.only(f"{family}Route"), key=lambda node: node.attrs["prefix"]) if dom else ():
            for hop in sorted(route.only(f"{family}Nexthop"), key=lambda node: node.attrs["nhAddr"]):
                yield f"{indent}{word} route {route.attrs['prefix']} {_hop(hop, vrf)}"


def _hop(hop: Node, vrf: str) -> str:
    via = hop.attrs["nhIf"]
    address = hop.attrs["nhAddr"].partition("/")[0]
    words = [] if via == "unspecified" else ["Null0" if via.lower() == "null0" else names.full(via)]
    if address not in ("0.0.0.0", "::") or not words:
        words.append(address)
    if hop.attrs["nhVrf"] not in ("default", vrf):
        words.append(f"vrf {hop.attrs['nhVrf']}")
    if hop.get("rtname"):
        words.append(f"name {hop.get('rtname')}")
    if hop.get("tag") not in ("", "0"):
        words.append(f"tag {hop.get('tag')}")
    if hop.get("pref") not in ("", "0", "1"):
        words.append(hop.get("pref"))
    return " ".join(words)


def vpc(tree: Tree) -> Iterator[str]:
    """Write the vPC domain."""
    dom = tree.find("sys/vpc/inst/dom")
    if dom is None or not dom.get("id"):
        return
    yield f"vpc domain {dom.get('id')}"
    if dom.get("peerSwitch") == "enabled":
        yield "  peer-switch"
    if dom.get("rolePrio") != "32667":
        yield f"  role priority {dom.get('rolePrio')}"
    if dom.get("sysPrio") != "32667":
        yield f"  system-priority {dom.get('sysPrio')}"
    alive = dom.kids.get("keepalive")
    if alive is not None and alive.get("destIp") not in ("", "0.0.0.0"):
        yield f"  peer-keepalive destination {_keepalive(alive)}"
    for attribute, default, line in _VPC_LINES:
        value = dom.get(attribute)
        if value != default:
            yield "  " + (f"no {line}" if value == "disabled" else line.format(value))


_VPC_LINES: Final = (
    ("delayRestoreVPC", "30", "delay restore {}"),
    ("peerGw", "disabled", "peer-gateway"),
    ("delayRestoreSVI", "10", "delay restore interface-vlan {}"),
    ("autoRecovery", "enabled", "auto-recovery"),
    ("l3PeerRouter", "disabled", "layer3 peer-router"),
    ("fastConvergence", "disabled", "fast-convergence"),
)


def _keepalive(alive: Node) -> str:
    words = [alive.get("destIp")]
    if alive.get("srcIp") not in ("", "0.0.0.0"):
        words.append(f"source {alive.get('srcIp')}")
    if alive.get("vrf") != "management":
        words.append(f"vrf {alive.get('vrf')}")
    return " ".join(words)


def interfaces(tree: Tree) -> Iterator[str]:
    """List all interfaces by their names in the data model, in the box's order."""
    intf = tree.at("sys/intf")
    for cls in ("sviIf", "pcAggrIf", "l1PhysIf"):
        yield from sorted((node.attrs["id"] for node in intf.only(cls)), key=names.sort_key)
    yield "mgmt0"
    yield from sorted((node.attrs["id"] for node in intf.only("l3LbRtdIf")), key=names.sort_key)


def interface(tree: Tree, brief: str) -> Iterator[str]:
    """Write the lines of one interface that are not the default."""
    node = tree.at(names.dn(brief))
    if node.get("descr"):
        yield f"description {node.get('descr')}"
    if node.cls in ("l1PhysIf", "pcAggrIf"):
        yield from _layer(tree, node)
        yield from _port(tree, node)
    else:
        yield from _plain(node)
    if vrf_of(node) != "default":
        yield f"vrf member {vrf_of(node)}"
    yield from _redirects(tree, node)
    yield from _addresses(tree, node)
    yield from running_acl.bindings(tree, brief, port=node.get("layer") == "Layer2")
    if node.cls in ("l1PhysIf", "pcAggrIf"):
        yield from _bundle(tree, node)


def _plain(node: Node) -> Iterator[str]:
    if node.cls == "sviIf" and node.get("adminSt") == "up":
        yield "no shutdown"
    if node.cls != "sviIf" and node.get("adminSt") == "down":
        yield "shutdown"
    if node.get("mtu") not in ("", "1500"):
        yield f"mtu {node.get('mtu')}"


def _layer(tree: Tree, node: Node) -> Iterator[str]:
    routed = node.get("layer") != "Layer2"
    if routed != (tree.at("sys/ethpm/inst").get("systemDefaultLayer") != "Layer2"):
        yield "no switchport" if routed else "switchport"
    if node.get("adminSt") == "down":
        yield "shutdown"
    elif routed:
        yield "no shutdown"


def _port(tree: Tree, node: Node) -> Iterator[str]:
    if node.get("layer") == "Layer2":
        yield from _switchport(node)
        yield from _stp(tree, node.attrs["id"])
    if node.get("mtu") != "1500":
        yield f"mtu {node.get('mtu')}"
    if node.get("speed") not in ("auto", "unknown"):
        yield f"speed {_SPEEDS.get(node.get('speed'), node.get('speed'))}"
    if node.get("duplex") != "auto":
        yield f"duplex {node.get('duplex')}"
    yield from _storm(node)


_SPEEDS: Final = {
    "10M": "10",
    "100M": "100",
    "1G": "1000",
    "2.5G": "2500",
    "5G": "5000",
    "10G": "10000",
    "25G": "25000",
    "40G": "40000",
    "50G": "50000",
    "100G": "100000",
    "200G": "200000",
    "400G": "400000",
}


def _switchport(node: Node) -> Iterator[str]:
    if node.get("mode") != "access":
        yield f"switchport mode {node.get('mode')}"
    if node.get("accessVlan") != "vlan-1":
        yield f"switchport access vlan {node.get('accessVlan').removeprefix('vlan-')}"
    if node.get("nativeVlan") != "vlan-1":
        yield f"switchport trunk native vlan {node.get('nativeVlan').removeprefix('vlan-')}"
    if node.get("trunkVlans") != "1-4094":
        yield from _allowed(node.get("trunkVlans") or "none")


def _allowed(ids: str) -> Iterator[str]:
    """Write a list of VLANs; a long one goes on in further lines with `add`, as the box does it."""
    line = "switchport trunk allowed vlan "
    for item in ids.split(","):
        if len(line) + len(item) > 90:
            yield line.rstrip(",")
            line = "switchport trunk allowed vlan add "
        line += f"{item},"
    yield line.rstrip(",")


def _stp(tree: Tree, brief: str) -> Iterator[str]:
    stp = tree.find(f"sys/stp/inst/if-[{brief}]")
    if stp is None:
        return
    mode = stp.get("mode")
    if mode != "default":
        yield f"spanning-tree port type {'edge trunk' if mode == 'trunk' else mode}"
    for attribute in ("bpduguard", "bpdufilter"):
        if stp.get(attribute) != "default":
            yield f"spanning-tree {attribute} {stp.get(attribute)}"
    if stp.get("guard") != "default":
        yield f"spanning-tree guard {stp.get('guard')}"


def _storm(node: Node) -> Iterator[str]:
    extended = node.kids.get("physExtd") or node.kids.get("aggrExtd")
    for attribute, word in (("BCast", "broadcast"), ("MCast", "multicast"), ("UCast", "unicast")):
        level = extended.get(f"stormCtrl{attribute}Level") if extended else "100.000000"
        if float(level) != 100:
            yield f"storm-control {word} level {float(level):.2f}"


def _redirects(tree: Tree, node: Node) -> Iterator[str]:
    cdp = tree.find(f"sys/cdp/inst/if-[{node.attrs['id']}]")
    if cdp is not None and cdp.get("adminSt") == "disabled":
        yield "no cdp enable"
    for family, word in (("icmpv4", "ip"), ("icmpv6", "ipv6")):
        found = tree.find(f"sys/{family}/inst/dom-[{vrf_of(node)}]/if-[{node.attrs['id']}]")
        if found is not None and found.get("ctrl") == "":
            yield f"no {word} redirects"


def _addresses(tree: Tree, node: Node) -> Iterator[str]:
    for family, word in (("ipv4", "ip"), ("ipv6", "ipv6")):
        found = tree.find(f"sys/{family}/inst/dom-{vrf_of(node)}/if-[{node.attrs['id']}]")
        kids = list(found.only(f"{family}Addr")) if found else []
        for kid in sorted(kids, key=lambda kid: kid.get("type")):
            second = " secondary" if family == "ipv4" and kid.get("type") == "secondary" else ""
            yield f"{word} address {kid.attrs['addr']}{second}"


def _bundle(tree: Tree, node: Node) -> Iterator[str]:
    if node.cls == "l1PhysIf":
        pc = channel_of(tree, node.attrs["id"])
        if pc is not None:
            mode = "" if pc.get("pcMode") == "on" else f" mode {pc.get('pcMode')}"
            force = (
                " force"
                if pc.kids[f"rsmbrIfs-[{names.dn(node.attrs['id'])}]"].get("isMbrForce") in ("yes", "true")
                else ""
            )
            yield f"channel-group {node_number(pc)}{force}{mode}"
        return
    dom = tree.find("sys/vpc/inst/dom")
    for number in dom.only("vpcIf") if dom else ():
        conf = number.kids.get("rsvpcConf")
        if conf is not None and conf.get("tDn") == names.dn(node.attrs["id"]):
            yield f"vpc {number.attrs['id']}"
    link = tree.find("sys/vpc/inst/dom/keepalive/peerlink")
    if link is not None and link.get("id") == node.attrs["id"]:
        yield "vpc peer-link"


def node_number(pc: Node) -> str:
    """Give a port-channel's number."""
    return pc.attrs["id"].removeprefix("po")

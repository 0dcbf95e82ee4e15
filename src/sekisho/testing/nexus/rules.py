"""What NX-OS allows and what else changes with a change: the same for commands and for the data model.

`write` and `remove` are the only ways to change a tree. Sources: the Nexus 9000 configuration guides
(interfaces, layer 2, vPC) and the command references; what is a reading of ours says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.testing.nexus import names
from sekisho.testing.nexus.checks import CHECKS
from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.schema import CLASSES, ENUMS, FEATURES, Class, child_of
from sekisho.testing.nexus.tree import Node, Tree, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# what a member of a port-channel takes over from it (interfaces guide, "Compatibility Requirements")
SHARED: Final = ("mode", "layer", "accessVlan", "nativeVlan", "trunkVlans", "mtu", "speed", "duplex")
_STORM: Final = ("stormCtrlBCastLevel", "stormCtrlMCastLevel", "stormCtrlUCastLevel")
_LOST_WITH: Final = {"fmVpc": ("sys/vpc",), "fmLldp": ("sys/lldp",)}


def write(tree: Tree, dn: str, given: Mapping[str, str] | None = None, *, force: bool = False) -> Node:
    """Make an object or change its attributes, with all that follows from it; raises Refusal.

    `force` is for what the box itself does to the members of a port-channel.
    """
    if dn == "sys":
        tree.root.attrs.update(_known("topSystem", dict(given or {})))
        return tree.root
    above, _, rn = cut(dn)
    parent = tree.find(above) or write(tree, above)
    cls, name, keys = child_of(parent.cls, rn)
    spec = CLASSES[cls]
    _switched_on(tree, spec)
    if cls in ("l1PhysIf", "mgmtMgmtIf") and name not in parent.kids:
        raise Refusal(f"Invalid interface {names.full(dict(keys)['id'])}: it does not exist")
    node = parent.kids.get(name)
    changes = _known(cls, {k: v for k, v in (given or {}).items() if k not in spec.keys})
    candidate = node or Node(cls, dict(keys))
    check = CHECKS.get(cls)
    if check is not None:
        changes = check(tree, f"{above}/{name}", candidate, changes)
    if not force and cls in ("l1PhysIf", "l1PhysIfExtended"):
        _as_its_channel(tree, candidate if cls == "l1PhysIf" else parent, changes)
    parent.kids[name] = candidate
    candidate.attrs.update(changes)
    follow = _AFTER.get(cls)
    if follow is not None:
        follow(tree, f"{above}/{name}", candidate, changes)
    return candidate


def remove(tree: Tree, dn: str) -> None:
    """Take an object away, with all that goes with it; one that is not there is no error. Raises Refusal."""
    node = tree.find(dn)
    if node is None:
        return
    if CLASSES[node.cls].fixed:
        raise Refusal(f"{node.cls} {dn} cannot be deleted")
    gone = _GONE.get(node.cls)
    if gone is not None:
        gone(tree, dn, node)
    tree.drop(dn)


def channel_of(tree: Tree, port: str) -> Node | None:
    """Give the port-channel that a port, by its name in the data model, is a member of."""
    want = f"rsmbrIfs-[{names.dn(port)}]"
    return next((pc for pc in tree.at("sys/intf").only("pcAggrIf") if want in pc.kids), None)


def members(pc: Node) -> list[str]:
    """List a port-channel's members by their names in the data model."""
    found = [kid.attrs["tDn"].partition("[")[2].rstrip("]") for kid in pc.only("pcRsMbrIfs")]
    return sorted(found, key=names.sort_key)


def enabled(tree: Tree, feature: str) -> bool:
    """Tell whether a feature, by its name on the command line, is on."""
    return tree.at(f"sys/fm/{FEATURES[feature][1]}").get("adminSt") == "enabled"


def _switched_on(tree: Tree, spec: Class) -> None:
    if spec.feature and not enabled(tree, spec.feature):
        raise Refusal(f"feature {spec.feature} is not enabled")


def _known(cls: str, given: dict[str, str]) -> dict[str, str]:
    defaults = CLASSES[cls].defaults
    for name, value in given.items():
        if name not in defaults:
            raise Refusal(f"Failed to find property {name} in class {cls}")
        allowed = ENUMS.get(f"{cls}.{name}") or ENUMS.get(name)
        if allowed is not None and value not in allowed and value != defaults[name]:
            raise Refusal(f"Invalid value {value} for property {name} of class {cls}")
    return given


def _as_its_channel(tree: Tree, port: Node, changes: Mapping[str, str]) -> None:
    pc = channel_of(tree, port.attrs["id"])
    if pc is None:
        return
    wrong = [name for name in SHARED if name in changes and changes[name] != pc.get(name)]
    if wrong:
        shown = names.full(port.attrs["id"])
        raise Refusal(
            f"ERROR: {shown}: cannot change {wrong[0]}, the port is a member of {names.full(pc.attrs['id'])}"
        )


def _spread(tree: Tree, _dn: str, pc: Node, changes: Mapping[str, str]) -> None:
    taken = {name: changes[name] for name in SHARED if name in changes}
    if taken:
        for port in members(pc):
            write(tree, names.dn(port), taken, force=True)
    write(tree, f"sys/stp/inst/if-[{pc.attrs['id']}]")
    _layered(tree, "", pc, changes)


def _spread_storm(tree: Tree, dn: str, extended: Node, _changes: Mapping[str, str]) -> None:
    for port in members(tree.at(cut(dn)[0])):
        taken = {name: extended.get(name) for name in _STORM}
        write(tree, f"{names.dn(port)}/physExtd", taken, force=True)


def _joined(tree: Tree, dn: str, member: Node, _changes: Mapping[str, str]) -> None:
    pc = tree.at(cut(dn)[0])
    taken = {name: pc.get(name) for name in SHARED}
    write(tree, member.attrs["tDn"], taken, force=True)


def _layered(tree: Tree, _dn: str, port: Node, changes: Mapping[str, str]) -> None:
    if changes.get("layer") == "Layer2":
        _forget_addresses(tree, port.attrs["id"])
        port.kids.pop("rtvrfMbr", None)


def _forget_addresses(tree: Tree, brief: str, *, but: str = "") -> None:
    for family in ("ipv4", "ipv6", "icmpv4", "icmpv6"):
        inst = tree.at(f"sys/{family}/inst")
        for dom in inst.only(f"{family}Dom"):
            if dom.attrs["name"] != but:
                dom.kids.pop(f"if-[{brief}]", None)


def _moved(tree: Tree, dn: str, member: Node, _changes: Mapping[str, str]) -> None:
    above = tree.at(cut(dn)[0])
    vrf = member.get("tDn").removeprefix("sys/inst-").strip("[]")
    _forget_addresses(tree, above.attrs["id"], but=vrf)


def _switched(tree: Tree, _dn: str, feature: Node, changes: Mapping[str, str]) -> None:
    if changes.get("adminSt") != "disabled":
        return
    for dn in _LOST_WITH.get(feature.cls, ()):
        tree.drop(dn)
    if feature.cls == "fmInterfaceVlan":
        for svi in list(tree.at("sys/intf").only("sviIf")):
            remove(tree, names.dn(svi.attrs["id"]))
    if feature.cls == "fmVnSegment":
        for vlan in tree.at("sys/bd").only("l2BD"):
            vlan.attrs.pop("accEncap", None)


def _channel_gone(tree: Tree, dn: str, pc: Node) -> None:
    brief = pc.attrs["id"]
    tree.drop(f"sys/stp/inst/if-[{brief}]")
    _interface_gone(tree, dn, pc)
    dom = tree.find("sys/vpc/inst/dom")
    if dom is None:
        return
    for rn, kid in list(dom.kids.items()):
        conf = kid.kids.get("rsvpcConf")
        if conf is not None and conf.get("tDn") == dn:
            del dom.kids[rn]
    link = tree.find("sys/vpc/inst/dom/keepalive/peerlink")
    if link is not None and link.get("id") == brief:
        tree.drop("sys/vpc/inst/dom/keepalive/peerlink")


def _interface_gone(tree: Tree, _dn: str, node: Node) -> None:
    _forget_addresses(tree, node.attrs["id"])
    for family in ("ipv4", "ipv6"):
        for way in ("ingress", "egress"):
            tree.drop(f"sys/acl/{family}/policy/{way}/intf-[{node.attrs['id']}]")


def _vrf_gone(tree: Tree, _dn: str, vrf: Node) -> None:
    name = vrf.attrs["name"]
    if name in ("default", "management"):
        raise Refusal(f"% VRF {name} cannot be deleted")
    for family in ("ipv4", "ipv6"):
        tree.drop(f"sys/{family}/inst/dom-{name}")
    for dn, member in list(tree.below("sys", "nwRtVrfMbr")):
        if member.get("tDn") == f"sys/inst-{name}":
            tree.drop(dn)
    tree.drop(f"sys/dns/prof-[default]/vrf-[{name}]")


def _vlan_gone(_tree: Tree, _dn: str, vlan: Node) -> None:
    if vlan.attrs["fabEncap"] == "vlan-1":
        raise Refusal("ERROR: Default VLAN 1 may not be deleted")


def _user_gone(_tree: Tree, _dn: str, user: Node) -> None:
    if user.attrs["name"] == "admin":
        raise Refusal("cannot delete user admin")


def _peer_linked(tree: Tree, _dn: str, _link: Node, changes: Mapping[str, str]) -> None:
    """Make a peer link a network port for spanning tree (interfaces guide, vPC)."""
    write(tree, f"sys/stp/inst/if-[{changes['id']}]", {"mode": "network"})


_AFTER: Final[dict[str, Callable[[Tree, str, Node, Mapping[str, str]], None]]] = {
    "pcAggrIf": _spread,
    "pcAggrIfExtended": _spread_storm,
    "pcRsMbrIfs": _joined,
    "l1PhysIf": _layered,
    "vpcPeerLink": _peer_linked,
    "nwRtVrfMbr": _moved,
    **dict.fromkeys((cls for cls, _ in FEATURES.values()), _switched),
}
_GONE: Final[dict[str, Callable[[Tree, str, Node], None]]] = {
    "pcAggrIf": _channel_gone,
    "sviIf": _interface_gone,
    "l3LbRtdIf": _interface_gone,
    "l3Inst": _vrf_gone,
    "l2BD": _vlan_gone,
    "aaaUser": _user_gone,
}

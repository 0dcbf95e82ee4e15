"""What NX-OS checks before it takes an object: gives the attributes as it would keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.testing.nexus import names, secrets
from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.services import port_name, protocol_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.testing.nexus.tree import Node, Tree

Given = dict[str, str]


def _vlan(tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    vlan = _encap(node.attrs["fabEncap"])
    if vlan in names.RESERVED:
        raise Refusal(f"ERROR: VLAN {vlan} is in the reserved range {names.RESERVED[0]}-{names.RESERVED[-1]}")
    if len(given.get("name", "")) > 32:
        raise Refusal("% String exceeded max length of (32)")
    if "name" in given:
        default = f"VLAN{vlan:04}"
        given["name"] = "" if given["name"] == default else given["name"]
        given["BdOperName"] = given["name"] or default
    encap = given.get("accEncap", "unknown")
    if encap not in ("", "unknown"):
        if tree.at("sys/fm/vnsegment").get("adminSt") != "enabled":
            raise Refusal("feature vn-segment-vlan-based is not enabled")
        vni = encap.removeprefix("vxlan-")
        if not (encap.startswith("vxlan-") and vni.isdigit() and 0 < int(vni) < 1 << 24):
            raise Refusal(f"Invalid value {encap} for property accEncap of class l2BD")
        for other in tree.at("sys/bd").only("l2BD"):
            if other is not node and other.get("accEncap") == encap:
                raise Refusal(f"ERROR: VNI {vni} is already mapped to VLAN {_encap(other.attrs['fabEncap'])}")
    if given.get("accEncap") == "":
        given["accEncap"] = "unknown"
    return given


def _encap(text: str) -> int:
    number = text.removeprefix("vlan-")
    if not text.startswith("vlan-") or not number.isdigit() or not 1 <= int(number) <= 4094:
        raise Refusal(f"Invalid VLAN {text}")
    return int(number)


def _switchport(tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    if "trunkVlans" in given:
        given["trunkVlans"] = _trunk(node.get("trunkVlans"), given["trunkVlans"])
    for name in ("accessVlan", "nativeVlan"):
        if given.get(name, "") in ("", "unknown"):
            if name in given:
                given[name] = "vlan-1"
        elif (vlan := _encap(given[name])) in names.RESERVED:
            raise Refusal(f"ERROR: VLAN {vlan} is in the reserved range")
    given.setdefault("mtu", node.get("mtu"))
    _mtu(tree, node, given)
    if len(given.get("descr", "")) > 254:
        raise Refusal("% String exceeded max length of (254)")
    return given


def _trunk(now: str, wanted: str) -> str:
    """Read a list of allowed VLANs: a set, or ``+N`` and ``-N`` for a change of what is there."""
    sign = wanted[:1] if wanted[:1] in ("+", "-") else ""
    text = wanted.removeprefix(sign)
    asked: frozenset[int] = frozenset() if text in ("", "none") else names.vlan_set(text)
    before = names.vlan_set(now) if now else frozenset()
    return names.vlan_text(before | asked if sign == "+" else before - asked if sign == "-" else asked)


def _mtu(tree: Tree, node: Node, given: Given) -> None:
    mtu = given["mtu"]
    if not mtu.isdigit() or not 576 <= int(mtu) <= 9216:
        raise Refusal(f"% Invalid value/range: {mtu}")
    jumbo = tree.at("sys/ethpm/inst").get("systemJumboMtu")
    layer = given.get("layer", node.get("layer"))
    if layer == "Layer2" and mtu not in ("1500", jumbo):
        if mtu == node.get("mtu"):  # it was routed before
            given["mtu"] = "1500"
            return
        raise Refusal("ERROR: MTU on L2 interfaces can only be set to default or system jumbo MTU")


def _channel(tree: Tree, dn: str, node: Node, given: Given) -> Given:
    brief = node.attrs["id"]
    number = brief.removeprefix("po")
    if not brief.startswith("po") or not number.isdigit() or not 1 <= int(number) <= 4096:
        raise Refusal(f"Invalid interface {brief}")
    if given.get("pcMode") in ("active", "passive") and tree.at("sys/fm/lacp").get("adminSt") != "enabled":
        raise Refusal("feature lacp is not enabled")
    layer = tree.at("sys/ethpm/inst").get("systemDefaultLayer")
    if tree.find(dn) is None and layer != node.get("layer"):
        given.setdefault("layer", layer)
    return _switchport(tree, dn, node, given)


def _member(tree: Tree, dn: str, node: Node, given: Given) -> Given:
    port = tree.find(node.attrs["tDn"])
    if port is None or port.cls != "l1PhysIf":
        raise Refusal(f"Invalid member {node.attrs['tDn']}: no such interface")
    for pc in tree.at("sys/intf").only("pcAggrIf"):
        if any(kid is not node and kid.attrs["tDn"] == node.attrs["tDn"] for kid in pc.only("pcRsMbrIfs")):
            shown = names.full(port.attrs["id"])
            raise Refusal(f"command failed: port {shown} is already a member of {names.full(pc.attrs['id'])}")
    pc_node = tree.at(dn.rpartition("/rsmbrIfs-[")[0])
    if given.get("isMbrForce", "no") not in ("yes", "true") and tree.find(dn) is None:
        for name in ("mode", "layer", "accessVlan", "nativeVlan", "trunkVlans", "mtu", "speed"):
            if port.get(name) != pc_node.get(name):
                raise Refusal(f"command failed: port not compatible [{_COMPATIBLE[name]}]")
    return given


_COMPATIBLE: Final = {
    "mode": "port mode",
    "layer": "port layer",
    "accessVlan": "access VLAN",
    "nativeVlan": "native VLAN",
    "trunkVlans": "allowed VLAN list",
    "mtu": "MTU",
    "speed": "speed",
}


def _svi(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    number = node.attrs["id"].removeprefix("vlan")
    if not number.isdigit() or not 1 <= int(number) <= 4094 or int(number) in names.RESERVED:
        raise Refusal(f"Invalid interface {node.attrs['id']}")
    mtu = given.get("mtu", "1500")
    if not mtu.isdigit() or not 64 <= int(mtu) <= 9216:
        raise Refusal(f"% Invalid value/range: {mtu}")
    return {**given, "vlanId": number}


def _storm(_tree: Tree, _dn: str, _node: Node, given: Given) -> Given:
    for name in [name for name in given if name.endswith("Level")]:
        try:
            share = float(given[name])
        except ValueError as wrong:
            raise Refusal(f"Invalid value {given[name]} for property {name}") from wrong
        if not 0 <= share <= 100:
            raise Refusal(f"% Invalid value/range: {given[name]}")
        given[name] = f"{share:.6f}"
    return given


def _stp(tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    if tree.find(names.dn(node.attrs["id"])) is None:
        raise Refusal(f"Invalid interface {node.attrs['id']}")
    return given


def _vpc_domain(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    number = given.get("id", node.get("id"))
    if not number.isdigit() or not 1 <= int(number) <= 1000:
        raise Refusal(f"% Invalid vPC domain {number}")
    priority = given.get("rolePrio", "1")
    if not priority.isdigit() or not 1 <= int(priority) <= 65535:
        raise Refusal(f"% Invalid value/range: {priority}")
    return given


def _vpc_member(tree: Tree, dn: str, _node: Node, given: Given) -> Given:
    want = given.get("tDn", "")
    pc = tree.find(want) if want else None
    if pc is None or pc.cls != "pcAggrIf":
        raise Refusal(f"Invalid target {want}: no such port-channel")
    for other_dn, other in tree.below("sys/vpc/inst/dom", "vpcRsVpcConf"):
        if other_dn != dn and other.get("tDn") == want:
            raise Refusal(f"ERROR: {names.full(pc.attrs['id'])} has another vPC number")
    return given


def _vpc_id(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    number = node.attrs["id"]
    if not number.isdigit() or not 1 <= int(number) <= 16384:
        raise Refusal(f"% Invalid vPC number {number}")
    return given


def _peer_link(tree: Tree, _dn: str, _node: Node, given: Given) -> Given:
    port = tree.find(names.dn(given["id"])) if given.get("id") else None
    if port is None or port.cls != "pcAggrIf":
        raise Refusal("ERROR: the peer-link must be a port-channel that is there")
    return given


def _keepalive(_tree: Tree, _dn: str, _node: Node, given: Given) -> Given:
    for name in ("destIp", "srcIp"):
        if given.get(name):
            given[name] = names.address(given[name])
    return given


def _vrf_member(tree: Tree, _dn: str, _node: Node, given: Given) -> Given:
    name = given.get("tDn", "sys/inst-default").removeprefix("sys/inst-").strip("[]")
    if tree.find(f"sys/inst-{name}") is None:
        raise Refusal(f"% VRF {name} does not exist")
    return {**given, "tDn": f"sys/inst-{name}"} if "tDn" in given else given


def _in_vrf(tree: Tree, dn: str, node: Node, given: Given) -> Given:
    port = tree.find(names.dn(node.attrs["id"]))
    if port is None:
        raise Refusal(f"Invalid interface {node.attrs['id']}: it does not exist")
    if port.get("layer") == "Layer2":
        raise Refusal(f"{names.full(node.attrs['id'])}: not a routed interface")
    vrf = dn.partition("/dom-")[2].partition("/")[0]
    mine = vrf_of(port)
    if mine != vrf:
        raise Refusal(f"{names.full(node.attrs['id'])} is in VRF {mine}, not in {vrf}")
    return given


def vrf_of(port: Node) -> str:
    """Name the VRF that an interface is in."""
    member = port.kids.get("rtvrfMbr")
    return member.get("tDn").removeprefix("sys/inst-") if member else "default"


def _domain(tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    if tree.find(f"sys/inst-{node.attrs['name']}") is None:
        raise Refusal(f"% VRF {node.attrs['name']} does not exist")
    return given


def _address(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    written = names.interface(node.attrs["addr"], node.cls[:4])
    if written != node.attrs["addr"].lower():
        raise Refusal(f"Invalid address {node.attrs['addr']}; it is {written}")
    return given


def _route(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    if names.network(node.attrs["prefix"], node.cls[:4]) != node.attrs["prefix"].lower():
        raise Refusal(f"Invalid prefix {node.attrs['prefix']}")
    return given


def _nexthop(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    names.address(node.attrs["nhAddr"].partition("/")[0])
    preference = given.get("pref", "1")
    if not preference.isdigit() or not 0 <= int(preference) <= 255:
        raise Refusal(f"% Invalid value/range: {preference}")
    return given


def _entry(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    family = node.cls[:4]
    if not node.attrs["seqNum"].isdigit() or not 1 <= int(node.attrs["seqNum"]) <= 4294967295:
        raise Refusal(f"% Invalid sequence number {node.attrs['seqNum']}")
    if "protocol" in given:
        given["protocol"] = protocol_name(given["protocol"], family)
    protocol = given.get("protocol", node.get("protocol"))
    for way in ("src", "dst"):
        _end(way, family, node, given)
        for name in (f"{way}Port1", f"{way}Port2"):
            if name in given:
                given[name] = port_name(given[name], protocol)
        if given.get(f"{way}PortOp", "none") != "none" and protocol not in ("tcp", "udp", "sctp"):
            raise Refusal(f"% Invalid: ports need TCP or UDP, not {protocol}")
    for name in ("est", "logging"):
        if name in given:
            given[name] = "yes" if given[name] in ("yes", "true") else "no"
    if given.get("est") == "yes" and protocol != "tcp":
        raise Refusal(f"% Invalid: established needs TCP, not {protocol}")
    return given


def _end(way: str, family: str, node: Node, given: Given) -> None:
    prefix, length = f"{way}Prefix", f"{way}PrefixLength"
    if prefix not in given and length not in given:
        return
    written = f"{given.get(prefix, node.get(prefix))}/{given.get(length, node.get(length))}"
    given[prefix], _, given[length] = names.network(written, family).partition("/")


def _user(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    if not node.attrs["name"].replace("_", "").replace("-", "").replace(".", "").isalnum():
        raise Refusal(f"Invalid user name {node.attrs['name']}")
    password = given.pop("pwd", "")
    kind = given.pop("pwdEncryptType", "clear")
    if password:
        given["_hash"] = password if kind == "Encrypt" else secrets.hashed(password, node.attrs["name"])
    return given


def _ntp(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    if "preferred" in given:
        given["preferred"] = "yes" if given["preferred"] in ("yes", "true") else "no"
    if not node.attrs["name"]:
        raise Refusal("% Invalid host/ip address")
    return given


def _name_server(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    names.address(node.attrs["addr"])
    return given


def _policy(_tree: Tree, _dn: str, node: Node, given: Given) -> Given:
    if not node.attrs["name"].startswith(("eth", "po", "vlan", "mgmt", "lo")):
        raise Refusal(f"Invalid interface {node.attrs['name']}")
    return given


CHECKS: Final[dict[str, Callable[[Tree, str, Node, Given], Given]]] = {
    "l2BD": _vlan,
    "l1PhysIf": _switchport,
    "pcAggrIf": _channel,
    "pcRsMbrIfs": _member,
    "sviIf": _svi,
    "l1PhysIfExtended": _storm,
    "pcAggrIfExtended": _storm,
    "stpIf": _stp,
    "vpcDom": _vpc_domain,
    "vpcIf": _vpc_id,
    "vpcRsVpcConf": _vpc_member,
    "vpcPeerLink": _peer_link,
    "vpcKeepalive": _keepalive,
    "nwRtVrfMbr": _vrf_member,
    "ipv4Dom": _domain,
    "ipv6Dom": _domain,
    "ipv4If": _in_vrf,
    "ipv6If": _in_vrf,
    "ipv4Addr": _address,
    "ipv6Addr": _address,
    "ipv4Route": _route,
    "ipv6Route": _route,
    "ipv4Nexthop": _nexthop,
    "ipv6Nexthop": _nexthop,
    "ipv4aclACE": _entry,
    "ipv6aclACE": _entry,
    "aclIf": _policy,
    "aaaUser": _user,
    "datetimeNtpProvider": _ntp,
    "dnsProvider": _name_server,
}

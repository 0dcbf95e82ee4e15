"""How the two boxes of a vPC pair see each other: the roles, the peer's life, and what must be the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sekisho.testing.nexus import names
from sekisho.testing.nexus.output import Output, table
from sekisho.testing.nexus.refusal import Refusal

if TYPE_CHECKING:
    from sekisho.testing.nexus.box import Box
    from sekisho.testing.nexus.tree import Node


def domain(box: Box) -> Node | None:
    """Give a box's vPC domain, if it has one."""
    found = box.tree.find("sys/vpc/inst/dom")
    return found if found is not None and found.get("id") else None


def _alive(box: Box) -> bool:
    """Tell whether a box's keepalive reaches its peer: both have one, of the same domain."""
    mine, peer = domain(box), box.peer and domain(box.peer)
    if mine is None or not peer or box.peer is None or box.peer.faults.unreachable:
        return False
    return "keepalive" in mine.kids and "keepalive" in peer.kids


def _linked(box: Box) -> bool:
    """Tell whether the peer link is there at both ends and up."""
    mine = box.tree.find("sys/vpc/inst/dom/keepalive/peerlink")
    other = box.peer.tree.find("sys/vpc/inst/dom/keepalive/peerlink") if box.peer else None
    if not (_alive(box) and mine and other and box.peer):
        return False
    same = domain(box), domain(box.peer)
    if same[0] is None or same[1] is None or same[0].get("id") != same[1].get("id"):
        return False
    ends = [box.tree.find(names.dn(mine.get("id"))), box.peer.tree.find(names.dn(other.get("id")))]
    return all(end is not None and end.get("adminSt") == "up" for end in ends)


def parameters(box: Box) -> list[tuple[str, str, str]]:
    """List what must be the same in a pair: name, this box's value, the peer's, "-" where there is none."""
    return [
        (name, _values(box)[name], _values(box.peer).get(name, "-") if box.peer else "-")
        for name in _values(box)
    ]


def _values(box: Box) -> dict[str, str]:
    tree = box.tree
    stp = tree.at("sys/stp/inst")
    vlans = names.vlan_text({int(vlan.attrs["fabEncap"][5:]) for vlan in tree.at("sys/bd").only("l2BD")})
    svis = names.vlan_text({int(svi.attrs["id"][4:]) for svi in tree.at("sys/intf").only("sviIf")})
    return {
        "STP Mode": "Rapid-PVST" if stp.get("mode") == "pvrst" else "MST",
        "STP Disabled": "None",
        "STP Loopguard": "Disabled",
        "Network Qos (MTU)": f"({tree.at('sys/ethpm/inst').get('systemJumboMtu')}, 1500, 1500, 1500)",
        "Interface-vlan admin up": svis,
        "Allowed VLANs": vlans,
    }


_TYPES = {"Allowed VLANs": "-", "Interface-vlan admin up": "2"}


def show_vpc(box: Box) -> Output:
    """Write `show vpc`."""
    mine = domain(box)
    if mine is None:
        raise Refusal("vPC is not configured" if box.tree.find("sys/vpc") else "% Invalid command")
    linked = _linked(box)
    wrong = [name for name, one, other in parameters(box) if one != other and _TYPES.get(name, "1") == "1"]
    body: dict[str, Any] = {
        "vpc-domain-id": mine.get("id"),
        "vpc-peer-status": "peer-ok" if linked else "peer-not-alive",
        "vpc-peer-status-reason": "SUCCESS" if linked else "",
        "vpc-peer-keepalive-status": "peer-alive" if _alive(box) else "peer-not-reachable",
        "vpc-peer-consistency": "inconsistent" if wrong else "consistent",
        "vpc-per-vlan-peer-consistency": "consistent",
        "vpc-peer-consistency-status": "SUCCESS" if not wrong else "INCONSISTENT",
        "vpc-type-2-consistency": "consistent",
        "vpc-type-2-consistency-status": "SUCCESS",
        "vpc-role": _role(box, mine),
        "num-of-vpcs": str(sum(1 for _ in mine.only("vpcIf"))),
        "peer-gateway": "1" if mine.get("peerGw") == "enabled" else "0",
        "dual-active-excluded-vlans": "-",
        "vpc-graceful-consistency-check-status": "1",
        "vpc-auto-recovery-status": "Enabled",
        **table("peerlink", _peer_link_rows(box, up=linked)),
        **table("vpc", [_vpc_row(box, number) for number in mine.only("vpcIf")]),
    }
    return Output(_vpc_text(body), body)


def _role(box: Box, mine: Node) -> str:
    other = domain(box.peer) if box.peer else None
    if other is None or not _linked(box):
        return "none-established"
    rank = int(mine.get("rolePrio")), box.serial
    return (
        "primary" if rank < (int(other.get("rolePrio")), box.peer.serial if box.peer else "") else "secondary"
    )


def _peer_link_rows(box: Box, *, up: bool) -> list[dict[str, Any]]:
    link = box.tree.find("sys/vpc/inst/dom/keepalive/peerlink")
    if link is None:
        return []
    port = box.tree.at(names.dn(link.get("id")))
    row = {
        "peer-link-id": "1",
        "peerlink-ifindex": link.get("id").title(),
        "peer-link-port-state": "1" if up else "0",
    }
    return [{**row, "peer-up-vlan-bitset": port.get("trunkVlans")}]


def _vpc_row(box: Box, number: Node) -> dict[str, Any]:
    conf = number.kids.get("rsvpcConf")
    brief = conf.get("tDn").partition("[")[2].rstrip("]") if conf else ""
    there = box.peer and box.peer.tree.find(f"sys/vpc/inst/dom/if-{number.attrs['id']}")
    compared = _of_member(box, number.attrs["id"])
    wrong = any(kind == "1" and "-" not in ends and len(set(ends)) > 1 for _, kind, *ends in compared)
    return {
        "vpc-id": number.attrs["id"],
        "vpc-ifindex": brief.title(),
        "vpc-port-state": "1" if brief else "0",
        "vpc-consistency": "consistent" if there and not wrong else "inconsistent",
        "vpc-consistency-status": "SUCCESS"
        if there and not wrong
        else "vPC type-1 configuration incompatible"
        if there
        else "Peer does not have corresponding vPC",
        "up-vlan-bitset": box.tree.at(names.dn(brief)).get("trunkVlans") if brief else "-",
    }


def _vpc_text(body: dict[str, Any]) -> str:
    lines = [
        ("vPC domain id", body["vpc-domain-id"]),
        (
            "Peer status",
            "peer adjacency formed ok" if body["vpc-peer-status"] == "peer-ok" else "peer link is down",
        ),
        ("vPC keep-alive status", body["vpc-peer-keepalive-status"].replace("-", " ")),
        (
            "Configuration consistency status",
            "success" if body["vpc-peer-consistency"] == "consistent" else "failed",
        ),
        ("Per-vlan consistency status", "success"),
        ("Type-2 consistency status", "success"),
        ("vPC role", body["vpc-role"].replace("-", " ")),
        ("Number of vPCs configured", body["num-of-vpcs"]),
        ("Peer Gateway", "Enabled" if body["peer-gateway"] == "1" else "Disabled"),
    ]
    return "Legend:\n\n" + "".join(f"{name:<34}: {value}\n" for name, value in lines)


def show_global(box: Box) -> Output:
    """Write `show vpc consistency-parameters global`."""
    if domain(box) is None:
        raise Refusal("vPC is not configured")
    rows = [
        {
            "vpc-param-name": name,
            "vpc-param-type": _TYPES.get(name, "1"),
            "vpc-param-local-val": one,
            "vpc-param-peer-val": other,
        }
        for name, one, other in parameters(box)
    ]
    return _consistency(rows)


def show_interface(box: Box, brief: str) -> Output:
    """Write `show vpc consistency-parameters interface`, for a port-channel that is in a vPC."""
    number = _vpc_of(box, brief)
    if number is None:
        raise Refusal("ERROR: the interface is in no vPC")
    return show_member(box, number)


def show_member(box: Box, number: str) -> Output:
    """Write `show vpc consistency-parameters vpc`."""
    if _port_of(box, number) is None:
        raise Refusal(f"ERROR: vPC {number} does not exist")
    rows = [
        {
            "vpc-param-name": name,
            "vpc-param-type": kind,
            "vpc-param-local-val": here,
            "vpc-param-peer-val": there,
        }
        for name, kind, here, there in _of_member(box, number)
    ]
    return _consistency(rows)


def _of_member(box: Box, number: str) -> list[tuple[str, str, str, str]]:
    """List what is compared of a vPC: name, type, this box's value, the peer's ("-" is nothing told)."""
    mine = _of_port(box, number)
    theirs = _of_port(box.peer, number) if box.peer is not None and _linked(box) else {}
    return [(n, "-" if n in _UNTYPED else "1", mine[n], theirs.get(n, "-")) for n in mine]


_UNTYPED = ("Allowed VLANs",)
_STP_TYPES = {"edge": "Edge Port", "trunk": "Edge Trunk Port", "network": "Network Port"}


def _of_port(box: Box, number: str) -> dict[str, str]:
    port = _port_of(box, number)
    if port is None:
        return {}
    edge = box.tree.find(f"sys/stp/inst/if-[{port.attrs['id']}]")
    return {
        "STP Port Type": _STP_TYPES.get(edge.get("mode") if edge else "", "Default"),
        "STP Port Guard": "None",
        "mode": port.get("pcMode"),
        "Port Mode": port.get("mode"),
        "Native Vlan": port.get("nativeVlan").removeprefix("vlan-"),
        "MTU": port.get("mtu"),
        "Admin port mode": port.get("layer"),
        "Allowed VLANs": port.get("trunkVlans") or "-",
    }


def _vpc_of(box: Box, brief: str) -> str | None:
    for dn, conf in box.tree.below("sys/vpc/inst/dom", "vpcRsVpcConf"):
        if conf.get("tDn") == names.dn(brief):
            return dn.rpartition("/if-")[2].partition("/")[0]
    return None


def _port_of(box: Box, number: str) -> Node | None:
    conf = box.tree.find(f"sys/vpc/inst/dom/if-{number}/rsvpcConf")
    return box.tree.find(conf.get("tDn")) if conf else None


def _consistency(rows: list[dict[str, Any]]) -> Output:
    lines = ["{:<27} {:<5} {:<22} {}".format(*row.values()) for row in rows]
    head = "Name                        Type  Local Value            Peer Value\n"
    return Output(head + "\n".join(lines) + "\n", table("vpc_consistency", rows))

"""Commands for features, VLANs, switched ports, port-channels, spanning tree and storm control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.testing.nexus import names
from sekisho.testing.nexus.modes import CONFIG, INTERFACE, VLAN, At
from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.rules import channel_of, members, remove, write
from sekisho.testing.nexus.schema import FEATURES

if TYPE_CHECKING:
    from sekisho.testing.nexus.grammar import Args

_SPEED: Final = {
    "10": "10M",
    "100": "100M",
    "1000": "1G",
    "2500": "2.5G",
    "5000": "5G",
    "10000": "10G",
    "25000": "25G",
    "40000": "40G",
    "50000": "50G",
    "100000": "100G",
    "200000": "200G",
    "400000": "400G",
    "auto": "auto",
}
_STORM: Final = {"broadcast": "BCast", "multicast": "MCast", "unicast": "UCast"}


@CONFIG("feature <name:rest>", "no feature <name:rest>")
def feature(at: At, args: Args, *, no: bool) -> str:
    name = args["name"]
    if name not in FEATURES:
        raise Refusal("% Invalid command")
    if (
        name == "lacp"
        and no
        and any(pc.get("pcMode") != "on" for pc in at.tree.at("sys/intf").only("pcAggrIf"))
    ):
        raise Refusal("ERROR: lacp is in use by port-channels")
    state = "disabled" if no else "enabled"
    write(at.tree, f"sys/fm/{FEATURES[name][1]}", {"adminSt": state, "operSt": state})
    return ""


@CONFIG("vlan <ids:rest>")
def vlan(at: At, args: Args, *, no: bool) -> str:
    ids = [str(number) for number in sorted(names.vlan_set(args["ids"]))]
    reserved = [number for number in ids if int(number) in names.RESERVED]
    if reserved:
        raise Refusal(
            f"ERROR: VLAN {reserved[0]} is in the reserved range {names.RESERVED[0]}-{names.RESERVED[-1]}"
        )
    for number in ids:
        write(at.tree, f"sys/bd/bd-[vlan-{number}]")
    at.enter("config-vlan", *ids)
    return ""


@CONFIG("no vlan <ids:rest>")
def no_vlan(at: At, args: Args, *, no: bool) -> str:
    for number in sorted(names.vlan_set(args["ids"])):
        remove(at.tree, f"sys/bd/bd-[vlan-{number}]")
    return ""


@VLAN("name <name:rest>", "no name [<name:rest>]")
def vlan_name(at: At, args: Args, *, no: bool) -> str:
    return _vlans(at, {"name": "" if no else args["name"]})


@VLAN("vn-segment <vni>", "no vn-segment [<vni>]")
def vlan_segment(at: At, args: Args, *, no: bool) -> str:
    return _vlans(at, {"accEncap": "unknown" if no else f"vxlan-{args['vni']}"})


@VLAN("state <state>", "no state [<state>]")
def vlan_state(at: At, args: Args, *, no: bool) -> str:
    return _vlans(at, {"BdState": "active" if no else args["state"]})


@VLAN("shutdown", "no shutdown")
def vlan_shutdown(at: At, args: Args, *, no: bool) -> str:
    return _vlans(at, {"adminSt": "active" if no else "suspend"})


def _vlans(at: At, changes: dict[str, str]) -> str:
    for number in at.about:
        write(at.tree, f"sys/bd/bd-[vlan-{number}]", dict(changes))
    return ""


@CONFIG("interface <name:rest>")
def interface(at: At, args: Args, *, no: bool) -> str:
    briefs = _several(args["name"])
    for brief in briefs:
        if at.tree.find(names.dn(brief)) is None:
            if brief.startswith(("eth", "mgmt")):
                raise Refusal(f"% Invalid interface format: {args['name']}")
            write(at.tree, names.dn(brief))
    at.enter("config-if" if len(briefs) == 1 else "config-if-range", *briefs)
    return ""


@CONFIG("no interface <name:rest>")
def no_interface(at: At, args: Args, *, no: bool) -> str:
    for brief in _several(args["name"]):
        if brief.startswith(("eth", "mgmt")):
            raise Refusal("% Invalid command")
        remove(at.tree, names.dn(brief))
    return ""


@CONFIG("default interface <name:rest>")
def default_interface(at: At, args: Args, *, no: bool) -> str:
    for brief in _several(args["name"]):
        reset(at, brief)
    return ""


def reset(at: At, brief: str) -> None:
    """Make a port what it was before anybody configured it."""
    node = at.tree.at(names.dn(brief))
    if node.cls != "l1PhysIf":
        raise Refusal("% Invalid command")
    pc = channel_of(at.tree, brief)
    if pc is not None:
        remove(at.tree, f"{names.dn(pc.attrs['id'])}/rsmbrIfs-[{names.dn(brief)}]")
    layer = at.tree.at("sys/ethpm/inst").get("systemDefaultLayer")
    node.attrs = {"id": brief} if layer == "Layer2" else {"id": brief, "layer": layer}
    node.kids["physExtd"].attrs.clear()
    at.tree.at(f"sys/stp/inst/if-[{brief}]").attrs = {"id": brief}
    write(at.tree, names.dn(brief), {"layer": "Layer2"}, force=True) if layer == "Layer2" else None


def _several(text: str) -> list[str]:
    """Read ``Ethernet1/1-4, Ethernet1/7``."""
    found: list[str] = []
    for item in text.split(","):
        first, dash, last = item.strip().rpartition("-") if item.strip()[-1:].isdigit() else ("", "", "")
        if dash and last.isdigit() and first[-1:].isdigit():
            stem = first.rstrip("0123456789")
            numbers = range(int(first[len(stem) :]), int(last) + 1)
            found += [names.short(f"{stem}{number}") for number in numbers]
        else:
            found.append(names.short(item))
    return found


def each(at: At, changes: dict[str, str], below: str = "") -> str:
    """Change all interfaces of the mode alike."""
    for brief in at.about:
        write(at.tree, names.dn(brief) + below, dict(changes))
    return ""


@INTERFACE("description <text:rest>", "no description [<text:rest>]")
def description(at: At, args: Args, *, no: bool) -> str:
    return each(at, {"descr": "" if no else args["text"]})


@INTERFACE("shutdown", "no shutdown")
def shutdown(at: At, args: Args, *, no: bool) -> str:
    return each(at, {"adminSt": "up" if no else "down"})


@INTERFACE("mtu <mtu>", "no mtu [<mtu>]")
def mtu(at: At, args: Args, *, no: bool) -> str:
    return each(at, {"mtu": "1500" if no else args["mtu"]})


@INTERFACE("speed <speed>", "no speed [<speed>]")
def speed(at: At, args: Args, *, no: bool) -> str:
    if not no and args["speed"] not in _SPEED:
        raise Refusal("% Invalid command")
    return each(at, {"speed": "auto" if no else _SPEED[args["speed"]]})


@INTERFACE("duplex auto|full|half", "no duplex [auto|full|half]")
def duplex(at: At, args: Args, *, no: bool) -> str:
    return each(at, {"duplex": "auto" if no else args["auto"]})


@INTERFACE("switchport", "no switchport")
def switchport(at: At, args: Args, *, no: bool) -> str:
    _only_ports(at)
    return each(at, {"layer": "Layer3" if no else "Layer2"})


@INTERFACE("switchport mode access|trunk|fex-fabric|dot1q-tunnel", "no switchport mode [access|trunk]")
def switchport_mode(at: At, args: Args, *, no: bool) -> str:
    _only_ports(at)
    return each(at, {"mode": "access" if no else args["access"]})


@INTERFACE("switchport access vlan <vlan>", "no switchport access [vlan [<vlan>]]")
def switchport_access(at: At, args: Args, *, no: bool) -> str:
    _only_ports(at)
    return each(at, {"accessVlan": "vlan-1" if no else f"vlan-{args['vlan']}"})


@INTERFACE("switchport trunk native vlan <vlan>", "no switchport trunk native [vlan [<vlan>]]")
def switchport_native(at: At, args: Args, *, no: bool) -> str:
    _only_ports(at)
    return each(at, {"nativeVlan": "vlan-1" if no else f"vlan-{args['vlan']}"})


@INTERFACE("switchport trunk allowed vlan <ids:rest>")
def switchport_allowed(at: At, args: Args, *, no: bool) -> str:
    """Without `add` the list is replaced: the trap that this product exists to keep out of."""
    _only_ports(at)
    first, _, rest = args["ids"].partition(" ")
    match first.lower():
        case "add":
            wanted = f"+{rest}"
        case "remove":
            wanted = f"-{rest}"
        case "except":
            wanted = names.vlan_text(set(range(1, 4095)) - names.vlan_set(rest))
        case "all":
            wanted = "1-4094"
        case "none":
            wanted = "none"
        case _:
            wanted = args["ids"]
    return each(at, {"trunkVlans": wanted})


@INTERFACE("no switchport trunk allowed vlan [<ids:rest>]")
def no_switchport_allowed(at: At, args: Args, *, no: bool) -> str:
    return each(at, {"trunkVlans": "1-4094"})


def _only_ports(at: At) -> None:
    if any(not brief.startswith(("eth", "po")) for brief in at.about):
        raise Refusal("% Invalid command")


@INTERFACE(
    "spanning-tree port type edge|network|normal [trunk]",
    "no spanning-tree port type [edge|network|normal [trunk]]",
)
def stp_type(at: At, args: Args, *, no: bool) -> str:
    mode = "default" if no else args["edge"]
    trunk = at.session.line_words[-1:] == ["trunk"]
    return _stp(at, {"mode": "trunk" if trunk and mode == "edge" else mode})


@INTERFACE("spanning-tree bpduguard enable|disable", "no spanning-tree bpduguard [enable|disable]")
def stp_guard(at: At, args: Args, *, no: bool) -> str:
    return _stp(at, {"bpduguard": "default" if no else args["enable"]})


@INTERFACE("spanning-tree bpdufilter enable|disable", "no spanning-tree bpdufilter [enable|disable]")
def stp_filter(at: At, args: Args, *, no: bool) -> str:
    return _stp(at, {"bpdufilter": "default" if no else args["enable"]})


@INTERFACE("spanning-tree guard root|loop|none", "no spanning-tree guard [root|loop|none]")
def stp_root(at: At, args: Args, *, no: bool) -> str:
    return _stp(at, {"guard": "default" if no else args["root"]})


def _stp(at: At, changes: dict[str, str]) -> str:
    for brief in at.about:
        write(at.tree, f"sys/stp/inst/if-[{brief}]", dict(changes))
    return ""


@INTERFACE(
    "storm-control broadcast|multicast|unicast level <level>",
    "no storm-control broadcast|multicast|unicast level [<level>]",
)
def storm(at: At, args: Args, *, no: bool) -> str:
    level = "100" if no else args["level"]
    for brief in at.about:
        below = "/physExtd" if brief.startswith("eth") else "/aggrExtd"
        write(at.tree, names.dn(brief) + below, {f"stormCtrl{_STORM[args['broadcast']]}Level": level})
    return ""


@INTERFACE("channel-group <number> [force] [mode active|passive|on]")
def channel_group(at: At, args: Args, *, no: bool) -> str:
    mode = args.get("active", "on")
    force = "force" in at.session.line_words
    for brief in at.about:
        dn = f"sys/intf/aggr-[po{args['number']}]"
        port = at.tree.at(names.dn(brief))
        pc = at.tree.find(dn)
        if pc is None or not (members(pc) or set(pc.attrs) - {"id", "pcMode", "descr", "adminSt"}):
            taken = {
                name: port.get(name)
                for name in ("mode", "layer", "accessVlan", "nativeVlan", "trunkVlans", "mtu")
            }
            write(at.tree, dn, {**taken, "pcMode": mode})
        elif members(pc) and mode != pc.get("pcMode"):
            raise Refusal("command failed: port not compatible [channel mode]")
        else:
            write(at.tree, dn, {"pcMode": mode})
        write(at.tree, f"{dn}/rsmbrIfs-[{names.dn(brief)}]", {"isMbrForce": "yes" if force else "no"})
    return ""


@INTERFACE("no channel-group [<number:rest>]")
def no_channel_group(at: At, args: Args, *, no: bool) -> str:
    for brief in at.about:
        pc = channel_of(at.tree, brief)
        if pc is not None:
            remove(at.tree, f"{names.dn(pc.attrs['id'])}/rsmbrIfs-[{names.dn(brief)}]")
    return ""

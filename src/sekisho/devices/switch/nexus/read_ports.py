"""Managed objects in, interfaces out."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import Lacp, Port, PortMode, Storm, Svi
from sekisho.devices.switch.nexus import defaults, names
from sekisho.devices.switch.nexus.found import Found, Object, many, number

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTS: Final = re.compile(r"/ipv([46])/policy/(ingress|egress)/intf-\[([^\]]+)\]/(?:port)?acl$")
_DIRECTIONS: Final = {"ingress": "in", "egress": "out"}
_ADDRESS: Final = re.compile(r"/dom-\[?([^\]/]+)\]?/if-\[([^\]]+)\]/addr-\[")
_MEMBER: Final = re.compile(r"/aggr-\[([^\]]+)\]/rsmbrIfs-\[sys/intf/phys-\[([^\]]+)\]")
_OWNER: Final = re.compile(r"/(?:phys|aggr|svi|if)-\[([^\]]+)\]")


@dataclass(slots=True)
class _Beside:
    """What the tree keeps of interfaces elsewhere than at them, by their short names."""

    spanning: dict[str, Object]
    storms: dict[str, Object]
    lists: dict[str, dict[str, str]]
    channels: dict[str, str]
    vpcs: dict[str, int]
    peer_link: str
    members: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def ports(found: Found) -> Iterator[Port]:
    """Read all physical interfaces and port-channels."""
    beside = _beside(found)
    channels = {port.name: port for port in (_channel(it, beside) for it in many(found, "pcAggrIf"))}
    for it in many(found, "l1PhysIf"):
        if it["id"].startswith("eth"):
            port = _port(it, beside)
            channel = channels.get(port.channel or "")
            yield defaults.mirrored(port, channel) if channel else port
    yield from channels.values()


def _beside(found: Found) -> _Beside:
    pairs = [m.groups() for it in many(found, "pcRsMbrIfs") if (m := _MEMBER.search(it["dn"]))]
    beside = _Beside(
        spanning={it["id"]: it for it in many(found, "stpIf")},
        storms={
            _owner(it): it for name in ("l1PhysIfExtended", "pcAggrIfExtended") for it in many(found, name)
        },
        lists=_lists(found),
        channels={member: channel for channel, member in pairs},
        vpcs={
            _owner_of(it.get("tDn", "")): int(m[1])
            for it in many(found, "vpcRsVpcConf")
            if (m := re.search(r"/if-\[?(\d+)", it["dn"]))
        },
        peer_link=next((it.get("id", "") for it in many(found, "vpcPeerLink")), ""),
    )
    for channel, member in pairs:
        beside.members[channel].append(names.full(member))
    return beside


def _owner(it: Object) -> str:
    return _owner_of(it["dn"])


def _owner_of(dn: str) -> str:
    found = _OWNER.search(dn)
    return found[1] if found else ""


def _lists(found: Found) -> dict[str, dict[str, str]]:
    """Find the bound access lists; a switched port's hang under ``portacl``, whatever their class."""
    lists: dict[str, dict[str, str]] = defaultdict(dict)
    for it in (it for classname in found if classname.startswith("acl") for it in found[classname]):
        where = _LISTS.search(it["dn"])
        if where and it.get("name"):
            lists[where[3]][f"acl{where[1]}_{_DIRECTIONS[where[2]]}"] = it["name"]
    return lists


def _unbound() -> dict[str, Any]:
    return {f"acl{family}_{direction}": "" for family in (4, 6) for direction in ("in", "out")}


def _mode(it: Object) -> PortMode:
    if it.get("layer") == "Layer3":
        return PortMode.ROUTED
    return PortMode.TRUNK if it.get("mode") == "trunk" else PortMode.ACCESS


def _vlan(text: str) -> int:
    number_ = text.removeprefix("vlan-")
    return int(number_) if number_.isdigit() else 1


def _port(it: Object, beside: _Beside) -> Port:
    name = it["id"]
    spanning = beside.spanning.get(name, {})
    mode = _mode(it)
    blank = defaults.port(names.full(name))
    lists = _unbound() | beside.lists.get(name, {})
    given = Port(
        blank.name,
        description=it.get("descr", ""),
        enabled=it.get("adminSt") != "down",
        mtu=number(it, "mtu") or defaults.MTU,
        speed=names.MBITS.get(it.get("speed", "auto"), 0),
        mode=mode,
        access=_vlan(it.get("accessVlan", "")),
        native=_vlan(it.get("nativeVlan", "")),
        allowed=vlans.parse(it.get("trunkVlans", vlans.ALL)),
        edge=spanning.get("mode") in ("edge", "trunk"),
        bpdu_guard=spanning.get("bpduguard") == "enable",
        storm=_storm(beside.storms.get(name, {})),
        members=blank.members,
        lacp=blank.lacp,
        vpc=blank.vpc,
        peer_link=blank.peer_link,
        channel=None if blank.channel is None else names.full(beside.channels.get(name, "")),
        **lists,
    )
    return defaults.bare(given) if mode is PortMode.ROUTED else given


def _storm(it: Object) -> Storm:
    def share(name: str) -> int:
        return round(float(it.get(name) or 100) * 100)

    return Storm(share("stormCtrlBCastLevel"), share("stormCtrlMCastLevel"), share("stormCtrlUCastLevel"))


def _channel(it: Object, beside: _Beside) -> Port:
    name = it["id"]
    mode = it.get("pcMode", "on")
    return dataclasses.replace(
        _port(it, beside),
        members=names.sorted_ports(beside.members.get(name, ())),
        lacp=Lacp(mode) if mode in ("active", "passive") else Lacp.ON,
        vpc=beside.vpcs.get(name, 0),
        peer_link=name == beside.peer_link,
    )


def svis(found: Found) -> Iterator[Svi]:
    """Read the VLANs' own interfaces; that of VLAN 1 is there by itself and counts only if used."""
    lists = _lists(found)
    vrfs = {
        _owner(it): it.get("tDn", "").removeprefix("sys/inst-").strip("[]")
        for it in many(found, "nwRtVrfMbr")
    }
    addresses: dict[str, list[str]] = defaultdict(list)
    for it in (*many(found, "ipv4Addr"), *many(found, "ipv6Addr")):
        where = _ADDRESS.search(it["dn"])
        if where:
            addresses[where[2]].append(it["addr"])
    for it in many(found, "sviIf"):
        name = it["id"]
        given = Svi(
            int(name.removeprefix("vlan")),
            it.get("descr", ""),
            enabled=it.get("adminSt") == "up",
            mtu=number(it, "mtu") or defaults.MTU,
            vrf=vrfs.get(name) or names.DEFAULT_VRF,
            addresses=names.sorted_text(addresses.get(name, ())),
            **(_unbound() | lists.get(name, {})),
        )
        if given != defaults.svi(1):
            yield given

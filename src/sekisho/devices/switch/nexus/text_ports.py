"""Interfaces as a configuration writes them in, parts out."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch import vlans
from sekisho.devices.switch.intent import Lacp, Port, PortMode, Svi
from sekisho.devices.switch.nexus import defaults, names

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIST: Final = re.compile(r"(ip|ipv6) (?:port )?(?:access-group|traffic-filter) (\S+) (in|out)$")
_STORM: Final = re.compile(r"storm-control (broadcast|multicast|unicast) level (\S+)$")
_CHANNEL: Final = re.compile(r"channel-group (\d+)(?: force)?(?: mode (active|passive|on))?$")


class Ports:
    """Gathers interfaces: what a port-channel is, its members say as well."""

    def __init__(self) -> None:
        self._shut = False  # what a switched port is that says neither
        self._ports: dict[str, Port] = {}
        self._svis: dict[int, Svi] = {}
        self._members: dict[str, list[tuple[str, Lacp]]] = {}

    def take(self, head: str, below: list[str]) -> bool:
        """Read a block if it is an interface, or says what interfaces are by default."""
        if head.endswith("system default switchport shutdown"):
            self._shut = not head.startswith("no ")
            return True
        if not head.startswith("interface "):
            return False
        name = names.full(head.removeprefix("interface "))
        if name.startswith("Vlan"):
            self._svis[int(name.removeprefix("Vlan"))] = _svi(int(name.removeprefix("Vlan")), below)
        elif name.startswith(names.ROUTED_PORTS) and "." not in name:
            self._ports[name] = self._port(name, below)
        return True

    def parts(self) -> Iterator[Port | Svi]:
        """Give all interfaces."""
        for name, own in self._ports.items():
            joined = self._members.get(names.channel_number(name), []) if names.is_channel(name) else []
            members = names.sorted_ports(member for member, _ in joined)
            channel = self._ports.get(own.channel or "")
            port = defaults.mirrored(own, channel) if channel else own
            yield dataclasses.replace(port, members=members, lacp=joined[0][1]) if joined else port
        for svi in self._svis.values():
            if svi != defaults.svi(1):
                yield svi

    def _port(self, name: str, below: list[str]) -> Port:
        said: dict[str, Any] = {}
        mode = PortMode.ROUTED if "no switchport" in below else PortMode.ACCESS
        for line in below:
            mode = PortMode(line.rpartition(" ")[2]) if _says_mode(line) else mode
            said |= _line(line, said)
            if found := _CHANNEL.match(line):
                said["channel"] = f"port-channel{found[1]}"
                self._members.setdefault(found[1], []).append((name, Lacp(found[2] or "on")))
        blank = defaults.port(name)
        said.setdefault("enabled", not self._shut if mode is not PortMode.ROUTED else names.is_channel(name))
        storm = said.pop("storm", {})
        port = dataclasses.replace(
            blank, mode=mode, storm=dataclasses.replace(defaults.STORM, **storm), **said
        )
        return defaults.bare(port) if mode is PortMode.ROUTED else port


def _says_mode(line: str) -> bool:
    return line in ("switchport mode access", "switchport mode trunk")


def _common(line: str) -> dict[str, Any]:
    """Read what all interfaces have."""
    if found := _LIST.match(line):
        return {f"acl{4 if found[1] == 'ip' else 6}_{found[3]}": found[2]}
    match line.split():
        case ["description", *_]:
            return {"description": line.partition(" ")[2]}
        case ["mtu", mtu]:
            return {"mtu": int(mtu)}
        case ["shutdown"]:
            return {"enabled": False}
        case ["no", "shutdown"]:
            return {"enabled": True}
        case _:
            return {}


def _line(line: str, said: dict[str, Any]) -> dict[str, Any]:
    if found := _STORM.match(line):
        return {"storm": {**said.get("storm", {}), found[1]: round(float(found[2]) * 100)}}
    match line.split():
        case ["speed", speed]:
            return {"speed": int(speed) if speed.isdigit() else 0}
        case ["switchport", *words]:
            return _switchport(words, said)
        case ["spanning-tree", "port", "type", kind, *_]:
            return {"edge": kind == "edge"}
        case ["spanning-tree", "bpduguard", word]:
            return {"bpdu_guard": word == "enable"}
        case ["vpc", "peer-link"]:
            return {"peer_link": True}
        case ["vpc", number]:
            return {"vpc": int(number)}
        case _:
            return _common(line)


def _switchport(words: list[str], said: dict[str, Any]) -> dict[str, Any]:
    match words:
        case ["access", "vlan", vlan]:
            return {"access": int(vlan)}
        case ["trunk", "native", "vlan", vlan]:
            return {"native": int(vlan)}
        case ["trunk", "allowed", "vlan", "add", ids]:  # a long list goes on in further lines
            return {"allowed": vlans.join(said.get("allowed", vlans.NONE), vlans.parse(ids))}
        case ["trunk", "allowed", "vlan", ids]:
            return {"allowed": vlans.parse(ids)}
        case _:
            return {}


def _svi(vlan: int, below: list[str]) -> Svi:
    said: dict[str, Any] = {}
    addresses: list[str] = []
    for line in below:
        match line.split():
            case ["vrf", "member", vrf]:
                said["vrf"] = vrf
            case ["ip" | "ipv6", "address", address, *_] if "/" in address:
                addresses.append(address)
            case _:
                said |= _common(line)
    return dataclasses.replace(defaults.svi(vlan), addresses=names.sorted_text(addresses), **said)

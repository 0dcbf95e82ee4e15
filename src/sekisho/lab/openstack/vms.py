"""VMs on Neutron's ports: a network namespace with a veth, plugged as Nova and os-vif do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sekisho.lab.openstack.shell import call, enter, links

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.lab.openstack.host import Host

# What VXLAN leaves of 1,500 bytes; a network says its own.
_MTU: Final = 1450
_INTEGRATION: Final = "br-int"
# What the guest's own bridge calls frames without a tag.
_UNTAGGED: Final = 4000


@dataclass(frozen=True, slots=True)
class Vm:
    """A namespace with eth0. `interface` is the switch's end; addresses have their prefix length."""

    port: str
    server: str
    project: str
    network: str
    mac: str
    addresses: tuple[str, ...]
    mtu: int
    host: str
    bridge: str
    namespace: str
    interface: str

    @property
    def ipv4(self) -> str:
        """Its first IPv4 address."""
        return next(a.partition("/")[0] for a in self.addresses if ":" not in a)

    @property
    def ipv6(self) -> str:
        """Its first IPv6 address."""
        return next(a.partition("/")[0] for a in self.addresses if ":" in a)


def describe(port: Mapping[str, Any], prefix: str, lengths: Mapping[str, str], mtu: int) -> Vm:
    """Say how the VM of a bound port is plugged; `lengths` has the prefix length of each subnet."""
    details = port["binding:vif_details"]
    addresses = [f"{each['ip_address']}/{lengths[each['subnet_id']]}" for each in port["fixed_ips"]]
    return Vm(
        port=port["id"],
        server=port["device_id"],
        project=port["project_id"],
        network=port["network_id"],
        mac=port["mac_address"],
        addresses=tuple(addresses),
        mtu=mtu or _MTU,
        host=port["binding:host_id"],
        # The parent of a trunk stands on a bridge of the trunk's own.
        bridge=details.get("bridge_name", _INTEGRATION),
        namespace=f"{prefix}-vm-{port['id'][:8]}",
        interface=f"tap{port['id'][:11]}",
    )


def make(vm: Vm) -> None:
    """Make the VM, without any network yet."""
    call("ip", "netns", "add", vm.namespace)
    links(vm.namespace, "link set lo up")


def plug(vm: Vm, host: Host) -> None:
    """Give the VM its eth0, and put the other end on its bridge."""
    _wire(vm, host, "eth0")
    links(vm.namespace, *_addresses(vm.addresses, "eth0"))
    _register(vm, host)


def _wire(vm: Vm, host: Host, inner: str) -> None:
    if vm.bridge == _INTEGRATION:
        _add_card(vm, host, vm.interface, inner, vm.mac)
        return
    # A guest that has a trunk speaks VLAN. Not every kernel does: a bridge of the guest's own stands for it.
    guest, uplink = _guest(vm)
    links(host.namespace, f"link add {vm.interface} type veth peer name {uplink}")
    links(host.namespace, *(f"link set {each} mtu {vm.mtu} up" for each in (uplink, vm.interface)))
    host.switch.add_bridge(guest)
    tags = (f"tag={_UNTAGGED}", "vlan_mode=native-untagged")
    host.switch.vsctl("add-port", guest, uplink, *tags)
    _add_guest_card(vm, host, inner, _UNTAGGED, vm.mac)


def _guest(vm: Vm) -> tuple[str, str]:
    return f"guest-{vm.port[:8]}", f"up-{vm.port[:8]}"


def _add_guest_card(vm: Vm, host: Host, inner: str, vlan: int, mac: str) -> None:
    outer = f"gv{vlan}-{vm.port[:8]}"
    _add_card(vm, host, outer, inner, mac)
    host.switch.vsctl("add-port", _guest(vm)[0], outer, f"tag={vlan}")


def _add_card(vm: Vm, host: Host, outer: str, inner: str, mac: str) -> None:
    pair = f"link add {outer} type veth peer name {inner} netns {vm.namespace}"
    links(host.namespace, pair, f"link set {outer} mtu {vm.mtu} up")
    # The switch reads raw packets: a checksum left to hardware would never be filled in.
    call(*enter(vm.namespace), "ethtool", "-K", inner, "tx", "off")
    links(vm.namespace, f"link set {inner} address {mac} mtu {vm.mtu}")


def _addresses(addresses: tuple[str, ...], inner: str) -> list[str]:
    # nodad: an address is usable at once instead of after a second of neighbour solicitations.
    lines = [f"link set {inner} up"]
    return lines + [f"addr add {a} dev {inner}{' nodad' if ':' in a else ''}" for a in addresses]


def _register(vm: Vm, host: Host) -> None:
    if vm.bridge != _INTEGRATION:
        host.switch.add_bridge(vm.bridge)
    ids = {"iface-id": vm.port, "attached-mac": vm.mac, "iface-status": "active", "vm-uuid": vm.server}
    words = [f'external_ids:{key}="{value}"' for key, value in ids.items()]
    add = ("--may-exist", "add-port", vm.bridge, vm.interface)
    host.switch.vsctl(*add, "--", "set", "Interface", vm.interface, *words)
    host.vms[vm.port] = vm


def unplug(vm: Vm, host: Host) -> None:
    """Take the VM off its switch; its namespace stays."""
    host.vms.pop(vm.port, None)
    host.switch.vsctl("--if-exists", "del-port", vm.bridge, vm.interface)
    if vm.bridge != _INTEGRATION:
        host.switch.delete_bridge(_guest(vm)[0])
    links(host.namespace, f"link del {vm.interface}")


def arrive(vm: Vm, host: Host) -> None:
    """Plug the VM in on a second host too, with a card that is down: it still runs on the first."""
    _wire(vm, host, "eth1")
    _register(vm, host)


def switch_over(vm: Vm, source: Host) -> None:
    """Let the VM go on with the card of the second host, and leave the first; its processes notice little."""
    unplug(vm, source)
    links(vm.namespace, "link set eth1 name eth0", *_addresses(vm.addresses, "eth0"))


def plug_subport(vm: Vm, host: Host, vlan: int, mac: str, addresses: tuple[str, ...]) -> None:
    """Give the parent of a trunk a card for one subport: eth0.VLAN."""
    name = f"eth0.{vlan}"
    _add_guest_card(vm, host, name, vlan, mac)
    links(vm.namespace, *_addresses(addresses, name))

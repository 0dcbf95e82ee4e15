"""A box as it leaves the factory and its first setup: ports, the management interface, one user."""

from __future__ import annotations

from sekisho.testing.nexus.rules import write
from sekisho.testing.nexus.schema import CLASSES, FEATURES, child_of
from sekisho.testing.nexus.tree import Tree

_DEFAULT_ON = ("ssh", "nxapi")


def blank(ports: int, *, layer: str = "Layer2") -> Tree:
    """Give a box with nothing configured but its ports."""
    tree = Tree()
    for dn in _fixed():
        tree.ensure(dn)
    for name in ("default", "management"):
        write(tree, f"sys/inst-{name}")
        for family in ("ipv4", "ipv6"):
            write(tree, f"sys/{family}/inst/dom-{name}")
    tree.at("sys/ethpm/inst").attrs["systemDefaultLayer"] = layer
    for number in range(1, ports + 1):
        port = tree.ensure(f"sys/intf/phys-[eth1/{number}]")
        if layer != "Layer2":
            port.attrs["layer"] = layer
        tree.ensure(f"sys/intf/phys-[eth1/{number}]/physExtd")
        write(tree, f"sys/stp/inst/if-[eth1/{number}]")
    tree.ensure("sys/mgmt-[mgmt0]")
    write(tree, "sys/mgmt-[mgmt0]/rtvrfMbr", {"tDn": "sys/inst-management"})
    for feature in _DEFAULT_ON:
        write(tree, f"sys/fm/{FEATURES[feature][1]}", {"adminSt": "enabled"})
    write(tree, "sys/bd/bd-[vlan-1]", {"name": "default"})
    return tree


def set_up(tree: Tree, hostname: str, username: str, password: str) -> None:
    """Give a blank box its name, its user and its management address."""
    write(tree, "sys", {"name": hostname})
    write(tree, f"sys/userext/user-[{username}]", {"pwd": password, "pwdEncryptType": "clear"})
    write(tree, f"sys/userext/user-[{username}]/userdomain-[all]/role-[network-admin]")


def _fixed() -> list[str]:
    """List the objects that are always there and have no key, parents first."""
    found = ["sys"]
    classes = {"sys": "topSystem"}
    for spec in CLASSES.values():
        if not spec.fixed or spec.keys or not spec.parents:
            continue
        above = next((dn for dn in found if classes[dn] == spec.parents[0]), None)
        if above is not None and child_of(spec.parents[0], spec.rn)[0] == spec.name:
            found.append(f"{above}/{spec.rn}")
            classes[found[-1]] = spec.name
    return found

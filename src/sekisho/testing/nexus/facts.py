"""What the box says of itself and its surroundings, put into the tree before somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.testing.nexus import pairing
from sekisho.testing.nexus.rules import enabled

if TYPE_CHECKING:
    from sekisho.testing.nexus.box import Box


def refresh(box: Box) -> None:
    """Bring what is not configuration up to date."""
    tree = box.tree
    tree.root.attrs.update(serial=box.serial, systemUpTime=str(int(box.clock() - box.started)))
    tree.at("sys/ch").attrs.update(model=box.model, ser=box.serial)
    tree.at("sys/showversion").attrs.update(
        nxosVersion=box.version, nxosImageFile="bootflash:///nxos.bin", biosVersion="07.69"
    )
    _neighbours(box)
    _pair(box)


def _neighbours(box: Box) -> None:
    if not enabled(box.tree, "lldp"):
        return
    inst = box.tree.ensure("sys/lldp/inst")
    for kid in list(inst.only("lldpIf")):
        kid.kids.clear()
    for brief, heard in box.neighbours.items():
        box.tree.ensure(f"sys/lldp/inst/if-[{brief}]/adj-1").attrs.update(
            sysName=heard.system,
            portIdV=heard.remote_port,
            chassisIdV=heard.chassis,
            sysDesc=heard.description,
        )


def _pair(box: Box) -> None:
    dom = pairing.domain(box)
    if dom is None:
        return
    body = pairing.show_vpc(box).body or {}
    dom.attrs["peerSt"] = "up" if body["vpc-peer-status"] == "peer-ok" else "down"
    dom.attrs["compatSt"] = "pass" if body["vpc-peer-consistency"] == "consistent" else "fail"
    role = {"primary": "cfg-master-oper-master", "secondary": "cfg-slave-oper-slave"}.get(body["vpc-role"])
    dom.attrs["operRole"] = {None: "election-not-done", "cfg-master-oper-master": "master"}.get(role, "slave")
    alive = dom.kids.get("keepalive")
    if alive is not None:
        up = body["vpc-peer-keepalive-status"] == "peer-alive"
        alive.attrs["operSt"] = "operational,peer-was-alive" if up else "peer-was-alive"

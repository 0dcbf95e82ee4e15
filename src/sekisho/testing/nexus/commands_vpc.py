"""Commands for vPC: the domain, the keepalive, the peer link and who is a member."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.testing.nexus import names, pairing
from sekisho.testing.nexus.modes import CONFIG, EXEC, INTERFACE, VPC, At
from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.rules import remove, write

if TYPE_CHECKING:
    from sekisho.testing.nexus.grammar import Args
    from sekisho.testing.nexus.output import Output


@CONFIG("vpc domain <number>")
def vpc_domain(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, "sys/vpc/inst/dom", {"id": args["number"]})
    at.enter("config-vpc-domain", args["number"])
    return ""


@CONFIG("no vpc domain <number>")
def no_vpc_domain(at: At, args: Args, *, no: bool) -> str:
    remove(at.tree, "sys/vpc/inst/dom")
    return ""


@VPC("peer-keepalive destination <address> [source <source>] [vrf <vrf>]")
def keepalive(at: At, args: Args, *, no: bool) -> str:
    wanted = {
        "destIp": args["address"],
        "srcIp": args.get("source", "0.0.0.0"),
        "vrf": args.get("vrf", "management"),
    }
    write(at.tree, "sys/vpc/inst/dom/keepalive", wanted)
    return ""


@VPC("no peer-keepalive [<rest:rest>]")
def no_keepalive(at: At, args: Args, *, no: bool) -> str:
    none = {"destIp": "0.0.0.0", "srcIp": "0.0.0.0", "vrf": "management"}
    write(at.tree, "sys/vpc/inst/dom/keepalive", none)
    return ""


@VPC("role priority <number>", "no role priority [<number>]")
def role(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, "sys/vpc/inst/dom", {"rolePrio": "32667" if no else args["number"]})
    return ""


@VPC("peer-gateway|peer-switch|auto-recovery", "no peer-gateway|peer-switch|auto-recovery")
def vpc_switch(at: At, args: Args, *, no: bool) -> str:
    name = {"peer-gateway": "peerGw", "peer-switch": "peerSwitch", "auto-recovery": "autoRecovery"}[
        args["peer-gateway"]
    ]
    write(at.tree, "sys/vpc/inst/dom", {name: "disabled" if no else "enabled"})
    return ""


@VPC("delay restore <seconds>", "no delay restore [<seconds>]")
def delay(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, "sys/vpc/inst/dom", {"delayRestoreVPC": "30" if no else args["seconds"]})
    return ""


@INTERFACE("vpc peer-link")
def peer_link(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, "sys/vpc/inst/dom/keepalive/peerlink", {"id": at.about[0]})
    return ""


@INTERFACE("no vpc peer-link")
def no_peer_link(at: At, args: Args, *, no: bool) -> str:
    remove(at.tree, "sys/vpc/inst/dom/keepalive/peerlink")
    return ""


@INTERFACE("vpc <number>")
def vpc_member(at: At, args: Args, *, no: bool) -> str:
    if not at.about[0].startswith("po"):
        raise Refusal("% Invalid command")
    unbind(at)
    write(at.tree, f"sys/vpc/inst/dom/if-{args['number']}/rsvpcConf", {"tDn": names.dn(at.about[0])})
    return ""


@INTERFACE("no vpc [<number>]")
def no_vpc_member(at: At, args: Args, *, no: bool) -> str:
    unbind(at)
    return ""


def unbind(at: At) -> None:
    """Take a port-channel out of its vPC."""
    for dn, conf in list(at.tree.below("sys/vpc/inst/dom", "vpcRsVpcConf")):
        if conf.get("tDn") == names.dn(at.about[0]):
            remove(at.tree, dn.removesuffix("/rsvpcConf"))


@EXEC("show vpc", "show vpc brief")
def vpc(at: At, args: Args) -> Output:
    return pairing.show_vpc(at.box)


@EXEC("show vpc consistency-parameters global|vlans")
def consistency(at: At, args: Args) -> Output:
    return pairing.show_global(at.box)


@EXEC("show vpc consistency-parameters interface <name:if>")
def consistency_interface(at: At, args: Args) -> Output:
    return pairing.show_interface(at.box, args["name"])


@EXEC("show vpc consistency-parameters vpc <number>")
def consistency_member(at: At, args: Args) -> Output:
    return pairing.show_member(at.box, args["number"])

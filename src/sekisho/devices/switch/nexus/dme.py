"""Steps in, one tree of managed objects out, and the few commands for which it has no words.

Classes and properties are those of the NX-API REST model (DME), as in Cisco's YANG ``Cisco-NX-OS-device``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.devices.switch.driver import Sent, Step
from sekisho.devices.switch.intent import (
    Acl,
    Community,
    Dns,
    Feature,
    Ntp,
    Port,
    Route,
    Svi,
    Syslog,
    System,
    Trap,
    User,
    Vlan,
    Vpc,
    Vrf,
)
from sekisho.devices.switch.nexus import cli, defaults, dme_ports, dme_services, guard, names, tree
from sekisho.devices.switch.said import masked
from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sekisho.devices.switch.intent import Ace, Part

MOST: Final = 1000  # steps in one request: some 200 KB
ANY: Final = {4: ("0.0.0.0", "0"), 6: ("::", "0")}  # noqa: S104 - a prefix, not an address to listen on


@dataclass(frozen=True, slots=True)
class Stage:
    """What carries out one stage: commands, then the tree ("" for none), then commands."""

    first: tuple[cli.Block, ...]
    body: str
    shown: str
    last: tuple[cli.Block, ...]


def stage(steps: Sequence[Step]) -> Stage:
    """Write some steps as one tree. Raises Unsupported for what NX-OS cannot be told."""
    top = tree.root()
    first: list[cli.Block] = []
    last: list[cli.Block] = []
    for step in steps:
        if by_command(step):
            last += cli.blocks([step])
            continue
        _grow(top, step)
        if isinstance(step.before or step.after, Port):
            unbound, bound = dme_ports.lists_by_command(step)
            first += unbound
            last += bound
    for block in (*first, *last):
        guard.check(block)
    some = bool(top.below or top.properties)
    return Stage(
        tuple(first),
        json.dumps(top.plain(), indent=1) if some else "",
        json.dumps(top.plain(shown=True), indent=1) if some else "",
        tuple(last),
    )


def stages(steps: Sequence[Step]) -> Iterator[Stage]:
    """Write one stage: as one tree, or as a few where it is so large that a request would be."""
    for start in range(0, len(steps), MOST):
        yield stage(steps[start : start + MOST])


def render(steps: Sequence[Step]) -> tuple[Sent, ...]:
    """Say what is sent for a stage, in the order in which it is sent."""
    return tuple(sent for found in stages(steps) for sent in _sent(found))


def _sent(found: Stage) -> tuple[Sent, ...]:
    return (
        *_commands(found.first),
        *((Sent("dme", found.body, found.shown),) if found.body else ()),
        *_commands(found.last),
    )


def _commands(found: tuple[cli.Block, ...]) -> tuple[Sent, ...]:
    text = "\n".join(cli.written(found))
    return (Sent("cli", text, masked(text)),) if text else ()


def by_command(step: Step) -> bool:
    """Tell whether a step is one that the tree has no words for, or none that we know to hold."""
    some = (step.before, step.after)
    match step.after or step.before:
        case Acl():  # a line that was kept as the switch wrote it
            return any(" " in ace.protocol for a in some if isinstance(a, Acl) for ace in a.entries or ())
        case Route():  # to nowhere, or out of an interface
            return any(_odd(hop) for r in some if isinstance(r, Route) for hop in r.via or ())
        case _:
            return False


def _odd(hop: str) -> bool:
    return hop == "discard" or " " in hop or not (":" in hop or hop[:1].isdigit())


def _grow(top: tree.Branch, step: Step) -> None:
    match step.after or step.before:
        case Port():
            dme_ports.port(top, step)
        case Svi() as part:
            dme_ports.svi(top, step, part)
        case Ntp() | Dns() | Syslog() | Community() | Trap() | User() | System():
            dme_services.grow(top, step)
        case None:
            raise Unsupported("A step from nothing to nothing cannot be carried out.")
        case part:
            _plant(top, step, part)


def _plant(top: tree.Branch, step: Step, part: Part) -> None:
    match part:
        case Feature():
            _feature(top, step, part)
        case Vlan():
            _vlan(top, step, part)
        case Vrf():
            _vrf(top, step, part)
        case Acl():
            _acl(top, step, part)
        case Vpc():
            _vpc(top, step, part)
        case Route():
            _route(top, step, part)
        case _:
            raise Unsupported(f"A Nexus has no part of the kind {part.kind}.")


def _feature(top: tree.Branch, step: Step, part: Feature) -> None:
    known = names.FEATURES.get(part.name)
    if known is None:
        raise Unsupported(f'Feature "{part.name}" is none of those that Sekisho turns on or off.')
    on = isinstance(step.after, Feature) and step.after.enabled is not False
    top.at("fmEntity").at(known.classname).set(adminSt=tree.enabled(on))


def _vlan(top: tree.Branch, step: Step, part: Vlan) -> None:
    branch = top.at("bdEntity").at("l2BD", fabEncap=f"vlan-{part.id}")
    if step.after is None:
        branch.gone()
        return
    before = step.before if isinstance(step.before, Vlan) else defaults.vlan(part.id)
    if part.name is not None and part.name != before.name:
        branch.set(
            name=names.word(part.name or names.default_vlan_name(part.id), f"VLAN {part.id}: name", 128)
        )
    if part.vni is not None and part.vni != (before.vni or 0):
        branch.set(accEncap=f"vxlan-{part.vni}" if part.vni else "unknown")


def _vrf(top: tree.Branch, step: Step, part: Vrf) -> None:
    branch = top.at("l3Inst", name=names.word(part.name, "VRF: name", 32))
    if step.after is None:
        branch.gone()
    elif part.description is not None:
        branch.set(descr=names.line(part.description, f"VRF {part.name}: description"))


def _vpc(top: tree.Branch, step: Step, part: Vpc) -> None:
    domain = top.at("vpcEntity").at("vpcInst").at("vpcDom")
    domain.set(id=str(part.domain))
    if step.after is None:
        domain.gone()
        return
    if part.priority is not None:
        domain.set(rolePrio=str(part.priority))
    if part.peer_gateway is not None:
        domain.set(peerGw=tree.enabled(part.peer_gateway))
    if part.destination:
        alive = domain.at("vpcKeepalive").set(
            destIp=names.address(part.destination, "vPC: keepalive"), vrf=names.vrf(part.vrf or "management")
        )
        if part.source:
            alive.set(srcIp=names.address(part.source, "vPC: keepalive"))


def _acl(top: tree.Branch, step: Step, part: Acl) -> None:
    name = names.word(part.name, "Access list: name")
    family = top.at("aclEntity").at(f"ipv{part.family}aclAF")
    branch = family.at(f"ipv{part.family}aclACL", name=name)
    if not isinstance(step.after, Acl):
        branch.gone()
        return
    before = defaults.entries(step.before if isinstance(step.before, Acl) else None)
    for ace in step.after.entries or ():
        was = before.pop(ace.sequence, None)
        if was != ace:
            line = branch.at(f"ipv{part.family}aclACE", seqNum=str(ace.sequence))
            if was is not None:  # else what the old line said and the new one does not would stay
                line.set(**_unsaid(), status="replaced")
            line.set(**_ace(ace, part.family))
    for number in before:
        branch.at(f"ipv{part.family}aclACE", seqNum=str(number)).gone()


def _ace(ace: Ace, family: int) -> dict[str, str]:
    found = {
        "action": "permit" if ace.permit else "deny",
        "protocol": "icmp" if ace.protocol == "icmpv6" else ace.protocol,
    }
    for side, network, ports in (
        ("src", ace.source, ace.source_port),
        ("dst", ace.destination, ace.destination_port),
    ):
        prefix, length = ANY[family] if network == "any" else network.split("/")
        found |= {f"{side}Prefix": prefix, f"{side}PrefixLength": length}
        first, dash, second = ports.partition("-")
        if first:
            found |= {f"{side}PortOp": "range" if dash else "eq", f"{side}Port1": first}
        if dash:
            found[f"{side}Port2"] = second
    if ace.established:
        found["est"] = "yes"
    if ace.log:
        found["logging"] = "yes"
    return found


def _unsaid() -> dict[str, str]:
    """Say what a line does not have, for one that takes the place of another."""
    ports = {f"{side}Port{what}": "0" for side in ("src", "dst") for what in ("1", "2")}
    return ports | {"srcPortOp": "none", "dstPortOp": "none", "est": "no", "logging": "no"}


def _route(top: tree.Branch, step: Step, part: Route) -> None:
    vrf, prefix = names.vrf(part.vrf), names.address(part.prefix, "Route")
    family = 6 if ":" in part.prefix else 4
    domain = top.at(f"ipv{family}Entity").at(f"ipv{family}Inst").at(f"ipv{family}Dom", name=vrf)
    branch = domain.at(f"ipv{family}Route", prefix=prefix)
    if step.after is None:
        branch.gone()
        return
    before = dict(defaults.hops(step.before if isinstance(step.before, Route) else None))
    after = dict(defaults.hops(part))
    for hop in {**before, **after}:
        via = names.address(hop, f"Route {prefix}")
        naming = {"nhIf": "unspecified", "nhAddr": f"{via}/{32 if family == 4 else 128}", "nhVrf": vrf}
        if hop not in after:
            branch.at(f"ipv{family}Nexthop", **naming).gone()
        elif before.get(hop) != after[hop]:
            branch.at(f"ipv{family}Nexthop", **naming).set(pref=str(after[hop]))

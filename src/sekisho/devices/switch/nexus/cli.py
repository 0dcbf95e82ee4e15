"""Steps in, NX-OS commands out: what goes over SSH, and over NX-API where the tree (DME) has no words for it.

Commands come in blocks, each from the top of the configuration mode: a block is never cut in two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from sekisho.devices.switch import vlans
from sekisho.devices.switch.driver import Sent
from sekisho.devices.switch.intent import Acl, Feature, Route, Svi, Vlan, Vpc, Vrf, key
from sekisho.devices.switch.nexus import cli_ports, cli_services, defaults, guard, names
from sekisho.devices.switch.said import masked
from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sekisho.devices.switch.driver import Step
    from sekisho.devices.switch.intent import Ace, Part

Block: TypeAlias = tuple[str, ...]

# what others need is made first and goes last
_ORDER: Final = (
    *("feature", "vrf", "vlan", "acl", "vpc", "port", "svi", "route"),
    *("dns", "ntp", "syslog", "community", "trap", "user", "system"),
)
_RANK: Final = {kind: rank for rank, kind in enumerate(_ORDER)}
_MODES: Final = (
    *("interface ", "vlan ", "vrf context ", "vpc domain "),
    *("ip access-list ", "ipv6 access-list "),
)


def blocks(steps: Sequence[Step]) -> tuple[Block, ...]:
    """Write one stage as blocks of commands. Raises Unsupported for what NX-OS cannot be told."""
    made = sorted((s for s in steps if s.after is not None), key=_rank)
    gone = sorted((s for s in steps if s.after is None), key=_rank, reverse=True)
    found = [*_vlan_blocks(made), *(b for s in (*made, *gone) for b in _step(s)), *_vlan_removal(gone)]
    for block in found:
        guard.check(block)
    return tuple(found)


def render(steps: Sequence[Step]) -> tuple[Sent, ...]:
    """Say what is sent for a stage, as one text."""
    found = blocks(steps)
    if not found:
        return ()
    text = "\n".join(written(found))
    return (Sent("cli", text, masked(text)),)


def written(found: Iterable[Block]) -> list[str]:
    """Write blocks as a configuration is written, what belongs to a block indented."""
    return [line if at == 0 else f"  {line}" for b in found for at, line in enumerate(closed(b))]


def closed(block: Block) -> Block:
    """Add the way out to a block that leads into a mode: a VRF has an ``ip route`` of its own."""
    return (*block, "exit") if block[0].startswith(_MODES) else block


def _rank(step: Step) -> tuple[int, tuple[str, ...]]:
    part = _some(step)
    return _RANK.get(part.kind, len(_RANK)), key(part)


def _some(step: Step) -> Part:
    part = step.after or step.before
    if part is None:
        raise Unsupported("A step from nothing to nothing cannot be carried out.")
    return part


def _step(step: Step) -> list[Block]:
    match _some(step):
        case Vlan():
            return []  # all VLANs of a stage are written together
        case Feature():
            return _feature(step)
        case Vrf():
            return _vrf(step)
        case Acl():
            return _acl(step)
        case Vpc():
            return _vpc(step)
        case Route():
            return _route(step)
        case Svi():
            return cli_ports.svi(step)
        case part if part.kind == "port":
            return cli_ports.port(step)
        case _:
            return cli_services.step(step)


def _feature(step: Step) -> list[Block]:
    part = _some(step)
    known = names.FEATURES.get(part.name) if isinstance(part, Feature) else None
    if known is None:
        raise Unsupported(
            f'Feature "{getattr(part, "name", "")}" is none of those that Sekisho turns on or off.'
        )
    on = isinstance(step.after, Feature) and step.after.enabled is not False
    return [(f"{'' if on else 'no '}feature {known.command}",)]


def _vlan_blocks(made: Sequence[Step]) -> list[Block]:
    """Make plain VLANs in ranges, a line for hundreds of them, and name the others one by one."""
    steps = [s for s in made if isinstance(s.after, Vlan)]
    new = vlans.of(s.after.id for s in steps if s.before is None and isinstance(s.after, Vlan))
    found: list[Block] = [(f"vlan {piece}",) for piece in names.spans(new)]
    for step in steps:
        lines = _vlan_lines(step)
        if lines and isinstance(step.after, Vlan):
            found.append((f"vlan {step.after.id}", *lines))
    return found


def _vlan_lines(step: Step) -> list[str]:
    after = step.after
    if not isinstance(after, Vlan):
        return []
    before = step.before if isinstance(step.before, Vlan) else defaults.vlan(after.id)
    lines = []
    if after.name is not None and after.name != before.name:
        plain = after.name in ("", names.default_vlan_name(after.id))
        lines.append("no name" if plain else f"name {names.word(after.name, f'VLAN {after.id}: name', 128)}")
    if after.vni is not None and after.vni != (before.vni or 0):
        lines += ["no vn-segment"] if before.vni else []
        lines += [f"vn-segment {after.vni}"] if after.vni else []
    return lines


def _vlan_removal(gone: Sequence[Step]) -> list[Block]:
    ids = vlans.of(s.before.id for s in gone if isinstance(s.before, Vlan))
    return [(f"no vlan {piece}",) for piece in names.spans(ids)]


def _vrf(step: Step) -> list[Block]:
    part = _some(step)
    name = names.word(part.name, "VRF: name", 32) if isinstance(part, Vrf) else ""
    if not isinstance(step.after, Vrf):
        return [(f"no vrf context {name}",)]
    before = step.before.description or "" if isinstance(step.before, Vrf) else ""
    after = step.after.description or ""
    if after == before:
        return [] if step.before else [(f"vrf context {name}",)]
    said = f"description {names.line(after, f'VRF {name}: description')}" if after else "no description"
    return [(f"vrf context {name}", said)]


def _vpc(step: Step) -> list[Block]:
    before, after = step.before, step.after
    found: list[Block] = []
    if isinstance(before, Vpc) and (not isinstance(after, Vpc) or after.domain != before.domain):
        found.append((f"no vpc domain {before.domain}",))
        before = None
    if isinstance(after, Vpc):
        blank = before if isinstance(before, Vpc) else defaults.vpc(after.domain)
        found.append((f"vpc domain {after.domain}", *_vpc_lines(blank, after)))
    return found


def _vpc_lines(before: Vpc, after: Vpc) -> list[str]:
    lines = []
    if after.priority is not None and after.priority != before.priority:
        lines.append(f"role priority {after.priority}")
    if after.destination and _alive(after) != _alive(before):
        lines.append(f"peer-keepalive {_alive(after)}")
    if after.peer_gateway is not None and after.peer_gateway != before.peer_gateway:
        lines.append("peer-gateway" if after.peer_gateway else "no peer-gateway")
    return lines


def _alive(part: Vpc) -> str:
    where = "vPC: keepalive"
    source = f" source {names.address(part.source, where)}" if part.source else ""
    destination = names.address(part.destination or "", where) if part.destination else ""
    return f"destination {destination}{source} vrf {names.vrf(part.vrf or 'management')}"


def _acl(step: Step) -> list[Block]:
    part = _some(step)
    if not isinstance(part, Acl):
        return []
    head = f"{'ip' if part.family == 4 else 'ipv6'} access-list {names.word(part.name, 'Access list: name')}"
    if not isinstance(step.after, Acl):
        return [(f"no {head}",)]
    before = defaults.entries(step.before if isinstance(step.before, Acl) else None)
    after = {ace.sequence: ace for ace in step.after.entries or ()}
    lines = [f"no {number}" for number in before if number not in after]
    for number, ace in after.items():
        if before.get(number) != ace:
            lines += [f"no {number}"] if number in before else []
            lines.append(ace_line(ace))
    return [(head, *lines)] if lines or step.before is None else []


def ace_line(ace: Ace) -> str:
    """Write one line of an access list as NX-OS takes it."""
    said = "permit" if ace.permit else "deny"
    if " " in ace.protocol:  # kept as the switch wrote it: it says more than we can
        return f"{ace.sequence} {said} {names.line(ace.protocol, f'Line {ace.sequence}')}"
    protocol = "icmp" if ace.protocol == "icmpv6" else ace.protocol
    found = [str(ace.sequence), said, protocol, ace.source, _ports(ace.source_port)]
    found += [ace.destination, _ports(ace.destination_port)]
    found += ["established"] * ace.established + ["log"] * ace.log
    return " ".join(item for item in found if item)


def _ports(text: str) -> str:
    first, dash, last = text.partition("-")
    return f"range {first} {last}" if dash else f"eq {first}" if first else ""


def _route(step: Step) -> list[Block]:
    part = _some(step)
    if not isinstance(part, Route):
        return []
    before = defaults.hops(step.before if isinstance(step.before, Route) else None)
    after = defaults.hops(step.after if isinstance(step.after, Route) else None)
    verb = "ipv6 route" if ":" in part.prefix else "ip route"
    lines = [_hop(verb, part.prefix, hop) for hop in after if hop not in before]
    kept = {hop for hop, _ in after}  # a hop whose preference changes is overwritten, not taken away
    lines += [
        f"no {_hop(verb, part.prefix, hop)}" for hop in before if hop not in after and hop[0] not in kept
    ]
    if part.vrf == names.DEFAULT_VRF:
        return [(line,) for line in lines]
    return [(f"vrf context {names.vrf(part.vrf)}", *lines)] if lines else []


def _hop(verb: str, prefix: str, hop: tuple[str, int]) -> str:
    via, preference = hop
    for text in (prefix, *via.split()):
        names.address(text, "Route")
    return f"{verb} {prefix} {'Null0' if via == 'discard' else via}" + (
        f" {preference}" if preference != 1 else ""
    )

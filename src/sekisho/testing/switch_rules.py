"""What switches do with a step and what they refuse: parts and steps in, parts out."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sekisho.devices.switch.clash import things
from sekisho.devices.switch.intent import Acl, Feature, Lacp, Port, PortMode, Storm, Vlan, Vpc, Vrf, key
from sekisho.devices.switch.overlay import FIXED, MIRRORED, in_order, is_channel, membership, needs
from sekisho.devices.switch.possible import names
from sekisho.devices.switch.words import name
from sekisho.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sekisho.devices.switch.clash import Thing
    from sekisho.devices.switch.driver import Abilities, Step
    from sekisho.devices.switch.intent import Key, Part

P = TypeVar("P", bound="Part")

# What a switch fills in where it was not told; a channel is a trunk of all VLANs until told otherwise.
DEFAULTS: Final[Mapping[str, Mapping[str, object]]] = {
    "feature": {"enabled": True},
    "vlan": {"vni": 0},
    "vrf": {"description": ""},
    "port": {
        "description": "", "enabled": True, "mtu": 1500, "speed": 0, "mode": PortMode.TRUNK, "access": 1,
        "native": 1, "allowed": "1-4094", "edge": False, "bpdu_guard": False,
        "storm": Storm(10000, 10000, 10000),
        "acl4_in": "", "acl4_out": "", "acl6_in": "", "acl6_out": "",
    },
    "vpc": {"destination": "", "source": "", "vrf": "management", "priority": 32667, "peer_gateway": False},
    "acl": {"entries": ()},
    "route": {"via": (), "preference": 1},
    "svi": {
        "description": "", "enabled": False, "mtu": 1500, "vrf": "default", "addresses": (),
        "acl4_in": "", "acl4_out": "", "acl6_in": "", "acl6_out": "",
    },
    "ntp": {"vrf": "default", "prefer": False},
    "syslog": {"vrf": "default", "severity": 5, "port": 514},
    "community": {"write": False},
    "trap": {"version": "2c", "community": "public", "vrf": "default"},
    "user": {"role": "network-operator", "password": ""},
    "system": {"hostname": "switch", "domain": "", "contact": "", "location": ""},
}  # fmt: skip
_CHANNEL: Final = {"members": (), "lacp": Lacp.ON, "vpc": 0, "peer_link": False}


def whole(part: P) -> P:
    """Fill in what a switch fills in where it was not told."""
    usual: dict[str, object] = dict(DEFAULTS.get(part.kind, {}))
    if isinstance(part, Vlan):
        usual["name"] = f"VLAN{part.id:04d}"
    if isinstance(part, Port):
        usual |= _CHANNEL if is_channel(part.name) else {"channel": ""}
    missing: dict[str, Any] = {f: v for f, v in usual.items() if getattr(part, f) is None}
    return replace(part, **missing) if missing else part


def carry_out(steps: Iterable[Step], now: dict[Key, Part], can: Abilities) -> None:
    """Carry out steps one after the other; raises Refused, as real switches do, with some of them done."""
    held = {thing: k for k, part in now.items() for thing in things(part)}
    for step in steps:
        _step(step, now, held, can)


def _step(step: Step, now: dict[Key, Part], held: dict[Thing, Key], can: Abilities) -> None:
    part = step.after if step.after is not None else step.before
    if part is None:
        return
    subject = key(part)
    if part.kind not in can.kinds:
        raise Refused(f"{name(subject)}: this switch has no such thing.")
    stands = now.get(subject)
    if step.after is None:
        _remove(subject, stands, now)
        _hold(subject, stands, None, held)
        return
    after = whole(step.after) if step.before is None else _altered(step.before, step.after, stands)
    _allow(subject, stands, after, now, can)
    _hold(subject, stands, after, held)
    now[subject] = after
    if isinstance(after, Feature) and not after.enabled:
        _drop(after.name, now)
        held.clear()
        held.update({thing: k for k, part in now.items() for thing in things(part)})
    if isinstance(after, Port):
        _mirror(after, now)


def _altered(before: Part, after: Part, stands: Part | None) -> Part:
    """Set the fields that a step changes; what a step does not know of stays."""
    if stands is None:
        raise Refused(f"{name(key(after))}: is not there to be changed.")
    changed: dict[str, Any] = {
        f.name: new
        for f in fields(after)
        if (new := getattr(after, f.name)) != getattr(before, f.name) and new is not None
    }
    if isinstance(stands, Port) and changed.get("channel", stands.channel):
        changed = {f: v for f, v in changed.items() if f not in MIRRORED}
    return replace(stands, **changed)


def _allow(subject: Key, stands: Part | None, after: Part, now: Mapping[Key, Part], can: Abilities) -> None:
    """Refuse what a real switch refuses."""
    if isinstance(after, Vlan) and stands is None and 3968 <= after.id <= 4094:
        raise Refused(f"{name(subject)}: is reserved.")
    if isinstance(after, Port):
        _allow_port(subject, stands, after, now)
    for need in needs(after) if "feature" in can.kinds else ():
        feature = now.get(("feature", need))
        if not isinstance(feature, Feature) or not feature.enabled:
            raise Refused(f"{name(subject)}: the feature {need} is not enabled.")
    if isinstance(after, Port) and after.vpc and ("vpc",) not in now:
        raise Refused(f"{name(subject)}: there is no vPC domain.")
    for other in names(after):
        if other not in now and other not in FIXED:
            raise Refused(f"{name(subject)}: there is no {name(other)}.")


def _allow_port(subject: Key, stands: Part | None, after: Port, now: Mapping[Key, Part]) -> None:
    if not is_channel(after.name) and stands is None:
        raise Refused(f"{name(subject)}: there is no such interface.")
    if isinstance(stands, Port):
        if stands.lacp is not after.lacp and Lacp.ON in (stands.lacp, after.lacp) and stands.members:
            raise Refused(f"{name(subject)}: LACP is set while it has no members only.")
        if stands.channel and after.channel not in ("", stands.channel):
            raise Refused(f"{name(subject)}: is in {stands.channel} already.")
    if after.channel and ("port", after.channel) not in now:
        raise Refused(f"{name(subject)}: there is no {after.channel}.")
    for member in after.members or ():
        port = now.get(("port", member))
        if not isinstance(port, Port):
            raise Refused(f"{name(subject)}: its member {member} is no interface of this switch.")
        if port.channel not in ("", None, after.name):
            raise Refused(f"{name(subject)}: {member} is in {port.channel} already.")


def _hold(subject: Key, stands: Part | None, after: Part | None, held: dict[Thing, Key]) -> None:
    """Refuse what another part has; else it is this one's, and what this one had before is free."""
    claimed = things(after) if after is not None else ()
    for thing in claimed:
        if held.get(thing, subject) != subject:
            raise Refused(f"{name(subject)}: {name(held[thing])} has the same already.")
    for thing in things(stands) if stands is not None else ():
        held.pop(thing, None)
    held.update(dict.fromkeys(claimed, subject))


def _remove(subject: Key, stands: Part | None, now: dict[Key, Part]) -> None:
    if subject in FIXED or (isinstance(stands, Port) and not is_channel(stands.name)):
        raise Refused(f"{name(subject)}: cannot be removed.")
    if isinstance(stands, (Acl, Vrf)):
        user = next((k for k, part in now.items() if subject in names(part)), None)
        if user is not None:
            raise Refused(f"{name(subject)}: {name(user)} uses it.")
    if isinstance(stands, Vpc) and any(isinstance(p, Port) and p.vpc for p in now.values()):
        raise Refused(f"{name(subject)}: ports are in it.")
    now.pop(subject, None)
    if isinstance(stands, Port):
        for member in stands.members or ():
            port = now["port", member]
            if isinstance(port, Port):
                now["port", member] = replace(port, channel="")


def _drop(feature: str, now: dict[Key, Part]) -> None:
    """Take away what a feature brought, as turning it off does."""
    for subject, part in tuple(now.items()):
        if feature not in needs(part):
            continue
        if isinstance(part, Port):
            gone = {"lacp": Lacp.ON} if feature == "lacp" else {"vpc": 0, "peer_link": False}
            now[subject] = replace(part, **gone)
        elif isinstance(part, Vlan):
            now[subject] = replace(part, vni=0)
        else:
            del now[subject]


def _mirror(changed: Port, now: dict[Key, Part]) -> None:
    """Make both ends of a membership agree, and members have what their channel has."""
    channel = changed if is_channel(changed.name) else now.get(("port", changed.channel or ""))
    if not is_channel(changed.name):
        for old in [p for p in now.values() if isinstance(p, Port) and changed.name in (p.members or ())]:
            if old.name != changed.channel:
                now[key(old)] = replace(old, members=tuple(m for m in old.members or () if m != changed.name))
        if isinstance(channel, Port) and changed.name not in (channel.members or ()):
            channel = replace(channel, members=in_order({*(channel.members or ()), changed.name}))
            now[key(channel)] = channel
    if not isinstance(channel, Port):
        return
    common: dict[str, Any] = {f: getattr(channel, f) for f in MIRRORED}
    belongs = membership(now)
    for subject, part in tuple(now.items()):
        if subject[0] != "port" or not isinstance(part, Port) or is_channel(part.name):
            continue
        if belongs.get(part.name) == channel.name:
            now[subject] = replace(part, channel=channel.name, **common)
        elif part.channel == channel.name:
            now[subject] = replace(part, channel="")

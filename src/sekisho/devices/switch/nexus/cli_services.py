"""Services as commands: time, names, logs, SNMP, users and what there is one of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.devices.switch.intent import Community, Dns, Ntp, Part, Syslog, System, Trap, User
from sekisho.devices.switch.nexus import defaults, names
from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from sekisho.devices.switch.driver import Step


def step(step: Step) -> list[tuple[str, ...]]:
    """Write one service's step: what it was is taken away where it cannot be written over."""
    before, after = step.before, step.after
    if isinstance(before, System) or isinstance(after, System):
        return _system(before, after)
    if isinstance(after, User):
        return _user(before if isinstance(before, User) else None, after)
    if isinstance(after, Dns):
        return _dns(after, "") if before is None else []
    found = [] if before is None or (after is not None and _written_over(after)) else _lines(before, "no ")
    return found + (_lines(after, "") if after else [])


def _written_over(part: Part) -> bool:
    return isinstance(part, Ntp | Syslog)


def _lines(part: Part, no: str) -> list[tuple[str, ...]]:
    match part:
        case Ntp():
            return [(_ntp(part, no),)]
        case Syslog():
            return [(_syslog(part, no),)]
        case Community():
            group = "" if no else f" group network-{'admin' if part.write else 'operator'}"
            return [(f"{no}snmp-server community {names.word(part.name, 'SNMP community')}{group}",)]
        case Trap():
            return _trap(part, no)
        case User():
            return [(f"{no}username {names.word(part.name, 'User: name')}",)]
        case Dns():
            return _dns(part, no)
        case _:
            raise Unsupported(f"A Nexus has no part of the kind {part.kind}.")


def _vrf(vrf: str | None) -> str:
    return f" use-vrf {names.vrf(vrf)}"


def _ntp(part: Ntp, no: str) -> str:
    address = names.address(part.address, "NTP server")
    prefer = " prefer" if part.prefer and not no else ""
    return f"{no}ntp server {address}{prefer}{_vrf(part.vrf)}"


def _syslog(part: Syslog, no: str) -> str:
    address = names.address(part.address, "Syslog server")
    if no:
        return f"no logging server {address}"
    blank = defaults.syslog(part.address)
    severity = blank.severity if part.severity is None else part.severity
    port = f" port {part.port}" if part.port not in (None, blank.port) else ""
    return f"logging server {address} {severity}{port}{_vrf(part.vrf)}"


def _trap(part: Trap, no: str) -> list[tuple[str, ...]]:
    address = names.address(part.address, "SNMP trap receiver")
    community = names.word(part.community or "public", f"SNMP trap receiver {address}: community")
    version = "3 noauth" if part.version == "3" else part.version or "2c"
    host = (f"{no}snmp-server host {address} traps version {version} {community}",)
    if part.vrf in (None, names.DEFAULT_VRF):
        return [host]
    vrf = (f"{no}snmp-server host {address}{_vrf(part.vrf)}",)
    return [vrf, host] if no else [host, vrf]


def _dns(part: Dns, no: str) -> list[tuple[str, ...]]:
    line = f"{no}ip name-server {names.address(part.address, 'Name server')}"
    return [(line,)] if part.vrf == names.DEFAULT_VRF else [(f"vrf context {names.vrf(part.vrf)}", line)]


def hash_kind(password: str) -> str:
    """Tell the number by which NX-OS knows a hash: 5 for SHA-256, 8 for PBKDF2, 9 for scrypt."""
    return "8" if password.startswith("$nx-pbkdf2") else "9" if password.startswith("$nx-scrypt") else "5"


def _user(before: User | None, after: User) -> list[tuple[str, ...]]:
    name = names.word(after.name, "User: name", 28)
    found: list[tuple[str, ...]] = []
    role = f" role {names.word(after.role, f'User {name}: role')}" if after.role else ""
    if after.password and (before is None or before.password != after.password):
        secret = names.word(after.password, f"User {name}: password hash", 128)
        found.append((f"username {name} password {hash_kind(secret)} {secret}{role}",))
    elif before is None or before.role != after.role:
        found.append((f"username {name}{role}",))
    if before is not None and before.role and after.role and before.role != after.role:
        found.append((f"no username {name} role {before.role}",))
    return found


def _system(before: Part | None, after: Part | None) -> list[tuple[str, ...]]:
    old = before if isinstance(before, System) else System()
    new = after if isinstance(after, System) else System("switch", "", "", "")
    found: list[tuple[str, ...]] = []
    for field, command in (
        ("hostname", "hostname"),
        ("domain", "ip domain-name"),
        ("contact", "snmp-server contact"),
        ("location", "snmp-server location"),
    ):
        was, now = getattr(old, field) or "", getattr(new, field)
        if now is None or now == was:
            continue
        said = names.line(now, field)
        found.append((f"{command} {said}" if said else f"no {command}",))
    return found

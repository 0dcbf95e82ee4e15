"""The command line of an emulated ADX: commands in, texts out; and its running configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sekisho.testing.adx import words
from sekisho.testing.adx.box import FaultError, Policy, Real, RealPort, Virtual, VirtualPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sekisho.testing.adx.box import Box


P = TypeVar("P")


@dataclass(slots=True)
class _Mode:
    """Where a session is: at the top, configuring, or within one server."""

    configuring: bool = False
    virtual: str = ""
    real: str = ""


def run(box: Box, commands: Sequence[str]) -> list[tuple[str, str]]:
    """Carry out commands in one session, each with what is said to it; a bad one stops nothing."""
    mode = _Mode()
    return [(command, _one(box, mode, command.split())) for command in commands]


def _one(box: Box, mode: _Mode, line: list[str]) -> str:
    match line:
        case ["show", "running-config"]:
            return running(box)
        case ["show", "version"]:
            return "  SW: Version 12.5.02 (emulated)"
        case ["configure", "terminal"]:
            mode.configuring = True
            return ""
        case ["end"]:
            mode.configuring, mode.virtual, mode.real = False, "", ""
            return ""
        case ["write", "memory"]:
            box.save()
            return "Write startup-config done."
        case _ if mode.configuring:
            return _configure(box, mode, line)
        case _:
            return _invalid(line)


def _configure(box: Box, mode: _Mode, line: list[str]) -> str:
    match line:
        case ["server", "virtual", name, *address]:
            return _enter_virtual(box, mode, name, address)
        case ["server", "real", name, *address]:
            return _enter_real(box, mode, name, address)
        case ["no", "server", "virtual", name]:
            return _taken(box.running.virtuals.pop(name, None))
        case ["no", "server", "real", name]:
            return _taken(box.running.reals.pop(name, None))
        case _ if mode.virtual:
            return _said(lambda: _virtual(box.virtual(mode.virtual), line), line)
        case _ if mode.real:
            return _said(lambda: _real(box.real(mode.real), line), line)
        case _:
            return _invalid(line)


def _enter_virtual(box: Box, mode: _Mode, name: str, address: list[str]) -> str:
    if address:
        box.running.virtuals.setdefault(name, Virtual(name, address[0]))
    if name not in box.running.virtuals:
        return f"Error: virtual server {name} not found"
    mode.virtual, mode.real = name, ""
    return ""


def _enter_real(box: Box, mode: _Mode, name: str, address: list[str]) -> str:
    if address:
        box.running.reals.setdefault(name, Real(name, address[0]))
    if name not in box.running.reals:
        return f"Error: real server {name} not found"
    mode.real, mode.virtual = name, ""
    return ""


def _said(act: Callable[[], bool], line: list[str]) -> str:
    try:
        return "" if act() else _invalid(line)
    except FaultError as fault:
        return f"Error: {fault.text}"


def _virtual(virtual: Virtual, line: list[str]) -> bool:
    match line:
        case ["sym-priority", text] if text.isdecimal():
            virtual.priority = int(text)
        case ["no", "sym-priority"]:
            virtual.priority = 0
        case ["predictor", name] if name in words.PREDICTORS:
            virtual.predictor = name
        case ["disable"] | ["no", "disable"]:
            virtual.enabled = line[0] == "no"
        case ["port", port]:
            virtual.ports.setdefault(words.number(port), VirtualPort())
        case ["port", port, "dsr" | "sticky" as flag]:
            setattr(_port(virtual.ports, port), flag, True)
        case ["no", "port", port, "dsr" | "sticky" as flag]:
            setattr(_port(virtual.ports, port), flag, False)
        case ["bind", port, real, real_port]:
            virtual.bindings.append((words.number(port), real, words.number(real_port)))
        case _:
            return False
    return True


def _real(real: Real, line: list[str]) -> bool:
    match line:
        case ["weight", text] if text.isdecimal():
            real.weight = int(text)
        case ["port", port]:
            real.ports.setdefault(words.number(port), RealPort())
        case ["port", port, "disable"]:
            _port(real.ports, port).enabled = False
        case ["port", port, "use-port-policy", name]:
            _port(real.ports, port).policy = name
        case ["no", "port", port, "use-port-policy", _]:
            _port(real.ports, port).policy = ""
        case _:
            return False
    return True


def _port(ports: dict[int, P], text: str) -> P:
    number = words.number(text)
    if number not in ports:
        raise FaultError("PortNotFound", f"port {text} not found")
    return ports[number]


def _taken(found: object) -> str:
    return "" if found else "Error: server not found"


def _invalid(line: list[str]) -> str:
    return f"Invalid input -> {' '.join(line)}\nType ? for a list"


# --- the running configuration -------------------------------------------------------------------------


def running(box: Box) -> str:
    """Write all that is configured, as the box shows it."""
    blocks = [
        ["Current configuration : emulated", "!", "ver 12.5.02", "!"],
        *(
            [f"server port {words.word(port)}", f" {kind.lower()}"]
            for port, kind in box.running.profiles.items()
        ),
        *(list(_policy_lines(name, p)) for name, p in box.running.policies.items()),
        *(list(_real_lines(real)) for real in box.running.reals.values()),
        *(list(_virtual_lines(virtual)) for virtual in box.running.virtuals.values()),
        ["!", 'hostname "adx"', "end"],
    ]
    return "\n!\n".join("\n".join(block) for block in blocks)


def _policy_lines(name: str, policy: Policy) -> Iterator[str]:
    kind = "ssl" if policy.ssl else "http"
    yield f"server port-policy {name}"
    yield f" protocol {kind}"
    yield f' protocol {kind} url "{policy.url}"'
    for first, last in policy.codes:
        yield f" protocol {kind} status-code {first} {last}"


def _real_lines(real: Real) -> Iterator[str]:
    yield f"server real {real.name} {real.address}"
    if real.weight != 1:
        yield f" weight {real.weight}"
    yield " port default disable"
    for number, port in real.ports.items():
        name = words.word(number)
        yield f" port {name}"
        if not port.enabled:
            yield f" port {name} disable"
        if port.keepalive:
            yield f" port {name} keepalive"
        if name == "http":
            yield f' port {name} url "HEAD /"'
        if port.policy:
            yield f" port {name} use-port-policy {port.policy}"


def _virtual_lines(virtual: Virtual) -> Iterator[str]:
    yield f"server virtual {virtual.name} {virtual.address}"
    if not virtual.enabled:
        yield " disable"
    if virtual.priority:
        yield f" sym-priority {virtual.priority}"
    if virtual.predictor:
        yield f" predictor {virtual.predictor}"
    if virtual.sticky_age:
        yield f" sticky-age {virtual.sticky_age}"
    yield " port default disable"
    for number, port in virtual.ports.items():
        name = words.word(number)
        yield f" port {name}"
        flags = {"disable": not port.enabled, "sticky": port.sticky, "dsr": port.dsr}
        yield from (f" port {name} {flag}" for flag, on in flags.items() if on)
    for number in virtual.ports:
        bound = [(real, words.word(at)) for own, real, at in virtual.bindings if own == number]
        for first in range(0, len(bound), 4):  # four to a line, as the box does
            pairs = " ".join(f"{real} {at}" for real, at in bound[first : first + 4])
            yield f" bind {words.word(number)} {pairs}"

"""The methods of an emulated ADX's API: a call's element in, the answer's parts out.

Each of the box's quirks that a driver in the field had to work around is refused here: who forgets one fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sekisho.testing.adx import cli, words
from sekisho.testing.adx.box import UNBINDING, FaultError, Policy, Real, RealPort, Virtual, VirtualPort

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sekisho.testing.adx.box import Box

Element: TypeAlias = Any
Answer: TypeAlias = "Mapping[str, Any]"
_VIRTUAL_ENUMS: Final = ("predictor", "trackingMode", "haMode")
_REAL_ENUMS: Final = ("adminState", "hcTrackingMode")
_PORT_ENUMS: Final = ("adminState", "runTimeStatus")


def call(box: Box, method: str, arguments: list[Element]) -> Answer:
    """Carry out one method and give the answer, as a tree of mappings, lists and texts."""
    act = _METHODS.get(method)
    if act is None:
        raise FaultError("MethodNotImplemented", f"method {method} is not implemented")
    if method in box.deaf:
        return {}
    return act(box, arguments) or {}


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _needs(element: Element, names: tuple[str, ...]) -> None:
    for name in names:
        if element.find(name) is None:
            raise FaultError("InvalidEnum", f"{name} is missing")


def _where(element: Element) -> tuple[str, int]:
    return _text(element, "srvr/Name"), words.number(_text(element, "port/NameOrNumber"))


def _true(element: Element, name: str) -> bool:
    return _text(element, name) == "true"


# --- virtual servers -----------------------------------------------------------------------------------


def _create_virtual(box: Box, arguments: list[Element]) -> None:
    for asked in arguments[0]:
        _needs(asked, _VIRTUAL_ENUMS)
        name, address = _text(asked, "virtualServer/Name"), _text(asked, "virtualServer/IP")
        taken = {v.address for v in box.running.virtuals.values()}
        if name in box.running.virtuals or address in taken:
            raise FaultError("AlreadyExists", f"virtual server {name} or its address {address} exists")
        made = Virtual(name, address, predictor=words.predictor(_text(asked, "predictor")))
        made.enabled = _true(asked, "adminState")
        made.sticky_age = int(_text(asked, "stickyAge") or 0)
        box.running.virtuals[name] = made


def _get_virtual(box: Box, arguments: list[Element]) -> Answer:
    found = box.virtual(_text(arguments[0], "Name"))
    return {
        "vipConfig": {
            "virtualServer": {"IP": found.address, "Name": found.name},
            "adminState": str(found.enabled).lower(),
            "description": found.description,
            "predictor": words.enum(found.predictor or "least-conn"),
            "trackingMode": "NONE",
            "haMode": "SYMMETRIC" if found.priority else "NOT_CONFIGURED",
            "stickyAge": str(found.sticky_age),
            "tcpAge": "0",
            "udpAge": "0",
        }
    }


def _set_virtual(box: Box, arguments: list[Element]) -> None:
    for asked in arguments[0]:
        _needs(asked, _VIRTUAL_ENUMS)
        for name in ("stickyAge", "tcpAge", "udpAge"):
            if _text(asked, name) == "0":
                raise FaultError("InvalidValue", f"{name} 0 is out of range")
        found = box.virtual(_text(asked, "virtualServer/Name"))
        found.enabled = _true(asked, "adminState")
        found.sticky_age = int(_text(asked, "stickyAge") or 0)
        found.description = _text(asked, "description")
        found.predictor = words.predictor(_text(asked, "predictor"))
        if _text(asked, "haMode") == "NOT_CONFIGURED":
            found.priority = 0


def _set_predictor(box: Box, arguments: list[Element]) -> None:
    server, asked = arguments
    found = box.virtual(_text(server, "Name"))
    found.predictor = words.predictor(_text(asked, "predictor"))


def _delete_virtual(box: Box, arguments: list[Element]) -> None:
    found = box.virtual(_text(arguments[0], "Name"))
    if found.ports:
        raise FaultError("InUse", f"virtual server {found.name} has ports")
    del box.running.virtuals[found.name]


def _create_virtual_port(box: Box, arguments: list[Element]) -> None:
    for asked in arguments[0]:
        _needs(asked, ("adminState",))
        found = box.virtual(_text(asked, "virtualServer/Name"))
        port = words.number(_text(asked, "port/NameOrNumber"))
        box.known(port)
        if port in found.ports:
            raise FaultError("AlreadyExists", f"{found.name} has port {port}")
        found.ports[port] = VirtualPort(_text(asked, "adminState") == "ENABLED", _true(asked, "enableSticky"))


def _set_flag(flag: str, *, on: bool) -> Callable[[Box, list[Element]], None]:
    def act(box: Box, arguments: list[Element]) -> None:
        setattr(box.virtual_port(*_where(arguments[0])), flag, on)

    return act


def _delete_virtual_port(box: Box, arguments: list[Element]) -> None:
    name, port = _where(arguments[0])
    box.virtual_port(name, port)
    leaving = [li for li in box.unbinding if li[:2] == (name, port)]
    if leaving or any(own == port for own, _, _ in box.virtual(name).bindings):
        raise FaultError("InUse", f"port {port} of {name} is bound")
    del box.virtual(name).ports[port]


# --- real servers --------------------------------------------------------------------------------------


def _create_real(box: Box, arguments: list[Element]) -> None:
    for asked in arguments[0]:
        _needs(asked, _REAL_ENUMS)
        name, address = _text(asked, "realServer/Name"), _text(asked, "realServer/IP")
        taken = {r.address for r in box.running.reals.values()}
        if name in box.running.reals or address in taken:
            raise FaultError("AlreadyExists", f"real server {name} or its address {address} exists")
        box.running.reals[name] = Real(name, address, int(_text(asked, "leastConnectionWeight") or 1))


def _get_real(box: Box, arguments: list[Element]) -> Answer:
    found = box.real(_text(arguments[0], "Name"))
    return {
        "rsConfig": {
            "realServer": {"IP": found.address, "Name": found.name},
            "isRemoteServer": "false",
            "adminState": "ENABLED",
            "leastConnectionWeight": str(found.weight),
            "hcTrackingMode": "NONE",
            "byteRateThresold": "0",
        }
    }


def _set_real(box: Box, arguments: list[Element]) -> None:
    for asked in arguments[0]:
        _needs(asked, _REAL_ENUMS)
        if asked.find("byteRateThresold") is not None:
            raise FaultError("InvalidValue", "byteRateThresold is not known")
        box.real(_text(asked, "realServer/Name")).weight = int(_text(asked, "leastConnectionWeight") or 1)


def _delete_real(box: Box, arguments: list[Element]) -> None:
    found = box.real(_text(arguments[0], "Name"))
    if found.ports:
        raise FaultError("InUse", f"real server {found.name} has ports")
    del box.running.reals[found.name]


def _create_real_port(box: Box, arguments: list[Element]) -> None:
    for asked in arguments[0]:
        name, port = _where(asked.find("serverPort"))
        box.known(port)
        if port in box.real(name).ports:
            raise FaultError("AlreadyExists", f"{name} has port {port}")
        made = RealPort()
        _fill_real_port(box, made, asked)
        box.real(name).ports[port] = made


def _set_real_port(box: Box, arguments: list[Element]) -> None:
    for asked in arguments[0]:
        _fill_real_port(box, box.real_port(*_where(asked.find("serverPort"))), asked)


def _fill_real_port(box: Box, port: RealPort, asked: Element) -> None:
    _needs(asked, _PORT_ENUMS)
    policy = _text(asked, "portPolicyName")
    if policy and policy not in box.running.policies:
        raise FaultError("PortPolicyNotFound", f"port policy {policy} does not exist")
    port.enabled = _text(asked, "adminState") == "ENABLED"
    port.keepalive = _true(asked, "enablePeriodicHealthCheck")
    port.policy = policy or port.policy  # an element that is left out takes nothing away


def _delete_real_port(box: Box, arguments: list[Element]) -> None:
    name, port = _where(arguments[0])
    box.real_port(name, port)
    if box.bindings(name, port):
        raise FaultError("InUse", f"port {port} of {name} is bound")
    del box.real(name).ports[port]


def _count_real_ports(box: Box, arguments: list[Element]) -> Answer:
    found = box.real(_text(arguments[0], "Name"))
    return {"genericInfo": {"totalEntriesAvailable": str(len(found.ports) + 1)}}  # and ``default``


def _count_bindings(box: Box, arguments: list[Element]) -> Answer:
    name, port = _where(arguments[0])
    box.real_port(name, port)
    if box.hurries:
        box.pass_time(UNBINDING)
    return {"genericInfo": {"totalEntriesAvailable": str(len(box.bindings(name, port)))}}


def _status(box: Box, arguments: list[Element]) -> Answer:
    name, port = _where(arguments[0])
    found = box.real_port(name, port)
    bound = "ACTIVE" if box.bindings(name, port) else "NOTBOUND"
    return {"rsPortStatus": {"status": found.status or (bound if found.enabled else "DISABLED")}}


def _totals(box: Box, arguments: list[Element]) -> Answer:
    found = box.real_port(*_where(arguments[0]))
    told = {"rxBytes": found.received, "txBytes": found.sent, "currentConn": found.active}
    return {
        "statistics": {"statistics": {**{k: str(v) for k, v in told.items()}, "totalConn": str(found.total)}}
    }


# --- bindings, policies, profiles, the box -------------------------------------------------------------


def _bind(box: Box, arguments: list[Element]) -> None:
    (virtual, port), (real, real_port) = map(_where, arguments)
    box.virtual_port(virtual, port)
    box.real_port(real, real_port)
    if (virtual, port) in box.bindings(real, real_port):
        raise FaultError("AlreadyBound", f"{real} {real_port} is bound to {virtual} {port}, or being unbound")
    box.virtual(virtual).bindings.append((port, real, real_port))


def _unbind(box: Box, arguments: list[Element]) -> None:
    (virtual, port), (real, real_port) = map(_where, arguments)
    if (port, real, real_port) not in box.virtual(virtual).bindings:
        raise FaultError("NotBound", f"{real} {real_port} is not bound to {virtual} {port}")
    box.virtual(virtual).bindings.remove((port, real, real_port))
    box.unbinding.append((virtual, port, real, real_port, box.now + box.unbinds))


def _write_policy(box: Box, arguments: list[Element], *, new: bool) -> None:
    asked = arguments[0]
    _needs(asked, ("protocol", "l4Check"))
    name, ssl = _text(asked, "name"), _text(asked, "protocol") == "SSL"
    if (name in box.running.policies) is new:
        raise FaultError("AlreadyExists" if new else "PortPolicyNotFound", f"port policy {name}")
    check = asked.find(f"{'sslPolInfo' if ssl else 'httpPolInfo'}/urlStatusCodeInfo")
    interval, retries = int(_text(asked, "keepAliveInterval")), int(_text(asked, "numRetries"))
    if not (5 if ssl else 1) <= interval <= 120 or not 1 <= retries <= 5:
        raise FaultError("InvalidValue", "keepAliveInterval or numRetries is out of range")
    edges = [[int(e.text) for e in check.iterfind(f"statusCodeRange{w}/*")] for w in ("Start", "End")]
    codes = list(zip(*edges, strict=True))
    box.running.policies[name] = Policy(
        ssl, _true(asked, "l4Check"), interval, retries, _text(check, "url"), codes
    )


def _get_policy(box: Box, arguments: list[Element]) -> Answer:
    name = arguments[0].text
    found = box.running.policies.get(name)
    if found is None:
        raise FaultError("PortPolicyNotFound", f"port policy {name} does not exist")
    edges = {
        f"statusCodeRange{word}": [("unsignedIntSequence", str(pair[at])) for pair in found.codes]
        for at, word in enumerate(("Start", "End"))
    }
    inner = {"urlStatusCodeInfo": {"url": found.url, **edges}, "healthCheckType": "SIMPLE"}
    return {
        "policy": {
            "name": name,
            "protocol": "SSL" if found.ssl else "HTTP",
            "l4Check": str(found.l4).lower(),
            "keepAliveInterval": str(found.interval),
            "numRetries": str(found.retries),
            "sslPolInfo" if found.ssl else "httpPolInfo": inner,
        }
    }


def _delete_policy(box: Box, arguments: list[Element]) -> None:
    name = arguments[0].text
    if name not in box.running.policies:
        raise FaultError("PortPolicyNotFound", f"port policy {name} does not exist")
    if any(port.policy == name for real in box.running.reals.values() for port in real.ports.values()):
        raise FaultError("InUse", f"port policy {name} is in use")
    del box.running.policies[name]


def _create_profile(box: Box, arguments: list[Element]) -> None:
    asked = arguments[0]
    port = words.number(_text(asked, "port/NameOrNumber"))
    if port in box.running.profiles:
        raise FaultError("AlreadyExists", f"port {port} has a profile")
    box.running.profiles[port] = _text(asked, "portType")


def _run_cli(box: Box, arguments: list[Element]) -> Answer:
    said = cli.run(box, [command.text for command in arguments[0]])
    rows = [("ResultSequence", {"command": command, "output": output}) for command, output in said]
    return {"result": rows}


def _save(box: Box, _arguments: list[Element]) -> None:
    box.save()


_METHODS: Final[Mapping[str, Callable[[Box, list[Element]], Answer | None]]] = {
    "runCLI": _run_cli,
    "writeConfig": _save,
    "createVirtualServerWithConfiguration": _create_virtual,
    "getVirtualServerConfiguration": _get_virtual,
    "setVirtualServersConfiguration": _set_virtual,
    "setPredictorOnVirtualServer": _set_predictor,
    "deleteVirtualServer": _delete_virtual,
    "createVirtualServerPortWithConfiguration": _create_virtual_port,
    "enableVirtualServerPort": _set_flag("enabled", on=True),
    "disableVirtualServerPort": _set_flag("enabled", on=False),
    "enableStickyOnVirtualServerPort": _set_flag("sticky", on=True),
    "disableStickyOnVirtualServerPort": _set_flag("sticky", on=False),
    "deleteVirtualServerPort": _delete_virtual_port,
    "createRealServerWithConfiguration": _create_real,
    "getRealServerConfiguration": _get_real,
    "setRealServersConfiguration": _set_real,
    "deleteRealServer": _delete_real,
    "createRealServerPortWithConfiguration": _create_real_port,
    "setRealServersPortConfiguration": _set_real_port,
    "deleteRealServerPort": _delete_real_port,
    "getAllRealServerPortsSummary": _count_real_ports,
    "getAllVirtualServerPortsBoundtoRealServerPort": _count_bindings,
    "getRealServerPortStatus": _status,
    "getRealServerPortMonitoringDetails": _totals,
    "bindRealServerPortToVipPort": _bind,
    "unbindRealServerPortFromVipPort": _unbind,
    "createPortPolicy": lambda box, arguments: _write_policy(box, arguments, new=True),
    "updatePortPolicy": lambda box, arguments: _write_policy(box, arguments, new=False),
    "getPortPolicy": _get_policy,
    "deletePortPolicy": _delete_policy,
    "createPortProfile": _create_profile,
}
NAMES: Final = tuple(_METHODS)

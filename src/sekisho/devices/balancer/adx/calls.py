"""The calls that we make of an ADX, typed: pieces in, SOAP values out; answers in, pieces or numbers out.

Enumerations are sent even where they say nothing: the box refuses a structure without them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sekisho.devices.balancer.adx import names
from sekisho.devices.balancer.adx.pieces import STICKY_AGE, Policy, Server
from sekisho.devices.balancer.adx.soap import Array, Value
from sekisho.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.devices.balancer.adx.pieces import (
        Binding,
        Profile,
        RealPort,
        RealServer,
        Virtual,
        VirtualPort,
    )
    from sekisho.devices.balancer.adx.soap import Element, Soap

# predictors that a typed call is known for; the command line knows the others
_TYPED: Final = {"round-robin": "ROUND_ROBIN", "least-conn": "LEAST_CONN"}
_NO: Final = re.compile(
    r"^\s*(Invalid input.*|Incomplete command.*|Ambiguous input.*|%?\s*Error.*|.*not found.*)$",
    re.MULTILINE | re.IGNORECASE,
)
# the order of a virtual server's fields, for one that the box left out
_FIELDS: Final = (
    *("virtualServer", "adminState", "description", "predictor", "trackingMode", "haMode", "trackPort"),
    *("stickyAge", "tcpAge", "udpAge"),
)
_ZERO_IS_REFUSED: Final = ("stickyAge", "tcpAge", "udpAge")  # though the box itself says 0
_MISSPELT: Final = "byteRateThresold"  # the box's own word, which it does not take back
_PAGE: Final = 64


@dataclass(frozen=True, slots=True)
class Totals:
    """What passed a real server's port since the box counts."""

    active: int
    total: int
    received: int
    sent: int


def _server(server: Server) -> Value:
    return {"IP": server.address, "Name": server.name}


def _port(server: Server, port: int) -> Value:
    return {"srvr": _server(server), "port": {"NameOrNumber": str(port)}}


def _state(piece: VirtualPort | RealPort) -> str:
    return "ENABLED" if piece.enabled else "DISABLED"


# --- virtual servers -----------------------------------------------------------------------------------


def create_virtual(soap: Soap, piece: Virtual) -> None:
    """Make a virtual server, closed: what a pair must know of it is told before it is opened."""
    value = {
        "virtualServer": _server(piece.server),
        "adminState": False,
        "predictor": "ROUND_ROBIN",
        "trackingMode": "NONE",
        "haMode": "NOT_CONFIGURED",
        "stickyAge": piece.sticky_age if piece.sticky_age != STICKY_AGE else None,
    }
    array = Array("VirtualServerConfigurationSequence", (value,))
    soap.call("SLB", "createVirtualServerWithConfiguration", array)


def set_virtual(soap: Soap, piece: Virtual) -> None:
    """Open or close a virtual server and set how long it keeps clients; all else stays as the box has it."""
    answer = soap.call("SLB", "getVirtualServerConfiguration", _server(piece.server))
    found = _config(answer, "vipConfig")
    for name in _ZERO_IS_REFUSED:
        _put(found, name, None if found.findtext(name) in (None, "", "0") else found.findtext(name))
    _put(found, "adminState", str(piece.enabled).lower())
    _put(found, "stickyAge", str(piece.sticky_age))
    found[:] = sorted(found, key=lambda e: _FIELDS.index(e.tag) if e.tag in _FIELDS else len(_FIELDS))
    array = Array("VirtualServerConfigurationSequence", (found,))
    soap.call("SLB", "setVirtualServersConfiguration", array)


def set_predictor(soap: Soap, piece: Virtual) -> None:
    """Set how a virtual server chooses."""
    typed = _TYPED.get(piece.predictor)
    if typed:
        soap.call("SLB", "setPredictorOnVirtualServer", _server(piece.server), {"predictor": typed})
    else:
        configure(soap, f"server virtual {piece.server.name}", f"predictor {piece.predictor}")


def set_priority(soap: Soap, virtual: str, priority: int) -> None:
    """Set a virtual server's place in its pair; no typed call is known for it."""
    line = f"sym-priority {priority}" if priority else "no sym-priority"
    configure(soap, f"server virtual {virtual}", line)


def delete_virtual(soap: Soap, server: Server) -> None:
    """Take a virtual server away."""
    soap.call("SLB", "deleteVirtualServer", _server(server))


def create_virtual_port(soap: Soap, piece: VirtualPort) -> None:
    """Make a port of a virtual server."""
    value = {
        "virtualServer": _server(piece.server),
        "port": {"NameOrNumber": str(piece.port)},
        "adminState": _state(piece),
        "enableSticky": piece.sticky,
    }
    array = Array("VirtualServerPortConfigurationSequence", (value,))
    soap.call("SLB", "createVirtualServerPortWithConfiguration", array)


def set_dsr(soap: Soap, piece: VirtualPort) -> None:
    """Let replies go past the box, or through it; no typed call is known for it."""
    line = f"port {names.word(piece.port)} dsr"
    configure(soap, f"server virtual {piece.server.name}", line if piece.dsr else f"no {line}")


def enable_virtual_port(soap: Soap, piece: VirtualPort) -> None:
    """Open or close a port of a virtual server."""
    verb = "enable" if piece.enabled else "disable"
    soap.call("SLB", f"{verb}VirtualServerPort", _port(piece.server, piece.port))


def stick_virtual_port(soap: Soap, piece: VirtualPort) -> None:
    """Keep clients at their member, or no longer."""
    verb = "enable" if piece.sticky else "disable"
    soap.call("SLB", f"{verb}StickyOnVirtualServerPort", _port(piece.server, piece.port))


def delete_virtual_port(soap: Soap, server: Server, port: int) -> None:
    """Take a port of a virtual server away."""
    soap.call("SLB", "deleteVirtualServerPort", _port(server, port))


# --- real servers --------------------------------------------------------------------------------------


def create_real(soap: Soap, piece: RealServer) -> None:
    """Make a real server."""
    value = {
        "realServer": _server(piece.server),
        "isRemoteServer": False,
        "adminState": "ENABLED",
        "leastConnectionWeight": piece.weight,
        "hcTrackingMode": "NONE",
    }
    array = Array("RealServerConfigurationSequence", (value,))
    soap.call("SLB", "createRealServerWithConfiguration", array)


def set_real(soap: Soap, piece: RealServer) -> None:
    """Set a real server's weight; all else stays as the box says it is."""
    answer = soap.call("SLB", "getRealServerConfiguration", _server(piece.server))
    found = _config(answer, "rsConfig")
    _put(found, _MISSPELT, None)
    _put(found, "leastConnectionWeight", str(piece.weight))
    soap.call("SLB", "setRealServersConfiguration", Array("RealServerConfigurationSequence", (found,)))


def delete_real(soap: Soap, server: Server) -> None:
    """Take a real server away."""
    soap.call("SLB", "deleteRealServer", _server(server))


def create_real_port(soap: Soap, piece: RealPort) -> None:
    """Make a port of a real server."""
    soap.call("SLB", "createRealServerPortWithConfiguration", _real_port(piece))


def set_real_port(soap: Soap, piece: RealPort, standing: RealPort) -> None:
    """Set whether a real server's port takes connections and how it is checked."""
    if standing.policy and not piece.policy:
        # The typed call refuses an empty name.
        line = f"no port {names.word(piece.port)} use-port-policy {standing.policy}"
        configure(soap, f"server real {piece.server.name}", line)
    soap.call("SLB", "setRealServersPortConfiguration", _real_port(piece))


def _real_port(piece: RealPort) -> Array:
    value = {
        "serverPort": _port(piece.server, piece.port),
        "adminState": _state(piece),
        "isBackup": False,
        "runTimeStatus": "UNDEFINED",
        "portPolicyName": piece.policy,
        "enablePeriodicHealthCheck": bool(piece.policy),
    }
    return Array("RealServerPortConfigurationSequence", (value,))


def delete_real_port(soap: Soap, server: Server, port: int) -> None:
    """Take a port of a real server away."""
    soap.call("SLB", "deleteRealServerPort", _port(server, port))


def count_real_ports(soap: Soap, server: Server) -> int:
    """Count a real server's ports; each has one called ``default`` that nobody made."""
    answer = soap.call("SLB", "getAllRealServerPortsSummary", _server(server), 1, _PAGE)
    return _number(answer, "genericInfo/totalEntriesAvailable")


def real_port_status(soap: Soap, server: Server, port: int) -> str:
    """Tell how the box sees a real server's port: ACTIVE, FAILED, DISABLED, ENABLED, NOTBOUND and others."""
    answer = soap.call("SLB", "getRealServerPortStatus", _port(server, port))
    return answer.findtext("rsPortStatus/status") or ""


def real_port_totals(soap: Soap, server: Server, port: int) -> Totals:
    """Tell what passed a real server's port."""
    answer = soap.call("SLB", "getRealServerPortMonitoringDetails", _port(server, port))
    found = ("currentConn", "totalConn", "rxBytes", "txBytes")
    return Totals(*(_number(answer, f"statistics/statistics/{name}") for name in found))


# --- bindings ------------------------------------------------------------------------------------------


def bind(soap: Soap, piece: Binding) -> None:
    """Send what comes to a VIP's port to a real server's port."""
    pair = (_port(piece.virtual, piece.port), _port(piece.real, piece.real_port))
    soap.call("SLB", "bindRealServerPortToVipPort", *pair)


def unbind(soap: Soap, piece: Binding) -> None:
    """Send nothing new any more; the box is done with it some seconds after it says so."""
    pair = (_port(piece.virtual, piece.port), _port(piece.real, piece.real_port))
    soap.call("SLB", "unbindRealServerPortFromVipPort", *pair)


def count_bindings(soap: Soap, server: Server, port: int) -> int:
    """Count the ports of VIPs that a real server's port serves."""
    asked = (_port(server, port), 1, _PAGE)
    answer = soap.call("SLB", "getAllVirtualServerPortsBoundtoRealServerPort", *asked)
    return _number(answer, "genericInfo/totalEntriesAvailable")


# --- policies, profiles --------------------------------------------------------------------------------


def write_policy(soap: Soap, verb: Literal["create", "update"], piece: Policy) -> None:
    """Make or change a port policy."""
    first = Array("unsignedIntSequence", tuple(a for a, _ in piece.codes))
    last = Array("unsignedIntSequence", tuple(b for _, b in piece.codes))
    check = {"url": piece.url, "statusCodeRangeStart": first, "statusCodeRangeEnd": last}
    value = {
        "name": piece.name,
        "protocol": "SSL" if piece.ssl else "HTTP",
        "l4Check": piece.l4,
        "keepAliveInterval": piece.interval,
        "numRetries": piece.retries,
        "sslPolInfo" if piece.ssl else "httpPolInfo": {
            "urlStatusCodeInfo": check,
            "healthCheckType": "SIMPLE",
        },
    }
    soap.call("SLB", f"{verb}PortPolicy", value)


def read_policy(soap: Soap, name: str) -> Policy:
    """Read a port policy."""
    found = _config(soap.call("SLB", "getPortPolicy", name), "policy")
    ssl = found.findtext("protocol") == "SSL"
    check = found.find(f"{'sslPolInfo' if ssl else 'httpPolInfo'}/urlStatusCodeInfo")
    l4 = found.findtext("l4Check") == "true"
    return Policy(
        name,
        ssl,
        l4,
        _number(found, "keepAliveInterval"),
        _number(found, "numRetries"),
        (check.findtext("url") if check is not None else "") or "",
        () if l4 or check is None else _codes(check),
    )


def _codes(check: Element) -> tuple[tuple[int, int], ...]:
    edges = ([_number(e, ".") for e in check.iterfind(f"statusCodeRange{w}/*")] for w in ("Start", "End"))
    return tuple(zip(*edges, strict=False))


def delete_policy(soap: Soap, name: str) -> None:
    """Take a port policy away; one that is in use stays, and the box says no."""
    soap.call("SLB", "deletePortPolicy", name)


def create_profile(soap: Soap, piece: Profile) -> None:
    """Tell the box of a port that it does not know."""
    value = {"port": {"NameOrNumber": str(piece.port)}, "portType": piece.protocol, "status": True}
    soap.call("SLB", "createPortProfile", value)


# --- the box itself ------------------------------------------------------------------------------------


def configure(soap: Soap, *lines: str) -> None:
    """Give commands of the configuration mode. Raises Refused for one that the box does not take."""
    commands = ("configure terminal", *lines, "end")
    for command, text in run(soap, commands):
        if said := _NO.search(text):
            words = " ".join(said[1].split())
            raise Refused(
                f'The ADX {soap.address} refuses the command {command!r}: "{words}".',
                f"{soap.address} says {words!r} to {command!r}.",
            )


def running(soap: Soap) -> str:
    """Give the running configuration."""
    return "\n".join(text for _, text in run(soap, ("show running-config",)))


def run(soap: Soap, commands: Sequence[str]) -> list[tuple[str, str]]:
    """Give commands and get what the box says to each."""
    answer = soap.call("SYS", "runCLI", Array("StringSequence", tuple(commands)))
    results = answer.iterfind("result/ResultSequence")
    return [(r.findtext("command") or "", r.findtext("output") or "") for r in results]


def save(soap: Soap) -> None:
    """Keep the running configuration over a restart."""
    soap.call("SYS", "writeConfig")


def _config(answer: Element, name: str) -> Any:
    found = answer.find(name)
    if found is None:
        raise Refused(
            "The ADX leaves out the configuration that it was asked for.", f"The answer has no {name}."
        )
    return found


def _put(parent: Element, name: str, text: str | None) -> None:
    """Set a field where it stands, or add it at the end; None takes it away."""
    found = parent.find(name)
    if text is None:
        if found is not None:
            parent.remove(found)
        return
    if found is None:
        found = parent.makeelement(name, {}, None)
        parent.append(found)
    found.text = text


def _number(answer: Element, path: str) -> int:
    text = (answer.findtext(path) or "").strip()
    return int(text) if text.isdecimal() else 0

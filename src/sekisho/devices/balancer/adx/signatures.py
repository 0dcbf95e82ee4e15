"""What the arguments of an ADX's methods are called: a WSDL in, their names in order out.

No copy of the WSDL is public, but each box serves its own: what it says goes before the names below, which
follow the box's way of naming what it answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Mapping

_WSDL: Final = "{http://schemas.xmlsoap.org/wsdl/}"
_XSD: Final = "{http://www.w3.org/2001/XMLSchema}"

FILES: Final[Mapping[str, str]] = {"SYS": "/wsdl/sys_service.wsdl", "SLB": "/wsdl/slb_service.wsdl"}
ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "runCLI": ("cmds",),
    "writeConfig": (),
    "createVirtualServerWithConfiguration": ("vsConfigList",),
    "createVirtualServerPortWithConfiguration": ("vsPortConfigList",),
    "getVirtualServerConfiguration": ("virtualServer",),
    "setVirtualServersConfiguration": ("vsConfigList",),
    "setPredictorOnVirtualServer": ("virtualServer", "predictor"),
    "enableVirtualServerPort": ("virtualServerPort",),
    "disableVirtualServerPort": ("virtualServerPort",),
    "enableStickyOnVirtualServerPort": ("virtualServerPort",),
    "disableStickyOnVirtualServerPort": ("virtualServerPort",),
    "deleteVirtualServerPort": ("virtualServerPort",),
    "deleteVirtualServer": ("virtualServer",),
    "createRealServerWithConfiguration": ("rsConfigList",),
    "createRealServerPortWithConfiguration": ("rsPortConfigList",),
    "getRealServerConfiguration": ("realServer",),
    "setRealServersConfiguration": ("rsConfigList",),
    "getRealServerPortConfiguration": ("rsPort",),
    "setRealServersPortConfiguration": ("rsPortConfigList",),
    "getRealServerPortStatus": ("rsPort",),
    "getRealServerPortMonitoringDetails": ("rsPort",),
    "getAllRealServerPortsSummary": ("realServer", "startIndex", "numRetrieved"),
    "getAllVirtualServerPortsBoundtoRealServerPort": ("rsPort", "startIndex", "numRetrieved"),
    "deleteRealServerPort": ("rsPort",),
    "deleteRealServer": ("realServer",),
    "bindRealServerPortToVipPort": ("vs", "rs"),
    "unbindRealServerPortFromVipPort": ("vs", "rs"),
    "createPortPolicy": ("policy",),
    "updatePortPolicy": ("policy",),
    "getPortPolicy": ("policyName",),
    "deletePortPolicy": ("policyName",),
    "createPortProfile": ("portProfile",),
}


def read(wsdl: bytes) -> Mapping[str, tuple[str, ...]]:
    """Read the names of all methods' arguments; none for a text that is no WSDL.

    A message's parts are its arguments, or are one element that holds them.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(wsdl, parser)
    except etree.XMLSyntaxError:
        return {}
    messages = {message.get("name"): message for message in root.iter(f"{_WSDL}message")}
    elements = {element.get("name"): element for element in root.iter(f"{_XSD}element")}
    found = {}
    for operation in root.iterfind(f"{_WSDL}portType/{_WSDL}operation"):
        asked = operation.find(f"{_WSDL}input")
        message = messages.get(_local(asked.get("message", ""))) if asked is not None else None
        if message is not None:
            found[str(operation.get("name"))] = _arguments(message, elements)
    return found


def _arguments(message: Any, elements: Mapping[Any, Any]) -> tuple[str, ...]:
    parts = message.findall(f"{_WSDL}part")
    if len(parts) == 1 and parts[0].get("element"):
        whole = elements.get(_local(parts[0].get("element")))
        inner = whole.iterfind(f"{_XSD}complexType/{_XSD}sequence/{_XSD}element") if whole is not None else ()
        return tuple(str(element.get("name")) for element in inner)
    return tuple(str(part.get("name")) for part in parts)


def _local(name: str) -> str:
    return name.rpartition(":")[2]

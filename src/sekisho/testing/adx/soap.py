"""The doors of an emulated ADX's API: an HTTP request in, an answer out."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from sekisho.testing.adx import methods
from sekisho.testing.adx.box import Box, FaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.testing.adx.box import Mishap

_ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_API: Final = "urn:webservicesapi"
_WSDLS: Final = ("/wsdl/sys_service.wsdl", "/wsdl/slb_service.wsdl")
_XML: Final = "text/xml; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; nothing at all if `silent`."""

    status: int
    body: bytes = b""
    kind: str = _XML
    silent: bool = False


def answer(box: Box, verb: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Answer one request, whatever befalls it."""
    if not _knows(box, headers.get("authorization", "")):
        return Answer(403, b"<html>Forbidden</html>", "text/html")
    if verb == "GET" and path in _WSDLS and box.wsdl:
        return Answer(200, wsdl(box))
    if verb != "POST" or path not in ("/WS/SYS", "/WS/SLB"):
        return Answer(404, b"<html>Not found</html>", "text/html")
    method = headers.get("soapaction", "").strip('"').rpartition("#")[2]
    box.calls.append(method)
    box.writes += not method.startswith("get") and (method != "runCLI" or b">configure" in body)
    mishap = box.mishaps.get(len(box.calls), box.always)
    if mishap is None:
        return _call(box, body)
    if mishap.done:
        _call(box, body)
    return _befallen(mishap)


def _befallen(mishap: Mishap) -> Answer:
    match mishap.kind:
        case "forbidden":
            return Answer(403, b"<html>Forbidden</html>", "text/html")
        case "fault":
            return _fault(FaultError("InternalError", "the box is busy"))
        case "garbage":
            return Answer(200, b"<s:Envelope><not closed")
        case "broken":
            return Answer(503, b"<html>try later</html>", "text/html")
        case "empty":
            return Answer(200)
        case "silent":
            return Answer(200, silent=True)


def _knows(box: Box, authorization: str) -> bool:
    wanted = "Basic " + base64.b64encode(f"{box.username}:{box.password}".encode()).decode()
    return hmac.compare_digest(wanted, authorization)


def _call(box: Box, body: bytes) -> Answer:
    try:
        asked = _asked(body)
        method = etree.QName(asked).localname
        _check(box, asked, method)
        return _told(method, methods.call(box, method, list(asked)))
    except FaultError as fault:
        return _fault(fault)


def _asked(body: bytes) -> Any:
    try:
        root = etree.fromstring(body)
    except etree.XMLSyntaxError as error:
        raise FaultError("InvalidMessage", str(error)) from error
    inner = root.find(f"{{{_ENVELOPE}}}Body")
    if inner is None or len(inner) != 1:
        raise FaultError("InvalidMessage", "one call is expected")
    if inner.prefix != root.prefix:
        raise FaultError("InvalidMessage", "Envelope and Body have not the same prefix")
    return inner[0]


def _check(box: Box, asked: Any, method: str) -> None:
    for element in asked.iterdescendants():
        if len(element) == 0 and not (element.text or "").strip():
            raise FaultError("InvalidMessage", f"element {element.tag} is empty")
    names = tuple(child.tag for child in asked)
    if method in box.renamed:
        if names != box.renamed[method]:
            raise FaultError("InvalidMessage", f"{method} takes {box.renamed[method]}, not {names}")
    elif not schema().validate(asked):
        raise FaultError("InvalidMessage", str(schema().error_log.last_error))


@cache
def schema() -> Any:
    """Give the schema of what may be sent to the box."""
    text = files("sekisho.testing.adx").joinpath("schema.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(text))


def _envelope() -> tuple[Any, Any]:
    envelope = etree.Element(f"{{{_ENVELOPE}}}Envelope", nsmap={"s": _ENVELOPE})
    envelope.set(f"{{{_ENVELOPE}}}encodingStyle", "http://schemas.xmlsoap.org/soap/encoding/")
    return envelope, etree.SubElement(envelope, f"{{{_ENVELOPE}}}Body")


def _told(method: str, parts: Mapping[str, Any]) -> Answer:
    envelope, body = _envelope()
    response = etree.SubElement(body, f"{{{_API}}}{method}Response", nsmap={"tns": _API})
    _fill(response, parts)
    return Answer(200, etree.tostring(envelope, xml_declaration=True, encoding="UTF-8"))


def _fill(parent: Any, parts: Mapping[str, Any]) -> None:
    for name, part in parts.items():
        made = etree.SubElement(parent, name)
        if isinstance(part, list):
            for index, (item, value) in enumerate(part):
                row = etree.SubElement(made, item, index=str(index))
                if isinstance(value, str):
                    row.text = value
                else:
                    _fill(row, value)
        elif isinstance(part, str):
            made.text = part
        else:
            _fill(made, part)


def _fault(fault: FaultError) -> Answer:
    envelope, body = _envelope()
    made = etree.SubElement(body, f"{{{_ENVELOPE}}}Fault")
    etree.SubElement(made, "faultcode").text = "SOAP-ENV:Client"
    etree.SubElement(made, "faultstring").text = fault.text
    runtime = etree.SubElement(
        etree.SubElement(made, "detail"), f"{{{_API}}}RuntimeFault", nsmap={"tns": _API}
    )
    etree.SubElement(runtime, "faultId").text = fault.name
    return Answer(500, etree.tostring(envelope, xml_declaration=True, encoding="UTF-8"))


def wsdl(box: Box) -> bytes:
    """Write what the box says its methods' arguments are called: those of the schema, or others."""
    spaces = {"wsdl": "http://schemas.xmlsoap.org/wsdl/", "tns": _API}
    root = etree.Element(f"{{{spaces['wsdl']}}}definitions", nsmap=spaces, targetNamespace=_API)
    port = etree.Element(f"{{{spaces['wsdl']}}}portType", name="Service")
    for method, names in (*_arguments(), *box.renamed.items()):
        message = etree.SubElement(root, f"{{{spaces['wsdl']}}}message", name=f"{method}Request")
        for name in names:
            etree.SubElement(message, f"{{{spaces['wsdl']}}}part", name=name)
        operation = etree.SubElement(port, f"{{{spaces['wsdl']}}}operation", name=method)
        etree.SubElement(operation, f"{{{spaces['wsdl']}}}input", message=f"tns:{method}Request")
    root.append(port)
    text: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return text


@cache
def _arguments() -> tuple[tuple[str, tuple[str, ...]], ...]:
    root = etree.fromstring(files("sekisho.testing.adx").joinpath("schema.xsd").read_bytes())
    xs = "{http://www.w3.org/2001/XMLSchema}"
    found = root.iterfind(f"{xs}element")
    inner = f"{xs}complexType/{xs}sequence/{xs}element"
    return tuple((str(e.get("name")), tuple(str(a.get("name")) for a in e.iterfind(inner))) for e in found)

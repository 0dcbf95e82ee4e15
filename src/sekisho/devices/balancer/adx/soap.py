"""An ADX's XML API: a method and its arguments in, the answer's element out.

SOAP 1.1 over HTTP with basic authentication at each call, https://www.w3.org/TR/2000/NOTE-SOAP-20000508/.
What the box minds: Envelope and Body have one prefix, and no element is empty.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import httpx
from lxml import etree

from sekisho.devices.balancer.adx import signatures
from sekisho.model.errors import Refused, SekishoError, Unavailable

if TYPE_CHECKING:
    from sekisho.devices.balancer.adx.connection import Connection

Service: TypeAlias = Literal["SYS", "SLB"]
Element: TypeAlias = Any  # lxml ships no types

ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
API: Final = "urn:webservicesapi"
CONTEXT: Final = "http://schemas.xmlsoap.org/soap/envelope123/"
_SOME: Final = 5.0  # seconds until asking again is worth it
_LONG: Final = 30.0  # likewise, where somebody must mend something first


@dataclass(frozen=True, slots=True)
class Array:
    """Many of one kind, each written as an element `item`; at least one, since none is left out."""

    item: str
    values: tuple[Value, ...]


Value: TypeAlias = "str | int | bool | Mapping[str, Value] | Array | Element | None"


class Soap:
    """Speaks to one box. Raises Refused for a fault, and Unavailable for all that is no answer of the API."""

    def __init__(
        self,
        address: str,
        connection: Connection,
        secret: str,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.address = address
        self._context = connection.context
        self._client = httpx.Client(
            base_url=address if "//" in address else f"https://{address}",
            auth=(connection.username, secret),
            verify=_trust(connection),
            timeout=connection.timeout,
            transport=transport,
            trust_env=False,
        )
        self._known: dict[str, Mapping[str, tuple[str, ...]]] = {}

    def call(self, service: Service, method: str, *arguments: Value) -> Element:
        """Call a method and give the answer's element, whose children are unqualified."""
        names = self._names(service).get(method) or signatures.ARGUMENTS[method]
        body = written(method, dict(zip(names, arguments, strict=False)), self._context)
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{API}#{method}"'}
        answer = self._send("POST", f"/WS/{service}", content=body, headers=headers)
        return self._read(answer, method)

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def _names(self, service: Service) -> Mapping[str, tuple[str, ...]]:
        if service not in self._known:
            answer = self._send("GET", signatures.FILES[service])
            self._known[service] = signatures.read(answer.content) if answer.status_code == 200 else {}
        return self._known[service]

    def _send(self, verb: str, path: str, **asked: Any) -> httpx.Response:
        try:
            answer = self._client.request(verb, path, **asked)
        except (httpx.TransportError, httpx.DecodingError) as failed:
            raise _unreached(self.address, failed) from failed
        if answer.status_code in (401, 403):
            # Not Refused: nothing is wrong with what was asked, and it is carried once the login is mended.
            raise Unavailable(
                f"The ADX {self.address} does not let us in; check username and password_file.",
                f"{self.address} answers {answer.status_code} to {verb} {path}.",
                _LONG,
            )
        return answer

    def _read(self, answer: httpx.Response, method: str) -> Element:
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        try:
            root = etree.fromstring(answer.content, parser)
        except etree.XMLSyntaxError as odd:
            raise _odd(self.address, answer, method) from odd
        body = root.find(f"{{{ENVELOPE}}}Body")
        fault = body.find(f"{{{ENVELOPE}}}Fault") if body is not None else None
        if fault is not None:
            raise _refusal(self.address, fault, method)
        found = body.find(f"{{{API}}}{method}Response") if body is not None else None
        if found is None or answer.status_code >= 400:
            raise _odd(self.address, answer, method)
        return found


def written(method: str, arguments: Mapping[str, Value], context: str) -> bytes:
    """Write one call."""
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={"soap": ENVELOPE})
    if context:
        header = etree.SubElement(envelope, f"{{{ENVELOPE}}}Header")
        asked = etree.SubElement(header, f"{{{CONTEXT}}}RequestHeader", nsmap={"ctx": CONTEXT})
        etree.SubElement(asked, f"{{{CONTEXT}}}context").text = context
    body = etree.SubElement(envelope, f"{{{ENVELOPE}}}Body")
    call = etree.SubElement(body, f"{{{API}}}{method}", nsmap={"tns": API})
    for name, value in arguments.items():
        _fill(call, name, value)
    text: bytes = etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
    return text


def _fill(parent: Element, name: str, value: Value) -> None:
    """Add a value, unless it is empty or becomes so."""
    if value is None or value == "":
        return
    made = etree.SubElement(parent, name)
    if isinstance(value, Mapping):
        for inner, part in value.items():
            _fill(made, inner, part)
    elif isinstance(value, Array):
        for part in value.values:
            _fill(made, value.item, part)
    elif etree.iselement(value):
        _copy(made, value)
    else:
        made.text = str(value).lower() if isinstance(value, bool) else str(value)
    if len(made) == 0 and not made.text:
        parent.remove(made)


def _copy(made: Element, answered: Element) -> None:
    """Send back what the box answered, without what is empty."""
    for child in answered:
        _fill(made, etree.QName(child).localname, child if len(child) else child.text)


def _trust(connection: Connection) -> ssl.SSLContext:
    if all(address.startswith("http:") for address in connection.addresses):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and nobody is met
    context = ssl.create_default_context(cafile=connection.ca_file or None)
    if not connection.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if connection.old_tls:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return context


def _refusal(address: str, fault: Element, method: str) -> Refused:
    words = " ".join((fault.findtext("faultstring") or "no reason").split())
    name = fault.findtext("detail//faultId") or fault.findtext("faultcode") or "fault"
    return Refused(
        f'The ADX {address} refuses {method}: "{words}".', f"{address} answers {method} with {name}: {words}."
    )


def _odd(address: str, answer: httpx.Response, method: str) -> SekishoError:
    return Unavailable(
        f"The ADX {address} answers {method} with what is no answer of its API.",
        f"{address}: {method} gave {answer.status_code} and {len(answer.content)} bytes.",
        _SOME,
    )


def _unreached(address: str, failed: Exception) -> SekishoError:
    return Unavailable(
        f"The ADX {address} does not answer.", f"{address}: {type(failed).__name__}: {failed}.", _SOME
    )

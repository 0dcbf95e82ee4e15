"""What Octavia's objects can ask for and a balancer in direct return never gives: fields in, sentences out.

A sentence says what cannot be done; the one after it says what to do instead. What a kind of balancer cannot
do of the rest its own room says (`Provider.unsupported`).
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sekisho.model.balancer import Balancer

Fields = dict[str, Any]

_NO_TLS: Final = (
    "{field} asks to end TLS at the load balancer, which cannot: replies go directly from members "
    "to clients. Use the protocol HTTPS, which passes TLS through, and end it at the members."
)
_NO_HTTP: Final = (
    "{field} asks to read or write HTTP, which the load balancer cannot: it forwards packets as they are. "
    "Do that at the members, and use the protocol TCP."
)
_ADDRESS: Final = (
    "{field} asks for more of the VIP than its address, and nothing here sets that up. "
    "Leave it out; set it on Neutron's port, or make another load balancer for another address."
)
_PROTOCOLS: Final = (
    "The protocol {value} is not balanced: it has to be read, and packets are forwarded unread. "
    "Use TCP, HTTPS (passed through as TCP) or UDP."
)
_TIMEOUT: Final = (
    "{field} is the time of a proxy that ends connections, and no connection ends here. "
    "Leave it at {default} and set times at clients and members."
)
_COOKIE: Final = (
    "Session persistence by {value} needs cookies, which nobody here reads. Use the type SOURCE_IP."
)

LISTENER: Final[Mapping[str, str]] = {
    "default_tls_container_ref": _NO_TLS,
    "sni_container_refs": _NO_TLS,
    "client_ca_tls_container_ref": _NO_TLS,
    "client_crl_container_ref": _NO_TLS,
    "client_authentication": _NO_TLS,
    "tls_versions": _NO_TLS,
    "tls_ciphers": _NO_TLS,
    "alpn_protocols": _NO_TLS,
    "hsts_max_age": _NO_HTTP,
    "hsts_include_subdomains": _NO_HTTP,
    "hsts_preload": _NO_HTTP,
    "insert_headers": _NO_HTTP,
    "l7policies": _NO_HTTP,
}
POOL: Final[Mapping[str, str]] = {
    "tls_enabled": _NO_TLS,
    "tls_container_ref": _NO_TLS,
    "ca_tls_container_ref": _NO_TLS,
    "crl_container_ref": _NO_TLS,
    "tls_versions": _NO_TLS,
    "tls_ciphers": _NO_TLS,
    "alpn_protocols": _NO_TLS,
}
BALANCER: Final[Mapping[str, str]] = {
    "additional_vips": _ADDRESS,
    "vip_qos_policy_id": _ADDRESS,
    "vip_sg_ids": _ADDRESS,
}
L7: Final = _NO_HTTP.format(field="An L7 policy or rule")
_VNIC: Final = (
    "A member's port of type {value} is plugged into the load balancer itself, which has no ports to plug. "
    "Leave request_sriov out."
)
PASSED: Final = ("TCP", "HTTPS", "UDP", "SCTP")
_NOTHING: Final = (None, "", "NONE", 0, False)


def balancer(fields: Fields) -> Iterator[str]:
    """Say what a load balancer asks for in vain."""
    yield from _asked(BALANCER, fields)


def listener(fields: Fields, timeouts: Mapping[str, int]) -> Iterator[str]:
    """Say what a listener asks for in vain; `timeouts` are those that Octavia fills in."""
    yield from _protocol(fields)
    yield from _asked(LISTENER, fields)
    for name, default in timeouts.items():
        if fields.get(name, default) != default:
            yield _TIMEOUT.format(field=name, default=default)


def pool(fields: Fields) -> Iterator[str]:
    """Say what a pool asks for in vain."""
    yield from _protocol(fields)
    yield from _asked(POOL, fields)
    persistence = fields.get("session_persistence") or {}
    if persistence and persistence.get("type") != "SOURCE_IP":
        yield _COOKIE.format(value=persistence.get("type"))


def member(fields: Fields) -> Iterator[str]:
    """Say what a member asks for in vain."""
    if fields.get("vnic_type", "normal") != "normal":
        yield _VNIC.format(value=fields["vnic_type"])


def off_link(whole: Balancer, links: Iterable[str]) -> Iterator[str]:
    """Say which members are in another subnet than the VIP, and in no network of `links` either."""
    if not whole.vip.subnet or whole.vip.cidr:
        return
    networks = [ip_network(each, strict=False) for each in links]
    for each in (m for p in whole.pools for m in p.members):
        if each.subnet in ("", whole.vip.subnet) or any(ip_address(each.address) in n for n in networks):
            continue
        yield (
            f"The member {each.address} is in the subnet {each.subnet} and the VIP in {whole.vip.subnet}, "
            "but packets go to members unrouted. Put the VIP into the members' subnet."
        )


def options(metadata: Mapping[str, Any], known: Mapping[str, str], what: str) -> Iterator[str]:
    """Say what of a flavor's or zone's metadata means nothing here."""
    for name, value in metadata.items():
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            yield f"{what} knows no {name!r}. What may be said is: {names}."
        elif not isinstance(value, str) or not value:
            yield f"{what} needs a text for {name!r}, not {value!r}. {known[name]}"


def unknown(what: str, name: str, known: Iterable[str]) -> Iterator[str]:
    """Say that there is no such pair or zone, and which there are."""
    names = sorted(set(known))
    if name not in names:
        yield f"This provider has no {what} {name!r}. It has: {', '.join(names) or 'none'}."


def first(sentences: Iterable[str], fail: Callable[[str], Exception]) -> None:
    """Raise what `fail` makes of the first sentence, if there is one."""
    for sentence in sentences:
        raise fail(sentence)


def _asked(table: Mapping[str, str], fields: Fields) -> Iterator[str]:
    for name, sentence in table.items():
        value = fields.get(name)
        if value not in _NOTHING and value not in ([], {}, ()):
            yield sentence.format(field=name)


def _protocol(fields: Fields) -> Iterator[str]:
    if fields.get("protocol") not in PASSED:
        yield _PROTOCOLS.format(value=fields.get("protocol"))

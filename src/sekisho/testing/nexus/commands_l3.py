"""Commands for VRFs, addresses and static routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.testing.nexus import names
from sekisho.testing.nexus.checks import vrf_of
from sekisho.testing.nexus.modes import CONFIG, INTERFACE, VRF, At
from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.rules import remove, write

if TYPE_CHECKING:
    from sekisho.testing.nexus.grammar import Args

_FAMILY = {"ip": "ipv4", "ipv6": "ipv6"}


@CONFIG("vrf context <name>")
def vrf_context(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, f"sys/inst-{args['name']}")
    for family in _FAMILY.values():
        write(at.tree, f"sys/{family}/inst/dom-{args['name']}")
    at.enter("config-vrf", args["name"])
    return ""


@CONFIG("no vrf context <name>")
def no_vrf_context(at: At, args: Args, *, no: bool) -> str:
    remove(at.tree, f"sys/inst-{args['name']}")
    return ""


@VRF("description <text:rest>", "no description [<text:rest>]")
def vrf_description(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, f"sys/inst-{at.about[0]}", {"descr": "" if no else args["text"]})
    return ""


@INTERFACE("vrf member <name>", "no vrf member [<name>]")
def vrf_member(at: At, args: Args, *, no: bool) -> str:
    wanted = "default" if no else args["name"]
    for brief in at.about:
        if vrf_of(at.tree.at(names.dn(brief))) != wanted:
            _routed(at, brief)
            write(at.tree, f"{names.dn(brief)}/rtvrfMbr", {"tDn": f"sys/inst-{wanted}"})
    return f"Warning: Deleted all L3 config on interface {names.full(at.about[0])}"


def _routed(at: At, brief: str) -> None:
    if at.tree.at(names.dn(brief)).get("layer") == "Layer2":
        raise Refusal("% Invalid command")


@INTERFACE("ip|ipv6 address <address> [secondary]")
def add_address(at: At, args: Args, *, no: bool) -> str:
    family = _FAMILY[args["ip"]]
    kind = "secondary" if at.session.line_words[-1] == "secondary" else "primary"
    for brief in at.about:
        _routed(at, brief)
        above = _addresses(at, family, brief)
        address = names.interface(args["address"], family)
        if family == "ipv4" and kind == "primary":
            _replace_primary(at, above, address)
        write(at.tree, f"{above}/addr-[{address}]", {"type": kind})
    return ""


def _replace_primary(at: At, above: str, address: str) -> None:
    for dn, other in list(at.tree.below(above, "ipv4Addr")):
        if other.get("type") == "primary" and other.attrs["addr"] != address:
            at.tree.drop(dn)


@INTERFACE("ip|ipv6 address <address> <mask>")
def add_masked(at: At, args: Args, *, no: bool) -> str:
    written = names.interface(f"{args['address']}/{args['mask']}", "ipv4")
    return str(add_address(at, {**args, "address": written}, no=no))


@INTERFACE("no ip|ipv6 address [<address> [secondary]]")
def no_address(at: At, args: Args, *, no: bool) -> str:
    family = _FAMILY[args["ip"]]
    for brief in at.about:
        above = _addresses(at, family, brief)
        if "address" in args:
            remove(at.tree, f"{above}/addr-[{names.interface(args['address'], family)}]")
        else:
            remove(at.tree, above)
    return ""


def _addresses(at: At, family: str, brief: str) -> str:
    vrf = vrf_of(at.tree.at(names.dn(brief)))
    return f"sys/{family}/inst/dom-{vrf}/if-[{brief}]"


@CONFIG("ip|ipv6 route <prefix> <via:rest>")
def route(at: At, args: Args, *, no: bool) -> str:
    return _route(at, args, "default")


@VRF("ip|ipv6 route <prefix> <via:rest>")
def vrf_route(at: At, args: Args, *, no: bool) -> str:
    return _route(at, args, at.about[0])


def _route(at: At, args: Args, vrf: str) -> str:
    family = _FAMILY[args["ip"]]
    interface, address, options = _via(family, args["via"].split())
    above = f"sys/{family}/inst/dom-{vrf}/rt-[{names.network(args['prefix'], family)}]"
    hop = f"{above}/nh-[{interface}]-addr-[{address}]-vrf-[{options.pop('vrf', vrf)}]"
    write(at.tree, above)
    write(at.tree, hop, {"pref": "1", "tag": "0", "rtname": "", **options})
    return ""


def _via(family: str, words: list[str]) -> tuple[str, str, dict[str, str]]:
    """Read what follows the network: where it goes, and its preference, tag and name."""
    interface, address = "unspecified", "0.0.0.0/32" if family == "ipv4" else "::/128"
    left = list(words)
    if left[0].lower() == "null0":
        interface = left.pop(0).lower()
    elif not _is_address(left[0]):
        interface = names.short(left.pop(0))
    if left and _is_address(left[0]):
        address = f"{names.address(left.pop(0).partition('/')[0])}/{32 if family == 'ipv4' else 128}"
    options: dict[str, str] = {}
    while left:
        word = left.pop(0)
        if word.isdigit() and 1 <= int(word) <= 255:
            options["pref"] = word
        elif word in ("tag", "name", "vrf") and left:
            options[{"tag": "tag", "name": "rtname", "vrf": "vrf"}[word]] = left.pop(0)
        else:
            raise Refusal("% Invalid command")
    return interface, address, options


def _is_address(word: str) -> bool:
    try:
        names.address(word.partition("/")[0])
    except Refusal:
        return False
    return True


@CONFIG("no ip|ipv6 route <prefix> [<via:rest>]")
def no_route(at: At, args: Args, *, no: bool) -> str:
    return _no_route(at, args, "default")


@VRF("no ip|ipv6 route <prefix> [<via:rest>]")
def no_vrf_route(at: At, args: Args, *, no: bool) -> str:
    return _no_route(at, args, at.about[0])


def _no_route(at: At, args: Args, vrf: str) -> str:
    family = _FAMILY[args["ip"]]
    above = f"sys/{family}/inst/dom-{vrf}/rt-[{names.network(args['prefix'], family)}]"
    route_node = at.tree.find(above)
    if route_node is None:
        raise Refusal("% Invalid route: no such route")
    if "via" in args:
        interface, address, options = _via(family, args["via"].split())
        hop = f"nh-[{interface}]-addr-[{address}]-vrf-[{options.get('vrf', vrf)}]"
        if hop not in route_node.kids:
            raise Refusal("% Invalid route: no such next hop")
        remove(at.tree, f"{above}/{hop}")
    if "via" not in args or not route_node.kids:
        remove(at.tree, above)
    return ""


@INTERFACE("ip|ipv6 redirects", "no ip|ipv6 redirects")
def redirects(at: At, args: Args, *, no: bool) -> str:
    family = {"ip": "icmpv4", "ipv6": "icmpv6"}[args["ip"]]
    for brief in at.about:
        vrf = vrf_of(at.tree.at(names.dn(brief)))
        write(at.tree, f"sys/{family}/inst/dom-[{vrf}]/if-[{brief}]", {"ctrl": "" if no else "redirect"})
    return ""


@INTERFACE("cdp enable", "no cdp enable")
def cdp(at: At, args: Args, *, no: bool) -> str:
    for brief in at.about:
        write(at.tree, f"sys/cdp/inst/if-[{brief}]", {"adminSt": "disabled" if no else "enabled"})
    return ""

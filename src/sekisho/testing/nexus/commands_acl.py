"""Commands for access lists and where they are bound."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from sekisho.testing.nexus.modes import ACL, CONFIG, INTERFACE, At
from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.rules import remove, write
from sekisho.testing.nexus.running_acl import entry

if TYPE_CHECKING:
    from sekisho.testing.nexus.grammar import Args

_FAMILY = {"ip": "ipv4", "ipv6": "ipv6"}


@CONFIG("ip|ipv6 access-list <name>")
def access_list(at: At, args: Args, *, no: bool) -> str:
    family = _FAMILY[args["ip"]]
    dn = f"sys/acl/{family}/name-[{args['name']}]"
    write(at.tree, dn)
    at.enter("config-acl" if family == "ipv4" else "config-ipv6-acl", dn)
    return ""


@CONFIG("no ip|ipv6 access-list <name>")
def no_access_list(at: At, args: Args, *, no: bool) -> str:
    remove(at.tree, f"sys/acl/{_FAMILY[args['ip']]}/name-[{args['name']}]")
    return ""


@ACL("statistics per-entry", "no statistics [per-entry]")
def statistics(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, at.about[0], {"perACEStatistics": "off" if no else "on"})
    return ""


@ACL("permit|deny <rest:rest>")
def numberless(at: At, args: Args, *, no: bool) -> str:
    taken = [int(ace.attrs["seqNum"]) for ace in at.tree.at(at.about[0]).kids.values()]
    return _entry(at, str(max(taken, default=0) // 10 * 10 + 10), f"{args['permit']} {args['rest']}")


@ACL("remark <rest:rest>")
def remark(at: At, args: Args, *, no: bool) -> str:
    taken = [int(ace.attrs["seqNum"]) for ace in at.tree.at(at.about[0]).kids.values()]
    return _entry(at, str(max(taken, default=0) // 10 * 10 + 10), f"remark {args['rest']}")


@ACL("<number> permit|deny|remark <rest:rest>")
def numbered(at: At, args: Args, *, no: bool) -> str:
    if not args["number"].isdigit():
        raise Refusal("% Invalid command")
    return _entry(at, args["number"], f"{args['permit']} {args['rest']}")


@ACL("no <number>", "no <number> permit|deny|remark <rest:rest>")
def no_entry(at: At, args: Args, *, no: bool) -> str:
    remove(at.tree, f"{at.about[0]}/seq-{args['number']}")
    return ""


@ACL("no permit|deny <rest:rest>")
def no_such_entry(at: At, args: Args, *, no: bool) -> str:
    acl = at.tree.at(at.about[0])
    wanted = parse(f"{args['permit']} {args['rest']}", acl.cls[:4])
    for rn, ace in acl.kids.items():
        if all(ace.get(name) == value for name, value in wanted.items()):
            remove(at.tree, f"{at.about[0]}/{rn}")
            return ""
    raise Refusal("% No such entry")


def _entry(at: At, number: str, text: str) -> str:
    acl = at.tree.at(at.about[0])
    family = acl.cls[:4]
    dn = f"{at.about[0]}/seq-{number}"
    before = at.tree.find(dn)
    made = write(at.tree, dn, {**_BLANK, **parse(text, family)})
    for other in acl.kids.values():
        if before is None and other is not made and entry(other) == entry(made):
            remove(at.tree, dn)  # the box takes the same line but once
            break
    return ""


_BLANK = {"remark": "", "srcPortOp": "none", "dstPortOp": "none", "est": "no", "logging": "no"}


def parse(text: str, family: str) -> dict[str, str]:
    """Read one line of an access list; raises Refusal."""
    action, _, rest = text.partition(" ")
    if action == "remark":
        return {"remark": rest}
    words = rest.split()
    found = {"action": action, "protocol": words.pop(0).lower()}
    for way in ("src", "dst"):
        found |= _end(words, way, family)
    for word in words:
        if word not in ("established", "log"):
            raise Refusal("% Invalid command")
        found["est" if word == "established" else "logging"] = "yes"
    return found


def _end(words: list[str], way: str, family: str) -> dict[str, str]:
    if not words:
        raise Refusal("% Incomplete command")
    prefix, length = _network(words, family)
    found = {f"{way}Prefix": prefix, f"{way}PrefixLength": length}
    if words and words[0] in ("eq", "neq", "lt", "gt", "range"):
        operator = words.pop(0)
        count = 2 if operator == "range" else 1
        if len(words) < count:
            raise Refusal("% Incomplete command")
        found |= {f"{way}PortOp": operator, f"{way}Port1": words.pop(0)}
        if count == 2:
            found[f"{way}Port2"] = words.pop(0)
    return found


def _network(words: list[str], family: str) -> tuple[str, str]:
    first = words.pop(0)
    zero, whole = ("0.0.0.0", "32") if family == "ipv4" else ("::", "128")
    if first == "any":
        return zero, "0"
    if first == "host" and words:
        return words.pop(0), whole
    if "/" in first:
        prefix, _, length = first.partition("/")
        return prefix, length
    if family == "ipv4" and words:
        return _wildcard(first, words.pop(0))
    raise Refusal("% Invalid command")


def _wildcard(address: str, wildcard: str) -> tuple[str, str]:
    try:
        found = ipaddress.ip_network(f"{address}/{wildcard}", strict=False)
    except ValueError as wrong:
        raise Refusal(f"% Invalid ip address {address} {wildcard}") from wrong
    return str(found.network_address), str(found.prefixlen)


@INTERFACE(
    "ip|ipv6 access-group|traffic-filter <name> in|out",
    "no ip|ipv6 access-group|traffic-filter <name> in|out",
)
def bind(at: At, args: Args, *, no: bool) -> str:
    return _bind(at, args, no=no, port=False)


@INTERFACE(
    "ip|ipv6 port access-group|traffic-filter <name> in|out",
    "no ip|ipv6 port access-group|traffic-filter <name> in|out",
)
def bind_port(at: At, args: Args, *, no: bool) -> str:
    return _bind(at, args, no=no, port=True)


def _bind(at: At, args: Args, *, no: bool, port: bool) -> str:
    family = _FAMILY[args["ip"]]
    if args["access-group"] != ("access-group" if family == "ipv4" else "traffic-filter"):
        raise Refusal("% Invalid command")
    way = "ingress" if args["in"] == "in" else "egress"
    for brief in at.about:
        switched = (
            at.tree.at(f"sys/intf/{_part(brief)}").get("layer") == "Layer2" if brief[0] in "ep" else False
        )
        if switched != port:
            raise Refusal("ERROR: this kind of access list does not fit the port's layer")
        dn = f"sys/acl/{family}/policy/{way}/intf-[{brief}]"
        if no:
            remove(at.tree, dn)
        else:
            write(at.tree, f"{dn}/acl", {"name": args["name"]})
    return ""


def _part(brief: str) -> str:
    return f"phys-[{brief}]" if brief.startswith("eth") else f"aggr-[{brief}]"

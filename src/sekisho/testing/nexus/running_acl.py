"""Access lists as `show running-config` writes them, and where they are bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.testing.nexus.tree import Node, Tree


def lists(tree: Tree) -> Iterator[str]:
    """Write all access lists, IPv6 after IPv4."""
    for family, word in (("ipv4", "ip"), ("ipv6", "ipv6")):
        af = tree.at(f"sys/acl/{family}")
        for acl in sorted(af.only(f"{family}aclACL"), key=lambda node: node.attrs["name"]):
            yield f"{word} access-list {acl.attrs['name']}"
            yield from (f"  {line}" for line in entries(acl))


def entries(acl: Node) -> Iterator[str]:
    """Write the lines of one access list, by their numbers."""
    if acl.get("perACEStatistics") == "on":
        yield "statistics per-entry"
    for ace in sorted(acl.only(f"{acl.cls[:4]}aclACE"), key=lambda node: int(node.attrs["seqNum"])):
        yield f"{ace.attrs['seqNum']} {entry(ace)}"


def entry(ace: Node) -> str:
    """Write one line without its number, with the blank at the end that the box leaves."""
    if ace.get("remark"):
        return f"remark {ace.get('remark')}"
    words = [ace.get("action"), ace.get("protocol"), *_end(ace, "src"), *_end(ace, "dst")]
    if ace.get("est") == "yes":
        words.append("established")
    if ace.get("logging") == "yes":
        words.append("log")
    return " ".join(words)


def _end(ace: Node, way: str) -> Iterator[str]:
    prefix, length = ace.get(f"{way}Prefix"), ace.get(f"{way}PrefixLength")
    if length in ("", "0"):
        yield "any"
    else:
        yield f"{prefix}/{length}"
    operator = ace.get(f"{way}PortOp")
    if operator != "none":
        yield operator
        yield ace.get(f"{way}Port1")
        if operator == "range":
            yield ace.get(f"{way}Port2")


def bindings(tree: Tree, brief: str, *, port: bool) -> Iterator[str]:
    """Write which access lists are bound to an interface; on a switched one they are port access lists."""
    for family, routed, switched in (
        ("ipv4", "ip access-group", "ip port access-group"),
        ("ipv6", "ipv6 traffic-filter", "ipv6 port traffic-filter"),
    ):
        for way, word in (("ingress", "in"), ("egress", "out")):
            bound = tree.find(f"sys/acl/{family}/policy/{way}/intf-[{brief}]")
            inst = bound.kids.get("acl") or bound.kids.get("portacl") if bound else None
            if inst is not None and inst.get("name"):
                yield f"{switched if port else routed} {inst.get('name')} {word}"

"""What people write of their switches, a TOML file each: texts in, Switches or all mistakes, by line, out.

The format is documented in ``docs/reference/switch-intent.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping  # noqa: TC003 - annotations are read at run time
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from sekisho.devices.switch.intent import Intent, Port, Vpc
from sekisho.devices.switch.piece import Piece, joined, read_piece
from sekisho.model.errors import Malformed
from sekisho.model.toml_sheet import complaints, open_sheet
from sekisho.model.units import did_you_mean

Transport: TypeAlias = Literal["auto", "nxapi", "ssh"]

COMMON: Final = "common/"
# What TOML's reader quotes of a text: keys, which may be communities.
_QUOTED: Final = re.compile(r"[('\"].*[)'\"]", re.DOTALL)
_MARK: Final = 6  # characters of a quoted sign, such as '='
_SYNTAX: Final = re.compile(r"^(.*?:\d+: TOML: )(.*)\Z", re.DOTALL)
_COMMUNITY: Final = re.compile(r"^(.*?)\bsnmp\.community\W.*\Z", re.DOTALL)
_BESIDE: Final = re.compile(r"^(.*?)\bsnmp\.(?!community\b|trap\b).*\Z", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Connection:
    """How a switch is reached.

    `driver` is an entry point of the group ``sekisho.switches``; `port` 0 is the usual one of the
    transport. The files are paths: of the password, and of the authorities that sign the switch's
    certificate ("" for the system's). `timeout` is seconds for one answer; `save` keeps changes over a
    restart. `serial` is the only serial number that is believed, "" for the one that is met first.
    """

    driver: str
    address: str
    port: int = 0
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    verify: bool = True
    transport: Transport = "auto"
    timeout: float = 30.0
    save: bool = True
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Attach:
    """Which VLANs the cloud brings and takes by itself, and on which ports its hosts are.

    `vlans` is a set of ids as `vlans` writes it, "" for none; `hosts` gives a host's ports by its name;
    with `lldp` a host that is not listed is looked for among the neighbours.
    """

    vlans: str = ""
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lldp: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch: how it is reached, what it should be, and the other one of its pair, "" for none."""

    name: str
    connection: Connection
    intent: Intent
    peer: str = ""
    attach: Attach = field(default_factory=Attach)


def load(folder_texts: Mapping[str, str]) -> Mapping[str, Switch]:
    """Read a folder's texts, by path within the folder (``leaf-1.toml``, ``common/leaf.toml``), as one set.

    Gives switches by name. Raises Malformed whose `problems` are all mistakes of all files, each as
    ``FILE:LINE: path: sentence``.
    """
    pieces = {path: read_piece(open_sheet(text, path)) for path, text in sorted(folder_texts.items())}
    shared = {_stem(path): piece for path, piece in pieces.items() if path.startswith(COMMON)}
    own = {_stem(path): piece for path, piece in pieces.items() if not path.startswith(COMMON)}
    for piece in shared.values():
        if piece.use is not None:
            piece.node("use").problem("shared pieces are used by switches only, not by each other.")
    wholes = {name: joined(_used(piece, shared), piece) for name, piece in own.items()}
    for name, whole in wholes.items():
        _check(name, whole)
    _check_apart(wholes)
    _check_pairs(wholes)
    problems = tuple(map(_discreet, complaints(piece.sheet for piece in pieces.values())))
    if problems:
        count = f"{len(problems)} mistake{'s' * (len(problems) != 1)}"
        raise Malformed(
            f"The switches' files have {count}; none of them was taken over.", "\n".join(problems), problems
        )
    return {name: _switch(name, whole) for name, whole in wholes.items()}


def _discreet(problem: str) -> str:
    """Tell a mistake without what may be a secret: a community's name, and what TOML's reader quotes."""
    if syntax := _SYNTAX.match(problem):
        return syntax[1] + _QUOTED.sub(lambda m: m[0] if len(m[0]) <= _MARK else "...", syntax[2])
    problem = _BESIDE.sub(r"\1snmp: unknown name; known are community, trap.", problem)
    return _COMMUNITY.sub(
        r"\1snmp.community: a community has a mistake there; its name is a secret.", problem
    )


def _stem(path: str) -> str:
    return path.removeprefix(COMMON).removesuffix(".toml")


def _used(piece: Piece, shared: Mapping[str, Piece]) -> Iterator[Piece]:
    for name in piece.use or ():
        if name in shared:
            yield shared[name]
        else:
            piece.node("use").problem(f"there is no common/{name}.toml; {did_you_mean(name, shared)}")


def _check(name: str, whole: Piece) -> None:
    """Note what only the whole shows: what is missing, and what cannot be together."""
    root = whole.sheet.root()
    if not whole.sheet.values and whole.sheet.problems:
        return  # it could not be read at all
    if not _NAME.fullmatch(name):
        root.problem('a switch\'s file is called after it: letters, digits and "_", "." or "-".')
    connect = whole.node("connect")
    for needed in ("driver", "address"):
        if not whole.connect.get(needed) and not (connect.present and connect.has(needed)):
            root.problem(
                f'has no {needed} under [connect]; add for example {needed} = "{_EXAMPLES[needed]}".'
            )
    owners: dict[str, str] = {}
    for port in (p for p in whole.parts.values() if isinstance(p, Port)):
        for member in port.members or ():
            other = owners.setdefault(member, port.name)
            if other != port.name:
                whole.node("port", port.name, "members").problem(f"{member} is in {other} already.")


def _check_apart(wholes: Mapping[str, Piece]) -> None:
    """Note switches that are reached at the same place: each would be made what the other's file says."""
    owners: dict[tuple[str, int], str] = {}
    for name, whole in wholes.items():
        address, port = whole.connect.get("address", "").lower(), whole.connect.get("port", 0)
        other = owners.setdefault((address, port), name) if address else name
        if other != name:
            whole.node("connect", "address").problem(f"is {other}'s already: one switch has one file.")


_EXAMPLES: Final = {"driver": "nexus", "address": "10.0.0.1"}


def _check_pairs(wholes: Mapping[str, Piece]) -> None:
    for name, whole in wholes.items():
        peer = whole.pair.get("peer", "")
        place = whole.node("pair", "peer")
        if not peer:
            continue
        if peer == name or peer not in wholes:
            others = [n for n in wholes if n != name]
            hint = did_you_mean(peer, others) if others else "there is only this one."
            place.problem(f'there is no other switch "{peer}"; {hint}')
        elif wholes[peer].pair.get("peer", "") != name:
            place.problem(f"{peer} does not name {name} as its peer in turn.")
        elif name < peer:
            _check_pair(whole, wholes[peer], peer)


def _check_pair(one: Piece, other: Piece, peer: str) -> None:
    """Note what both of a pair must have alike and say differently."""
    if one.pair.get("domain") != other.pair.get("domain"):
        one.node("pair", "domain").problem(f"is another one than {peer}'s.")
    theirs = {_shared(p): p for p in other.parts.values() if _shared(p)}
    for part in one.parts.values():
        like = theirs.get(_shared(part)) if _shared(part) else None
        for what in ("mtu", "mode", "native") if like else ():
            mine, its = getattr(part, what), getattr(like, what)
            if mine is not None and its is not None and mine != its:
                one.node("port", getattr(part, "name", ""), what).problem(
                    f"is {mine} here and {its} on {peer}; on both sides of a pair it is the same."
                )


def _shared(part: object) -> object:
    """Tell what of a pair a port is: the peer link, or one of the vPCs."""
    return "peer link" if getattr(part, "peer_link", None) else getattr(part, "vpc", None)


def _switch(name: str, whole: Piece) -> Switch:
    connection = Connection(**whole.connect)
    signs_in = {("user", connection.username)} if connection.username else set()
    parts = dict(whole.parts)
    if "domain" in whole.pair:
        said = {f: v for f, v in whole.pair.items() if f not in ("peer", "keepalive")}
        parts["vpc",] = Vpc(**said, **whole.pair.get("keepalive", {}))
    intent = Intent(
        name,
        parts,
        frozenset(whole.absent),
        whole.exclusive or frozenset(),
        uplinks=frozenset(whole.protect.get("uplinks", ())),
        management=frozenset({*whole.protect.get("management", ()), *signs_in}),
    )
    attach = Attach(whole.attach.get("vlans", ""), whole.hosts, whole.attach.get("lldp", False))
    return Switch(name, connection, intent, whole.pair.get("peer", ""), attach)

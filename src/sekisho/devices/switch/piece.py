"""One document as far as it goes: a sheet of TOML in, what it says of a switch out, to be joined."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from sekisho.devices.switch import schema
from sekisho.devices.switch.intent import Feature, key
from sekisho.devices.switch.shapes import read_fields
from sekisho.model.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sekisho.devices.switch.intent import Key, Part
    from sekisho.model.toml_sheet import Node, Sheet


@dataclass(slots=True)
class Piece:
    """What a document says; fields by their names where they are mentioned, nothing where they are not."""

    sheet: Sheet
    use: tuple[str, ...] | None = None
    exclusive: frozenset[str] | None = None
    connect: dict[str, Any] = field(default_factory=dict)
    pair: dict[str, Any] = field(default_factory=dict)
    protect: dict[str, Any] = field(default_factory=dict)
    attach: dict[str, Any] = field(default_factory=dict)
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    parts: dict[Key, Part] = field(default_factory=dict)
    absent: set[Key] = field(default_factory=set)

    def node(self, *path: str) -> Node:
        """Go to a place of the document, for what is wrong there."""
        node = self.sheet.root()
        for step in path:
            node = node.child(step)
        return node


def read_piece(sheet: Sheet) -> Piece:
    """Read one document, noting its mistakes on its sheet."""
    root, piece = sheet.root(), Piece(sheet)
    root.only(*schema.TOP, *schema.TABLES, *dict.fromkeys(e.table[0] for e in schema.ENTRIES))
    piece.use = schema.TOP["use"].read(root.child("use")) if root.has("use") else None
    if root.has("exclusive"):
        named = schema.TOP["exclusive"].read(root.child("exclusive")) or ()
        piece.exclusive = frozenset(schema.EXCLUSIVE[n] for n in named)
    piece.connect = _table(root, "connect")
    piece.pair = _table(root, "pair")
    piece.protect = _table(root, "protect")
    if "management" in piece.protect:
        place = root.child("protect").child("management")
        piece.protect["management"] = tuple(_keys(place, piece.protect["management"]))
    _attach(root.child("attach"), piece)
    _only_below(root, "acl", "ipv4", "ipv6")
    _only_below(root, "snmp", "community", "trap")
    for entry in schema.ENTRIES:
        _entries(root, entry, piece)
    return piece


def joined(shared: Iterable[Piece], own: Piece) -> Piece:
    """Lay pieces over each other, field by field, the own one last; mistakes found then are the own one's."""
    whole = Piece(own.sheet, use=own.use)
    for piece in (*shared, own):
        whole.exclusive = whole.exclusive if piece.exclusive is None else piece.exclusive
        whole.connect |= piece.connect
        keepalive = {**whole.pair.get("keepalive", {}), **piece.pair.get("keepalive", {})}
        whole.pair |= piece.pair | ({"keepalive": keepalive} if keepalive else {})
        whole.protect |= piece.protect
        whole.attach |= piece.attach
        whole.hosts |= piece.hosts
        whole.absent -= piece.parts.keys()
        for subject, part in piece.parts.items():
            whole.parts[subject] = _over(whole.parts.get(subject), part)
        whole.absent |= piece.absent
        for subject in piece.absent:
            whole.parts.pop(subject, None)
    return whole


def _over(under: Part | None, part: Part) -> Part:
    """Lay what one piece says of a part over what another one says of it."""
    if under is None:
        return part
    said: dict[str, Any] = {
        f.name: value
        for f in fields(part)
        if (value := getattr(part, f.name)) is not None and (f.name, value) != ("within", "")
    }
    storm, below = said.get("storm"), getattr(under, "storm", None)
    if storm is not None and below is not None:
        levels = {f.name: v for f in fields(storm) if (v := getattr(storm, f.name)) is not None}
        said["storm"] = replace(below, **levels)
    return replace(under, **said)


def _table(root: Node, name: str) -> dict[str, Any]:
    node = root.child(name)
    if not node.present or not node.is_table(f"[{name}]"):
        return {}
    return read_fields(node, schema.TABLES[name])


def _attach(node: Node, piece: Piece) -> None:
    if not node.present or not node.is_table("[attach]"):
        return
    node.only(*schema.ATTACH, "hosts")
    piece.attach = {
        name: value
        for name, shape in schema.ATTACH.items()
        if node.has(name) and (value := shape.read(node.child(name))) is not None
    }
    for host in node.child("hosts").children():
        ports = schema.HOSTS.read(host)
        if ports is not None:
            piece.hosts[str(host.path[-1])] = ports


def _only_below(root: Node, name: str, *known: str) -> None:
    node = root.child(name)
    if node.present and node.is_table(f"[{name}.{known[0]}.NAME]"):
        node.only(*known)


def _entries(root: Node, entry: schema.Entry, piece: Piece) -> None:
    node = root
    for step in entry.table:
        node = node.child(step)
    for place, named in _places(node, entry.keys):
        _entry(place, entry, named, piece)


def _places(node: Node, keys: tuple[Any, ...]) -> Iterator[tuple[Node, tuple[Any, ...]]]:
    """Walk down the keys of a table, reading each; what cannot be read is noted and passed over."""
    if not keys:
        if node.present:
            yield node, ()
        return
    for child in node.children():
        try:
            name = keys[0](str(child.path[-1]))
        except Malformed as error:
            child.problem(error.asker)
            continue
        yield from ((place, (name, *rest)) for place, rest in _places(child, keys[1:]))


def _entry(place: Node, entry: schema.Entry, named: tuple[Any, ...], piece: Piece) -> None:
    said = _said(place, entry)
    if said is None:
        return
    absent = said.pop("absent", False)
    bare = (
        [entry.make(n) for n in named[0]] if named and isinstance(named[0], tuple) else [entry.make(*named)]
    )
    if len(bare) > 1 and said:
        place.problem(f"{', '.join(said)} cannot be the same for several VLANs; write one table for each.")
    for part in bare:
        subject = key(part)
        if subject in piece.parts or subject in piece.absent:
            place.problem("stands twice in this file.")
        elif absent:
            piece.absent.add(subject)
        else:
            piece.parts[subject] = replace(part, **said)


def _said(place: Node, entry: schema.Entry) -> dict[str, Any] | None:
    """Read what an entry says: its fields, the one list that stands for them, or that it is absent."""
    if entry.short and isinstance(place.value, list):
        value = entry.fields[entry.short].read(place)
        return None if value is None else {entry.short: value}
    if not place.is_table("{ name = value }"):
        return None
    if place.has("absent"):
        return _absent(place, entry)
    found = read_fields(place, entry.fields)
    if entry.make is Feature:
        found.setdefault("enabled", True)
    return found


def _absent(place: Node, entry: schema.Entry) -> dict[str, Any] | None:
    if not entry.removable:
        place.child("absent").problem("it cannot be absent.")
    elif place.value != {"absent": True}:
        place.child("absent").problem("what is absent says absent = true and nothing else.")
    else:
        return {"absent": True}
    return None


def _keys(place: Node, texts: Iterable[str]) -> Iterator[Key]:
    """Read names of parts: ``svi 10``, ``port Ethernet1/1``, ``route default 0.0.0.0/0``, ``acl ipv4 x``."""
    for text in texts:
        words = text.split()
        entry = next((e for e in schema.ENTRIES if tuple(words[: len(e.table)]) == e.table), None)
        found = _key(entry, words[len(entry.table) :]) if entry else None
        if found is None:
            shown = "..." if "community" in text else text  # which is a secret
            place.problem(f'"{shown}" names no part; write for example "svi 10" or "port Ethernet1/48".')
        else:
            yield found


def _key(entry: schema.Entry, words: list[str]) -> Key | None:
    if len(words) != len(entry.keys):
        return None
    try:
        named = [read(word) for read, word in zip(entry.keys, words, strict=True)]
    except Malformed:
        return None
    if named and isinstance(named[0], tuple):
        named = list(named[0])[:2]
    return key(entry.make(*named)) if len(named) == len(entry.keys) else None

"""The data model's door: queries of objects and classes, trees that are posted, objects that are deleted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sekisho.testing.nexus import facts
from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.rules import remove, write
from sekisho.testing.nexus.schema import CLASSES, child_of, name_of
from sekisho.testing.nexus.tree import Node, cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sekisho.testing.nexus.box import Box

Found = tuple[str, Node]
_FILTER: Final = re.compile(r'^(eq|ne|wcard)\((\w+)\.(\w+),"?([^"]*)"?\)$')


def query(box: Box, path: str, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """Answer a GET of ``mo/DN`` or ``class/NAME``; raises Refusal for what is none."""
    kind, _, rest = path.partition("/")
    facts.refresh(box)
    if kind == "class":
        if rest not in CLASSES:
            raise Refusal(f"Request failed, unresolved class for {rest}")
        found: list[Found] = list(box.tree.below("sys", rest))
    else:
        found = _of_object(box, rest, options)
    keep = _filter(options.get("query-target-filter", ""))
    return [_written(dn, node, options) for dn, node in found if keep(node)]


def _of_object(box: Box, dn: str, options: Mapping[str, str]) -> list[Found]:
    node = box.tree.find(dn)
    if node is None:
        return []
    target = options.get("query-target", "self")
    wanted = {name for name in options.get("target-subtree-class", "").split(",") if name}
    unknown = wanted - CLASSES.keys()
    if unknown:
        raise Refusal(f"Request failed, unresolved class for {min(unknown)}")
    match target:
        case "self":
            found: list[Found] = [(dn, node)]
        case "children":
            found = [(f"{dn}/{rn}", kid) for rn, kid in node.kids.items()]
        case "subtree":
            found = list(box.tree.below(dn))
        case _:
            raise Refusal(f"Invalid query target {target}")
    return [(name, one) for name, one in found if not wanted or one.cls in wanted]


def _filter(text: str) -> Any:
    if not text:
        return lambda _node: True
    found = _FILTER.match(text)
    if found is None:
        raise Refusal(f"Invalid filter {text}")
    how, cls, name, value = found.groups()

    def keep(node: Node) -> bool:
        own = node.cls == cls and node.get(name)
        return {"eq": own == value, "ne": own != value, "wcard": bool(own) and value in str(own)}[how]

    return keep


def _written(dn: str, node: Node, options: Mapping[str, str]) -> dict[str, Any]:
    depth = {"no": 0, "children": 1, "full": 99}.get(options.get("rsp-subtree", "no"), 0)
    wanted = {name for name in options.get("rsp-subtree-class", "").split(",") if name}
    return next(_object(dn, node, depth, wanted, top=True))


def _object(
    dn: str, node: Node, depth: int, wanted: set[str], *, top: bool = False
) -> Iterator[dict[str, Any]]:
    kids: list[dict[str, Any]] = []
    if depth:
        for rn, kid in node.kids.items():
            kids.extend(_object(f"{dn}/{rn}", kid, depth - 1, wanted))
    if not top and wanted and node.cls not in wanted and not kids:
        return
    shown = {name: value for name, value in node.all().items() if not name.startswith("_")}
    own = {"childAction": "", "dn": dn, "modTs": "", "status": "", **shown}
    if not top:
        own["rn"] = cut(dn)[2]
    yield {node.cls: {"attributes": own, **({"children": kids} if kids else {})}}


def post(box: Box, path: str, body: Any, user: str, origin: str) -> None:
    """Take a tree: all of it or nothing, unless a fault was ordered in its middle; raises Refusal."""
    dn = path.partition("/")[2]
    if dn == "sys/action":
        _act(box, body, user, origin)
        return
    if dn in ("", "uni"):
        dn = "" if _only(body)[0] != "topSystem" else "sys"
    box.claim(None, user)
    before = box.tree
    box.tree = before.copy()
    try:
        _place(box, dn, body)
    except Refusal:
        if not box.faults_hit:
            box.tree = before
        box.faults_hit = False
        box.account(user, origin, f"DME POST {dn or 'mo'}", ok=False)
        raise
    box.dme_changed(user, origin, f"DME POST {dn}")


def _act(box: Box, body: Any, user: str, origin: str) -> None:
    """Carry out a task; the one that is known is the rollback to a checkpoint."""
    _cls, inner = _only(body)
    for child in inner.get("children", ()):
        task, given = _only(child)
        if task != "topSystemRollbackLTask":
            raise Refusal(f"Request failed, unresolved class for {task}")
        name = str(given.get("attributes", {}).get("name", ""))
        if name not in box.checkpoints:
            raise Refusal(f"Checkpoint {name} does not exist")
        box.back_to(box.checkpoints[name].tree)
        box.account(user, origin, f"rollback running-config checkpoint {name}")


def _only(body: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(body, dict) or len(body) != 1:
        raise Refusal("Invalid request body: one object is expected")
    cls, inner = next(iter(body.items()))
    if not isinstance(inner, dict):
        raise Refusal("Invalid request body: attributes and children are expected")
    return cls, inner


def _place(box: Box, dn: str, body: Any) -> None:
    """Write an object that stands at a name, and its children."""
    cls, inner = _only(body)
    if cls not in CLASSES:
        raise Refusal(f"Request failed, unresolved class for {cls}")
    given = {name: str(value) for name, value in inner.get("attributes", {}).items()}
    dn = given.pop("dn", "") or dn or _root_of(cls, given)
    given.pop("rn", None)
    status = given.pop("status", "")
    if dn != "sys":
        above, _, rn = cut(dn)
        parent = box.tree.find(above)
        if parent is not None and child_of(parent.cls, rn)[0] != cls:
            raise Refusal(f"{cls} cannot stand at {dn}")
    box.count_object()
    if status == "deleted":
        remove(box.tree, dn)
        return
    write(box.tree, dn, given)
    for child in inner.get("children", ()):
        _place_below(box, dn, child)


def _place_below(box: Box, dn: str, child: Any) -> None:
    cls, inner = _only(child)
    if cls not in CLASSES:
        raise Refusal(f"Request failed, unresolved class for {cls}")
    given = inner.get("attributes", {})
    if "dn" in given:
        name = str(given["dn"])
    else:
        name = f"{dn}/{given.get('rn') or name_of(cls, {k: str(v) for k, v in given.items()})}"
    _place(box, name, child)


def _root_of(cls: str, _given: Mapping[str, str]) -> str:
    if cls == "topSystem":
        return "sys"
    raise Refusal("Invalid DN: none was given")


def delete(box: Box, path: str, user: str, origin: str) -> None:
    """Take an object away; one that is not there is no error. Raises Refusal."""
    dn = path.partition("/")[2]
    box.claim(None, user)
    box.count_object()
    remove(box.tree, dn)
    box.dme_changed(user, origin, f"DME DELETE {dn}")

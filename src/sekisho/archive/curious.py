"""SQL of people: one SELECT over the archive's own tables, that can do nothing but read, within limits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sekisho.archive.store import ask
from sekisho.model.archived import Rows
from sekisho.model.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sekisho.archive.settings import SqlLimits
    from sekisho.archive.store import Store

# Table functions that reach nothing outside.
_TABLE_FUNCTIONS: Final = frozenset({"numbers", "values", "zeros"})
# Functions that read files, wait, or ask somebody else; a read-only session would let them.
_DENIED: Final = (
    "file", "sleep", "dict", "joinget", "catboost", "ai", "generate", "embed", "getserver", "getsetting",
    "getmacro", "hostname", "fqdn", "displayname", "filesystem", "addresstoline", "addresstosymbol",
    "demangle", "logtrace", "zookeeper", "showcertificate", "servertimezone", "buildid",
)  # fmt: skip
# Behind IN a table stands as any name does.
_TABLE: Final = re.compile(
    r"(?:TableIdentifier |Identifier (?=(?i:system|information_schema)\.))(.+?)(?: \(|$)"
)
_FUNCTION: Final = re.compile(r"Function ([^ ]+)")


def sql(store: Store, question: str, limit: int, limits: SqlLimits) -> Rows:
    """Answer a question; raises Malformed for one that is not allowed, and says what is."""
    if not 0 < limit <= limits.rows:
        raise Malformed(f"Ask for 1 to {limits.rows:,} rows at once.")
    asked = question.strip().rstrip(";").strip()
    if ";" in asked:
        raise Malformed("Ask one question, without a semicolon in it.")
    wrapped = f"SELECT * FROM (\n{asked}\n) LIMIT {limit + 1}"
    settings = limits.settings()
    tree = store.ask(f"EXPLAIN AST {wrapped}", "TSVRaw", {}, settings).decode(errors="replace")
    objection = next(_objections(tree.splitlines()), "")
    if objection:
        raise Malformed(objection)
    found = ask(store, wrapped, None, settings)
    return Rows(found.columns, found.types, found.rows[:limit], len(found.rows) > limit)


def _objections(tree: Sequence[str]) -> Iterator[str]:
    """Say what speaks against a syntax tree as EXPLAIN AST writes it, one node a line."""
    if not tree or not tree[0].startswith("SelectWithUnionQuery"):
        yield "Only SELECT may be asked."
    above = ""
    for line in tree:
        node = line.strip()
        table, function = _TABLE.match(node), _FUNCTION.match(node)
        if node == "Set" or node.startswith("Set "):
            yield "Leave SETTINGS out: the archive's limits hold."
        elif table and "." in table[1]:
            yield f"{table[1]} is no table of the archive; its tables stand by their names alone."
        elif function and above.startswith("TableExpression") and function[1] not in _TABLE_FUNCTIONS:
            yield f"{function[1]}() is no table of the archive."
        elif function and function[1].lower().startswith(_DENIED):
            yield f"{function[1]}() is not allowed here."
        above = node

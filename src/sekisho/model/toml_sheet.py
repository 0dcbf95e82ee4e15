"""A TOML text as nodes that know their path and line, and a list of everything wrong with it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sekisho.model.errors import Malformed
from sekisho.model.toml_lines import Path, line_of, lines
from sekisho.model.units import did_you_mean

T = TypeVar("T")

# A key of thousands of names costs whoever reads TOML the square of their number. Nothing in our files is
# deeper than a handful, so such a text is refused unread; possessive, so that looking is no such cost itself.
DEEPEST = 32
_NAME = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
DEEP = re.compile(rf"(?<![A-Za-z0-9_.-]){_NAME}(?:[ \t]*+\.[ \t]*+{_NAME}){{{DEEPEST}}}")

_KINDS = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
}
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(slots=True)
class Sheet:
    """One file: its values, where they stand, and the mistakes found so far as (line, sentence)."""

    source: str
    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    found: Mapping[Path, int] | None = None

    @property
    def lines(self) -> Mapping[Path, int]:
        """Tell where each key stands; found out when first asked, for most files have no mistake."""
        if self.found is None:
            try:
                self.found = lines(self.text)
            except RecursionError:  # brackets in brackets, as many as TOML's own reader just bears
                self.found = {}
        return self.found

    def root(self) -> Node:
        """Give the whole file as a node."""
        return Node(self, (), self.values)


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a sheet; `value` is None where the file has none."""

    sheet: Sheet
    path: Path
    value: Any

    @property
    def present(self) -> bool:
        """Tell whether the file has it."""
        return self.value is not None

    @property
    def shown(self) -> str:
        """Write the path as operators read it: ``policy.spam.when[0].threshold``."""
        text = "".join(f"[{p}]" if isinstance(p, int) else f".{_quoted(p)}" for p in self.path)
        return text.removeprefix(".")

    @property
    def place(self) -> str:
        """Write file and line."""
        return f"{self.sheet.source}:{line_of(self.sheet.lines, self.path)}"

    def problem(self, what: str) -> None:
        """Note a mistake here."""
        line = line_of(self.sheet.lines, self.path)
        sentence = f"{self.shown}: {what}" if self.path else what
        self.sheet.problems.append((line, sentence))

    def has(self, key: str) -> bool:
        """Tell whether a table has a key."""
        return isinstance(self.value, dict) and key in self.value

    def child(self, key: str) -> Node:
        """Go to a key of a table; a node without value where there is none."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return Node(self.sheet, (*self.path, key), value)

    def children(self) -> Iterator[Node]:
        """Walk the entries of a table; a mistake if it is none."""
        if self.present and self.is_table(f"[{self.shown}.NAME]"):
            yield from (self.child(key) for key in self.value)

    def items(self) -> Iterator[Node]:
        """Walk the entries of a list."""
        yield from (Node(self.sheet, (*self.path, i), value) for i, value in enumerate(self.value))

    def only(self, *known: str) -> None:
        """Note every key of a table that is not known."""
        for key in self.value:
            if key not in known:
                self.child(key).problem(f"unknown name; {did_you_mean(key, known)}")

    def is_table(self, example: str) -> bool:
        """Tell whether it is a table; a mistake if not."""
        if isinstance(self.value, dict):
            return True
        self.problem(f"must be a table, found {_kind(self.value)}; write {example}.")
        return False

    def required(self, hint: str) -> bool:
        """Tell whether it is there; a mistake if not."""
        if not self.present:
            self.problem(f"missing; {hint}")
        return self.present

    def text(self, default: str, hint: str = 'write it in quotes: "...".') -> str:
        """Read text."""
        if not self.present:
            return default
        if isinstance(self.value, str):
            return self.value
        self.problem(f"must be text, found {_kind(self.value)}; {hint}")
        return default

    def names(self) -> tuple[str, ...]:
        """Read a list of names; a single one may stand without brackets."""
        if not self.present:
            return ()
        entries = list(self.items()) if isinstance(self.value, list) else [self]
        found = tuple(n.text("", 'write for example ["name"].') for n in entries)
        if isinstance(self.value, list) and not entries:
            self.problem("is empty, which would mean nobody or everybody; leave it out or name someone.")
        elif any(isinstance(n.value, str) and not n.value.strip() for n in entries):
            self.problem("has an empty name.")
        return found

    def quantity(self, convert: Callable[[str], T], default: T, hint: str, *, needed: bool = False) -> T:
        """Read text by one of the functions of `model.units`; the default where it is missing or wrong."""
        if needed and not self.required(hint):
            return default
        text = self.text("", hint)
        if not isinstance(self.value, str):
            return default
        try:
            return convert(text)
        except Malformed as error:
            self.problem(error.asker)
            return default


def open_sheet(text: str, source: str) -> Sheet:
    """Read TOML; what is wrong with its syntax is the sheet's first and only problem so far."""
    sheet = Sheet(source)
    deep = DEEP.search(text)
    if deep is not None:
        line = text.count("\n", 0, deep.start()) + 1
        _spoil(sheet, line, f"cannot be read: a key of more than {DEEPEST} names.")
        return sheet
    try:
        sheet.values = tomllib.loads(text)
        sheet.text = text
    except tomllib.TOMLDecodeError as error:
        _spoil(sheet, *_syntax(str(error), text))
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets in brackets
        _spoil(sheet, 1, f"cannot be read: {error}.")
    return sheet


def complaints(sheets: Iterable[Sheet]) -> tuple[str, ...]:
    """List all problems of some sheets as ``FILE:LINE: sentence``, in the order of the text."""
    return tuple(
        f"{s.source}:{line}: {what}" for s in sheets for line, what in sorted(s.problems, key=lambda p: p[0])
    )


def _spoil(sheet: Sheet, line: int, what: str) -> None:
    sheet.values = {}
    sheet.problems.append((line, what))


def _syntax(message: str, text: str) -> tuple[int, str]:
    """Take the line out of tomllib's message, which has it at its end or says "end of document"."""
    match = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if match:
        return int(match[1]), f"TOML: {message[: match.start()]}, at column {match[2]}."
    return text.rstrip("\n").count(
        "\n"
    ) + 1, f"TOML: {message.removesuffix(' (at end of document)')}, at the end."


def _kind(value: Any) -> str:
    return next((name for kind, name in _KINDS.items() if type(value) is kind), "a date or time")


def _quoted(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key)

"""Where each key of a TOML text stands: tomllib tells values but not lines, and operators want lines.

The text is known to be valid (tomllib has read it), so the scanner only follows structure: headers,
keys, strings, brackets, comments (TOML 1.0).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]


def lines(text: str) -> Mapping[Path, int]:
    """Map each key path (``("policy", "spam", "when", 0, "threshold")``) to the line it begins on, from 1."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


def line_of(found: Mapping[Path, int], path: Path) -> int:
    """Tell the line of a path, or of the nearest table around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return 1


@dataclass(slots=True)
class _Scanner:
    text: str
    at: int = 0
    line: int = 1
    found: dict[Path, int] = field(default_factory=dict)
    tables: dict[Path, int] = field(default_factory=dict)  # how many [[tables]] a path has so far

    def document(self) -> None:
        table: Path = ()
        while self._skip_blank():
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _step(self, count: int = 1) -> None:
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at += count

    def _skip_blank(self) -> bool:
        """Pass over white space, line ends and comments; False at the end of the text."""
        while self.at < len(self.text):
            if self._peek() == "#":
                end = self.text.find("\n", self.at)
                self._step((len(self.text) if end < 0 else end) - self.at)
            elif self._peek() in " \t\r\n":
                self._step()
            else:
                return True
        return False

    def _header(self) -> Path:
        line = self.line
        many = self.text.startswith("[[", self.at)
        self._step(2 if many else 1)
        names = self._key()
        self._step(2 if many else 1)
        path: Path = (*self._within((), names[:-1]), names[-1])
        if many:
            number = self.tables.get(path, 0)
            self.tables[path] = number + 1
            self.found.setdefault(path, line)
            path += (number,)
        elif path in self.tables:
            path = self._last(path)
        self.found.setdefault(path, line)
        return path

    def _within(self, table: Path, names: tuple[str, ...]) -> Path:
        """Follow names down; one that is a list of tables stands for its last one."""
        for name in names:
            table = self._last((*table, name))
            self.found.setdefault(table, self.line)
        return table

    def _last(self, path: Path) -> Path:
        return (*path, self.tables[path] - 1) if path in self.tables else path

    def _pair(self, table: Path) -> None:
        line = self.line
        names = self._key()
        path = (*self._within(table, names[:-1]), names[-1])
        self.found[path] = line
        self._step()  # the equals sign
        self._skip_blank()
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        names: list[str] = []
        while True:
            self._skip_blank()
            names.append(self._name())
            self._skip_blank()
            if self._peek() != ".":
                return tuple(names)
            self._step()

    def _name(self) -> str:
        start = self.at
        if self._peek() in "\"'":
            self._string()
            quoted = self.text[start : self.at]
            return next(iter(tomllib.loads(f"{quoted} = 0")))
        while self._peek() and self._peek() not in " \t.=]":
            self._step()
        return self.text[start : self.at]

    def _value(self, path: Path) -> None:
        match self._peek():
            case '"' | "'":
                self._string()
            case "[":
                self._list(path)
            case "{":
                self._inline(path)
            case _:
                while self._peek() and self._peek() not in ",]}#\r\n":
                    self._step()

    def _list(self, path: Path) -> None:
        self._step()
        number = 0
        while self._skip_blank() and self._peek() != "]":
            if self._peek() == ",":
                self._step()
                continue
            self.found[*path, number] = self.line
            self._value((*path, number))
            number += 1
        self._step()

    def _inline(self, path: Path) -> None:
        self._step()
        while self._skip_blank() and self._peek() != "}":
            if self._peek() == ",":
                self._step()
            else:
                self._pair(path)
        self._step()

    def _string(self) -> None:
        quote = self._peek()
        mark = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self._step(len(mark))
        while self.at < len(self.text) and not self.text.startswith(mark, self.at):
            self._step(2 if quote == '"' and self._peek() == "\\" else 1)
        self._step(len(mark))
        # A long string may end in up to two quotes of its own, before the three that close it.
        while len(mark) == 3 and self._peek() == quote:
            self._step()

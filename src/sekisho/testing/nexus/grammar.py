"""A grammar of command lines: patterns with arguments, keywords that may be shortened.

A pattern is words: a keyword, ``a|b`` one of several, ``<name>`` one word, ``<name:if>`` an interface in one
word or two, ``<name:rest>`` the rest of the line; what stands in square brackets at its end may be left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sekisho.testing.nexus import names
from sekisho.testing.nexus.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Args = dict[str, str]
INVALID: Final = "% Invalid command"
_REST: Final = "\0"
_TOKEN = re.compile(r"<(?P<name>\w+)(?::(?P<kind>\w+))?>|(?P<word>[^\s\[\]]+)|(?P<open>\[)|(?P<close>\])")


@dataclass(frozen=True, slots=True)
class Word:
    """One of several keywords; which one was said is kept under the first's name if there are several."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Argument:
    """A value: one word, an interface, or the rest of the line."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Maybe:
    """What may be left out."""

    inner: tuple[Word | Argument | Maybe, ...]


Piece = Word | Argument | Maybe


@dataclass(frozen=True, slots=True)
class Command:
    """A pattern and what carries it out."""

    pieces: tuple[Piece, ...]
    run: Callable[..., Any]


class Grammar:
    """The commands of one mode or several, found by a line; keywords may be shortened where that is clear."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self._vocabulary: set[str] = set()
        self._by_first: dict[str, list[Command]] = {}

    def __call__(self, *patterns: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Let a function carry out lines of these patterns."""

        def keep(run: Callable[..., Any]) -> Callable[..., Any]:
            for pattern in patterns:
                pieces, rest = _compile(_TOKEN.finditer(pattern))
                self.commands.append(Command(pieces, run))
                self._vocabulary.update(rest)
            return run

        return keep

    def find(self, line: str) -> tuple[Command, Args] | None:
        """Give the command of a line and its arguments; the one with the most keywords wins."""
        best: tuple[int, Command, Args] | None = None
        words = line.split()
        for command in self._candidates(words[0]):
            for end, args, score in self._match(command.pieces, words, 0):
                if end == len(words) and (best is None or score > best[0]):
                    best = (score, command, {name: _raw(line, value) for name, value in args.items()})
        return best and (best[1], best[2])

    def _candidates(self, first: str) -> list[Command]:
        found = self._by_first.get(first)
        if found is None:
            found = [
                c for c in self.commands if not isinstance(c.pieces[0], Word) or self._is(c.pieces[0], first)
            ]
            if len(self._by_first) < 512:
                self._by_first[first] = found
        return found

    def _is(self, word: Word, said: str) -> str:
        """Give the keyword that was said, if it was one of these."""
        low = said.lower()
        if low in word.options:
            return low
        if low in self._vocabulary:
            return ""
        return next((option for option in word.options if option.startswith(low)), "")

    def _match(self, pieces: Sequence[Piece], words: Sequence[str], at: int) -> list[tuple[int, Args, int]]:
        if not pieces:
            return [(at, {}, 0)]
        head, rest = pieces[0], pieces[1:]
        if isinstance(head, Maybe):
            return self._match((*head.inner, *rest), words, at) + self._match(rest, words, at)
        if at >= len(words):
            return []
        if isinstance(head, Word):
            said = self._is(head, words[at])
            if not said:
                return []
            own = {head.options[0]: said} if len(head.options) > 1 else {}
            return [
                (end, {**own, **args}, score + 2) for end, args, score in self._match(rest, words, at + 1)
            ]
        return [
            (end, {head.name: value, **args}, score)
            for after, value in _argument(head, words, at)
            for end, args, score in self._match(rest, words, after)
        ]


def _argument(argument: Argument, words: Sequence[str], at: int) -> list[tuple[int, str]]:
    if argument.kind == "rest":
        return [(len(words), f"{_REST}{at}")]
    if argument.kind == "if":
        return _interface(words, at)
    return [(at + 1, words[at])]


def _raw(line: str, value: str) -> str:
    """Give the rest of a line as it was written, blanks and all."""
    return line.split(None, int(value[1:]))[-1].rstrip() if value.startswith(_REST) else value


def _interface(words: Sequence[str], at: int) -> list[tuple[int, str]]:
    found = []
    for count in (1, 2):
        said = "".join(words[at : at + count])
        if len(words) < at + count:
            break
        try:
            found.append((at + count, names.short(said)))
        except Refusal:
            continue
    return found


def _compile(tokens: Any) -> tuple[tuple[Piece, ...], set[str]]:
    pieces: list[Piece] = []
    words: set[str] = set()
    for token in tokens:
        if token["open"]:
            inner, more = _compile(tokens)
            pieces.append(Maybe(inner))
            words |= more
        elif token["close"]:
            break
        elif token["word"]:
            options = tuple(token["word"].split("|"))
            words.update(options)
            pieces.append(Word(options))
        else:
            pieces.append(Argument(token["name"], token["kind"] or "word"))
    return tuple(pieces), words

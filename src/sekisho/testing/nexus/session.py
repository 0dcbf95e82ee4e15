"""One command line session: a line in, what the box says out, with its mode and its prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.testing.nexus import catalogue
from sekisho.testing.nexus.grammar import INVALID
from sekisho.testing.nexus.modes import At
from sekisho.testing.nexus.output import Output
from sekisho.testing.nexus.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.testing.nexus.box import Box
    from sekisho.testing.nexus.candidate import Candidate
    from sekisho.testing.nexus.tree import Tree

Place = tuple[str, tuple[str, ...], str]  # a mode, what it is about, the line that led there


_EXEC: Final[Place] = ("", (), "")


class Session:
    """Somebody at the command line of a box, through whichever door."""

    def __init__(self, box: Box, user: str, origin: str = "") -> None:
        self.box = box
        self.user = user
        self.origin = origin
        self.closed = False
        self.line_words: list[str] = []
        self.candidate: Candidate | None = None
        self._line = ""
        self._stack: list[Place] = [_EXEC]

    @property
    def mode(self) -> str:
        """The mode's name, ``""`` for exec."""
        return self._stack[-1][0]

    @property
    def prompt(self) -> str:
        """What the box prints before a line."""
        mode = f"({self.mode})" if self.mode else ""
        return f"{self.box.hostname}{mode}# "

    def enter(self, mode: str, about: tuple[str, ...] = ()) -> None:
        """Go into a mode; one below configuration takes the place of another there."""
        if mode == "config":
            self._stack = [_EXEC, ("config", (), "configure terminal")]
        else:
            self._stack = [*self._stack[:2], (mode, about, self._line)]

    @property
    def tree(self) -> Tree:
        """What this session works on: the running configuration, or its candidate."""
        return self.candidate.tree if self.candidate else self.box.tree

    def line(self, text: str) -> Output:
        """Carry out one line and give what the box prints; raises Refusal where it will not."""
        plain = text.strip()
        if not plain or plain.startswith("!"):
            return Output("")
        if not plain.isascii():
            raise Refusal(INVALID)
        self._line = plain
        self.line_words = plain.split()
        if self._moved(plain):
            return Output("")
        return self._config(plain) if self.mode else self.execute(plain)

    def execute(self, text: str) -> Output:
        """Carry out an exec command, in whichever mode the session is."""
        self.line_words = text.split()
        return catalogue.run_exec(At(self, self.box), text)

    def permit(self, plain: str) -> None:
        """Check that this line may configure the box now; raises Refusal."""
        self.box.claim(self)
        self.box.before_line(plain)

    def _moved(self, plain: str) -> bool:
        """Go in and out of modes."""
        match self.line_words[0].lower():
            case "end":
                self._stack = self._stack[:1]
                self.candidate = None
            case "exit" | "quit":
                self._stack.pop()
                self.closed = not self._stack
                self._stack = self._stack or [_EXEC]
                self.candidate = self.candidate if len(self._stack) > 1 else None
            case word if (
                len(word) >= 4 and "configure".startswith(word) and catalogue.is_terminal(self.line_words)
            ):
                self.box.claim(self)
                self.enter("config")
            case _:
                return False
        return bool(plain)

    def _config(self, plain: str) -> Output:
        first = self.line_words[0].lower()
        if first == "do" or (first in ("show", "sh") and len(self.line_words) > 1):
            return self.execute(plain.partition(" ")[2] if first == "do" else plain)
        self.permit(plain)
        for depth in range(len(self._stack) - 1, 0, -1):
            mode, about, _ = self._stack[depth]
            found = catalogue.find(mode, plain)
            if found is not None:
                self._stack = self._stack[: depth + 1]
                return self._carry_out(found, At(self, self.box, mode, about), plain)
        if catalogue.known_exec(plain):
            return self.execute(plain)
        raise Refusal(INVALID)

    def _carry_out(self, run: Callable[[At], str], at: At, plain: str) -> Output:
        """Carry a configuration line out and write down that it was."""
        told = " ; ".join([*(line for _, _, line in self._stack[1:]), plain])
        try:
            said = run(at)
        except Refusal:
            self.box.account(self.user, self.origin, told, ok=False)
            raise
        if self.candidate is not None:
            self.candidate.lines.append(plain)
        else:
            self.box.changed(self, told)
        return Output(said)

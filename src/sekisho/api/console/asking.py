"""What a browser asks: names and values of a query or a form in, checked values out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl

from sekisho.model import units
from sekisho.model.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from enum import StrEnum

E = TypeVar("E", bound="StrEnum")
LONGEST = 2000
# Fields of one form: a page of restrictions to lift, and some.
FIELDS = 1200


@dataclass(slots=True)
class Asked:
    """Names and values as they came. Every method raises Malformed naming its field."""

    values: Sequence[tuple[str, str]]
    known: set[str] = field(default_factory=set)

    def many(self, name: str) -> tuple[str, ...]:
        """Give every value of a name, empty ones left out."""
        self.known.add(name)
        found = tuple(v.strip() for k, v in self.values if k == name and v.strip())
        for value in found:
            if len(value) > LONGEST:
                raise malformed(name, f"longer than {LONGEST:,} characters.")
        return found

    def text(self, name: str, default: str = "") -> str:
        """Give one value."""
        found = self.many(name)
        if len(found) > 1:
            raise malformed(name, "given more than once.")
        return found[0] if found else default

    def need(self, name: str) -> str:
        """Give one value that must be there."""
        found = self.text(name)
        if not found:
            raise malformed(name, "must be said.")
        return found

    def long(self, name: str) -> str:
        """Give a text of many lines that must be there, as it was written."""
        self.known.add(name)
        found = next((v for k, v in self.values if k == name), "")
        if not found.strip():
            raise malformed(name, "must be said.")
        return found.replace("\r\n", "\n")

    def number(self, name: str) -> float:
        """Give a moment in unix seconds; 0 for none."""
        text = self.text(name)
        try:
            found = float(text or 0)
        except ValueError:
            found = -1.0
        if not 0 <= found < 1e11:
            raise malformed(name, f"{text!r} is no moment in unix seconds.")
        return found

    def whole(self, name: str) -> int:
        """Give a whole number; 0 for none."""
        text = self.text(name, "0")
        if not (text.isascii() and text.isdecimal() and len(text) < 18):
            raise malformed(name, f"{text!r} is no whole number.")
        return int(text)

    def choice(self, name: str, among: Iterable[str], default: str) -> str:
        """Give one of some words."""
        found = self.text(name, default)
        among = tuple(among)
        if found not in among:
            raise malformed(name, f"{found!r} is none of {', '.join(among)}.")
        return found

    def kind(self, name: str, kind: type[E]) -> tuple[E, ...]:
        """Give members of an enumeration."""
        known = {each.value: each for each in kind}
        found = self.many(name)
        for value in found:
            if value not in known:
                raise malformed(name, f"{value!r} is none of {', '.join(known)}.")
        return tuple(known[value] for value in found)

    def duration(self, name: str) -> float:
        """Give a duration in seconds, as people write it: 10min, 24h, 7d; 0 for none."""
        text = self.text(name)
        if not text:
            return 0.0
        try:
            return units.duration(text)
        except Malformed as error:
            raise malformed(name, error.asker) from error

    def done(self) -> None:
        """Refuse what nobody asked for: a misspelt filter must not show everything."""
        unknown = sorted({k for k, _ in self.values} - self.known)
        if unknown:
            known = ", ".join(sorted(self.known)) or "none"
            raise malformed(unknown[0], f"unknown name; known are: {known}.")


def read(text: str) -> Asked:
    """Read a query or the body of a form; raises Malformed."""
    try:
        return Asked(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS, errors="strict"))
    except ValueError as error:
        raise Malformed("The form cannot be read.", str(error)) from error


def malformed(name: str, why: str) -> Malformed:
    """Say what is wrong with one field."""
    return Malformed(f"{name}: {why}", problems=(f"{name}: {why}",))

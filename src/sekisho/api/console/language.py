"""Catalogues of words (gettext's .po) in, the reader's language out."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Each by the name its own readers give it; the first is what the templates are written in.
LANGUAGES: Final = {"en": "English", "ja": "日本語"}
_LINE: Final = re.compile(r'(?:(msgid|msgstr)\s+)?(".*")')


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Read what each sentence is in a language; empty for the one the templates are written in."""
    file = files("sekisho.api.console") / "locale" / f"{language}.po"
    return dict(entries(file.read_text("utf-8"))) if file.is_file() else {}


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Read the pairs of a .po file; what is fuzzy or not translated yet is left out.

    Plural forms and contexts are not used here, and not read.
    """
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        if any(line.startswith("#,") and "fuzzy" in line for line in lines):
            continue
        found = _joined(lines)
        if found["msgid"] and found["msgstr"]:
            yield found["msgid"], found["msgstr"]


def _joined(lines: list[str]) -> dict[str, str]:
    found, current = {"msgid": "", "msgstr": ""}, ""
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        current = match[1] or current
        if current:
            found[current] += ast.literal_eval(match[2])
    return found


def choose(wanted: str, accepted: str) -> str:
    """Choose a language: what the reader once chose, else the first its browser accepts that we have."""
    if wanted in LANGUAGES:
        return wanted
    return next((tag for tag in _by_preference(accepted) if tag in LANGUAGES), "en")


def _by_preference(accepted: str) -> list[str]:
    """List the languages of an Accept-Language header (RFC 9110, 12.5.4), best first."""
    weighed = []
    for part in accepted[:500].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), tag.partition("-")[0].lower()))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighed, key=lambda each: each[0]) if weight < 0]

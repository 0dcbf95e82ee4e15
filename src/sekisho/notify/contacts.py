"""Who speaks for a project: the operator's file of contacts."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from sekisho.model.errors import Malformed
from sekisho.notify.settings import Language

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ADDRESS: Final = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]{1,255}")


@dataclass(frozen=True, slots=True)
class Contact:
    """Addresses of one project's people, and their language (None: as the settings say)."""

    to: tuple[str, ...]
    language: Language | None = None


def contacts(path: Path) -> Mapping[str, Contact]:
    """Read the file, projects by id; raises Malformed with every mistake and its place."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Malformed("The contacts cannot be read.", f"{path}: {error}.") from error
    problems = [f"{path}: {name}: unknown; write [project.ID]." for name in raw if name != "project"]
    found: dict[str, Contact] = {}
    projects = raw.get("project", {})
    for project, told in projects.items() if isinstance(projects, dict) else ():
        mistakes = _mistakes(told)
        problems += [f"{path}: project.{project}: {m}" for m in mistakes]
        if not mistakes:
            found[project] = Contact(tuple(told["to"]), cast("Language | None", told.get("language")))
    if problems:
        raise Malformed("The contacts have mistakes.", " ".join(problems), tuple(problems))
    return found


def _mistakes(told: Any) -> list[str]:
    if not isinstance(told, dict):
        return ["is a table."]
    found = [
        f"{name}: unknown; known are language and to." for name in told if name not in ("to", "language")
    ]
    to = told.get("to")
    if (
        not isinstance(to, list)
        or not to
        or not all(isinstance(a, str) and _ADDRESS.fullmatch(a) for a in to)
    ):
        found.append('to: a list of mail addresses, for example ["ada@example.net"].')
    if "language" in told and told["language"] not in get_args(Language):
        found.append(f"language: one of {', '.join(get_args(Language))}.")
    return found

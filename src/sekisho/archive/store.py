"""The plug of this room: a ClickHouse, in this process or elsewhere, that takes blocks and answers SQL."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sekisho.model.errors import Malformed, SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# ClickHouse's error codes (ErrorCodes.cpp) that tell of the question, and not of the store.
_LIMITS: Final = {
    158: "reads more rows than is allowed",
    159: "takes longer than is allowed",
    160: "would take longer than is allowed",
    241: "needs more memory than is allowed",
    307: "reads more than is allowed",
    396: "answers more than is allowed",
}
_STORES: Final = frozenset({76, 209, 210, 225, 236, 242, 243, 252, 279, 394, 415, 999})
_SPOILED: Final = frozenset({6, 8, 10, 16, 20, 27, 32, 33, 34, 39, 50, 53, 85, 117, 271, 432, 446})
_CODE: Final = re.compile(r"Code: (\d+)\.")
_STACK: Final = re.compile(
    r"^Received ClickHouse exception.*?server response: |"
    r"\s*(\(version [^)]*\)|\(for url [^)]*\)|Stack trace:.*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question answered: names and types of its columns, and its rows as plain values."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class Store(Protocol):
    """May be asked from any thread. Raises Malformed for a bad question, Unavailable for all else."""

    @property
    def name(self) -> str:
        """What and where it is, for people."""
        ...

    def run(self, statement: str) -> None:
        """Carry out a statement of our own."""
        ...

    def load(self, table: str, block: Path, token: str) -> None:
        """Put a block of the spool into a table; one with a token that was loaded already changes nothing."""
        ...

    def ask(self, question: str, form: str, given: Mapping[str, Any], limits: Mapping[str, Any]) -> bytes:
        """Answer a SELECT in a format of ClickHouse's; `given` are its {name:Type} parameters.

        With `limits` (settings of ClickHouse) it can do nothing but read.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def ask(
    store: Store,
    question: str,
    given: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
) -> Answer:
    """Ask, and read the answer's rows."""
    raw = store.ask(question, "JSONCompact", given or {}, limits or {})
    try:
        found = json.loads(raw)
        meta, data = found["meta"], found["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable("The archive's store gave an answer that cannot be read.", repr(error)) from error
    return Answer(
        tuple(m["name"] for m in meta), tuple(m["type"] for m in meta), tuple(tuple(row) for row in data)
    )


def spoiled(error: SekishoError) -> bool:
    """Tell whether an error says that a block itself cannot be read."""
    found = _CODE.search(error.fixer)
    return found is not None and int(found[1]) in _SPOILED


def failure(text: str, store: str) -> SekishoError:
    """Tell what ClickHouse's words mean: whether the question was wrong or the store could not."""
    found = _CODE.search(text)
    code = int(found[1]) if found else 0
    said = _STACK.sub("", text).strip()
    if code in _LIMITS:
        return Malformed(f"The question {_LIMITS[code]}; ask for a shorter span or fewer columns.", said)
    if found is None or code in _STORES:
        return Unavailable("The archive's store cannot answer.", f"{store}: {said}")
    return Malformed(f"The archive's store refuses the question: {said[:500]}", f"{store}: {said}")

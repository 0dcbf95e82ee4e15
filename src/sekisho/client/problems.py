"""Answers of the keeper, and the problem documents (RFC 9457) among them mapped back to the error tree."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sekisho.model.errors import (
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    Refused,
    SekishoError,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from sekisho.model.plain import from_plain

if TYPE_CHECKING:
    from email.message import Message

T = TypeVar("T")

PROBLEM = "urn:sekisho:problem:"
# Whoever is told to wait longer, in seconds, asks again then all the same.
LONGEST = 3600.0
ERRORS: dict[str, type[SekishoError]] = {
    "malformed": Malformed,
    "not-found": NotFound,
    "conflict": Conflict,
    "unauthenticated": Unauthenticated,
    "forbidden": Forbidden,
    "unsupported": Unsupported,
    "refused": Refused,
    "unavailable": Unavailable,
}
# For answers that do not come from a keeper (a proxy, a load balancer).
STATUSES = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    409: "conflict",
    412: "conflict",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, read to its end."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Give the body's JSON value; Unavailable when it is something else."""
        try:
            return json.loads(self.body, object_hook=_as_it_is)
        except ValueError as error:
            raise Unavailable("The keeper's answer is not JSON; is this its address?") from error


def _as_it_is(found: T) -> T:
    """Read a large answer with the interpreter free for other threads between two objects of it.

    The parser holds on to it from the first octet to the last, unless it has something of Python's to call:
    with tens of thousands of subjects a collector could not hear meanwhile.
    """
    return found


def let_go(read: object) -> None:
    """Give back the memory of an answer piece by piece, with the interpreter free between two."""
    for part in read.values() if isinstance(read, dict) else ():
        while isinstance(part, list) and part:
            part.pop()


def fitting(kind: type[T], value: Any) -> T:
    """Build what was asked for from an answer; one that does not fit is none, and no fault of the asker.

    A keeper is upgraded before the rest: what only a newer one knows is passed over.
    """
    try:
        return from_plain(kind, value, strict=False)
    except Malformed as error:
        asker = "The keeper's answer is not what was asked for; is its version another one?"
        raise Unavailable(asker, f"{asker} {error.asker}") from error


def checked(answer: Answer) -> Answer:
    """Pass good answers on; raise what the others say."""
    if answer.status < 300:
        return answer
    raise _error(answer)


def _error(answer: Answer) -> SekishoError:
    """Map a problem document, or a stranger's answer, back to the error tree."""
    problem: Any = {}
    with suppress(ValueError):
        problem = json.loads(answer.body)
    if not isinstance(problem, dict):
        problem = {}
    name = str(problem.get("type", "")).removeprefix(PROBLEM)
    kind = ERRORS.get(name) or ERRORS[STATUSES.get(answer.status) or _by_class(answer.status)]
    detail = str(problem.get("detail") or f"The keeper answered with status {answer.status}.")
    reference = problem.get("reference")
    fixer = f"{detail} (Look for {reference} in the keeper's log.)" if reference else detail
    if kind is Malformed:
        return Malformed(detail, fixer, tuple(str(p) for p in problem.get("problems", ())))
    if kind is Unavailable:
        return Unavailable(detail, fixer, _retry_after(answer))
    return kind(detail, fixer)


def _by_class(status: int) -> str:
    return "malformed" if 400 <= status < 500 else "unavailable"


def _retry_after(answer: Answer) -> float:
    with suppress(ValueError):
        told = float(answer.headers.get("Retry-After", ""))
        return min(max(told, 0.0), LONGEST) if math.isfinite(told) else 1.0
    return 1.0

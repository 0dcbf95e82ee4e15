"""From errors to problem documents (RFC 9457): one table from class to HTTP status."""

from __future__ import annotations

import logging
import math
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI, Request

log = logging.getLogger(__name__)

TYPE = "urn:sekisho:problem:"
MEDIA = "application/problem+json"

# The name ends the problem's type. Malformed is 422 instead when it lists its problems.
TABLE: dict[type[SekishoError], tuple[int, str, str]] = {
    Malformed: (400, "malformed", "Not what was asked for"),
    Unauthenticated: (401, "unauthenticated", "We do not know who asks"),
    Forbidden: (403, "forbidden", "Not allowed"),
    NotFound: (404, "not-found", "Not here"),
    Conflict: (409, "conflict", "It exists already, or has changed"),
    Unsupported: (422, "unsupported", "The device cannot do this"),
    Refused: (502, "refused", "The device said no"),
    Unavailable: (503, "unavailable", "Nobody answered"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What every error answers. `problems` names each mistake with its place in the request.

    `reference` is in the answer to an unexpected error only, to be looked for in the keeper's log.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    problems: tuple[str, ...] = ()
    reference: str = ""


# What is answered where it is raised; everything else is unexpected.
KNOWN: tuple[type[Exception], ...] = (SekishoError, RequestValidationError, HTTPException)


class StaleMatch(Conflict):
    """What If-Match named is not the entry's revision any more."""


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    name: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """Write one problem document; without a name its type is about:blank, as RFC 9457 has it."""
    kind = f"{TYPE}{name}" if name else "about:blank"
    content = {"type": kind, "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(content, status, headers=dict(headers or {}), media_type=MEDIA)


def from_error(error: SekishoError) -> JSONResponse:
    """Write the asker's sentence; the fixer's goes to the log."""
    kind = next(k for k in type(error).__mro__ if k in TABLE)
    status, name, title = TABLE[kind]
    headers, more = {}, {}
    match error:
        case Malformed(problems=problems) if problems:
            status, more = 422, {"problems": list(problems)}
        case StaleMatch():
            status = 412
        case Unauthenticated():
            headers = {"WWW-Authenticate": 'Bearer realm="sekisho"'}
        case Unavailable(retry_after=seconds):
            headers = {"Retry-After": str(max(1, math.ceil(seconds)))}
        case _:
            pass
    if status >= 500:
        log.warning("%s: %s", name, error.fixer)
    return problem(status, title, error.asker, name=name, headers=headers, **more)


def from_validation(error: RequestValidationError) -> JSONResponse:
    """Name every mistake in path, query and headers with its place."""
    detail = "The request is not what was asked for."
    problems = tuple(places(error.errors()))
    return from_error(Malformed(detail, problems=problems))


def from_http(error: HTTPException) -> JSONResponse:
    """Write what the framework itself turned away: no such path, no such method."""
    name = "not-found" if error.status_code == 404 else ""
    phrase = HTTPStatus(error.status_code).phrase
    return problem(error.status_code, phrase, str(error.detail), name=name, headers=error.headers)


def unexpected(error: Exception) -> JSONResponse:
    """Leak nothing: the log has the story under the reference that the asker is told."""
    reference = uuid.uuid4().hex[:12]
    log.error("unexpected error, reference %s", reference, exc_info=error)
    detail = f"Something went wrong on our side; the keeper's log knows it as {reference}."
    return problem(500, "Unexpected error", detail, name="unexpected", reference=reference)


def places(errors: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Turn pydantic's errors into sentences that begin with their place."""
    for error in errors:
        yield f"{_place(error['loc'])}: {error['msg']}"


def _place(path: tuple[int | str, ...]) -> str:
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    return text.removeprefix(".") or "body"


def answered(error: Exception) -> JSONResponse:
    """Answer any error."""
    match error:
        case SekishoError():
            return from_error(error)
        case RequestValidationError():
            return from_validation(error)
        case HTTPException():
            return from_http(error)
        case _:
            return unexpected(error)


def install(app: FastAPI) -> None:
    """Let every error of the app be answered as a problem document."""

    async def answer(_: Request, error: Exception) -> JSONResponse:
        return answered(error)

    for kind in KNOWN:
        app.add_exception_handler(kind, answer)

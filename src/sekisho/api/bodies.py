"""What requests and answers carry beside the nouns themselves, and how a request's body is read."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Request
from pydantic import ConfigDict, Discriminator, Field, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from typing_extensions import TypeAliasType

from sekisho.api.problems import places
from sekisho.model.access import Role, Token
from sekisho.model.errors import Malformed
from sekisho.model.policy import Action, Mode, Scope
from sekisho.model.restriction import Receipt

T = TypeVar("T")

Reason = Annotated[str, Field(min_length=1, max_length=2000)]
Name = Annotated[str, Field(min_length=1, max_length=255)]
LONGEST = 100 * 365.25 * 86400  # no calendar knows the end of much longer ones
Seconds = Annotated[float, Field(gt=0, le=LONGEST)]
SecondsOrNoEnd = Annotated[float, Field(ge=0, le=LONGEST)]


@dataclass(frozen=True, slots=True)
class Items(Generic[T]):
    """A list, or a page of one; `next` is the marker of the following page, empty at the end."""

    items: tuple[T, ...]
    next: str = ""


@dataclass(frozen=True, slots=True)
class Impose:
    """Bind a subject for `duration` seconds; no actions is a warning."""

    subject: Name
    actions: tuple[Annotated[Action, Discriminator("kind")], ...]
    reason: Reason
    duration: Seconds


@dataclass(frozen=True, slots=True)
class Extend:
    """Let a restriction end `duration` seconds from now."""

    duration: Seconds
    reason: Reason


@dataclass(frozen=True, slots=True)
class Why:
    """Say why."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class MaybeWhy:
    """Say why, or not."""

    reason: Annotated[str, Field(max_length=2000)] = ""


@dataclass(frozen=True, slots=True)
class Exempt:
    """Exempt a scope from the named policies, or from all; duration 0 is without end."""

    scope: Scope
    reason: Reason
    duration: SecondsOrNoEnd = 0.0
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Enforce:
    """Turn the kill switch."""

    enabled: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class Turn:
    """Turn a policy's mode; with `version`, only while the policies are the ones you saw."""

    mode: Mode
    reason: Reason
    version: int | None = None


@dataclass(frozen=True, slots=True)
class NewToken:
    """Make a token; `host` binds an agent's token to one host, duration 0 is without end."""

    name: Name
    role: Role
    host: str = ""
    duration: SecondsOrNoEnd = 0.0


@dataclass(frozen=True, slots=True)
class TokenMade:
    """A new token with its secret, which is told this once."""

    token: Token
    secret: str


@dataclass(frozen=True, slots=True)
class Receipts:
    """What a host did: the revision it carries, a receipt per restriction, what is wrong."""

    applied: int
    receipts: tuple[Receipt, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Problems:
    """Every problem of a policy file's text, each with line and path; empty when it is good."""

    problems: tuple[str, ...]


STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@cache
def reader(kind: Any) -> TypeAdapter[Any]:
    """Validate JSON as a noun: unknown names and wrong types are refused, however deep.

    The alias carries the strictness to the nouns, which know nothing of pydantic.
    """
    alias: Any = TypeAliasType("Body", kind)
    return TypeAdapter(alias, config=STRICT)


def json_body(kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    """Make the dependency that reads a JSON body as a noun."""
    body: Any = kind

    async def read(request: Request) -> T:
        _is_media(request, "application/json")
        raw = await _whole(request)
        try:
            value: T = reader(body).validate_json(raw)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            if problems[0]["type"] == "json_invalid":
                raise Malformed(f"The body is no JSON: {problems[0]['msg']}.") from error
            raise Malformed(
                "The body is not what was asked for.", problems=tuple(places(map(dict, problems)))
            ) from error
        return value

    return read


async def text_body(request: Request) -> str:
    """Read a plain text body."""
    _is_media(request, "text/plain")
    try:
        return (await _whole(request)).decode()
    except UnicodeDecodeError as error:
        raise Malformed("The body is no UTF-8 text.") from error


def _is_media(request: Request, media: str) -> None:
    given = request.headers.get("content-type", media).partition(";")[0].strip().lower()
    if given != media:
        raise HTTPException(415, f"Send {media}, not {given}.")


async def _whole(request: Request) -> bytes:
    """Read the body, but no more of it than is allowed, whatever its headers say."""
    limit: int = request.app.state.settings.max_body
    size, chunks = 0, []
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise HTTPException(413, f"The body is larger than {limit} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)

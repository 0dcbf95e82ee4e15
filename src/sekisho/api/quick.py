"""The road of what thousands of agents ask all the time: the same answers as FastAPI gives, for less.

FastAPI looks at each dependency anew with every request, and passes it through layers that these routes
need nothing of. Here a route's signature is read once: it is written, described and refused like every
other, and only its arguments are gathered in a straight line.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, get_args, get_type_hints

from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from sekisho.api.problems import KNOWN, answered

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sekisho.api.routes import Route

Check = Callable[[Request], Awaitable[None]]
Reader = Callable[[Request], Awaitable[Any]]

NEEDED: Final = inspect.Parameter.empty


def straight(route: Route, check: Check) -> ASGIApp:
    """Make what answers a route: who may not ask is turned away before anything of the request is read.

    Arguments are the request, names of the path (text), what a dependency of the request alone gives, or
    names of the query; raises TypeError for any other, when it is made.
    """
    endpoint = route.endpoint
    if not inspect.iscoroutinefunction(endpoint):
        raise TypeError(f"{endpoint.__name__} would hold up everybody: it is no coroutine.")
    readers = _readers(route)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            await check(request)
            answer = await endpoint(**await _gathered(readers, request))
        except KNOWN as error:
            answer = answered(error)
        if answer is None:
            answer = Response(status_code=route.status, media_type="application/json")
        await answer(scope, receive, send)

    return app


async def _gathered(readers: tuple[tuple[str, Reader], ...], request: Request) -> dict[str, Any]:
    """Read all arguments; all that is wrong with the query is told at once."""
    given: dict[str, Any] = {}
    wrong: list[Any] = []
    for name, read in readers:
        try:
            given[name] = await read(request)
        except RequestValidationError as error:
            wrong += error.errors()
    if wrong:
        raise RequestValidationError(wrong)
    return given


def _readers(route: Route) -> tuple[tuple[str, Reader], ...]:
    hints = get_type_hints(route.endpoint, include_extras=True)
    parameters = inspect.signature(route.endpoint).parameters.values()
    return tuple((p.name, _reader(route, p, hints[p.name])) for p in parameters)


def _reader(route: Route, parameter: inspect.Parameter, hint: Any) -> Reader:
    if hint is Request:
        return _itself
    given = next((a.dependency for a in get_args(hint)[1:] if isinstance(a, Depends)), None)
    if given is not None:
        return _of_request_alone(given)
    if f"{{{parameter.name}}}" in route.path:
        if hint is not str:
            raise TypeError(f"{parameter.name} of {route.path} is in the path and no text.")
        return _from_path(parameter.name)
    return _from_query(parameter, hint)


async def _itself(request: Request) -> Request:
    return request


def _of_request_alone(given: Any) -> Reader:
    wanted = list(get_type_hints(given).items())
    if not inspect.iscoroutinefunction(given) or [k for n, k in wanted if n != "return"] != [Request]:
        raise TypeError(f"{given.__qualname__} needs more than the request.")
    reader: Reader = given
    return reader


def _from_path(name: str) -> Reader:
    async def read(request: Request) -> str:
        text: str = request.path_params[name]
        return text

    return read


def _from_query(parameter: inspect.Parameter, hint: Any) -> Reader:
    """Read one name of the query; a value that does not fit is told as FastAPI tells it."""
    name, default = parameter.name, parameter.default
    if default is NEEDED:
        raise TypeError(f"{name} is asked for in the query, and has no default.")
    kind: TypeAdapter[Any] = TypeAdapter(hint)

    async def read(request: Request) -> Any:
        given = request.query_params.get(name)
        if given is None:
            return default
        try:
            return kind.validate_python(given)
        except ValidationError as error:
            told = [{**e, "loc": ("query", name, *e["loc"])} for e in error.errors(include_url=False)]
            raise RequestValidationError(told) from error

    return read

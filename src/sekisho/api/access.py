"""Who may: bearer tokens, roles, and hosts that speak for themselves only."""

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, NoReturn

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from sekisho.api.keeper import Keeper
from sekisho.model.access import Principal, Role
from sekisho.model.errors import Forbidden, Malformed, SekishoError, Unauthenticated

log = logging.getLogger(__name__)

Roles = frozenset[Role]

OPEN: Roles = frozenset()
ADMIN: Roles = frozenset({Role.ADMIN})
OPERATE: Roles = ADMIN | {Role.OPERATOR}
VIEW: Roles = OPERATE | {Role.VIEWER}
AGENT: Roles = ADMIN | {Role.AGENT}
ANYBODY: Roles = VIEW | AGENT


async def _keeper(request: Request) -> Keeper:
    keeper: Keeper = request.app.state.keeper
    return keeper


async def _asker(request: Request) -> Principal:
    who: Principal = request.state.principal
    return who


TheKeeper = Annotated[Keeper, Depends(_keeper)]
Asker = Annotated[Principal, Depends(_asker)]


def allow(roles: Roles, route: str) -> Callable[[Request], Awaitable[None]]:
    """Make the dependency that lets in who has one of the roles, and asks for what there is.

    Query names that the route does not know are refused: a misspelt filter must not answer everything.
    `route` is the method and path pattern; denials are journaled under it, not under the path that
    was tried, so that trying many paths writes no more than trying one.
    """

    async def check(request: Request) -> None:
        request.state.principal = await run_in_threadpool(_let_in, request, roles, route)
        _knows_all_names(request)

    return check


def _knows_all_names(request: Request) -> None:
    if not request.query_params:
        return
    known = {p.alias for p in request.scope["route"].dependant.query_params}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        problems = tuple(f"query.{name}: unknown name; known are: {names}." for name in unknown)
        raise Malformed("The request is not what was asked for.", problems=problems)


def _let_in(request: Request, roles: Roles, route: str) -> Principal:
    keeper: Keeper = request.app.state.keeper
    try:
        who = keeper.authenticate(_secret(request))
    except Unauthenticated as error:
        _deny(keeper, _address(request), route, error)
    if who.role not in roles:
        needed = " or ".join(sorted(roles))
        _deny(keeper, who.name, route, Forbidden(f"This needs the role {needed}; yours is {who.role.value}."))
    if who.host and who.host != request.path_params.get("host"):
        _deny(keeper, who.name, route, Forbidden(f"This token is for the host {who.host!r} only."))
    return who


def _secret(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("Send a token: 'Authorization: Bearer TOKEN'.")
    return secret.strip()


def _address(request: Request) -> str:
    return f"unknown at {request.client.host}" if request.client else "unknown"


def _deny(keeper: Keeper, name: str, route: str, error: SekishoError) -> NoReturn:
    try:
        keeper.denied(name, route, error.asker)
    except SekishoError as failed:  # a full disk lets nobody in
        log.warning("could not journal that %s was denied %s: %s", name, route, failed.fixer)
    raise error

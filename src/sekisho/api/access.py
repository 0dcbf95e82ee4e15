"""Who may: tokens of ours and of Keystone's, roles, and hosts that speak for themselves only."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, NoReturn

import anyio.to_thread
from fastapi import Depends, Request

from sekisho.api.keeper import Keeper
from sekisho.model.access import Issuer, Principal, Role
from sekisho.model.errors import Forbidden, Malformed, SekishoError, Unauthenticated

log = logging.getLogger(__name__)

Roles = frozenset[Role]

OPEN: Roles = frozenset()
ADMIN: Roles = frozenset({Role.ADMIN})
OPERATE: Roles = ADMIN | {Role.OPERATOR}
VIEW: Roles = OPERATE | {Role.VIEWER}
AGENT: Roles = ADMIN | {Role.AGENT}
CLOUD: Roles = ADMIN | {Role.CLOUD}  # what the cloud alone can say; a host or a collector never
DECIDE: Roles = OPERATE | CLOUD
SEE: Roles = VIEW | CLOUD
ANYBODY: Roles = VIEW | AGENT | CLOUD
OWN: Roles = SEE | {Role.MEMBER}  # members see what is their project's
MEMBER: Roles = frozenset({Role.MEMBER})
EVERYBODY: Roles = frozenset(Role)


async def _keeper(request: Request) -> Keeper:
    keeper: Keeper = request.app.state.keeper
    return keeper


async def _asker(request: Request) -> Principal:
    who: Principal = request.state.principal
    return who


TheKeeper = Annotated[Keeper, Depends(_keeper)]
Asker = Annotated[Principal, Depends(_asker)]


def allow(
    roles: Roles, route: str, *, personal: bool = False, bound: bool = False
) -> Callable[[Request], Awaitable[None]]:
    """Make the dependency that lets in who has one of the roles, and asks for what there is.

    Query names that the route does not know are refused: a misspelt filter must not answer everything.
    `route` is the method and path pattern; denials are journaled under it, not under the path that
    was tried, so that trying many paths writes no more than trying one. `personal` is a route that is
    about the asker alone, so that a token bound to a host may ask it too. `bound` is a route that an
    agent may ask with a token bound to its host only.
    """
    objection = objecting(roles, personal=personal, bound=bound)

    async def check(request: Request) -> None:
        secret, issuer = given = credentials(request)
        keeper: Keeper = request.app.state.keeper
        # Nearly everybody is let in here, without a thread; whoever is not is looked at again, slowly.
        who = keeper.recognised(secret, issuer) if secret else None
        if who is None or _is_nowhere(who) or objection(who, request):
            # Whom Keystone must be asked about waits in a line of its own: a Keystone that hangs must not
            # hold the threads that everybody else is served by.
            waits = not keeper.knows(secret, issuer)
            who = await anyio.to_thread.run_sync(
                partial(let_in, request, given, route, objection),
                limiter=request.app.state.asking if waits else None,
            )
        request.state.principal = who
        _knows_all_names(request)

    return check


def objecting(
    roles: Roles, *, personal: bool = False, bound: bool = False
) -> Callable[[Principal, Request], str]:
    """Make what says why somebody who is known may not ask something; empty where nothing is against."""
    return partial(_objection, roles=roles, personal=personal, bound=bound)


def _knows_all_names(request: Request) -> None:
    if not request.query_params:
        return
    known = {p.alias for p in request.scope["route"].dependant.query_params}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        problems = tuple(f"query.{name}: unknown name; known are: {names}." for name in unknown)
        raise Malformed("The request is not what was asked for.", problems=problems)


def let_in(
    request: Request, given: tuple[str, Issuer], route: str, objection: Callable[[Principal, Request], str]
) -> Principal:
    """Find who has a token, and that it may ask this; else journals the denial and raises."""
    keeper: Keeper = request.app.state.keeper
    try:
        who = _authenticated(keeper, *given)
    except (Unauthenticated, Forbidden) as error:
        _deny(keeper, _address(request), route, error)
    said = objection(who, request)
    if said:
        _deny(keeper, who.name, route, Forbidden(said))
    return who


def _objection(who: Principal, request: Request, roles: Roles, *, personal: bool, bound: bool) -> str:
    """Say why somebody who is known may not ask this, empty if nothing speaks against it."""
    if who.role not in roles:
        needed = " or ".join(sorted(roles))
        return f"This needs the role {needed}; yours is {who.role.value}."
    if who.host and not personal and who.host != request.path_params.get("host"):
        return f"This token is for the host {who.host!r} only."
    if bound and who.role is Role.AGENT and not who.host:
        return "An agent asks this with a token that is bound to its own name (--host)."
    return ""


def _authenticated(keeper: Keeper, secret: str, issuer: Issuer) -> Principal:
    if not secret:
        raise Unauthenticated(
            "Send one token: 'Authorization: Bearer TOKEN', or Keystone's as 'X-Auth-Token: TOKEN'."
        )
    who = keeper.authenticate(secret, issuer)
    if _is_nowhere(who):
        raise Forbidden("A member sees what is its project's, and this token is for none.")
    return who


def _is_nowhere(who: Principal) -> bool:
    return who.role is Role.MEMBER and not who.project


def credentials(request: Request) -> tuple[str, Issuer]:
    """Take the token of a request and who made it, by its header; empty for none, and for two."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    ours = secret.strip() if scheme.lower() == "bearer" else ""
    theirs = request.headers.get("x-auth-token", "").strip()
    if ours and theirs:
        return "", Issuer.SEKISHO
    return (theirs, Issuer.KEYSTONE) if theirs else (ours, Issuer.SEKISHO)


def _address(request: Request) -> str:
    return f"unknown at {request.client.host}" if request.client else "unknown"


def _deny(keeper: Keeper, name: str, route: str, error: SekishoError) -> NoReturn:
    try:
        keeper.denied(name, route, error.asker)
    except SekishoError as failed:  # a full disk lets nobody in
        log.warning("could not journal that %s was denied %s: %s", name, route, failed.fixer)
    raise error

"""Signing in and out: a token in, a cookie out; and what a browser remembers of its reader's taste."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import anyio.to_thread

from sekisho.api.access import MEMBER, VIEW, let_in, objecting
from sekisho.api.console.asking import read
from sekisho.api.console.forms import fields, need_own_form, need_own_page
from sekisho.api.console.language import LANGUAGES
from sekisho.api.console.view import THEMES, as_page, here, local, to
from sekisho.model.access import Issuer, Role
from sekisho.model.errors import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from sekisho.api.console.sessions import Session, Sessions
    from sekisho.api.console.settings import ConsoleSettings

COOKIE: Final = "sekisho"
YEAR: Final = 365 * 86400


def is_secure(request: Request) -> bool:
    """Tell whether the browser speaks TLS, to us or to a proxy of ours."""
    settings: ConsoleSettings = request.app.state.console
    return request.url.scheme == "https" or settings.secure


def cookie_name(request: Request) -> str:
    """Name the session's cookie; over TLS no other host and no plain HTTP can set it (RFC 6265bis)."""
    return f"__Host-{COOKIE}" if is_secure(request) else COOKIE


def need_session(request: Request) -> Session:
    """Find who is signed in, or raise Unauthenticated."""
    sessions: Sessions = request.app.state.sessions
    found = sessions.find(request.cookies.get(cookie_name(request), ""), request.app.state.keeper.moment())
    if found is None:
        raise Unauthenticated("Sign in first.")
    return found


def forget(request: Request) -> None:
    """End the session of a request, if there is one."""
    request.app.state.sessions.end(request.cookies.get(cookie_name(request), ""))


def leave(request: Request) -> Response:
    """Lead a stranger to where one signs in, and from there back."""
    wanted = here(request) if request.method == "GET" and request.url.path != "/" else ""
    return to(f"/login?next={quote(wanted, safe='')}" if wanted else "/login")


async def show(request: Request) -> Response:
    """Show where to sign in."""
    query = read(request.url.query)
    onward = local(query.text("next"))
    query.done()
    return as_page(request, "login.html", {"next": onward, "said": "", "wait": 0})


async def sign_in(request: Request) -> Response:
    """Take a token, and give a cookie for it."""
    need_own_page(request)
    given = await fields(request)
    onward, issuer = local(given.text("next")), Issuer(given.choice("issuer", tuple(Issuer), Issuer.SEKISHO))
    secret = given.text("token")
    given.done()
    keeper, attempts = request.app.state.keeper, request.app.state.attempts
    now, address = keeper.moment(), request.client.host if request.client else ""
    wait = attempts.wait(address, now)
    if wait > 0:
        return _again(request, onward, "", wait)
    try:
        who = await anyio.to_thread.run_sync(
            partial(let_in, request, (secret, issuer), "POST /login", objecting(VIEW | MEMBER)),
            limiter=None if keeper.knows(secret, issuer) else request.app.state.asking,
        )
    except (Unauthenticated, Forbidden) as error:
        attempts.failed(address, now)
        return _again(request, onward, error.asker, 0.0)
    forget(request)
    member = who.role is Role.MEMBER
    cookie, _ = request.app.state.sessions.begin(secret, issuer, who.name, now, member=member)
    answer = to(onward)
    # Lax, not strict: an address pasted into a ticket must lead to its page. Forms carry their own proof.
    answer.set_cookie(
        cookie_name(request), cookie, path="/", secure=is_secure(request), httponly=True, samesite="lax"
    )
    return answer


def _again(request: Request, onward: str, said: str, wait: float) -> Response:
    headers = {"Retry-After": str(math.ceil(wait))} if wait else {}
    page = {"next": onward, "said": said, "wait": math.ceil(wait / 60)}
    return as_page(request, "login.html", page, status=429 if wait else 401, headers=headers)


async def sign_out(request: Request) -> Response:
    """End a session."""
    given = await fields(request)
    need_own_form(request, need_session(request), given.text("forgery"))
    forget(request)
    answer = to("/login")
    answer.delete_cookie(
        cookie_name(request), path="/", secure=is_secure(request), httponly=True, samesite="lax"
    )
    return answer


async def prefer(request: Request) -> Response:
    """Remember language and theme in the browser; nothing that anybody else could gain by."""
    query = read(request.url.query)
    onward = local(query.text("next"))
    language = query.choice("language", ("", *LANGUAGES), "")
    theme = query.choice("theme", ("", *THEMES), "")
    query.done()
    answer = to(onward)
    for name, value in (("sekisho_lang", language), ("sekisho_theme", theme)):
        if value:
            secure = is_secure(request)
            answer.set_cookie(
                name, value, max_age=YEAR, path="/", secure=secure, httponly=True, samesite="lax"
            )
    return answer


SIGN_IN: Final[tuple[tuple[str, str, Callable[[Request], Awaitable[Response]]], ...]] = (
    ("GET", "/login", show),
    ("POST", "/login", sign_in),
    ("POST", "/logout", sign_out),
    ("GET", "/preferences", prefer),
)

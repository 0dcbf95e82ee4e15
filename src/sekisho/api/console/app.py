"""Puts the pages behind the API's app: who may see and do what, and how it goes wrong."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from starlette.responses import Response
from starlette.routing import Route

from sekisho.api.access import ADMIN, MEMBER, OPERATE, VIEW, Roles, credentials, let_in, objecting
from sekisho.api.console import backtests, decide, modes, owning, pages
from sekisho.api.console.asking import Asked, read
from sekisho.api.console.forms import fields, need_own_form
from sekisho.api.console.live import Pulse, stream
from sekisho.api.console.sessions import Attempts, Sessions
from sekisho.api.console.sign_in import SIGN_IN, forget, leave, need_session
from sekisho.api.console.view import Ask, as_json, as_page, is_json, local, static_file, to
from sekisho.api.problems import TABLE, from_error
from sekisho.model.access import Role
from sekisho.model.archived import Series
from sekisho.model.errors import Malformed, NotFound, SekishoError, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI
    from starlette.requests import Request

    from sekisho.api.console.decide import Done
    from sekisho.api.console.settings import ConsoleSettings
    from sekisho.api.console.traffic import Traffic

log = logging.getLogger(__name__)

YEAR: Final = 365 * 86400
TYPES: Final = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page: where it is, what it shows, and in which words; no template is a twin without a page.

    What asks the `archive` waits in the archive's own line: one that hangs holds up no other page.
    """

    path: str
    show: Callable[[Ask], Any]
    template: str = ""
    archive: bool = False
    roles: Roles = VIEW


@dataclass(frozen=True, slots=True)
class Form:
    """One decision: where it is sent, what it does, and who may."""

    path: str
    act: Callable[[Ask], Done]
    roles: Roles = OPERATE
    archive: bool = False


PAGES: Final = (
    Page("/", pages.now, "now.html", roles=VIEW | MEMBER),
    Page("/own", owning.show, "own.html", roles=MEMBER),
    Page("/subjects", pages.subjects, "subjects.html"),
    # Ids of subjects may contain slashes.
    Page("/subjects/{subject:path}", pages.subject, "subject.html"),
    Page("/traffic", pages.chart, archive=True),
    Page("/restrictions", pages.restrictions, "restrictions.html"),
    Page("/restrictions/{restriction}", pages.restriction, "restriction.html"),
    Page("/policies", pages.policies, "policies.html"),
    Page("/policies/{policy}", pages.policy, "policy.html"),
    Page("/policies/{policy}/mode", modes.show, "mode.html"),
    Page("/backtests", backtests.start, "backtests.html"),
    Page("/backtests/{backtest}", backtests.show, "backtest.html", archive=True),
    Page("/exporters", pages.exporters, "exporters.html"),
    Page("/audit", pages.audit, "audit.html"),
)
FORMS: Final = (
    Form("/lift", decide.lift),
    Form("/approve", decide.approve),
    Form("/reject", decide.reject),
    Form("/extend", decide.extend),
    Form("/impose", decide.impose),
    Form("/exempt", decide.exempt),
    Form("/revoke-exemption", decide.revoke_exemption),
    Form("/reload", decide.reload),
    Form("/mode", modes.turn),
    Form("/backtest", backtests.begin, archive=True),
    Form("/enforce", decide.enforce, ADMIN),
    Form("/release", owning.release, MEMBER),
)


class _Nothing:
    """Where nobody keeps traffic."""

    def series(self, subject: str, since: float, until: float, step: float) -> Series:
        """Say that nothing was seen."""
        return Series(subject, since, until, step)


def install(app: FastAPI, settings: ConsoleSettings, traffic: Traffic | None = None) -> None:
    """Add the pages to an app that has a keeper; `traffic` is what charts are drawn from."""
    app.state.console = settings
    app.state.sessions = Sessions(settings)
    app.state.attempts = Attempts(settings.attempts, settings.forgive)
    app.state.traffic = traffic or _Nothing()
    app.state.pulse = Pulse(settings.watching)
    routes = [Route(p.path, _guarded(partial(_show, p)), methods=["GET"]) for p in PAGES]
    routes += [Route(f.path, _guarded(partial(_decide, f)), methods=["POST"]) for f in FORMS]
    routes += [Route(path, _guarded(endpoint), methods=[method]) for method, path, endpoint in SIGN_IN]
    routes.append(Route("/events", _guarded(_events), methods=["GET"]))
    routes.append(Route("/console/static/{name}", _static, methods=["GET"]))
    app.router.routes.extend(routes)


async def _show(page: Page, request: Request) -> Response:
    ask = await _asker(request, page.roles, f"GET {page.path}", read(_without_format(request)))
    if ask.who.role is Role.MEMBER and page.path == "/":
        return to("/own?format=json" if is_json(request) else "/own")
    model = await anyio.to_thread.run_sync(page.show, ask, limiter=_line(request, page))
    if is_json(request) or not page.template:
        return as_json(model)
    return await anyio.to_thread.run_sync(partial(as_page, request, page.template, model, ask=ask))


async def _decide(form: Form, request: Request) -> Response:
    given = await fields(request)
    session = need_session(request)
    need_own_form(request, session, given.text("forgery"))
    ask = await _asker(request, form.roles, f"POST {form.path}", given)
    done = await anyio.to_thread.run_sync(form.act, ask, limiter=_line(request, form))
    session.told.append((done.code, done.about))
    return to(local(done.to))


def _line(request: Request, asked: Page | Form) -> anyio.CapacityLimiter | None:
    line: anyio.CapacityLimiter = request.app.state.archiving
    return line if asked.archive else None


async def _events(request: Request) -> Response:
    await _asker(request, VIEW, "GET /events", Asked(()))
    pulse: Pulse = request.app.state.pulse
    return stream(request, pulse)


async def _asker(request: Request, roles: Roles, route: str, query: Asked) -> Ask:
    """Find who asks: whoever has a token in a header, else whoever is signed in."""
    state, given, session = request.app.state, credentials(request), None
    if not given[0]:
        session = need_session(request)
        given = session.secret, session.issuer
    waits = not state.keeper.knows(*given)
    who = await anyio.to_thread.run_sync(
        partial(let_in, request, given, route, objecting(roles)), limiter=state.asking if waits else None
    )
    now, params = state.keeper.moment(), request.path_params
    return Ask(state.keeper, state.traffic, who, query, now, session, params, state.flows)


def _guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Let a page's errors be pages, its twin's problem documents, and strangers sign in."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Unauthenticated as error:
            if request.headers.get("authorization") or is_json(request):
                return from_error(error)
            forget(request)
            return leave(request)
        except SekishoError as error:
            return from_error(error) if is_json(request) else _wrong(request, error)

    return guarded


def _wrong(request: Request, error: SekishoError) -> Response:
    """Write what went wrong as a page; the fixer's sentence goes to the log, as the API does."""
    kind = next(k for k in type(error).__mro__ if k in TABLE)
    status, name, _ = TABLE[kind]
    if status >= 500:
        log.warning("%s: %s", name, error.fixer)
    problems = error.problems if isinstance(error, Malformed) else ()
    status = 422 if problems else status
    return as_page(
        request, "wrong.html", {"name": name, "said": error.asker, "problems": problems}, status=status
    )


def _without_format(request: Request) -> str:
    return "&".join(p for p in request.url.query.split("&") if p and p != "format=json")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    try:
        content, digest = static_file(name)
    except KeyError:
        return from_error(NotFound(f"There is no file {name!r}."))
    kept = request.query_params.get("v") == digest
    headers = {"Cache-Control": f"public, max-age={YEAR}, immutable" if kept else "no-cache"}
    return Response(content, media_type=TYPES[name.rpartition(".")[2]], headers=headers)

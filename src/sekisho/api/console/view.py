"""What every page is made with: who asks for what, of whom, in which language; and how it is written."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from sekisho.api.access import OPERATE
from sekisho.api.console import backtests, figures
from sekisho.api.console.language import LANGUAGES, catalogue, choose
from sekisho.model.access import Role
from sekisho.model.plain import to_plain

if TYPE_CHECKING:
    from starlette.requests import Request

    from sekisho.api.console.asking import Asked
    from sekisho.api.console.sessions import Session
    from sekisho.api.console.traffic import Traffic
    from sekisho.api.flow_keeper import FlowKeeper
    from sekisho.api.keeper import Keeper
    from sekisho.model.access import Principal

STATIC: Final = "/console/static"
THEMES: Final = ("auto", "light", "dark")
# Nothing but what we ship, nobody's frame, and forms that go nowhere else. Scripts set styles through the
# document's model, which this allows; a style or a script inside a page is refused.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
HTMX: Final = json.dumps(
    {
        "includeIndicatorStyles": False,
        "allowEval": False,
        "allowScriptTags": False,
        "selfRequestsOnly": True,
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        "scrollBehavior": "instant",
    }
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, once it is known who asks.

    `session` is None for a token in a header, `flows` where there is no archive.
    """

    keeper: Keeper
    traffic: Traffic
    who: Principal
    query: Asked
    now: float
    session: Session | None = None
    params: dict[str, str] | None = None
    flows: FlowKeeper | None = None

    def param(self, name: str) -> str:
        """Give a part of the path."""
        return (self.params or {})[name]


def is_json(request: Request) -> bool:
    """Tell whether the page's twin is asked for."""
    return request.query_params.get("format") == "json"


def as_json(model: Any) -> Response:
    """Write a page's numbers as the API would."""
    return JSONResponse(to_plain(model))


def as_page(
    request: Request,
    template: str,
    page: Any,
    *,
    ask: Ask | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """Write a page in the reader's language."""
    session = ask.session if ask else None
    told = []
    if session is not None:
        told, session.told = session.told, []
    text = (
        environment(language_of(request))
        .get_template(template)
        .render(
            page=page,
            ask=ask,
            told=told,
            key=secrets.token_urlsafe(12),
            path=request.url.path,
            here=here(request),
            twin=twin(request),
            theme=theme_of(request),
            may_decide=ask is not None and session is not None and ask.who.role in OPERATE,
            is_admin=ask is not None and session is not None and ask.who.role is Role.ADMIN,
        )
    )
    return HTMLResponse(text, status, headers={**HEADERS, **(headers or {})})


def here(request: Request) -> str:
    """Give the path and query of this page, to come back to."""
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def twin(request: Request) -> str:
    """Give the address of this page's numbers as JSON."""
    url = request.url.include_query_params(format="json")
    return f"{url.path}?{url.query}"


def to(location: str) -> Response:
    """Lead on to a page, by GET."""
    return RedirectResponse(location, 303, headers=dict(HEADERS))


def local(location: str) -> str:
    """Give a place to go on to, unless it is somebody else's."""
    good = location.startswith("/") and not location.startswith("//")
    return location if good and location.isprintable() and "\\" not in location else "/"


def language_of(request: Request) -> str:
    """Choose the reader's language."""
    return choose(request.cookies.get("sekisho_lang", ""), request.headers.get("accept-language", ""))


def theme_of(request: Request) -> str:
    """Give the theme the reader once chose."""
    chosen = request.cookies.get("sekisho_theme", "auto")
    return chosen if chosen in THEMES else "auto"


@cache
def environment(language: str) -> Environment:
    """Make what writes pages in one language."""
    made = Environment(
        loader=PackageLoader("sekisho.api.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    words = catalogue(language)
    # The extension adds these two to every environment it is part of.
    made.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: words.get(text, text), lambda one, many, n: one if n == 1 else many, newstyle=True
    )
    made.globals.update(
        language=language, languages=LANGUAGES, themes=THEMES, static=static_url, htmx_config=HTMX
    )
    made.filters.update(figures.FILTERS, curve=backtests.curve, line_of=backtests.amount)
    made.filters.update(segment=lambda text: quote(text, safe=""), path=quote)
    made.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return made


@cache
def static_file(name: str) -> tuple[bytes, str]:
    """Read one of our static files, with a digest of it; KeyError for what there is not."""
    folder = files("sekisho.api.console") / "static"
    known = {f.name for f in folder.iterdir() if f.is_file()}
    if name not in known:
        raise KeyError(name)
    content = (folder / name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:16]


def static_url(name: str) -> str:
    """Give the address of a static file, which changes with what is in it."""
    return f"{STATIC}/{name}?v={static_file(name)[1]}"

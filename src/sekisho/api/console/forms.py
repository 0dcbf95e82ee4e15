"""Forms as browsers send them: a request's body in, its fields out, and proof that a page of ours sent it."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from sekisho.api.console.asking import read
from sekisho.model.errors import Forbidden, Malformed

if TYPE_CHECKING:
    from starlette.requests import Request

    from sekisho.api.console.asking import Asked
    from sekisho.api.console.sessions import Session

# A form is small; a page's restrictions to lift are the longest.
MOST: Final = 128 * 1024
FORM: Final = "application/x-www-form-urlencoded"


async def fields(request: Request) -> Asked:
    """Read a form; raises Malformed for one that is too long or no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != FORM:
        raise Malformed("Only forms of our own pages are taken here; programs use /v1.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST:
            raise Malformed(f"The form is longer than {MOST:,} bytes.")
    try:
        return read(body.decode("ascii"))
    except UnicodeDecodeError as error:
        raise Malformed("The form cannot be read.") from error


def need_own_page(request: Request) -> None:
    """Refuse a form of another site; raises Forbidden. Browsers say where one comes from (Fetch Metadata)."""
    origin, host = request.headers.get("origin", ""), request.headers.get("host", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    foreign = origin and origin.partition("://")[2] != host
    if foreign or site not in ("same-origin", "none"):
        raise Forbidden("This form did not come from our own page.")


def need_own_form(request: Request, session: Session, forgery: str) -> None:
    """Refuse a form that no page of this session sent; raises Forbidden."""
    need_own_page(request)
    # Compared as bytes: what came may be anything, and only ASCII can be compared as text.
    if not hmac.compare_digest(forgery.encode(), session.forgery.encode()):
        raise Forbidden("This form did not come from a page of ours, or is too old: load the page again.")

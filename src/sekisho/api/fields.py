"""Parts of a request that many routes share: pages, keys, revisions."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, TypeVar

from fastapi import Header, Query, Request, Response

from sekisho.api.bodies import Items
from sekisho.model.errors import Malformed

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=1000, description="How many to a page.")]
Marker = Annotated[str, Query(max_length=500, description="`next` of the page before.")]
Text = Annotated[str, Query(max_length=500)]
Revision = Annotated[int, Query(ge=0, lt=1 << 53, description="Only what changed after this revision.")]
Wait = Annotated[
    float, Query(ge=0, le=60, allow_inf_nan=False, description="Seconds to wait for news; then 304.")
]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="The same key with the same request is carried out once and answered alike.",
    ),
]
IfMatch = Annotated[
    str, Header(alias="If-Match", max_length=100, description="The ETag the change is meant for.")
]


def page(request: Request, response: Response, items: Iterable[T], marker: str) -> Items[T]:
    """Answer one page; the Link header leads to the next one."""
    if marker:
        url = request.url.include_query_params(marker=marker)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return Items(tuple(items), marker)


def cut(items: Sequence[T], name: Callable[[T], str], limit: int, marker: str) -> tuple[Sequence[T], str]:
    """Cut a page out of a list the keeper gives whole; the marker is the name of the last one given."""
    start = 0
    if marker:
        names = [name(item) for item in items]
        if marker not in names:
            raise Malformed(f"The marker {marker!r} leads nowhere (any more); begin without one.")
        start = names.index(marker) + 1
    end = start + limit
    return items[start:end], name(items[end - 1]) if end < len(items) else ""


def etag(revision: int) -> str:
    """Write a revision as a strong entity tag."""
    return f'"{revision}"'


def revision(match: str) -> int | None:
    """Read If-Match: None for none and for ``*``."""
    if match in ("", "*"):
        return None
    found = re.fullmatch(r'"(\d{1,18})"', match)
    if found is None:
        raise Malformed('If-Match: expected one entity tag such as "17", or *.')
    return int(found[1])

"""Routes about letters to people: what was told, what could not be, and trying again."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Query, Request, Response

from sekisho.api.access import OPERATE, VIEW, Asker
from sekisho.api.bodies import Items, json_body
from sekisho.api.fields import Limit, Marker, Text, page
from sekisho.api.parts import part
from sekisho.api.routes import Routes
from sekisho.model.access import Principal
from sekisho.model.notice import Letter, LetterState
from sekisho.model.report import Page

NOTICES = Routes()


class Notices(Protocol):
    """What this door needs of whoever tells people; `app/notices.py` is the one that answers."""

    def page(self, states: Collection[LetterState], channel: str, limit: int, marker: str) -> Page[Letter]:
        """List letters, newest first."""
        ...

    def retry(self, who: Principal, letter: str) -> Letter:
        """Let a dead letter be tried again; raises NotFound, or Conflict for one that is not dead."""
        ...

    def test(self, who: Principal, channel: str) -> None:
        """Send a test letter; raises NotFound for an unknown channel."""
        ...


@dataclass(frozen=True, slots=True)
class TestNotice:
    """Which channel to try."""

    channel: str


TheNotices = Annotated[
    Notices,
    Depends(part("notices", "Nobody is told anything here: the settings name no channel (keeper.notices).")),
]


@NOTICES.add("GET", "/v1/notices", VIEW, Items[Letter])
def letters(
    request: Request,
    response: Response,
    notices: TheNotices,
    state: Annotated[list[LetterState] | None, Query()] = None,
    channel: Text = "",
    limit: Limit = 100,
    marker: Marker = "",
) -> Items[Letter]:
    """List letters to people, newest first: waiting, sent, or dead (given up)."""
    found = notices.page(tuple(state or ()), channel, limit, marker)
    return page(request, response, found.items, found.next)


@NOTICES.add("POST", "/v1/notices/test", OPERATE, status=202, body=TestNotice)
def test(
    notices: TheNotices, who: Asker, body: Annotated[TestNotice, Depends(json_body(TestNotice))]
) -> None:
    """Send a test letter to a channel."""
    notices.test(who, body.channel)


@NOTICES.add("POST", "/v1/notices/{letter}/retry", OPERATE, Letter)
def retry(notices: TheNotices, who: Asker, letter: str) -> Letter:
    """Let a dead letter be tried again."""
    return notices.retry(who, letter)

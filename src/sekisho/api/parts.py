"""Parts of the keeper that may not be kept: from the application's state to a route's argument."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request

from sekisho.model.errors import NotFound


def part(name: str, asker: str, fixer: str = "") -> Callable[[Request], Awaitable[Any]]:
    """Make what gives a route the part of that name; it raises NotFound, so worded, where there is none."""

    async def given(request: Request) -> Any:
        found = getattr(request.app.state, name)
        if found is None:
            raise NotFound(asker, fixer)
        return found

    return given

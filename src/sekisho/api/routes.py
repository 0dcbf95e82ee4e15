"""The table of routes: what is asked how, by whom, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.api.access import Roles

E = TypeVar("E", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class Route:
    """One row. `roles` empty is open to everybody; `body` is what it reads, `answer` what it gives."""

    method: str
    path: str
    roles: Roles
    endpoint: Callable[..., Any]
    answer: Any = None
    body: Any = None
    status: int = 200
    waits: bool = False  # a long poll: 304 when there was no news
    personal: bool = False  # about the asker alone: tokens bound to a host may ask it too
    bound: bool = False  # an agent may ask it with a token that is bound to the host, and with no other
    hot: bool = False  # thousands ask it all the time: answered by `quick`, described as all others


@dataclass(frozen=True, slots=True)
class Routes:
    """Rows as they are declared, in order: the first whose path fits answers."""

    rows: list[Route] = field(default_factory=list)

    def add(self, method: str, path: str, roles: Roles, answer: Any = None, **more: Any) -> Callable[[E], E]:
        """Declare the function below as one row."""

        def declare(endpoint: E) -> E:
            self.rows.append(Route(method, path, roles, endpoint, answer, **more))
            return endpoint

        return declare

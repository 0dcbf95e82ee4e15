"""The door for programs: HTTP requests in, answers of the keeper out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sekisho.api.app import create_app
    from sekisho.api.server import Running, serve, start

__all__ = ["Running", "create_app", "serve", "start"]


def __getattr__(name: str) -> Any:
    """Load the web framework only when it is asked for: settings and the Protocol stand without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sekisho.api import app, server

    return getattr(app if name == "create_app" else server, name)

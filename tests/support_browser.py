"""What tests in a browser are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from playwright.sync_api import Page

# Opens a browser at a keeper's address, signed in with a token; gives its page.
Opened: TypeAlias = Callable[..., Page]

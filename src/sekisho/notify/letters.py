"""Notices to letters: what happened within a while becomes one message for each channel and reader."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sekisho.model.notice import Letter
from sekisho.model.plain import to_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.model.notice import Notice
    from sekisho.notify.settings import ChannelSettings, CustomerSettings
    from sekisho.notify.wording import Words

# Notices that one payload lists; more are counted.
LISTED = 1000


def letter(
    channel: str, settings: ChannelSettings, words: Words, notices: Sequence[Notice], now: float
) -> Letter | None:
    """Write what a channel is told of these; None where nothing of it is for that channel."""
    mine = [n for n in notices if not settings.kinds or n.kind in settings.kinds]
    if not mine:
        return None
    return Letter("", channel, words.title(mine), words.text(mine), payload(mine), len(mine), now, now)


def to_customer(
    project: str,
    to: str,
    settings: CustomerSettings,
    words: Words,
    notices: Sequence[Notice],
    now: float,
) -> Letter | None:
    """Write what a project's contact is told: of its own ports, and nothing of hosts and people."""
    mine = [n for n in notices if n.project == project and n.kind in settings.kinds]
    if not mine:
        return None
    text = words.text(mine, customer=True, help=settings.help)
    return Letter("", "customers", words.title(mine, project), text, "", len(mine), now, now, to=to)


def payload(notices: Sequence[Notice]) -> str:
    """Say the same to programs: JSON with `count` and `notices`, each a `Notice` (unix seconds)."""
    told: dict[str, Any] = {"count": len(notices), "notices": [to_plain(n) for n in notices[:LISTED]]}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))

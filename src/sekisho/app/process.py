"""What every long-running process does: log lines, and stopping on a signal."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from types import FrameType


# Libraries that tell of every request at INFO.
CHATTY = ("httpx", "httpcore", "paramiko")


def start_log(level: str = "INFO") -> None:
    """Write log lines to standard error."""
    logging.basicConfig(
        stream=sys.stderr,
        level=level,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        force=True,
    )
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))


def stop_on_signal(stop: threading.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT."""

    def hear(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, hear)
    signal.signal(signal.SIGINT, hear)

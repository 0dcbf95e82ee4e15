"""What every long-running process does: log lines, and stopping on a signal."""

from __future__ import annotations

import ctypes
import gc
import logging
import signal
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import Malformed

if TYPE_CHECKING:
    import threading
    from types import FrameType


CONSOLE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
# Libraries that tell of every request at INFO.
CHATTY = ("httpx", "httpcore", "paramiko")


# Who wants the interpreter waits so many seconds before another thread is told to give it up.
TURN: Final = 1e-4


# <linux/capability.h>: how a process asks, and the one capability that a ring takes.
_CAPABILITY_VERSION_3, _CAP_BPF = 0x2008_0522, 39


class LogFormat(StrEnum):
    """How log lines look: for people, or one JSON document each for programs."""

    CONSOLE = "console"
    JSON = "json"


def start_log(level: str = "INFO", form: LogFormat = LogFormat.CONSOLE) -> None:
    """Write log lines to standard error; raises Malformed where what makes JSON is not installed."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json_lines() if form is LogFormat.JSON else logging.Formatter(CONSOLE))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))


def _json_lines() -> logging.Formatter:
    """Make lines with timestamp (ISO 8601, UTC), level, logger, event and, of an error, its traceback."""
    try:
        from structlog import processors, stdlib
    except ImportError as error:
        raise Malformed("log-format: JSON needs structlog: install sekisho[logs].") from error
    return stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            stdlib.add_log_level,
            stdlib.add_logger_name,
            stdlib.ExtraAdder(),
            processors.TimeStamper(fmt="iso", utc=True),
            processors.dict_tracebacks,
        ],
        processors=[
            stdlib.ProcessorFormatter.remove_processors_meta,
            processors.JSONRenderer(ensure_ascii=False),
        ],
    )


def let_a_loop_go_first() -> None:
    """Make this a process in which one thread must not wait for the others, whatever they are at.

    That one gives up the interpreter with every call of the compiled core or the kernel, a dozen times a
    burst, and at Python's own 5 ms has it back too late each time. Nobody looks for cycles from now on
    unless asked: it stops all threads, the longer the more there is.
    """
    sys.setswitchinterval(TURN)
    gc.collect()
    gc.freeze()
    gc.disable()


def give_back_bpf() -> None:
    """Give up CAP_BPF, of which this process and what it starts have no more use; all others stay."""
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "capset"):
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: of the first 32, then of the others
    if libc.capget(header, sets) == 0 and sets[4] & (bit := 1 << (_CAP_BPF - 32)):
        for each in (3, 4, 5):
            sets[each] &= ~bit
        if libc.capset(header, sets) != 0:
            logging.getLogger("sekisho").warning(
                "CAP_BPF could not be given back: a system call filter forbids capset."
            )


def stop_on_signal(stop: threading.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT."""

    def hear(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, hear)
    signal.signal(signal.SIGINT, hear)

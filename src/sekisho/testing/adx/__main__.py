"""Run an emulated ADX, or a pair, in a process of its own until it is told to stop.

    python -m sekisho.testing.adx [--pair] [--port PORT] [--username NAME] [--password WORD]

Prints one line of JSON for each box, then one that says they are ready. Their clock stands, but for five
seconds at each call that looks whether unbinding is done.
"""

from __future__ import annotations

import argparse
import json
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

from sekisho.testing.adx.box import Box
from sekisho.testing.adx.web import served

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Open the doors and wait for SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sekisho.testing.adx", description="Emulated ADX boxes.")
    parser.add_argument("--pair", action="store_true", help="two boxes")
    parser.add_argument("--port", type=int, default=0, help="of the first one; 0 takes free ones")
    parser.add_argument("--username", default="admin")
    parser.add_argument("--password", default="admin", help="of an emulated box on the loopback interface")
    asked = parser.parse_args(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with ExitStack() as stack:
        for number in range(2 if asked.pair else 1):
            box = Box(asked.username, asked.password, hurries=True)
            address = stack.enter_context(served(box, asked.port and asked.port + number))
            print(json.dumps({"address": address}), flush=True)
        print(json.dumps({"ready": True}), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
